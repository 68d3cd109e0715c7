//! The events as a program reads them.
//!
//! # How it works
//!
//! The ring stores an event as five words. [`Event`] is the same in plain Rust: numbers of places and names are
//! replaced by these, and words by ids.
//!
//! # Invariants
//!
//! - Always: an event that this version cannot read is left out, and no reader panics.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::Location;
use std::time::Duration;

use super::facts::halves;
use super::ring::RawEvent;
use super::shared::Inspected;
use super::writer::{ENDED_PANIC, ENDED_VALUE, FAILED, WOULD_BLOCK, code, ready_of};
use crate::local_queue::{RuntimeId, TaskId};
use crate::task_names::Id;

/// One event of a runtime.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, Event, EventKind}};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace = runtime.block_on(async { inspect::recorder().unwrap().trace() });
/// let first: &Event = &trace.events()[0];
/// assert_eq!(first.seq, 0);
/// assert!(matches!(first.kind, EventKind::Wake { task, .. } if task.is_root()));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// The number of the event. The first event of a runtime has the number zero. Numbers that are missing belong to
    /// events that were overwritten, or that only name a task. An event of another thread (a blocking job, the watchdog)
    /// gets its number late, when the runtime's thread collects it.
    pub seq: u64,
    /// The time since the runtime was opened, without the time for which it was [paused](super::Control::pause).
    pub at: Duration,
    /// The event itself.
    pub kind: EventKind,
}

/// The kinds of events. Each name is that of the field `kind` in the JSON of a trace.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, EventKind}, spawn, yield_now};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let trace = runtime.block_on(async {
///     spawn(yield_now()).await.unwrap();
///     inspect::recorder().unwrap().trace()
/// });
/// let ends = trace.events().iter().filter(|event| matches!(event.kind, EventKind::End { .. }));
/// assert_eq!(ends.count(), 1);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventKind {
    /// A task was spawned.
    Spawn {
        /// The new task.
        task: Id,
        /// The task that was polled. `None` if the thread polled no task, for example in
        /// [`Runtime::spawn`](crate::Runtime::spawn).
        parent: Option<Id>,
    },
    /// A task was queued, because it was woken. A wake of a task that is queued already is no event.
    Wake {
        /// The task that was queued.
        task: Id,
        /// The cause.
        cause: WakeCause,
    },
    /// A poll of a task begins. If the task was aborted, its future is dropped instead.
    PollStart {
        /// The task.
        task: Id,
    },
    /// A poll has ended.
    PollEnd {
        /// The task.
        task: Id,
        /// True if the task has ended.
        ready: bool,
    },
    /// A task has ended.
    End {
        /// The task.
        task: Id,
        /// The outcome.
        outcome: TaskOutcome,
    },
    /// A future in a task, or the whole task, is dropped before it is ready.
    Cancel {
        /// The task.
        task: Id,
        /// The cause.
        cause: CancelCause,
        /// The place in the program that has caused it, if it is known.
        place: Option<&'static Location<'static>>,
    },
    /// The thread waits for an event.
    Park {
        /// The longest time that it waits. `None` if there is no limit.
        timeout: Option<Duration>,
    },
    /// The wait has ended.
    Unpark {
        /// The number of the kernel's events. Zero if a deadline has ended the wait.
        events: usize,
    },
    /// The kernel has reported an event of a descriptor.
    IoReady {
        /// The descriptor. `None` if it is not known.
        fd: Option<i32>,
        /// Bytes or connections can be read.
        readable: bool,
        /// There is room to write.
        writable: bool,
        /// The peer has closed its write half, or the connection is gone.
        closed: bool,
    },
    /// A timer fires.
    Timer {
        /// The time from its deadline to the turn that fires it.
        lag: Duration,
    },
    /// A blocking job begins, on a thread of the pool.
    JobStart {
        /// The number of the job.
        job: u32,
    },
    /// A blocking job has ended.
    JobEnd {
        /// The number of the job.
        job: u32,
    },
    /// A system call has returned.
    Syscall {
        /// The task that was polled, if one was.
        task: Option<Id>,
        /// The call.
        op: SyscallOp,
        /// The descriptor. `None` for `epoll_wait`.
        fd: Option<i32>,
        /// The result.
        result: SyscallResult,
    },
    /// The watchdog has found that a poll holds the thread.
    LongPoll {
        /// The task.
        task: Id,
        /// The place in the program, if it is known.
        place: Option<&'static Location<'static>>,
        /// The time since the poll began.
        duration: Duration,
    },
}

