//! The server at the end of the Rust Book, without its threads: `/`, `/sleep`, and a 404 page.
//!
//! ```text
//! cargo run --example book [ADDRESS]
//! curl http://127.0.0.1:7878/sleep
//! curl http://127.0.0.1:7878/
//! ```
//!
//! You should see `/` answered at once while `/sleep` takes five seconds. In the Book, that needs a thread for
//! each. Here, any number of requests may sleep on the one thread.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;
use std::time::Duration;

use waterwheel::http::web::response::Html;
use waterwheel::http::web::routes::Router;
use waterwheel::http::{self, Request, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal, spawn, time::sleep};

const HELLO: Html<&str> = Html(include_str!("book/hello.html"));
const NOT_FOUND: Html<&str> = Html(include_str!("book/404.html"));

async fn hello(request: &Request<'_>) -> Html<&'static str> {
    println!("Request: {request:#?}");
    HELLO
}

pub(crate) fn book(sleep_for: Duration) -> Router {
    Router::new()
        .get("/", hello)
        .get("/sleep", async move || {
            sleep(sleep_for).await;
            HELLO
        })
        .not_found(async || (StatusCode::NOT_FOUND, NOT_FOUND))
}

pub(crate) async fn serve(address: &str) -> Result<()> {
    let server = Rc::new(Server::bind(address)?);
    let (ending, signals) = (server.clone(), signal::shutdown());
    let ending = spawn(async move { ending.shutdown_on(signals).await });
    println!("listening on http://{}", server.local_address());
    let book = http::shared(book(Duration::from_secs(5)));
    loop {
        server.capacity().await;
        match server.accept().await {
            Ok(connection) => {
                println!("Connection established! {:?}", connection.peer_address());
                spawn(connection.serve(book.clone())).detach();
            }
            Err(error) if error.is_closed() => break,
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => println!("{error}"),
        }
    }
    println!("{}", ending.await??);
    Ok(())
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:7878".to_owned());
    runtime::block_on(serve(&address))
}
