//! Server-sent events: an answer that goes on for as long as there is news (HTML, 9.2).
//!
//! ```
//! use std::time::Duration;
//! use waterwheel_http::web::events::{Event, Events};
//! use waterwheel_http::{Request, Responded, Result};
//! use waterwheel_runtime::time::sleep;
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
//! [`Events`] is one client's stream. [`Feed`] is for news that all clients get: each
//! [subscribes](Feed::subscribe) and has a queue of its own, and
//! [`Events::send_all`] empties it, with a sign of life when there is no news.
//!
//! A stream without an end holds up the end of its server until it is cut. So whoever ends a server,
//! ends its feeds first: [`Feed::end`].
//!
//! # Invariants
//!
//! - Always: what was sent is on its way before `send` completes.
//! - Never: a queue without an end: a client that does not keep up loses its subscription, and finds
//!   its way back with the number of the last event it has.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use http::StatusCode;
use waterwheel_runtime::race;
use waterwheel_runtime::time::sleep;

use crate::answer_body::AnswerBody;
use crate::error::Result;
use crate::request::Request;
use crate::responded::Responded;
use crate::web::single::only;

/// How long there may be no news before a comment is sent, so that nobody on the way takes the
/// connection for dead.
const QUIET_MAX: Duration = Duration::from_secs(15);

/// One event: some text, and perhaps a name, an id, and how long to wait before coming back.
///
/// A clone is the same event, not a copy of its text.
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
    /// An event that says this. It may have several lines.
    pub fn new(data: impl Into<String>) -> Self {
        Self(Arc::new(EventFields {
            data: data.into(),
            ..EventFields::default()
        }))
    }

    /// Under this name the page listens for it; `message` if there is none.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).name = Some(name.into());
        self
    }

    /// By this the client says where it was when it comes back: see [`last_event_id`].
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).id = Some(id.into());
        self
    }

    /// How long the client waits before it comes back after an end.
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Self {
        Arc::make_mut(&mut self.0).retry = Some(wait);
        self
    }
}

/// The event as it goes out. Line ends split the text into lines of data; in a name or an id, where
/// there can be none, they and NUL are left out.
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
#[must_use]
pub fn last_event_id<'c>(request: &Request<'c>) -> Option<&'c str> {
    str::from_utf8(only(request.headers(), "last-event-id")?).ok()
}

/// A stream of events to one client.
#[derive(Debug)]
#[must_use = "a stream that is not finished is cut"]
pub struct Events<'c> {
    body: AnswerBody<'c>,
}

impl<'c> Events<'c> {
    /// Begins the answer.
    ///
    /// # Errors
    ///
    /// As [`Request::start`].
    pub async fn start(request: Request<'c>) -> Result<Self> {
        let headers = [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-store"),
            // For nginx, which would wait for more.
            ("x-accel-buffering", "no"),
        ];
        let mut body = request.start(StatusCode::OK, headers).await?;
        body.flush().await?;
        Ok(Self { body })
    }

    /// Sends an event. Waits for a client that is slow.
    ///
    /// # Errors
    ///
    /// When the client is gone, or takes nothing for too long.
    pub async fn send(&mut self, event: &Event) -> Result<()> {
        self.write(event.to_string()).await
    }

    /// Sends a sign of life that no page sees.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn keep_alive(&mut self) -> Result<()> {
        self.write(":\n\n".to_owned()).await
    }

    async fn write(&mut self, text: String) -> Result<()> {
        self.body.write(text).await?;
        self.body.flush().await
    }

    /// Sends what a stream gives until it ends or the client does, with a sign of life every 15
    /// seconds of silence.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_all(mut self, events: impl Stream<Item = Event>) -> Result<Responded> {
        let mut events = pin!(events);
        // To HEAD there is nothing to send, and no end to wait for.
        while self.body.is_sent() {
            match self.news(events.as_mut()).await {
                News::Event(event) => self.send(&event).await?,
                News::Silence => self.keep_alive().await?,
                News::End => break,
            }
        }
        self.finish().await
    }

    /// Waits for an event, or for what comes instead.
    async fn news(&self, mut events: Pin<&mut impl Stream<Item = Event>>) -> News {
        let next = async {
            let next = poll_fn(|cx| events.as_mut().poll_next(cx)).await;
            next.map_or(News::End, News::Event)
        };
        let silence = async {
            sleep(QUIET_MAX).await;
            News::Silence
        };
        // A page that is closed ends its direction, and listens no more.
        let end = async {
            self.body.half_closed().await;
            News::End
        };
        race(next, race(silence, end)).await
    }

    /// Ends the stream; the client comes back after a while.
    ///
    /// # Errors
    ///
    /// As [`AnswerBody::finish`].
    pub async fn finish(self) -> Result<Responded> {
        self.body.finish().await
    }
}

