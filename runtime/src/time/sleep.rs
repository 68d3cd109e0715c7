//! A future that completes at a deadline.
//!
//! # How it works
//!
//! A [`Sleep`] is plain data: a deadline, and the key of an entry in the wheel of the runtime that first polled
//! it.
//!
//! - A reset to a *later* deadline is a store. The entry stays in its slot and fires too early. Then the task
//!   polls the sleep, and the sleep inserts a new entry. A timeout that is moved for each request costs no work
//!   in the wheel.
//! - A reset to an *earlier* deadline moves the entry, from any thread. The entry keeps its waker, so the task
//!   is woken at the new deadline.
//!
//! # Invariants
//!
//! - Never: a sleep ready before its deadline.
//! - Always: an entry in the wheel is due at the deadline or earlier.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::budget;
use crate::context;
use crate::directory::run_in;
use crate::instant::Instant;
use crate::local_queue::RuntimeId;
use crate::nodes::{self, Origin, Subject};
use crate::panics;
use crate::wheel::Key;

/// Completes after `duration`, and not before.
///
/// The resolution is a millisecond, so a sleep can take that much longer. It takes even longer if other tasks
/// hold the thread. A sleep of zero is ready at once. It lets other tasks run if the task has spent its
/// [budget].
///
/// # Panics
///
/// The sleep panics if it has to wait outside a runtime, or inside another runtime than the first one.
///
/// # Cancel safety
///
/// Safe: dropping the sleep cancels it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::sleep};
///
/// block_on(sleep(Duration::from_millis(5)));
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::until(Instant::now() + duration)
}

/// Completes at `deadline`; see [`sleep`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, sleep_until}};
///
/// block_on(async {
///     time::pause();
///     let deadline = Instant::now() + Duration::from_secs(3);
///     sleep_until(deadline).await;
///     assert_eq!(Instant::now(), deadline);
/// });
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::until(deadline)
}

/// The future of [`sleep`] and [`sleep_until`].
///
/// Plain data: `Send`, `Sync` and `Unpin`. It belongs to the runtime that first polls it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{block_on, time::{self, Instant, Sleep, sleep}};
///
/// block_on(async {
///     time::pause();
///     // A limit that starts again with each sign of life.
///     let mut limit: Sleep = sleep(Duration::from_secs(30));
///     time::advance(Duration::from_secs(20)).await;
///     limit.reset(Instant::now() + Duration::from_secs(30));
///     time::advance(Duration::from_secs(20)).await;
///     assert!(!limit.is_elapsed());
///     assert_eq!(limit.deadline(), Instant::now() + Duration::from_secs(10));
///     (&mut limit).await;
///     assert!(limit.is_elapsed());
/// });
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Sleep {
    deadline: Instant,
    /// The entry in a wheel. `None` before the first wait, and after the end of one.
    entry: Option<Armed>,
    origin: Origin,
}

/// The entry of a sleep in the wheel of a runtime.
#[derive(Clone, Copy, Debug)]
struct Armed {
    runtime: RuntimeId,
    key: Key,
    /// The deadline of the entry, which may be earlier than that of the sleep.
    due: Instant,
}

impl Sleep {
    #[track_caller]
    fn until(deadline: Instant) -> Self {
        Self {
            deadline,
            entry: None,
            origin: Origin::here("sleep"),
        }
    }

