//! Records what a runtime does: a ring of events, for tests, for a page, and for tools.

mod control;
mod event;
pub(crate) mod facts;
pub(crate) mod gate;
mod json;
pub(crate) mod options;
mod player;
mod recorder;
pub(crate) mod ring;
pub(crate) mod shared;
mod trace;
pub(crate) mod writer;

pub use control::{Control, ControlState};
pub use event::{CancelCause, Event, EventKind, Outcome, SyscallOp, SyscallResult, WakeCause};
pub use options::Options;
pub use player::PLAYER;
pub use recorder::{Events, Recorder, recorder};
pub use trace::{PollSpan, Trace, TracedTask};
