//! The step mode: another thread stops a runtime, and lets it take single steps.
//!
//! # How it works
//!
//! [`Control`] closes the gate that the executor passes before each poll and before each wait. The runtime's clock
//! stands while the executor waits at the gate: the executor takes the time back from the clock, so no deadline comes
//! nearer.
//!
//! # Invariants
//!
//! - Always: a step is one poll, or one wait of at most 100 ms.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::event::task_of;
use super::gate::{GateState, StopPoint};
use super::recorder::Recorder;
use super::shared::Inspected;
use crate::signal::Signal;
use crate::task_names::Id;

/// Stops a runtime, and lets it take single steps.
///
/// # The clock
///
/// The clock of the runtime stands while the runtime is stopped: [`Instant::now`](crate::time::Instant::now) inside
/// the runtime, all sleeps, intervals and timeouts, and the deadlines that `waterwheel-http` has for its connections.
/// So a minute of explaining lets no deadline pass. After [`resume`](Self::resume) the clock runs on, and stays behind
/// the real one by the time of the stop.
///
/// These go on, because the runtime does not own them:
///
/// - the kernel: it accepts connections into the backlog, acknowledges bytes until its buffers are full, and sends
///   keep-alive probes;
/// - the peers and their timeouts;
/// - blocking jobs, other threads, and other runtimes;
/// - [`std::time::Instant`], and an [`Instant`](crate::time::Instant) of a thread outside the runtime. These are ahead
///   of the runtime's clock after a stop.
///
/// A stopped runtime waits for a `Control`, so when the last one of a runtime is dropped, the runtime runs on. A
/// page (`waterwheel::inspect::serve`) has one, too. If the thread is outside of the
/// runtime (between two calls of [`poll_timeout`](crate::Runtime::poll_timeout), for example), the state is
/// [`Stopping`](ControlState::Stopping) until the next call.
///
/// # Signals
///
/// A pause ends at a signal that asks the program to end (SIGINT, SIGQUIT or SIGTERM), if the program listens for it with
/// [`signal`](crate::signal). So Ctrl-C works as usual. If the program does not handle the signal, the process ends.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, inspect::{self, ControlState}, yield_now};
///
/// let patience = Duration::from_secs(10);
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let recorder = runtime.block_on(async { inspect::recorder().unwrap() });
/// let control = recorder.control();
/// control.pause();
/// assert_eq!(control.state(), ControlState::Stopping);
/// let lecturer = std::thread::spawn(move || {
///     assert!(matches!(control.wait(patience), ControlState::BeforePoll(_)));
///     assert!(control.step()); // the first poll of the future below
///     assert!(matches!(control.wait(patience), ControlState::BeforePoll(_)));
///     control.resume();
/// });
/// runtime.block_on(yield_now());
/// lecturer.join().unwrap();
/// # std::io::Result::Ok(())
/// ```
pub struct Control {
    inspected: Arc<Inspected>,
}

/// The state of a runtime that can be stopped.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, ControlState}};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let control = runtime.block_on(async { inspect::recorder().unwrap().control() });
/// assert_eq!(control.state(), ControlState::Running);
/// control.pause();
/// assert_eq!(control.state(), ControlState::Stopping);
/// control.resume();
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlState {
    /// It runs.
    Running,
    /// It was paused or takes a step, and has not come to the next stop: a poll holds the thread, it waits for
    /// events for at most 100 ms, or the thread is outside of the runtime.
    Stopping,
    /// It is stopped before a poll of this task.
    BeforePoll(Id),
    /// It is stopped before a wait, because no task is ready.
    BeforeWait,
}

impl Recorder {
    /// Returns the control of the step mode; see [`Control`] for an example.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect::{self, ControlState}};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let control = runtime.block_on(async { inspect::recorder().unwrap().control() });
    /// assert_eq!(control.state(), ControlState::Running);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn control(&self) -> Control {
        Control::of(&self.inspected)
    }
}

impl Clone for Control {
    fn clone(&self) -> Self {
        Self::of(&self.inspected)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.inspected.gate.remove_control();
    }
}

impl Control {
    fn of(inspected: &Arc<Inspected>) -> Self {
        inspected.gate.add_control();
        Self {
            inspected: inspected.clone(),
        }
    }

    /// Makes the runtime stop before its next poll, or before its next wait. Returns at once; see
    /// [`wait`](Self::wait).
    pub fn pause(&self) {
        self.inspected.gate.close();
        // A thread that waits in epoll would pass no gate until the next event.
        (self.inspected.unpark)();
    }

    /// Lets a stopped runtime take one step. Before a poll, the step is this poll. Before a wait, it is a wait for events
    /// of at most 100 ms, with the deliveries that end it; the clock runs during it.
    ///
    /// Returns false, without an effect, if the runtime is not stopped.
    pub fn step(&self) -> bool {
        self.inspected.gate.step()
    }

    /// Lets the runtime run on.
    pub fn resume(&self) {
        self.inspected.gate.open();
    }

    /// Returns the signal that has ended the last pause, or `None` if none has.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect, signal};
    ///
    /// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
    /// let control = runtime.block_on(async { inspect::recorder().unwrap().control() });
    /// let shutdown = signal::shutdown();
    /// control.pause();
    /// # signal_hook::low_level::raise(signal::Signal::INTERRUPT.as_raw())?;
    /// // Elsewhere: kill -INT
    /// let signal = runtime.block_on(shutdown)?;
    /// assert_eq!(control.ended_by(), Some(signal));
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn ended_by(&self) -> Option<Signal> {
        self.inspected.gate.ended_by()
    }

    /// Returns the state of the runtime.
    #[must_use]
    pub fn state(&self) -> ControlState {
        self.read(self.inspected.gate.state())
    }

    /// Waits until a runtime that was paused or takes a step has stopped, for at most `patience`. Returns the state
    /// then.
    pub fn wait(&self, patience: Duration) -> ControlState {
        self.read(self.inspected.gate.wait_stopped(patience))
    }

    fn read(&self, state: GateState) -> ControlState {
        match state {
            GateState::Open => ControlState::Running,
            GateState::Closed => ControlState::Stopping,
            GateState::Stopped(StopPoint::Wait) => ControlState::BeforeWait,
            GateState::Stopped(StopPoint::Poll(word)) => match task_of(&self.inspected, word) {
                Some(task) => ControlState::BeforePoll(task),
                None => ControlState::BeforeWait,
            },
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Control>();
};
