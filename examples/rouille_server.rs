//! rouille's first example: parameters with types, and a handler that panics.
//!
//! ```text
//! cargo run --release --example rouille_server [ADDRESS]
//! ```
//!
//! `/7` and `/miller` match the same pattern: the first handler whose parameter parses answers.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use waterwheel::http::web::response::Response;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Server, StatusCode};
use waterwheel::runtime::{self, signal};

async fn number(_: &Request<'_>, id: u32) -> StatusCode {
    println!("u32 {id:?}");
    StatusCode::BAD_REQUEST
}

async fn name(_: &Request<'_>, id: String) -> String {
    println!("String {id:?}");
    format!("hello, {id}")
}

async fn oops() -> &'static str {
    panic!("Oops!")
}

pub(crate) fn rouille_server() -> Router {
    Router::new()
        .get("/", async || Response::found("/hello/world"))
        .get("/hello/world", async || "hello world")
        .get("/panic", oops)
        .get("/{id}", number)
        .get("/{id}", name)
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(rouille_server(), shutdown).await?);
        Ok(())
    })
}
