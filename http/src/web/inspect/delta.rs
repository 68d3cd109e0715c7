//! The events that one browser has not seen yet.
//!
//! # How it works
//!
//! Each delta has the events that came since the last one, as a trace in JSON, and the state of the program. A program
//! can make more events than a browser can draw. Then a delta has the newest ones, says that there is a gap, and
//! counts the others as missed.
//!
//! # Invariants
//!
//! - Always: a delta has at most [`EVENTS_MAX`] events of the ring, and the browser has at most one delta to read.

use waterwheel_runtime::inspect::{Control, ControlState, Recorder};

/// The events of one delta. Ten deltas come in a second.
const EVENTS_MAX: u64 = 3000;

/// Returns the deltas of a recording for one browser.
pub(super) struct Deltas {
    recorder: Recorder,
    /// The number of the first event that the browser has not seen.
    from: u64,
    missed: u64,
}

/// One delta.
pub(super) struct Delta {
    pub(super) json: String,
    /// The number of the first event after this delta.
    pub(super) until: u64,
}

impl Deltas {
    pub(super) fn new(recorder: Recorder, from: u64) -> Self {
        Self {
            recorder,
            from,
            missed: 0,
        }
    }

    /// Returns the next delta, which may have no event.
    pub(super) fn next(&mut self) -> Delta {
        // Events that come from here on belong to the next delta, even if the copy below has them.
        let until = self.recorder.next_seq();
        let from = self.from.max(until.saturating_sub(EVENTS_MAX));
        let trace = self.recorder.trace_since(from);
        // A copy of no event of the ring counts only the lost events of other threads.
        let lost = self.recorder.trace_since(u64::MAX).overflow();
        let overwritten = trace.overflow().saturating_sub(lost);
        let gap = from - self.from.min(from) + overwritten;
        self.missed += gap;
        self.from = until;
        let (state, missed) = (state(&self.recorder.control()), self.missed);
        let trace = trace.to_json();
        let json = format!(
            r#"{{{state},"until":{until},"gap":{gap},"missed":{missed},"lost":{lost},"trace":{trace}}}"#
        );
        Delta { json, until }
    }
}

/// Returns the state of the program as fields of a JSON object: the state, and the task that is polled next, or the
/// signal that has ended the last pause.
pub(super) fn state(control: &Control) -> String {
    let paused = |next: &dyn std::fmt::Display| format!(r#""state":"paused","next":"{next}""#);
    match control.state() {
        ControlState::Running => match control.ended_by() {
            Some(signal) => format!(r#""state":"running","ended_by":"{signal}""#),
            None => r#""state":"running""#.to_owned(),
        },
        ControlState::BeforeWait => paused(&"wait"),
        ControlState::BeforePoll(task) if task.is_root() => paused(&"root"),
        ControlState::BeforePoll(task) => paused(&task),
        ControlState::Stopping => r#""state":"stopping""#.to_owned(),
    }
}
