//! The end of a server as other threads ask for it.
//!
//! # How it works
//!
//! ```text
//!  any thread: Stopper::stop ──► the request, under a lock ──► wakes the server's task
//!                                                                        │
//!  the server's thread: serve, or stop_requested() ◄─────────────────────┘
//!                              │
//!                              ▼
//!                          shutdown(grace)
//! ```
//!
//! # Invariants
//!
//! - Never: a waker is woken or dropped under the lock.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::mem;
use std::ops::AddAssign;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// The stage of a server on its way to the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The server serves.
    #[default]
    Open,
    /// The server finishes requests, and refuses new clients.
    Draining,
    /// The server cuts the rest.
    Cutting,
}

/// The numbers of connections of a server that has ended, by their fate.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Report, Request, Responded, Result, Server, StatusCode};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// let server = Server::builder().stoppable("127.0.0.1:0", || hello)?;
/// server.stopper().stop();
/// let report: Report = server.join()?;
/// assert_eq!((report.finished, report.cut), (0, 0));
/// println!("{report}");
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Connections that ended by themselves with all requests answered, and those whose last answer was sent
    /// when the time was over.
    pub finished: usize,
    /// Connections without a request that were closed, to make room or at the end.
    pub idle: usize,
    /// Connections that had changed their protocol ([`Upgraded`](crate::Upgraded)), and ended by themselves.
    pub upgraded: usize,
    /// Connections that were cut when the time was over, also of another protocol.
    pub cut: usize,
    /// Connections that were accepted and turned away: answered with 503 because the server ends, or closed
    /// because their peer has reached its limit.
    pub turned_away: usize,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.idle += other.idle;
        self.upgraded += other.upgraded;
        self.cut += other.cut;
        self.turned_away += other.turned_away;
    }
}

/// Writes the numbers that are not 0: `3 connections finished, 1 cut`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fates = [
            (self.finished, "finished"),
            (self.idle, "closed idle"),
            (self.upgraded, "ended after an upgrade"),
            (self.cut, "cut"),
            (self.turned_away, "turned away"),
        ];
        let mut fates = fates.into_iter().filter(|(count, _)| *count > 0);
        match fates.next() {
            None => f.write_str("no connection was open")?,
            Some((1, fate)) => write!(f, "1 connection {fate}")?,
            Some((count, fate)) => write!(f, "{count} connections {fate}")?,
        }
        fates.try_for_each(|(count, fate)| write!(f, ", {count} {fate}"))
    }
}

/// Asks a server to end, from any thread.
///
/// It is cheap to clone, and it does not keep the server alive. Dropping it has no effect.
///
/// See [`Server::stopper`](crate::Server::stopper).
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, Server, StatusCode, Stopper};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// let server = Server::builder().stoppable("127.0.0.1:0", || hello)?;
/// let stopper: Stopper = server.stopper();
/// assert!(stopper.ready() && !stopper.is_stopping());
/// stopper.stop(); // `stopper.cut()` does not wait for requests under way
/// stopper.wait();
/// assert!(stopper.is_stopping() && !stopper.ready());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Stopper(Arc<Control>);

impl Stopper {
    /// Asks the server to end. It accepts for [`Limits::unready_duration`](crate::Limits::unready_duration), which is 0 by
    /// default. Then it accepts no more connections, and requests have
    /// [`Limits::shutdown_duration_max`](crate::Limits::shutdown_duration_max) to finish. Calling this twice
    /// has no further effect.
    #[doc(alias = "shutdown")]
    pub fn stop(&self) {
        self.0.want(Wanted::Stop);
    }

    /// Asks the server to end at once, and to cut the requests that are under way.
    pub fn cut(&self) {
        self.0.want(Wanted::Cut);
    }

    /// Returns true if the server has been asked to end.
    pub fn is_stopping(&self) -> bool {
        self.0.lock().wanted.is_some()
    }

    /// Blocks until the server accepts connections or has ended. Returns true if it accepts.
    pub fn ready(&self) -> bool {
        let state = self.0.wait_while(|phase| phase == StopPhase::Begun);
        state.phase == StopPhase::Serving
    }

    /// Blocks until the server has ended. On the server's own thread it waits for itself, so do not call it
    /// there.
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

/// The request to a server. A later one includes an earlier one.
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
    /// The wakers of the tasks that wait for a request.
    wakers: Slab<Waker>,
}

/// The server's part. Its drop means that the server has ended.
#[derive(Default)]
pub(crate) struct Stopping {
    control: Arc<Control>,
    /// True if the server has begun to serve. Each accept asks this, so it is not under the lock.
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
            // A cut after a stop is more, and a stop after a cut has no effect.
            state.wanted = state.wanted.max(Some(wanted));
            let wakers = state.wakers.iter();
            wakers.map(|(_, waker)| waker.clone()).collect()
        };
        // After the lock, because a waker may run code that takes it again.
        wakers.into_iter().for_each(Waker::wake);
    }

    fn wait_while(&self, condition: impl Fn(StopPhase) -> bool) -> MutexGuard<'_, StopState> {
        // A condition variable, because plain threads wait here, without a runtime.
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

    /// Notes that the server accepts connections. Returns true the first time; later calls have no effect.
    pub(crate) fn serving(&self) -> bool {
        // Each accept calls this, so only the first one takes the lock.
        let is_first = !self.has_begun.replace(true);
        if is_first {
            self.control.enter(StopPhase::Serving);
        }
        is_first
    }

    /// Returns true if the server has begun to serve.
    #[cfg(feature = "systemd")]
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    pub(crate) fn has_ended(&self) {
        self.has_begun.set(true);
        self.control.enter(StopPhase::Ended);
    }

    /// Returns true if this, or more, has been requested.
    pub(crate) fn is(&self, wanted: Wanted) -> bool {
        self.control.lock().wanted >= Some(wanted)
    }

    /// Waits until this, or more, is requested.
    pub(crate) async fn wanted(&self, wanted: Wanted) {
        let mut waiter = StopWaiter {
            control: &self.control,
            place: None,
        };
        poll_fn(|cx| waiter.poll(wanted, cx)).await;
    }
}

/// A task that waits for a request.
struct StopWaiter<'a> {
    control: &'a Control,
    /// The index among the wakers, for as long as this lives.
    place: Option<usize>,
}

impl StopWaiter<'_> {
    fn poll(&mut self, wanted: Wanted, cx: &mut Context<'_>) -> Poll<()> {
        // Cloned before the lock, because a foreign waker may run user code.
        let waker = cx.waker().clone();
        let mut state = self.control.lock();
        if state.wanted >= Some(wanted) {
            drop(state);
            return Poll::Ready(());
        }
        let mut old = None;
        // A place is kept over polls, so that a task has one waker here.
        if let Some(place) = self.place {
            old = Some(mem::replace(&mut state.wakers[place], waker));
        } else {
            self.place = Some(state.wakers.insert(waker));
        }
        // The old waker is dropped after the lock, because its drop may run user code.
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for StopWaiter<'_> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_only_what_has_happened() {
        let mut report = Report::default();
        assert_eq!(report.to_string(), "no connection was open");
        report.idle = 1;
        assert_eq!(report.to_string(), "1 connection closed idle");
        report += Report {
            finished: 12,
            upgraded: 2,
            turned_away: 3,
            ..report
        };
        assert_eq!(
            report.to_string(),
            "12 connections finished, 2 closed idle, 2 ended after an upgrade, 3 turned away"
        );
    }
}
