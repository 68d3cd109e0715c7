//! A small site: pages out of templates, a greeting by name, JSON, a form, static files, and a page
//! for all that is not there.
//!
//! ```text
//! cargo run --release --example site [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::rc::Rc;

use serde::{Deserialize, Serialize};
use waterwheel::http::web::files::Files;
use waterwheel::http::web::input;
use waterwheel::http::web::response::{Html, Json};
use waterwheel::http::web::routes::Router;
use waterwheel::http::web::templates::{Templates, Vars};
use waterwheel::http::{Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

/// Where the templates and the static files are.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/site");

#[derive(Deserialize)]
struct Visitor {
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Order {
    flour: String,
    sacks: u32,
}

/// `/` and `/?name=miller`.
fn home(request: &Request<'_>, pages: &Templates) -> Result<Html<String>> {
    let visitor: Visitor = input::query(request)?;
    let name = visitor.name.unwrap_or_else(|| "stranger".to_owned());
    Ok(Html(
        pages.render("home.html", Vars::new().set("name", name))?,
    ))
}

async fn stock() -> Json<[Order; 2]> {
    let order = |flour: &str, sacks| Order {
        flour: flour.to_owned(),
        sacks,
    };
    Json([order("rye", 7), order("oat", 3)])
}

async fn order(request: &Request<'_>, pages: &Templates) -> Result<(StatusCode, Html<String>)> {
    let order: Order = input::form(request).await?;
    let vars = Vars::new()
        .set("flour", order.flour)
        .set("sacks", order.sacks);
    Ok((StatusCode::CREATED, Html(pages.render("order.html", vars)?)))
}

fn nothing(request: &Request<'_>, pages: &Templates) -> Result<(StatusCode, Html<String>)> {
    let vars = Vars::new().set("path", request.path());
    Ok((StatusCode::NOT_FOUND, Html(pages.render("404.html", vars)?)))
}

pub(crate) fn site() -> Result<Router> {
    let pages = Rc::new(Templates::new(format!("{FOLDER}/pages"))?);
    let [at_home, at_order, elsewhere] = [pages.clone(), pages.clone(), pages];
    Ok(Router::new()
        .get("/", async move |request: &Request<'_>| {
            home(request, &at_home)
        })
        .get("/json", stock)
        .post("/order", async move |request: &Request<'_>| {
            order(request, &at_order).await
        })
        .any(
            "/static/{*path}",
            Files::new(format!("{FOLDER}/static"))?.below("/static"),
        )
        .not_found(async move |request: &Request<'_>| nothing(request, &elsewhere)))
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let site = site()?;
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        runtime::race(server.serve(site), async { shutdown.await.map(drop) }).await?;
        Ok(())
    })
}
