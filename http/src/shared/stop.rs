//! How a server is told to end, also from other threads.
//!
//! # How it works
//!
//! ```text
//!  any thread: Stopper::stop ──► what is wanted, under a lock ──► wakes the server's task
//!                                                                        │
//!  the server's thread: serve, or stop_requested() ◄─────────────────────┘
//!                              │
//!                              ▼
//!                          shutdown(grace)
//! ```
//!
//! # Invariants
//!
//! - Never: a waker woken or dropped under the lock.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ops::AddAssign;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// Where a server stands with its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Serving.
    #[default]
    Open,
    /// What is under way is finished, and what comes is told to go.
    Draining,
    /// Whatever is left is cut.
    Cutting,
}

/// What became of the connections of a server that has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Ended by themselves, their requests answered; and those whose last answer was sent when the
    /// time was over.
    pub finished: usize,
    /// Closed because nothing was under way on them, to make room or at the end.
    pub idle: usize,
    /// Cut when the time was over.
    pub cut: usize,
    /// Taken from the queue and sent away: told that the server is ending (503), or closed since
    /// their peer has as many as it may.
    pub turned_away: usize,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.idle += other.idle;
        self.cut += other.cut;
        self.turned_away += other.turned_away;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            finished,
            idle,
            cut,
            turned_away,
        } = self;
        write!(
            f,
            "{finished} finished, {idle} closed idle, {cut} cut, {turned_away} turned away"
        )
    }
}

/// Tells a server to end, from any thread.
///
/// Cloned freely; it does not keep the server alive. Dropping it does nothing.
///
/// See [`Server::stopper`](crate::Server::stopper).
#[derive(Clone)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// Asks the server to end: it takes no more connections, and those under way have as long as
    /// [`Limits::shutdown_duration_max`](crate::Limits::shutdown_duration_max). A second time is
    /// nothing more.
    #[doc(alias = "shutdown")]
    pub fn stop(&self) {
        self.0.want(Wanted::Stop);
    }

    /// Asks the server to end at once: what is under way is cut.
    pub fn cut(&self) {
        self.0.want(Wanted::Cut);
    }

    /// Whether it has been asked to.
    pub fn is_stopping(&self) -> bool {
        self.0.lock().wanted.is_some()
    }

    /// Blocks until the server accepts connections, or has ended; says which of the two.
    pub fn ready(&self) -> bool {
        let state = self.0.wait_while(|phase| phase == StopPhase::Begun);
        state.phase == StopPhase::Serving
    }

    /// Blocks until the server has ended. Not on its own thread: there it would wait for itself.
    pub fn wait(&self) {
        drop(self.0.wait_while(|phase| phase != StopPhase::Ended));
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper")
            .field("is_stopping", &self.is_stopping())
            .finish_non_exhaustive()
    }
}

/// What is asked of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Stop,
    Cut,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum StopPhase {
    #[default]
    Begun,
    Serving,
    Ended,
}

#[derive(Default)]
struct StopState {
    wanted: Option<Wanted>,
    phase: StopPhase,
    /// Of those who wait for something to be wanted.
    wakers: Slab<Waker>,
}

/// The server's end of it; the server has ended when it is dropped.
#[derive(Default)]
pub(crate) struct Stopping {
    control: Arc<Control>,
    /// Whether it has begun to serve: asked at each accept, and so without the lock.
    has_begun: Cell<bool>,
}

#[derive(Default)]
struct Control {
    state: Mutex<StopState>,
    changed: Condvar,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, StopState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn want(&self, wanted: Wanted) {
        let wakers: Vec<Waker> = {
            let mut state = self.lock();
            state.wanted = state.wanted.max(Some(wanted));
            let wakers = state.wakers.iter();
            wakers.map(|(_, waker)| waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait_while(&self, condition: impl Fn(StopPhase) -> bool) -> MutexGuard<'_, StopState> {
        let state = self.lock();
        self.changed
            .wait_while(state, |state| condition(state.phase))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: StopPhase) {
        self.lock().phase = phase;
        self.changed.notify_all();
    }
}

impl Stopping {
    pub(crate) fn stopper(&self) -> Stopper {
        Stopper(self.control.clone())
    }

    /// Connections are accepted from now on. Again is nothing.
    pub(crate) fn serving(&self) {
        if !self.has_begun.replace(true) {
            self.control.enter(StopPhase::Serving);
        }
    }

    pub(crate) fn has_ended(&self) {
        self.has_begun.set(true);
        self.control.enter(StopPhase::Ended);
    }

    /// Whether that much has been asked.
    pub(crate) fn is(&self, wanted: Wanted) -> bool {
        self.control.lock().wanted >= Some(wanted)
    }

    /// Waits until that much is asked.
    pub(crate) async fn wanted(&self, wanted: Wanted) {
        let mut wish = Wish {
            control: &self.control,
            place: None,
        };
        poll_fn(|cx| wish.poll(wanted, cx)).await;
    }
}

/// One who waits for something to be wanted.
struct Wish<'a> {
    control: &'a Control,
    /// Among the wakers, for as long as this lives.
    place: Option<usize>,
}

impl Wish<'_> {
    fn poll(&mut self, wanted: Wanted, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut state = self.control.lock();
        if state.wanted >= Some(wanted) {
            drop(state);
            return Poll::Ready(());
        }
        let mut old = None;
        if let Some(place) = self.place {
            old = Some(mem::replace(&mut state.wakers[place], waker));
        } else {
            self.place = Some(state.wakers.insert(waker));
        }
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Wish<'_> {
    fn drop(&mut self) {
        let waker = self.place.and_then(|place| {
            let mut state = self.control.lock();
            state.wakers.try_remove(place)
        });
        drop(waker);
    }
}

impl Drop for Stopping {
    fn drop(&mut self) {
        self.has_ended();
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Stopper>();
};