/// The cause of a wake.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, WakeCause}, task, yield_now};
///
/// let runtime = Runtime::builder().inspect(inspect::Options::default()).build()?;
/// let (task, trace) = runtime.block_on(async {
///     let task = task::Builder::new().spawn(yield_now());
///     let id = task.id();
///     task.await.unwrap();
///     (id, inspect::recorder().unwrap().trace())
/// });
/// let causes: Vec<_> = trace.wakes_of(task).map(|(_, cause)| cause).collect();
/// assert_eq!(causes, [WakeCause::Myself]);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WakeCause {
    /// An event of this descriptor. `None` if the descriptor is not known.
    Io(Option<i32>),
    /// A deadline has passed.
    Timer,
    /// This task, while it was polled.
    Task(Id),
    /// The task itself, while it was polled: it yields, or has spent its budget.
    Myself,
    /// Another thread, or this thread while it was inside another runtime: the wake came through the inbox.
    Thread,
    /// This task has ended, and the woken one awaited it.
    Join(Id),
    /// This blocking job has ended, or has sent a message.
    Job(u32),
    /// Code outside of all polls: the owner of the runtime, a hook, [`block_on`](fn@crate::block_on) itself.
    Other,
}

/// The outcome of a task.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::inspect::TaskOutcome;
///
/// assert_eq!(TaskOutcome::Cancelled.to_string(), "cancelled");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOutcome {
    /// It has returned a value.
    Value,
    /// It has panicked.
    Panic,
    /// Its future was dropped.
    Cancelled,
}

/// The cause of the end of a future that was not ready.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::inspect::CancelCause;
///
/// assert_eq!(CancelCause::RaceLost.to_string(), "race lost");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelCause {
    /// A handle has aborted the task.
    Abort,
    /// Another future of a [`race`](crate::race()) or a [`select`](crate::select()) was ready first.
    RaceLost,
    /// The time of a [`timeout`](crate::time::timeout) is over.
    Timeout,
    /// The client has gone, so its answer is not needed.
    ClientGone,
    /// The runtime ends.
    Shutdown,
    /// The owner of the task was dropped: a [`JoinSet`](crate::task::JoinSet) or a [`scope`](crate::task::scope).
    Drop,
}

/// A system call.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::inspect::SyscallOp;
///
/// assert_eq!(SyscallOp::EpollWait.to_string(), "epoll_wait");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyscallOp {
    /// A read of a socket, with any of the calls for that.
    Read,
    /// A write to a socket, with any of the calls for that.
    Write,
    /// `accept(2)`.
    Accept,
    /// `connect(2)`.
    Connect,
    /// `epoll_wait(2)`.
    EpollWait,
}

/// The result of a system call.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::inspect::SyscallResult;
///
/// assert_eq!(SyscallResult::Number(512).to_string(), "512");
/// assert_eq!(SyscallResult::WouldBlock.to_string(), "EAGAIN");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyscallResult {
    /// The number of bytes or events. Zero for `accept` and `connect`.
    Number(u64),
    /// `EAGAIN`, or `EINPROGRESS` of `connect(2)`: the task must wait.
    WouldBlock,
    /// Any other error.
    Error,
}

impl EventKind {
    /// Returns the task of the event, if it has one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::inspect::EventKind;
    ///
    /// assert_eq!(EventKind::Park { timeout: None }.task(), None);
    /// ```
    #[must_use]
    pub fn task(&self) -> Option<Id> {
        match *self {
            Self::Spawn { task, .. }
            | Self::Wake { task, .. }
            | Self::PollStart { task }
            | Self::PollEnd { task, .. }
            | Self::End { task, .. }
            | Self::Cancel { task, .. }
            | Self::LongPoll { task, .. } => Some(task),
            Self::Syscall { task, .. } => task,
            _ => None,
        }
    }
}

impl fmt::Display for WakeCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Io(_) => "io",
            Self::Timer => "timer",
            Self::Task(_) => "task",
            Self::Myself => "self",
            Self::Thread => "thread",
            Self::Join(_) => "join",
            Self::Job(_) => "job",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for TaskOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "value",
            Self::Panic => "panic",
            Self::Cancelled => "cancelled",
        })
    }
}

impl fmt::Display for CancelCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Abort => "abort",
            Self::RaceLost => "race lost",
            Self::Timeout => "timeout",
            Self::ClientGone => "client gone",
            Self::Shutdown => "shutdown",
            Self::Drop => "drop",
        })
    }
}

impl fmt::Display for SyscallOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Accept => "accept",
            Self::Connect => "connect",
            Self::EpollWait => "epoll_wait",
        })
    }
}

impl fmt::Display for SyscallResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::WouldBlock => f.write_str("EAGAIN"),
            Self::Error => f.write_str("error"),
        }
    }
}

