//! Templates: pages of a folder, with variables, loops, and a common frame.
//!
//! ```text
//! cargo run --example templates [ADDRESS]
//! curl 'http://127.0.0.1:8080/?name=%3Cmiller%3E'
//! ```
//!
//! You should see a page that greets `&lt;miller&gt;`: variables are escaped. Change
//! `examples/templates/store.html` while this runs: a debug build reads it again. A missing variable is an
//! error, and not an empty text.
#![allow(clippy::print_stdout, reason = "an example prints")]

use serde::{Deserialize, Serialize};
use waterwheel::http::web::input;
use waterwheel::http::web::templates::{Serde, Templates, context};
use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/templates");

#[derive(Deserialize)]
struct Visitor {
    name: Option<String>,
}

#[derive(Serialize)]
struct Flour {
    name: &'static str,
    sacks: u32,
}

async fn store(request: Request<'_>, pages: &Templates) -> Result<Responded> {
    let visitor: Visitor = input::query(&request)?;
    let name = visitor.name.unwrap_or_else(|| "stranger".to_owned());
    let store = [("rye", 7), ("oat", 1)].map(|(name, sacks)| Flour { name, sacks });
    let vars = context! { name, store => Serde(store) };
    pages
        .respond(request, StatusCode::OK, "store.html", vars)
        .await
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let pages = Templates::new(PAGES)?; // an error in a template is found here
    let handler = async move |request: Request<'_>| store(request, &pages).await;
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
