//! A shell script that answers requests, by CGI.
//!
//! ```text
//! cargo run --example cgi [ADDRESS] [PROGRAM]
//! curl http://127.0.0.1:8080/sacks/rye
//! curl -d 'seven sacks' http://127.0.0.1:8080/sacks
//! ```
//!
//! You should see the address of your client, and then `SEVEN SACKS`. The program runs once for each request. With
//! `/usr/lib/git-core/git-http-backend` as PROGRAM, or any other program for CGI, that one answers.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::time::Duration;

use waterwheel::http::web::cgi::Cgi;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Result, Server};
use waterwheel::runtime::{self, signal};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let program = match arguments.next() {
        Some(program) => Cgi::new(program),
        None => Cgi::new("/bin/sh")
            .arg("-c")
            .arg(include_str!("cgi/sacks.sh")),
    };
    // A program that hangs is killed, and its client receives a 504.
    let program = program.time_limit(Duration::from_secs(10)).programs_max(16);
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let router = Router::new().nest("/sacks", program);
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
