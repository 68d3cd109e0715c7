//! A reverse proxy: requests go to servers behind it, which take turns.
//!
//! ```text
//! cargo run --example serve_until 127.0.0.1:8081
//! cargo run --example reverse_proxy [ADDRESS] [SERVER]...
//! curl -i http://127.0.0.1:8080/
//! ```
//!
//! You should see the answer of the server behind, with a field `via`. Stop that server, and you should see a 502. A
//! page with a WebSocket works through the proxy, too: try `chat 127.0.0.1:8081` as the server.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::env;
use std::time::Duration;

use waterwheel::http::web::middleware::access_log;
use waterwheel::http::web::proxy::{ClientFields, ReverseProxy};
use waterwheel::http::{Result, Server};
use waterwheel::runtime::{self, signal};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments
        .next()
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let first = arguments
        .next()
        .unwrap_or_else(|| "http://127.0.0.1:8081".to_owned());
    // Two sets of fields, because some frameworks read only the older ones.
    let mut proxy = ReverseProxy::to(first)
        .client_fields(ClientFields::Both)
        .time_limit(Duration::from_secs(30));
    for server in arguments {
        proxy = proxy.and(server);
    }
    let logged = access_log(proxy, |entry| println!("{}", entry.combined()));
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(logged, shutdown).await?);
        Ok(())
    })
}
