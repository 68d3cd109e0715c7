//! The gate before each step of the executor, and the time for which it has stood there.
//!
//! # How it works
//!
//! The executor passes the gate before each poll, and before each wait if no task is ready. Another thread closes it:
//!
//! ```text
//!  controlling thread           gate                          executor
//!  pause() ───────────────────► closed
//!                               stopped, before a poll ◄───── pass(): waits, and the clock stands
//!  step() ────────────────────► one step is granted ────────► polls one task
//!                               stopped, before a poll ◄───── pass(): waits again
//!  resume() ──────────────────► open ───────────────────────► runs on
//!  a signal, such as Ctrl-C ──► open ───────────────────────► runs on
//! ```
//!
//! A signal that asks the process to end opens the gate, if the program handles it. Otherwise the handler would wait for
//! the executor, and the executor for the gate.
//!
//! # Invariants
//!
//! - Always: an open gate costs one load.
//! - Always: the time of [`Gate::now`] stands while the executor is stopped, and never goes back.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use signal_hook::{SigId, flag, low_level};

use crate::signal::{ENDING, Signal, is_handled};

/// A stopped executor looks for signals this often, because a handler can notify no thread that waits for a lock.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The step before which the executor has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopPoint {
    /// The poll of this task.
    Poll(u64),
    /// The wait for events.
    Wait,
}

/// The state of a gate, for the controlling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GateState {
    Open,
    /// The gate is closed, and the executor has not come to it.
    Closed,
    Stopped(StopPoint),
}

#[derive(Default)]
struct Inner {
    is_closed: bool,
    /// The number of steps that the executor may take through the closed gate.
    steps: u32,
    stopped: Option<StopPoint>,
    /// The number of the handles that can open the gate again.
    controls: usize,
    /// The signals since the gate was closed. `None` while it is open.
    signals: Option<SignalFlag>,
    /// The signal that has ended the last stop.
    ended_by: Option<Signal>,
}

/// The last signal that has asked the process to end, since this was made.
#[derive(Default)]
struct SignalFlag {
    /// Its number, or zero.
    number: Arc<AtomicUsize>,
    watched: Vec<(Signal, SigId)>,
}

impl SignalFlag {
    /// Watches the signals that the program handles. The others end the process by themselves.
    fn watch(&mut self) {
        for signal in ENDING {
            if !is_handled(signal) || self.watched.iter().any(|(watched, _)| *watched == signal) {
                continue;
            }
            let (raw, number) = (signal.as_raw(), self.number.clone());
            // Without the flag, the signal waits for the end of the pause.
            if let Ok(id) = flag::register_usize(raw, number, raw.unsigned_abs() as usize) {
                self.watched.push((signal, id));
            }
        }
    }

    fn get(&self) -> Option<Signal> {
        let number = self.number.load(Ordering::Relaxed);
        ENDING
            .into_iter()
            .find(|signal| usize::try_from(signal.as_raw()) == Ok(number))
    }
}

impl Drop for SignalFlag {
    fn drop(&mut self) {
        for (_, id) in self.watched.drain(..) {
            low_level::unregister(id);
        }
    }
}

/// The mark of a stop that begins. Readers wait, so that none has a later time than the stop.
const BEGINS: u64 = u64::MAX;

