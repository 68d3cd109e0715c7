//! Static files: a folder with ranges, conditional requests, lists, and compressed copies.
//!
//! ```text
//! cargo run --example files [ADDRESS] [FOLDER]
//! curl -r 0-99 http://127.0.0.1:8080/README.md
//! ```
//!
//! You should see the first 100 bytes of the file. A browser gets a list of the folder. If a client accepts
//! it, `page.html.gz` beside `page.html` is sent instead.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::env;

use waterwheel::http::web::files::Files;
use waterwheel::http::{Error, Result, Server};
use waterwheel::runtime::{self, signal};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let folder = arguments.next().unwrap_or_else(|| ".".to_owned());
    let files = Files::new(&folder)
        .map_err(|error| Error::message(format!("cannot open the folder {folder}: {error}")))?
        .listing()
        .precompressed();
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(files, shutdown).await?);
        Ok(())
    })
}
