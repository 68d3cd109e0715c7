//! Routes: a handler for each path, typed parameters, a redirect, and a handler that panics.
//!
//! ```text
//! cargo run --example routes [ADDRESS]
//! curl http://127.0.0.1:8080/miller
//! curl -i http://127.0.0.1:8080/7
//! curl -i http://127.0.0.1:8080/panic
//! ```
//!
//! You should see `hello, miller`, a 400, and a 500, after which the server continues. `/7` and `/miller`
//! match the same pattern: the first handler whose parameter parses answers.
#![allow(clippy::print_stdout, reason = "an example prints")]

use waterwheel::http::web::response::Response;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Result, Server, StatusCode};
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

pub(crate) fn routes() -> Router {
    Router::new()
        .get("/", async || Response::found("/hello/world"))
        .get("/hello/world", async || "hello world")
        .get("/panic", oops)
        .get("/{id}", number)
        .get("/{id}", name)
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(routes(), shutdown).await?);
        Ok(())
    })
}
