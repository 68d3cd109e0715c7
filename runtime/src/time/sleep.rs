//! A future that completes at a deadline.
//!
//! # How it works
//!
//! A [`Sleep`] is plain data: a deadline, and the key of an entry in the wheel of the runtime that
//! first polled it. A reset to a *later* deadline is a store: the entry stays in its slot and fires too
//! early, and then the sleep inserts a new one. A reset to an *earlier* deadline moves the entry, from any
//! thread. The entry keeps its waker, so the task that waits is woken at the new deadline.
//!
//! # Invariants
//!
//! - Never: ready before the deadline.
//! - Always: an entry in the wheel is due no later than the deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget;
use crate::context;
use crate::directory::send_to;
use crate::instant::Instant;
use crate::local_queue::RuntimeId;
use crate::panics;
use crate::remote::Message;
use crate::wheel::Key;

/// Completes after `duration`, and not before.
///
/// The resolution is a millisecond: a sleep can take that much longer. It takes longer still if other tasks
/// hold the thread. A sleep of zero is ready at once; it lets other tasks run when the task has spent its
/// [budget](crate::budget).
///
/// # Panics
///
/// The sleep panics if it has to wait outside a runtime.
///
/// # Cancel safety
///
/// Dropping it cancels it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel_runtime::{block_on, time::sleep};
///
/// block_on(sleep(Duration::from_millis(5)));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::until(Instant::now() + duration)
}

/// Completes at `deadline`; see [`sleep`].
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::until(deadline)
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Plain data: `Send`, `Sync` and `Unpin`. It belongs to the runtime that first polls it.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Sleep {
    deadline: Instant,
    entry: Option<Armed>,
}

/// The entry of a sleep in the wheel of a runtime.
#[derive(Clone, Copy, Debug)]
struct Armed {
    runtime: RuntimeId,
    key: Key,
    due: Instant,
}

impl Sleep {
    fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            entry: None,
        }
    }

    /// Returns the deadline.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns true if the deadline has passed, by the [turn's clock](Instant::of_turn).
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.deadline <= Instant::of_turn()
    }

    /// Moves the deadline; a sleep that has completed sleeps again.
    ///
    /// A later deadline costs a store, and the task that waits may be woken once at the old deadline. If the
    /// new deadline is earlier, the task that waits is woken then; it need not be polled in between.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(entry) = &mut self.entry
            && deadline < entry.due
        {
            entry.due = deadline;
            let Armed { runtime, key, .. } = *entry;
            let here = context::with_borrowed(|executor| {
                let own = executor.id() == runtime;
                own.then(|| executor.timers().reschedule(key, deadline))
            });
            if here.flatten().is_none() {
                let there = Box::new(move || reschedule_here(key, deadline));
                send_to(runtime, Message::Run(there));
            }
        }
    }

    /// Takes the entry out of the wheel. Returns true if it was there and had not fired.
    fn cancel(&mut self) -> bool {
        let Some(Armed { runtime, key, .. }) = self.entry.take() else {
            return false;
        };
        let here = context::with_borrowed(|executor| {
            (executor.id() == runtime).then(|| executor.timers().remove(key))
        });
        if let Some(waker) = here.flatten() {
            let was_there = waker.is_some();
            panics::discard(waker);
            return was_there;
        }
        send_to(runtime, Message::Run(Box::new(move || cancel_here(key))));
        true
    }

    /// Returns true if the wheel has an entry that will wake this waker's task.
    fn is_armed_for(&self, waker: &Waker) -> bool {
        let Some(Armed { runtime, key, .. }) = self.entry else {
            return false;
        };
        let armed = context::with_borrowed(|executor| {
            let own = executor.id() == runtime;
            own.then(|| executor.timers().will_wake(key, waker))
        });
        armed.flatten().unwrap_or_else(|| misplaced(runtime))
    }

    /// Inserts the deadline into the wheel, unless the wheel has an entry that is due in time.
    fn arm(&mut self, waker: &Waker) {
        if self.is_armed_for(waker) {
            return;
        }
        self.cancel();
        let waker = waker.clone();
        let due = self.deadline;
        self.entry = Some(context::with("a Sleep", "polled", |executor| Armed {
            runtime: executor.id(),
            key: executor.timers().insert(due, waker),
            due,
        }));
    }
}

/// # Panics
///
/// Always: a sleep of that runtime was polled elsewhere.
#[cold]
fn misplaced(runtime: RuntimeId) -> ! {
    context::with("a Sleep", "polled", |executor| {
        executor.expect_own(runtime, "a Sleep", "polled");
    });
    unreachable!("a sleep in its own runtime knows whether it is armed")
}

fn reschedule_here(key: Key, deadline: Instant) {
    context::with_borrowed(|executor| executor.timers().reschedule(key, deadline));
}

fn cancel_here(key: Key) {
    let waker = context::with_borrowed(|executor| executor.timers().remove(key));
    panics::discard(waker);
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.entry.is_some() {
            if self.is_elapsed() {
                // If the wheel has fired, the task has waited. A reset may have led here without a wait.
                if self.cancel() {
                    return budget::poll_spend(cx, 1);
                }
                return Poll::Ready(());
            }
        } else if self.deadline <= Instant::now() {
            // This reads the clock itself, because the turn's clock may be behind. A sleep that did not have
            // to wait spends budget.
            return budget::poll_spend(cx, 1);
        }
        self.arm(cx.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel();
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Sleep>();
};