/// The gate of one runtime, and its clock.
pub(crate) struct Gate {
    /// A copy of `is_closed`, so that an open gate takes no lock.
    is_closed: AtomicBool,
    inner: Mutex<Inner>,
    /// Notified at each change.
    changed: Condvar,
    opened: Instant,
    /// The nanoseconds for which the executor has stood here, before the present stop.
    stopped_nanos: AtomicU64,
    /// The time at which the clock stands, plus one. Zero while it runs.
    stands_at: AtomicU64,
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            is_closed: AtomicBool::new(false),
            inner: Mutex::default(),
            changed: Condvar::new(),
            opened: Instant::now(),
            stopped_nanos: AtomicU64::new(0),
            stands_at: AtomicU64::new(0),
        }
    }

    /// Returns the nanoseconds since the runtime was opened, without those for which it has stood here.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self.stands_at.load(Ordering::Acquire) {
            0 => nanos(self.opened.elapsed()) - self.stopped_nanos.load(Ordering::Relaxed),
            stands => stands - 1,
        }
    }

    /// Returns the same as [`now`](Self::now), for other threads than that of the executor. A stop may begin or end
    /// while they read.
    pub(crate) fn read_now(&self) -> u64 {
        loop {
            match self.stands_at.load(Ordering::Acquire) {
                0 => {}
                // Set for the few instructions in which a stop begins.
                BEGINS => continue,
                stands => return stands - 1,
            }
            let stopped = self.stopped_nanos.load(Ordering::Acquire);
            let elapsed = nanos(self.opened.elapsed());
            // A stop that has begun since shows in the mark, and one that is over shows in the sum.
            let stands = self.stands_at.load(Ordering::Acquire);
            if stands == 0 && self.stopped_nanos.load(Ordering::Acquire) == stopped {
                return elapsed - stopped;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods that only the executor calls.
impl Gate {
    /// Returns true if the executor must stop before its next step, or take it as a granted one.
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Waits until the gate is open or a step is granted. Returns the time that has passed meanwhile.
    #[cold]
    pub(crate) fn pass(&self, point: StopPoint) -> Duration {
        let mut inner = self.lock();
        if !inner.is_closed {
            return Duration::ZERO;
        }
        // The lock is held from the first to the last line, except in the wait. So a reader sees whole stops.
        // An exchange, so that no reader still sees the clock run when its time is read.
        self.stands_at.swap(BEGINS, Ordering::AcqRel);
        let began = Instant::now();
        // Of the same reading as the length of the stop, or the time after the stop would lie before that of the stop.
        let stands = nanos(began - self.opened) - self.stopped_nanos.load(Ordering::Relaxed);
        self.stands_at.store(stands + 1, Ordering::Release);
        inner.stopped = Some(point);
        self.changed.notify_all();
        while inner.is_closed && inner.steps == 0 {
            let signals = inner.signals.get_or_insert_default();
            // Each time, because another thread may listen for its first signal during the stop.
            signals.watch();
            if let Some(signal) = signals.get() {
                self.open_locked(&mut inner);
                inner.ended_by = Some(signal);
                break;
            }
            let woken = self.changed.wait_timeout(inner, LOOK_EVERY);
            inner = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        // Saturating, because the wait may have ended by an opened gate, which has no steps.
        inner.steps = inner.steps.saturating_sub(1);
        inner.stopped = None;
        let stopped = began.elapsed();
        // First the sum and then the mark: a reader between the two still sees the clock stand.
        self.stopped_nanos
            .fetch_add(nanos(stopped), Ordering::Release);
        self.stands_at.store(0, Ordering::Release);
        stopped
    }
}

/// The methods that any thread may call.
impl Gate {
    /// Closes the gate. The caller must unpark the executor.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        inner.ended_by = None;
        inner.signals.get_or_insert_default().watch();
        self.is_closed.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Opens the gate.
    pub(crate) fn open(&self) {
        self.open_locked(&mut self.lock());
    }

    fn open_locked(&self, inner: &mut Inner) {
        inner.is_closed = false;
        inner.steps = 0;
        inner.signals = None;
        self.is_closed.store(false, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Counts a handle that can open the gate.
    pub(crate) fn add_control(&self) {
        self.lock().controls += 1;
    }

    /// Opens the gate if no handle is left that could.
    pub(crate) fn remove_control(&self) {
        let mut inner = self.lock();
        inner.controls -= 1;
        // Under one lock, or a new handle could close the gate between the two.
        if inner.controls == 0 {
            self.open_locked(&mut inner);
        }
    }

    /// Grants one step. Returns false if the executor is not stopped here, or if its last step has not begun.
    pub(crate) fn step(&self) -> bool {
        let mut inner = self.lock();
        let stands = inner.is_closed && inner.stopped.is_some() && inner.steps == 0;
        if stands {
            inner.steps = 1;
            self.changed.notify_all();
        }
        stands
    }

    /// Returns the signal that has ended the last stop.
    pub(crate) fn ended_by(&self) -> Option<Signal> {
        self.lock().ended_by
    }

    pub(crate) fn state(&self) -> GateState {
        state_of(&self.lock())
    }

    /// Waits until the executor is stopped here, for at most `patience`. Returns the state then.
    pub(crate) fn wait_stopped(&self, patience: Duration) -> GateState {
        // An open gate never stops the executor, so there is no reason to wait.
        let moves = |inner: &mut Inner| matches!(state_of(inner), GateState::Closed);
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), patience, moves);
        state_of(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }
}

fn state_of(inner: &Inner) -> GateState {
    match inner.stopped {
        _ if !inner.is_closed => GateState::Open,
        // A granted step has not begun, but it is no longer a stop.
        Some(point) if inner.steps == 0 => GateState::Stopped(point),
        _ => GateState::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn no_reader_sees_a_time_that_goes_back_or_lies_ahead() {
        let gate = Gate::new();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut before = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        let now = gate.read_now();
                        let ahead = nanos(gate.opened.elapsed());
                        assert!(before <= now && now <= ahead, "{before} {now} {ahead}");
                        before = now;
                    }
                });
            }
            for _ in 0..2_000 {
                gate.close();
                let opener = scope.spawn(|| {
                    gate.wait_stopped(Duration::from_secs(10));
                    gate.open();
                });
                gate.pass(StopPoint::Wait);
                assert!(opener.join().is_ok());
            }
            is_over.store(true, Ordering::Relaxed);
        });
    }
}
