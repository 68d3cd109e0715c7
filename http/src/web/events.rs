//! Server-sent events: an answer that lasts while there are events to send (HTML, 9.2).
//!
//! ```
//! use std::time::Duration;
//! use waterwheel::http::web::events::{Event, Events};
//! use waterwheel::http::{Request, Responded, Result};
//! use waterwheel::runtime::time::sleep;
//!
//! async fn countdown(request: Request<'_>) -> Result<Responded> {
//!     let mut events = Events::start(request).await?;
//!     for left in (0..10).rev() {
//!         events.send(&Event::new(left.to_string()).name("left")).await?;
//!         sleep(Duration::from_secs(1)).await;
//!     }
//!     events.finish().await
//! }
//! ```
//!
//! # How it works
//!
//! [`Events`] is the stream to one client. A [`Feed`] publishes events to all clients. Each client
//! [subscribes](Feed::subscribe) and has a queue of its own. [`Events::send_all`] sends the events of that
//! queue, and a comment after 15 seconds without an event.
//!
//! [`Events::send_all`] ends when the server shuts down, and clients reconnect after a while, perhaps to another
//! process. A loop of your own asks [`Events::shutdown_signal`].
//!
//! # Invariants
//!
//! - Always: an event is in the kernel's buffer before `send` completes.
//! - Never: an unlimited queue. A client that reads too slowly loses its subscription, and reconnects with
//!   the id of the last event that it has received.

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use http::StatusCode;
use waterwheel_runtime::race;
use waterwheel_runtime::time::sleep;

use crate::error::Result;
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::transport::shutdown_signal::ShutdownSignal;
use crate::web::single::only;

mod feed;

use feed::WAITING_MAX;
pub use feed::{Feed, Subscription};

/// The time without an event after which a comment is sent. It keeps proxies from closing the connection.
const QUIET_MAX: Duration = Duration::from_secs(15);

/// One event: a text, and optionally a name, an id, and the time until a reconnection.
///
/// A clone shares the text.
///
/// ```
/// use waterwheel::http::web::events::Event;
///
/// let event = Event::new("rye\noat").name("flour").id("7");
/// assert_eq!(event.to_string(), "event: flour\nid: 7\ndata: rye\ndata: oat\n\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event(Arc<EventFields>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct EventFields {
    data: String,
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

impl Event {
    /// Makes an event with this text, which may have several lines.
    pub fn new(data: impl Into<String>) -> Self {
        Self(Arc::new(EventFields {
            data: data.into(),
            ..EventFields::default()
        }))
    }

    /// Sets the name under which the page listens for the event. The default is `message`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).name = Some(name.into());
        self
    }

    /// Sets the id, which the client sends when it reconnects: see [`last_event_id`].
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).id = Some(id.into());
        self
    }

    /// Sets the time that the client waits before it reconnects.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::events::Event;
    ///
    /// let event = Event::new("back soon").retry(Duration::from_secs(2));
    /// assert_eq!(event.to_string(), "retry: 2000\ndata: back soon\n\n");
    /// ```
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry = Some(wait);
        self
    }
}

/// Writes the event in its wire format. Line ends in the text begin another line of data. Line ends and NUL
/// in a name or an id are left out, because these have one line.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_kept = |character: &char| !matches!(character, '\r' | '\n' | '\0');
        for (field, value) in [("event", &self.0.name), ("id", &self.0.id)] {
            if let Some(value) = value {
                let value: String = value.chars().filter(is_kept).collect();
                writeln!(f, "{field}: {value}")?;
            }
        }
        if let Some(wait) = self.0.retry {
            writeln!(f, "retry: {}", wait.as_millis())?;
        }
        let text = self.0.data.replace("\r\n", "\n").replace('\r', "\n");
        for line in text.split('\n') {
            writeln!(f, "data: {line}")?;
        }
        writeln!(f)
    }
}

/// Returns the id of the last event that a client had received before it reconnected.
///
/// Returns `None` if the client sends no id, more than one, or one that is not UTF-8.
///
/// ```
/// use waterwheel::http::web::events::{Event, Events, last_event_id};
/// use waterwheel::http::{Request, Responded, Result};
///
/// async fn count(request: Request<'_>) -> Result<Responded> {
///     let last = last_event_id(&request).and_then(|id| id.parse().ok());
///     let next = last.map_or(0, |last: u64| last + 1);
///     let mut events = Events::start(request).await?;
///     events.send(&Event::new("tick").id(next.to_string())).await?;
///     events.finish().await
/// }
/// ```
#[must_use]
pub fn last_event_id<'c>(request: &Request<'c>) -> Option<&'c str> {
    str::from_utf8(only(request.headers(), "last-event-id")?).ok()
}

