//! One timer for all connections that wait.
//!
//! # How it works
//!
//! Every connection that waits has a deadline, and mostly moves it long before it comes. So there is
//! no timer for each: its record in the [connections](crate::shared::connections) says for what it waits and since
//! when, and one task looks through the records when the first of them may be due. It wakes those
//! whose time is over, and sleeps until the next one's.
//!
//! ```text
//!  a connection begins to wait ──► due before the next look? ──no──► nothing to do
//!                                          │ yes
//!                                          ▼
//!               the reaper: sleep ──► look through all ──► wake those who are due
//!                              ▲                 │
//!                              └── until the next one is due; nobody waits: it ends
//! ```
//!
//! A wait that begins costs a comparison, and a connection that waits costs no entry in the wheel.
//!
//! # Invariants
//!
//! - Always: whoever waits is looked at when its time is over, or up to [`GRAIN`] later.
//! - Never: a look while nobody is due; more than one look in a grain.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use waterwheel_runtime::spawn_detached;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use crate::shared::connections::Connections;

/// The time between two looks, at least.
pub(crate) const GRAIN: Duration = Duration::from_millis(25);

/// Who looks through the records, and when.
pub(crate) struct Reaper {
    connections: Rc<Connections>,
    /// `None` while nobody waits.
    next: Cell<Option<Instant>>,
    /// Whether there is a task.
    runs: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

impl Reaper {
    pub(crate) fn new(connections: Rc<Connections>) -> Rc<Self> {
        Rc::new(Self {
            connections,
            next: Cell::new(None),
            runs: Cell::new(false),
            task: RefCell::new(None),
        })
    }

    /// Sees to it that the records are looked through when this time comes.
    #[inline]
    pub(crate) fn look_at(self: &Rc<Self>, due: Instant) {
        if self.next.get().is_none_or(|next| due < next) {
            self.look_earlier(due);
        }
    }

    #[cold]
    fn look_earlier(self: &Rc<Self>, due: Instant) {
        self.next.set(Some(due));
        if self.runs.replace(true) {
            self.wake();
        } else {
            spawn_detached(sweep(Running(Rc::downgrade(self))));
        }
    }

    /// Lets the task end, since nobody is left.
    pub(crate) fn stop(&self) {
        self.next.set(None);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.task.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes those who have waited long enough, and says when to look again.
    fn look(&self) {
        let now = Instant::of_turn();
        let reaped = self.connections.reap(now);
        // Before anybody is woken, who may want to be looked at again.
        let next = reaped.next.map(|next| next.max(now + GRAIN));
        self.next.set(next);
        reaped.due.into_iter().for_each(Waker::wake);
    }

    /// Waits for the next look, which may be asked for earlier meanwhile.
    fn poll_next_look(&self, next: Instant, sleep: &mut Sleep, cx: &mut Context<'_>) -> Poll<()> {
        if sleep.deadline() != next {
            sleep.reset(next);
        }
        let poll = Pin::new(sleep).poll(cx);
        if poll.is_pending() {
            let waker = cx.waker().clone();
            let old = self.task.borrow_mut().replace(waker);
            drop(old);
        }
        poll
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        self.wake();
    }
}

/// However the task ends, also if its runtime ends before the server: the next wait makes another.
struct Running(Weak<Reaper>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(reaper) = self.0.upgrade() {
            reaper.next.set(None);
            reaper.runs.set(false);
        }
    }
}

/// The task: ends when nobody waits, and with the server.
async fn sweep(running: Running) {
    let mut sleep = sleep_until(Instant::of_turn());
    poll_fn(|cx| {
        while let Some(reaper) = running.0.upgrade() {
            let Some(next) = reaper.next.get() else {
                break;
            };
            ready!(reaper.poll_next_look(next, &mut sleep, cx));
            reaper.look();
        }
        Poll::Ready(())
    })
    .await;
}
