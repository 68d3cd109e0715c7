//! A live page by server-sent events: it shows its visitors and their messages.
//!
//! ```text
//! cargo run --release --example events [ADDRESS]
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::io;

use waterwheel::http::web::events::{Event, Events, Feed};
use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};
use waterwheel::runtime::{self, signal};

const HTML: [(&str, &str); 1] = [("content-type", "text/html; charset=utf-8")];
const WORDS_BYTES_MAX: u64 = 280;

async fn mill(request: Request<'_>, feed: &Feed) -> Result<Responded> {
    match (request.method(), request.path()) {
        (&Method::GET | &Method::HEAD, "/") => {
            let page = include_str!("pages/events.html");
            request.respond(StatusCode::OK, page, HTML).await
        }
        (&Method::GET, "/events") => watch(request, feed).await,
        (&Method::POST, "/words") => {
            let words = request.body().bytes(WORDS_BYTES_MAX).await?;
            feed.publish(&Event::new(String::from_utf8_lossy(&words)).name("words"));
            request.respond(StatusCode::NO_CONTENT, "", ()).await
        }
        _ => {
            request
                .respond(StatusCode::NOT_FOUND, "not here\n", ())
                .await
        }
    }
}

/// Publishes that a visitor has come, sends all events until the visitor leaves, and publishes that, too.
async fn watch(request: Request<'_>, feed: &Feed) -> Result<Responded> {
    let news = feed.subscribe();
    feed.publish(&watchers(feed));
    let watched = Events::start(request).await?.send_all(news).await;
    feed.publish(&watchers(feed));
    watched
}

fn watchers(feed: &Feed) -> Event {
    Event::new(feed.subscribers().to_string()).name("watchers")
}

fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        let feed = Feed::default();
        let handler = async move |request: Request<'_>| mill(request, &feed).await;
        println!("{}", server.serve_until(handler, shutdown).await?);
        Ok(())
    })
}
