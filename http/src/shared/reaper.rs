//! One timer for all connections that wait.
//!
//! # How it works
//!
//! Each connection that waits has a deadline, and in most cases it moves the deadline long before that time.
//! So connections have no timers of their own. The entry in the
//! [connections](crate::shared::connections) has the phase and its begin. One task looks through the entries
//! when the first of them may be due. It wakes the connections whose time is over, and sleeps until the
//! deadline of the next one.
//!
//! ```text
//!  a connection begins to wait ──► due before the next look? ──no──► no action
//!                                          │ yes
//!                                          ▼
//!               the reaper: sleep ──► look through all ──► wake those that are due
//!                              ▲                 │
//!                              └── until the next one is due; ends if no connection waits
//! ```
//!
//! A wait that begins costs a comparison, and a connection that waits has no entry in the wheel.
//!
//! # Invariants
//!
//! - Always: the reaper looks at a waiting connection when its time is over, or up to [`GRAIN`] later.
//! - Never: a look while no connection is due, or more than one look in a grain.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use waterwheel_runtime::spawn_detached;
use waterwheel_runtime::time::{Instant, Sleep, sleep_until};

use crate::shared::connections::Connections;
use crate::shared::reasons;

/// The shortest time between two looks.
pub(crate) const GRAIN: Duration = Duration::from_millis(25);

/// The task that looks through the entries, and its next time.
pub(crate) struct Reaper {
    connections: Rc<Connections>,
    /// The next look, or `None` if no connection waits.
    next: Cell<Option<Instant>>,
    /// True if the task exists.
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

    /// Makes the task look through the entries at this time.
    #[inline]
    pub(crate) fn look_at(self: &Rc<Self>, due: Instant) {
        // The usual case ends here: the next look is earlier than a deadline of seconds.
        if self.next.get().is_none_or(|next| due < next) {
            self.look_earlier(due);
        }
    }

    #[cold]
    fn look_earlier(self: &Rc<Self>, due: Instant) {
        self.next.set(Some(due));
        // One task for the whole server. It exists only while a connection waits.
        if self.runs.replace(true) {
            self.wake();
        } else {
            let sweep = sweep(Running(Rc::downgrade(self)));
            spawn_detached(reasons::named("reaper", sweep));
        }
    }

    /// Ends the task, because no connection is left.
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

    /// Waits for the next look. A connection may ask for an earlier one meanwhile.
    fn poll_next_look(&self, next: Instant, sleep: &mut Sleep, cx: &mut Context<'_>) -> Poll<()> {
        // The sleep follows the reaper, because a connection may have asked for an earlier look.
        if sleep.deadline() != next {
            sleep.reset(next);
        }
        // Polled here, and not at a change of the time: only a poll arms the timer.
        let poll = Pin::new(sleep).poll(cx);
        if poll.is_pending() {
            let waker = cx.waker().clone();
            let old = self.task.borrow_mut().replace(waker);
            drop(old); // the borrow has ended: a foreign waker may run user code
        }
        poll
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        // The task sees that its reference is dead, and ends.
        self.wake();
    }
}

/// Resets the reaper when its task ends, also with a runtime that ends before the server. Then the next wait
/// spawns another task.
struct Running(Weak<Reaper>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(reaper) = self.0.upgrade() {
            reaper.next.set(None);
            reaper.runs.set(false);
        }
    }
}

/// Looks through the entries until no connection waits, or the server is gone.
async fn sweep(running: Running) {
    let mut sleep = sleep_until(Instant::of_turn());
    poll_fn(|cx| {
        // A weak reference, so that a sleeping task does not keep the server alive.
        while let Some(reaper) = running.0.upgrade() {
            // No connection waits, so a runtime without other tasks can end.
            let Some(next) = reaper.next.get() else {
                break;
            };
            ready!(reaper.poll_next_look(next, &mut sleep, cx));
            let now = Instant::of_turn();
            let reaped = reaper.connections.reap(now);
            // Set before the wakes, because a woken connection may ask for an earlier look.
            // Many deadlines close together share one look, so that looks stay rare under load.
            let next = reaped.next.map(|next| next.max(now + GRAIN));
            reaper.next.set(next);
            reaped.due.into_iter().for_each(Waker::wake);
        }
        Poll::Ready(())
    })
    .await;
}