/// What came first.
enum News {
    Event(Event),
    Silence,
    /// No more events, or nobody to send them to.
    End,
}

/// How many events may wait for one subscriber.
const WAITING_MAX: usize = 64;

/// News for everybody who subscribes, on one thread. Cloned, it is the same feed.
///
/// # Examples
///
/// ```
/// use waterwheel_http::web::events::{Event, Events, Feed};
/// use waterwheel_http::{Request, Responded, Result};
///
/// async fn watch(request: Request<'_>, feed: &Feed) -> Result<Responded> {
///     feed.publish(&Event::new("somebody came"));
///     Events::start(request).await?.send_all(feed.subscribe()).await
/// }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Feed(Rc<Queues>);

#[derive(Debug, Default)]
struct Queues(RefCell<Vec<Weak<RefCell<Queue>>>>);

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Event>,
    waker: Option<Waker>,
    is_over: bool,
}

impl Feed {
    /// Everything that is published from now on, up to an end.
    ///
    /// It ends when the last clone of the feed is gone, and for a subscriber that has let 64 events
    /// wait: what waits is still given.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let queue = Rc::default();
        self.0.0.borrow_mut().push(Rc::downgrade(&queue));
        Subscription(queue)
    }

    /// Gives an event to all subscribers. It never waits.
    pub fn publish(&self, event: &Event) {
        let mut wakers = Vec::new();
        self.0.0.borrow_mut().retain(|queue| {
            let Some(queue) = queue.upgrade() else {
                return false;
            };
            let mut queue = queue.borrow_mut();
            wakers.extend(queue.waker.take());
            queue.push(event)
        });
        // Nothing is borrowed any more.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How many subscribers there are.
    pub fn subscribers(&self) -> usize {
        let queues = self.0.0.borrow();
        let is_held = |queue: &&Weak<_>| queue.strong_count() > 0;
        queues.iter().filter(is_held).count()
    }

    /// Ends all subscriptions; their clients come back after a while. For a server that stops.
    pub fn end(&self) {
        self.0.end();
    }
}

impl Queues {
    fn end(&self) {
        let queues = self.0.take();
        for queue in queues.iter().filter_map(Weak::upgrade) {
            queue.borrow_mut().is_over = true;
            let waker = queue.borrow_mut().waker.take();
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        self.end();
    }
}

impl Queue {
    /// Whether there was room.
    fn push(&mut self, event: &Event) -> bool {
        self.is_over = self.waiting.len() == WAITING_MAX;
        if !self.is_over {
            self.waiting.push_back(event.clone());
        }
        !self.is_over
    }
}

/// One subscriber's events, in the order in which they were published.
#[derive(Debug)]
pub struct Subscription(Rc<RefCell<Queue>>);

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let waker = cx.waker().clone();
        let mut queue = self.0.borrow_mut();
        if let Some(event) = queue.waiting.pop_front() {
            return Poll::Ready(Some(event));
        }
        if queue.is_over {
            return Poll::Ready(None);
        }
        let before = queue.waker.replace(waker);
        drop(queue);
        drop(before);
        Poll::Pending
    }
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
    fn nothing_in_a_name_or_an_id_begins_a_line() {
        let event = Event::new("x").name("n\ndata: y").id("7\r\n\0");
        check(&event, "event: ndata: y\nid: 7\ndata: x\n\n");
    }

    #[test]
    fn subscribers_get_what_is_published_while_they_subscribe() {
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
    fn silence_is_broken_every_fifteen_seconds() {
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
    fn a_subscriber_that_lets_too_much_wait_loses_its_subscription() {
        let feed = Feed::default();
        let subscription = feed.subscribe();
        for number in 0..=WAITING_MAX {
            feed.publish(&Event::new(number.to_string()));
        }
        assert_eq!(feed.0.0.borrow().len(), 0);
        let seen = futures_lite::future::block_on(futures_lite::StreamExt::count(subscription));
        assert_eq!(seen, WAITING_MAX);
    }

    #[test]
    fn a_feed_that_is_gone_has_no_more_news() {
        let feed = Feed::default();
        let subscription = feed.subscribe();
        feed.publish(&Event::new("last"));
        drop(feed);
        let seen = futures_lite::future::block_on(futures_lite::StreamExt::count(subscription));
        assert_eq!(seen, 1);
    }

    #[test]
    fn head_has_no_events_and_no_end_to_wait_for() {
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
    fn a_client_that_ends_its_direction_ends_its_stream() {
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
