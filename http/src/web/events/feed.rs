//! Publishes events to many subscribers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use super::Event;

/// The highest number of events that wait for one subscriber.
pub(super) const WAITING_MAX: usize = 64;

/// Publishes events to all subscribers of one thread. A clone is the same feed.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// use waterwheel::http::web::events::{Event, Events, Feed};
/// use waterwheel::http::web::routes::{Router, with};
/// use waterwheel::http::{Request, Responded, Result};
///
/// async fn watch(feed: &Feed, request: Request<'_>) -> Result<Responded> {
///     feed.publish(&Event::new("a client came"));
///     Events::start(request).await?.send_all(feed.subscribe()).await
/// }
///
/// let feed = Rc::new(Feed::default());
/// let router = Router::new().get("/events", with(&feed, watch));
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
    /// Subscribes to all events that are published from now on.
    ///
    /// The subscription ends with [`end`](Self::end), if the last clone of the feed is dropped, or if 64
    /// events wait for the subscriber. It still returns the events that wait then.
    #[must_use]
    pub fn subscribe(&self) -> Subscription {
        let queue = Rc::default();
        self.0.0.borrow_mut().push(Rc::downgrade(&queue));
        Subscription(queue)
    }

    /// Adds an event to the queues of all subscribers. Never waits.
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
        // A waker may call back into the feed, so it is called after all borrows have ended.
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Returns the number of subscribers.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::events::Feed;
    ///
    /// let feed = Feed::default();
    /// let first = feed.subscribe();
    /// assert_eq!(feed.subscribers(), 1);
    /// drop(first);
    /// assert_eq!(feed.subscribers(), 0);
    /// ```
    pub fn subscribers(&self) -> usize {
        let queues = self.0.0.borrow();
        let is_held = |queue: &&Weak<_>| queue.strong_count() > 0;
        queues.iter().filter(is_held).count()
    }

    /// Ends all subscriptions, for a server that ends. The clients reconnect after a while.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::StreamExt;
    /// use waterwheel::http::web::events::Feed;
    /// use waterwheel::runtime::block_on;
    ///
    /// let feed = Feed::default();
    /// let mut subscription = feed.subscribe();
    /// feed.end();
    /// assert_eq!(block_on(subscription.next()), None);
    /// ```
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
    /// Returns false, and ends the subscription, if the queue is full.
    fn push(&mut self, event: &Event) -> bool {
        self.is_over = self.waiting.len() == WAITING_MAX;
        if !self.is_over {
            self.waiting.push_back(event.clone());
        }
        !self.is_over
    }
}

/// The events for one subscriber, in the order in which they were published.
///
/// ```
/// use futures_lite::StreamExt;
/// use waterwheel::http::web::events::{Event, Feed};
/// use waterwheel::runtime::block_on;
///
/// let feed = Feed::default();
/// let mut subscription = feed.subscribe();
/// assert_eq!(feed.subscribers(), 1);
/// feed.publish(&Event::new("ground"));
/// feed.end();
/// assert_eq!(block_on(subscription.next()), Some(Event::new("ground")));
/// assert_eq!(block_on(subscription.next()), None);
/// ```
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
    use futures_lite::StreamExt;
    use futures_lite::future::block_on;

    use super::*;

    #[test]
    fn a_subscriber_with_a_full_queue_loses_its_subscription() {
        let feed = Feed::default();
        let subscription = feed.subscribe();
        for number in 0..=WAITING_MAX {
            feed.publish(&Event::new(number.to_string()));
        }
        assert_eq!(feed.0.0.borrow().len(), 0);
        let seen = block_on(subscription.count());
        assert_eq!(seen, WAITING_MAX);
    }

    #[test]
    fn dropping_a_feed_ends_its_subscriptions() {
        let feed = Feed::default();
        let subscription = feed.subscribe();
        feed.publish(&Event::new("last"));
        drop(feed);
        let seen = block_on(subscription.count());
        assert_eq!(seen, 1);
    }
}
