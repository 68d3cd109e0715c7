//! A small site of all parts: pages from templates, a query, a form, JSON, files, and a page for 404.
//!
//! ```text
//! cargo run --example site [ADDRESS]
//! curl 'http://127.0.0.1:8080/?name=miller'
//! curl -d 'flour=rye&sacks=2' http://127.0.0.1:8080/order
//! curl -d 'flour=rye&sacks=many' http://127.0.0.1:8080/order
//! ```
//!
//! You should see two pages, and a 422 that names the field `sacks`. Open it in a browser, too. In
//! a debug build, a page that is changed in `examples/site/pages` changes there.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::input;
use waterwheel::http::web::response::{Html, Json};
use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::web::templates::{Serde, Templates, context};
use waterwheel::http::{Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

const PAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/site/pages");
const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/site/static");

#[derive(Serialize)]
struct Flour {
    name: &'static str,
    sacks: u32,
}

fn flours() -> [Flour; 3] {
    [("rye", 7), ("oat", 3), ("wheat", 12)].map(|(name, sacks)| Flour { name, sacks })
}

#[derive(Deserialize)]
struct Visitor {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Order {
    flour: String,
    sacks: u32,
}

async fn home(pages: &Templates, request: &Request<'_>) -> Result<Html<String>> {
    let visitor: Visitor = input::query(request)?;
    let name = visitor.name.unwrap_or_else(|| "stranger".to_owned());
    let vars = context! { name, store => Serde(flours()) };
    Ok(Html(pages.render("home.html", vars)?))
}

async fn order(pages: &Templates, request: &Request<'_>) -> Result<(StatusCode, Html<String>)> {
    let order: Order = input::form(request).await?; // 422 and which field, if it is not an order
    let vars = context! { flour => order.flour, sacks => order.sacks };
    Ok((StatusCode::CREATED, Html(pages.render("order.html", vars)?)))
}

async fn missing(pages: &Templates, request: &Request<'_>) -> Result<(StatusCode, Html<String>)> {
    let page = pages.render("missing.html", context! { path => request.path() })?;
    Ok((StatusCode::NOT_FOUND, Html(page)))
}

pub(crate) fn site() -> Result<Router> {
    let pages = Rc::new(Templates::new(PAGES)?);
    Ok(Router::new()
        .get("/", with(&pages, home))
        .get("/json", async || Json(flours()))
        .post("/order", with(&pages, order))
        .nest("/static", Files::new(FILES)?)
        .not_found(with(&pages, missing)))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let site = site()?;
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(site, shutdown).await?);
        Ok(())
    })
}