/// Reads the id of a task from a word. Zero is no task.
pub(crate) fn task_of(inspected: &Inspected, word: u64) -> Option<Id> {
    let [generation, index] = halves(word);
    let task = TaskId {
        index,
        generation: NonZeroU32::new(generation)?,
    };
    Some(Id::of(RuntimeId::from_raw(inspected.runtime)?, task))
}

/// Reads a descriptor from the low half of a word.
fn fd_of(word: u64) -> Option<i32> {
    let fd = halves(word)[0].cast_signed();
    (fd >= 0).then_some(fd)
}

impl Event {
    /// Reads an event of the ring. Returns `None` for events that only name a task.
    pub(crate) fn of(inspected: &Inspected, seq: u64, raw: RawEvent) -> Option<Self> {
        Some(Self {
            seq,
            at: Duration::from_nanos(raw.at),
            kind: task_kind_of(inspected, raw).or_else(|| turn_kind_of(inspected, raw))?,
        })
    }
}

/// Reads the kinds that are about a task. Returns `None` for all others.
fn task_kind_of(inspected: &Inspected, raw: RawEvent) -> Option<EventKind> {
    let RawEvent { code, other, .. } = raw;
    let task = task_of(inspected, raw.task)?;
    let place = inspected.place(halves(raw.extra)[0]);
    Some(match code {
        code::SPAWN => EventKind::Spawn {
            task,
            parent: task_of(inspected, other),
        },
        code::WAKE_IO..=code::WAKE_OTHER => EventKind::Wake {
            task,
            cause: cause_of(inspected, code, other)?,
        },
        code::POLL_START => EventKind::PollStart { task },
        code::POLL_END => EventKind::PollEnd {
            task,
            ready: other == 1,
        },
        code::END => EventKind::End {
            task,
            outcome: match other {
                ENDED_VALUE => TaskOutcome::Value,
                ENDED_PANIC => TaskOutcome::Panic,
                _ => TaskOutcome::Cancelled,
            },
        },
        code::CANCEL => EventKind::Cancel {
            task,
            cause: match other {
                0 => CancelCause::Abort,
                1 => CancelCause::RaceLost,
                2 => CancelCause::Timeout,
                3 => CancelCause::ClientGone,
                4 => CancelCause::Shutdown,
                _ => CancelCause::Drop,
            },
            place,
        },
        code::LONG_POLL => EventKind::LongPoll {
            task,
            place,
            duration: Duration::from_nanos(other),
        },
        _ => return None,
    })
}

/// Reads the other kinds.
fn turn_kind_of(inspected: &Inspected, raw: RawEvent) -> Option<EventKind> {
    let [low, high] = halves(raw.other);
    Some(match raw.code {
        code::PARK => EventKind::Park {
            timeout: (raw.other != u64::MAX).then_some(Duration::from_nanos(raw.other)),
        },
        code::UNPARK => EventKind::Unpark {
            events: usize::try_from(raw.other).unwrap_or(usize::MAX),
        },
        code::IO_READY => {
            let ready = ready_of(high);
            EventKind::IoReady {
                fd: fd_of(raw.other),
                readable: ready.readable,
                writable: ready.writable,
                closed: ready.closed,
            }
        }
        code::TIMER => EventKind::Timer {
            lag: Duration::from_nanos(raw.other),
        },
        code::JOB_START => EventKind::JobStart { job: low },
        code::JOB_END => EventKind::JobEnd { job: low },
        code::CALL => EventKind::Syscall {
            task: task_of(inspected, raw.task),
            op: match high {
                0 => SyscallOp::Read,
                1 => SyscallOp::Write,
                2 => SyscallOp::Accept,
                3 => SyscallOp::Connect,
                _ => SyscallOp::EpollWait,
            },
            fd: fd_of(raw.other),
            result: match raw.extra {
                WOULD_BLOCK => SyscallResult::WouldBlock,
                FAILED => SyscallResult::Error,
                number => SyscallResult::Number(number),
            },
        },
        _ => return None,
    })
}

fn cause_of(inspected: &Inspected, code: u8, other: u64) -> Option<WakeCause> {
    Some(match code {
        code::WAKE_IO => WakeCause::Io(fd_of(other)),
        code::WAKE_TIMER => WakeCause::Timer,
        code::WAKE_TASK => WakeCause::Task(task_of(inspected, other)?),
        code::WAKE_SELF => WakeCause::Myself,
        code::WAKE_THREAD => WakeCause::Thread,
        code::WAKE_JOIN => WakeCause::Join(task_of(inspected, other)?),
        code::WAKE_JOB => WakeCause::Job(halves(other)[0]),
        _ => WakeCause::Other,
    })
}