    /// Returns the deadline.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns true if the deadline has passed, by the [time of the turn](Instant::of_turn).
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.deadline <= Instant::of_turn()
    }

    /// Moves the deadline. A sleep that has completed sleeps again.
    ///
    /// A later deadline costs a store, and the task may be woken once at the old deadline. An earlier deadline
    /// wakes the task in time, even if the sleep is not polled in between.
    pub fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if let Some(entry) = &mut self.entry
            && deadline < entry.due
        {
            // The entry must move now. If it stayed, the task would be woken too late.
            entry.due = deadline;
            let Armed { runtime, key, .. } = *entry;
            let here = context::within(runtime, |executor| {
                executor.timers().reschedule(key, deadline);
            });
            // The thread is outside the runtime of the entry, so a message moves the entry.
            if here.is_none() {
                run_in(runtime, move || reschedule_here(key, deadline));
            }
        }
    }

    /// Removes the entry from the wheel. Returns true if the wheel had it, which means that it had not fired.
    fn cancel(&mut self) -> bool {
        let Some(Armed { runtime, key, .. }) = self.entry.take() else {
            return false;
        };
        let here = context::within(runtime, |executor| executor.timers().remove(key));
        if let Some(waker) = here {
            // The waker is dropped here, while neither the wheel nor the context is borrowed.
            let was_there = waker.is_some();
            panics::discard(waker);
            return was_there;
        }
        run_in(runtime, move || cancel_here(key));
        true
    }

    /// Returns true if the wheel has an entry that will wake this waker's task.
    ///
    /// # Panics
    ///
    /// Panics if the entry is in the wheel of another runtime.
    fn is_armed_for(&self, waker: &Waker) -> bool {
        let Some(Armed { runtime, key, .. }) = self.entry else {
            return false;
        };
        context::within(runtime, |executor| executor.timers().will_wake(key, waker))
            .unwrap_or_else(|| misplaced(runtime))
    }

    /// Inserts an entry into the wheel, unless the wheel has one that wakes this task in time.
    fn arm(&mut self, waker: &Waker) {
        if self.is_armed_for(waker) {
            return;
        }
        self.cancel();
        // The clone may be foreign code, so it happens before the wheel is borrowed.
        let waker = waker.clone();
        let due = self.deadline;
        self.entry = Some(context::with("a Sleep", "polled", |executor| Armed {
            runtime: executor.id(),
            key: executor.timers().insert(due, waker),
            due,
        }));
    }
}

/// Reports a sleep that is polled outside its runtime.
///
/// # Panics
///
/// Always panics.
#[cold]
fn misplaced(runtime: RuntimeId) -> ! {
    context::with("a Sleep", "polled", |executor| {
        executor.expect_own(runtime, "a Sleep", "polled");
    });
    unreachable!("a sleep in its own runtime knows whether it is armed")
}

/// Moves an entry of the runtime that this thread is inside, for a reset on another thread.
fn reschedule_here(key: Key, deadline: Instant) {
    context::with_borrowed(|executor| executor.timers().reschedule(key, deadline));
}

/// Removes an entry of the runtime that this thread is inside, for a drop on another thread.
fn cancel_here(key: Key) {
    let waker = context::with_borrowed(|executor| executor.timers().remove(key));
    panics::discard(waker);
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_deadline(cx).is_ready() {
            nodes::completed(self.origin);
            return Poll::Ready(());
        }
        nodes::waits(cx, self.origin, || Subject::Until(self.deadline))
    }
}

impl Sleep {
    /// The poll of a sleep that is a part of another future.
    pub(super) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = if self.entry.is_some() {
            self.is_elapsed()
        } else {
            // The time of the turn may be earlier than the deadline although the deadline has passed.
            self.deadline <= Instant::now()
        };
        if is_over {
            let has_fired = self.entry.is_some_and(|Armed { runtime, key, .. }| {
                context::within(runtime, |executor| !executor.timers().contains(key))
                    .unwrap_or(false)
            });
            // Case A: the entry has fired. The task has waited, so the end is free.
            // Case B: this is the first poll, or a reset has moved the deadline into the past. The task has not
            // waited, so the end costs budget.
            if has_fired || budget::poll_spend(cx, 1).is_ready() {
                self.cancel();
                return Poll::Ready(());
            }
            // The budget was refused, and the other futures of this task may spend it in each poll. So the sleep
            // arms an entry. It fires in the next turn, and case A ends the sleep.
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
