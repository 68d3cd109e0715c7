//! A small site: a greeting by name, JSON, a form, and a page for all that is not there.
//!
//! ```text
//! cargo run --release --example site [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use serde::{Deserialize, Serialize};
use waterwheel::http::web::input;
use waterwheel::http::web::response::{Html, Json, escape};
use waterwheel::http::web::routes::Router;
use waterwheel::http::{Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

#[derive(Deserialize)]
struct Visitor {
    name: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct Order {
    flour: String,
    sacks: u8,
}

/// `/` and `/?name=miller`.
async fn home(request: &Request<'_>) -> Result<Html<String>> {
    let visitor: Visitor = input::query(request)?;
    let name = visitor.name.unwrap_or_else(|| "stranger".to_owned());
    let greeting = format!("<p>Good morning, {}.</p>", escape(&name));
    Ok(page(
        "The mill",
        &(greeting + include_str!("site/form.html")),
    ))
}

async fn stock() -> Json<[Order; 2]> {
    let order = |flour: &str, sacks| Order {
        flour: flour.to_owned(),
        sacks,
    };
    Json([order("rye", 7), order("oat", 3)])
}

async fn order(request: &Request<'_>) -> Result<(StatusCode, Html<String>)> {
    let order: Order = input::form(request).await?;
    let text = format!(
        "<p>{} sacks of {}, as ordered.</p>",
        order.sacks,
        escape(&order.flour)
    );
    Ok((StatusCode::CREATED, page("Your order", &text)))
}

async fn nothing(request: &Request<'_>) -> (StatusCode, Html<String>) {
    let text = format!(
        "<p>There is no <code>{}</code> here.</p>",
        escape(request.path())
    );
    (StatusCode::NOT_FOUND, page("Not found", &text))
}

fn page(title: &str, content: &str) -> Html<String> {
    let page = include_str!("site/page.html");
    Html(page.replace("[title]", title).replace("[content]", content))
}

pub(crate) fn site() -> Router {
    Router::new()
        .get("/", home)
        .get("/json", stock)
        .post("/order", order)
        .not_found(nothing)
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        runtime::race(server.serve(site()), async { shutdown.await.map(drop) }).await
    })
}