/// A stream of events to one client.
///
/// ```
/// use waterwheel::http::web::events::{Event, Events};
/// use waterwheel::http::{Request, Responded, Result};
///
/// async fn greet(request: Request<'_>) -> Result<Responded> {
///     let mut events = Events::start(request).await?;
///     events.send(&Event::new("welcome")).await?;
///     events.keep_alive().await?;
///     events.finish().await
/// }
/// # drop(waterwheel::http::shared(greet));
/// ```
#[derive(Debug)]
#[must_use = "a stream that is not finished is cut"]
pub struct Events<'c> {
    body: AnswerBody<'c>,
}

impl<'c> Events<'c> {
    /// Starts the answer and sends its head.
    ///
    /// # Errors
    ///
    /// The errors of [`Request::start`].
    pub async fn start(request: Request<'c>) -> Result<Self> {
        let headers = [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            // nginx would otherwise collect events before it passes them on.
            ("x-accel-buffering", "no"),
        ];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.flush().await?;
        Ok(Self { body })
    }

    /// Sends an event. Waits while the client reads slowly.
    ///
    /// # Errors
    ///
    /// If the client has left, or accepts no byte for too long.
    pub async fn send(&mut self, event: &Event) -> Result<()> {
        self.write(event.to_string()).await
    }

    /// Sends a comment, which no page sees.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    pub async fn keep_alive(&mut self) -> Result<()> {
        self.write(":\n\n".to_owned()).await
    }

    async fn write(&mut self, text: String) -> Result<()> {
        self.body.write(text).await?;
        self.body.flush().await
    }

    /// Returns the signal that the server shuts down.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use waterwheel::http::web::events::{Event, Events};
    /// use waterwheel::http::{Request, Responded, Result};
    /// use waterwheel::runtime::time::timeout;
    ///
    /// async fn ticks(request: Request<'_>) -> Result<Responded> {
    ///     let mut events = Events::start(request).await?;
    ///     let shutdown = events.shutdown_signal();
    ///     while timeout(Duration::from_secs(1), shutdown.wait()).await.is_err() {
    ///         events.send(&Event::new("tick")).await?;
    ///     }
    ///     events.finish().await
    /// }
    /// # drop(waterwheel::http::shared(ticks));
    /// ```
    pub fn shutdown_signal(&self) -> ShutdownSignal {
        self.body.exchange.shutdown_signal()
    }

    /// Sends the events of a stream until the stream ends, the client leaves, or the server shuts down. Sends a
    /// comment after each 15 seconds without an event.
    ///
    /// Events that are ready when the server shuts down are still sent, up to 64.
    ///
    /// # Errors
    ///
    /// The errors of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::stream;
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::events::{Event, Events};
    /// use waterwheel::http::Request;
    /// use waterwheel::runtime::block_on;
    ///
    /// let count = async |request: Request<'_>| {
    ///     let numbers = stream::iter(1..=2).map(|number| Event::new(number.to_string()));
    ///     Events::start(request).await?.send_all(numbers).await
    /// };
    /// let text = block_on(async { TestClient::new(count).get("/").await.text() });
    /// assert!(text.ends_with("data: 1\n\ndata: 2\n\n"));
    /// # use futures_lite::StreamExt;
    /// ```
    pub async fn send_all(mut self, events: impl Stream<Item = Event>) -> Result<Responded> {
        let mut events = pin!(events);
        let shutdown = self.shutdown_signal();
        // A stream that is always ready must end, too.
        let mut last_events = WAITING_MAX;
        // The answer to a HEAD request has no body, so it must not wait for the end of the stream.
        while self.body.is_sent() {
            match self.next_event(events.as_mut(), &shutdown).await {
                NextEvent::Event(_) if last_events == 0 => break,
                NextEvent::Event(event) => self.send(&event).await?,
                NextEvent::Silence => self.keep_alive().await?,
                NextEvent::End => break,
            }
            last_events -= usize::from(shutdown.is_set());
        }
        self.finish().await
    }

    /// Waits for the next event, the end, or 15 seconds.
    async fn next_event(
        &self,
        mut events: Pin<&mut impl Stream<Item = Event>>,
        shutdown: &ShutdownSignal,
    ) -> NextEvent {
        let next = async {
            let next = poll_fn(|cx| events.as_mut().poll_next(cx)).await;
            next.map_or(NextEvent::End, NextEvent::Event)
        };
        let silence = async {
            sleep(QUIET_MAX).await;
            NextEvent::Silence
        };
        // A browser that closes the page closes its write half, and no longer listens.
        let end = async {
            race(self.body.half_closed(), shutdown.wait()).await;
            NextEvent::End
        };
        // An event that is ready is sent before the end.
        race(next, race(silence, end)).biased().await
    }

    /// Ends the stream. The client reconnects after a while.
    ///
    /// # Errors
    ///
    /// The errors of [`AnswerBody::finish`].
    pub async fn finish(self) -> Result<Responded> {
        self.body.finish().await
    }
}

