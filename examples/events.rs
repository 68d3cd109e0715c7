//! Server-sent events: a page that shows its visitors and their messages as they come.
//!
//! ```text
//! cargo run --example events [ADDRESS]
//! curl -N http://127.0.0.1:8080/events
//! curl -d 'good morning' http://127.0.0.1:8080/words
//! ```
//!
//! You should see an event with the number of visitors at once, and `good morning` when the second terminal
//! sends it. Open the address in two windows of a browser, too. Ctrl-C ends the streams in good order.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::rc::Rc;

use waterwheel::http::web::events::{Event, Events, Feed};
use waterwheel::http::web::response::Html;
use waterwheel::http::web::routes::{Router, with};
use waterwheel::http::{Request, Responded, Result, Server};
use waterwheel::runtime::{self, signal};

const WORDS_BYTES_MAX: u64 = 280;

/// Sends all events to one visitor, until the visitor leaves or the server ends.
async fn watch(feed: &Feed, request: Request<'_>) -> Result<Responded> {
    let subscription = feed.subscribe();
    feed.publish(&visitors(feed));
    let watched = Events::start(request).await?.send_all(subscription).await;
    feed.publish(&visitors(feed));
    watched
}

fn visitors(feed: &Feed) -> Event {
    Event::new(feed.subscribers().to_string()).name("watchers")
}

/// Sends the words of one visitor to all. The answer is 204.
async fn say(feed: &Feed, request: &Request<'_>) -> Result<()> {
    let words = request.body().bytes(WORDS_BYTES_MAX).await?;
    feed.publish(&Event::new(String::from_utf8_lossy(&words)).name("words"));
    Ok(())
}

fn main() -> Result<()> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let feed = Rc::new(Feed::default());
    let router = Router::new()
        .get("/", async || Html(include_str!("pages/events.html")))
        .get("/events", with(&feed, watch))
        .post("/words", with(&feed, say));
    runtime::block_on(async {
        let server = Server::bind(&address)?;
        let shutdown = signal::shutdown();
        println!("listening on http://{}", server.local_address());
        println!("{}", server.serve_until(router, shutdown).await?);
        Ok(())
    })
}
