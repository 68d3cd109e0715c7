//! A small site: pages from templates, a query, a form, JSON, files, and a page for unknown paths.
//!
//! ```text
//! cargo run --example site [ADDRESS]
//! ```
//!
//! In a debug build, a page that is changed in `examples/site/pages` changes in the browser.
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::input;
use waterwheel::http::web::response::{Html, Json};
use waterwheel::http::web::routes::Router;
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

const STORE: [Flour; 3] = [
    Flour {
        name: "rye",
        sacks: 7,
    },
    Flour {
        name: "oat",
        sacks: 3,
    },
    Flour {
        name: "wheat",
        sacks: 12,
    },
];

#[derive(Deserialize)]
struct Visitor {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Order {
    flour: String,
    sacks: u32,
}

/// `/` and `/?name=miller`.
fn home(request: &Request<'_>, pages: &Templates) -> Result<Html<String>> {
    let visitor: Visitor = input::query(request)?;
    let name = visitor.name.unwrap_or_else(|| "stranger".to_owned());
    let vars = context! { name, store => Serde(&STORE) };
    Ok(Html(pages.render("home.html", vars)?))
}

async fn store() -> Json<[Flour; 3]> {
    Json(STORE)
}

async fn order(request: &Request<'_>, pages: &Templates) -> Result<(StatusCode, Html<String>)> {
    let order: Order = input::form(request).await?; // 422 and which field, if it is none
    let vars = context! { flour => order.flour, sacks => order.sacks };
    Ok((StatusCode::CREATED, Html(pages.render("order.html", vars)?)))
}

fn missing(request: &Request<'_>, pages: &Templates) -> Result<(StatusCode, Html<String>)> {
    let vars = context! { path => request.path() };
    Ok((
        StatusCode::NOT_FOUND,
        Html(pages.render("missing.html", vars)?),
    ))
}

pub(crate) fn site() -> Result<Router> {
    let pages = Rc::new(Templates::new(PAGES)?);
    let (for_home, for_order, for_missing) = (pages.clone(), pages.clone(), pages);
    Ok(Router::new()
        .get("/", async move |request: &Request<'_>| {
            home(request, &for_home)
        })
        .get("/json", store)
        .post("/order", async move |request: &Request<'_>| {
            order(request, &for_order).await
        })
        .get("/static/{*path}", Files::new(FILES)?.below("/static"))
        .not_found(async move |request: &Request<'_>| missing(request, &for_missing)))
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