/// The reason for which a wait for an event ended.
enum NextEvent {
    Event(Event),
    Silence,
    /// The stream has ended, the client has left, or the server shuts down.
    End,
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::time::{advance, pause};
    use waterwheel_runtime::{block_on, spawn};

    use super::*;
    use crate::testing::TestClient;

    #[track_caller]
    fn check(event: &Event, expected: &str) {
        assert_eq!(event.to_string(), expected);
    }

    #[test]
    fn an_event_is_lines_and_an_empty_one() {
        // HTML, 9.2.5
        check(&Event::new("one"), "data: one\n\n");
        check(&Event::new(""), "data: \n\n");
        check(
            &Event::new("a\nb\r\nc\rd\n"),
            "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n",
        );
        let all = Event::new("x")
            .name("n")
            .id("7")
            .retry(Duration::from_secs(2));
        check(&all, "event: n\nid: 7\nretry: 2000\ndata: x\n\n");
    }

    #[test]
    fn a_name_or_an_id_has_one_line() {
        let event = Event::new("x").name("n\ndata: y").id("7\r\n\0");
        check(&event, "event: ndata: y\nid: 7\ndata: x\n\n");
    }

    #[test]
    fn a_subscriber_receives_the_events_since_its_subscription() {
        block_on(async {
            let feed = Feed::default();
            feed.publish(&Event::new("before"));
            let handler_feed = feed.clone();
            let mut client = TestClient::new(async move |request: Request<'_>| {
                let subscription = handler_feed.subscribe();
                Events::start(request).await?.send_all(subscription).await
            });
            let news = spawn(async move {
                while feed.subscribers() == 0 {
                    waterwheel_runtime::yield_now().await;
                }
                feed.publish(&Event::new("one"));
                feed.publish(&Event::new("two"));
                feed.end();
                feed
            });
            let answer = client.get("/").await;
            assert_eq!(answer.headers["content-type"], "text/event-stream");
            assert_eq!(answer.text(), "data: one\n\ndata: two\n\n");
            assert_eq!(news.await.expect("it ends").subscribers(), 0);
        });
    }

    #[test]
    fn a_comment_is_sent_every_fifteen_seconds() {
        block_on(async {
            pause();
            let feed = Feed::default();
            let ending = feed.clone();
            let mut client = TestClient::new(async move |request: Request<'_>| {
                let subscription = feed.subscribe();
                Events::start(request).await?.send_all(subscription).await
            });
            let end = spawn(async move {
                sleep(Duration::from_secs(31)).await;
                ending.end();
            });
            assert_eq!(client.get("/").await.text(), ":\n\n:\n\n");
            end.await.expect("it ends");
            advance(Duration::ZERO).await;
        });
    }

    #[test]
    fn an_answer_to_head_has_no_events_and_ends_at_once() {
        block_on(async {
            let feed = Feed::default();
            let mut client = TestClient::new(async move |request: Request<'_>| {
                Events::start(request)
                    .await?
                    .send_all(feed.subscribe())
                    .await
            });
            let answer = client.request(&http::Method::HEAD, "/", &[], b"").await;
            assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));
        });
    }

    #[test]
    fn a_client_that_closes_its_write_half_ends_its_stream() {
        block_on(async {
            let feed = Feed::default();
            let watched = feed.clone();
            let mut client = TestClient::new(async move |request: Request<'_>| {
                let subscription = feed.subscribe();
                Events::start(request).await?.send_all(subscription).await
            });
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
            while watched.subscribers() == 0 {
                waterwheel_runtime::yield_now().await;
            }
            client.end();
            while watched.subscribers() > 0 {
                waterwheel_runtime::yield_now().await;
            }
        });
    }
}
