//! The subject of a wait: the word that a future has for it.
//!
//! It is there in each build, because the futures name it. Without the feature `inspect`, the compiler drops it.
#![cfg_attr(
    not(feature = "inspect"),
    allow(dead_code, reason = "only a build that records reads it")
)]

use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;

use crate::instant::Instant;
use crate::local_queue::TaskId;

/// A place in the program, if it is known.
pub(crate) type Site = Option<&'static Location<'static>>;

/// The subject of a reason.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    None,
    /// A part of a task with a name. The text is the user's.
    Named(Option<Arc<str>>),
    /// A part of a task that is in one of several phases.
    Phase(&'static str),
    /// A deadline.
    Until(Instant),
    Socket {
        fd: i32,
        end: SocketEnd,
    },
    /// The end of a task.
    Task(TaskId),
    /// The permits of a semaphore, or room in a channel. The address names it.
    Permits(usize),
    /// A message of a channel: the address of its senders, and the number of them.
    Senders(usize, usize),
    /// A number of futures.
    Futures(usize),
    /// A combinator that polls this many futures each time.
    Among(usize),
    /// A blocking job.
    Job(usize),
    /// A child process.
    Process(u32),
    /// Bit *n* is set for signal *n*.
    Signals(u128),
}

impl Subject {
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Socket { fd, .. }, Self::Socket { fd: other, .. }) => fd == other,
            (Self::Task(task), Self::Task(other)) => task == other,
            (Self::Permits(at), Self::Permits(other))
            | (Self::Senders(at, _), Self::Senders(other, _)) => at == other,
            (Self::Signals(mask), Self::Signals(other)) => mask == other,
            // A phase is a part of the life of one future.
            (Self::Named(_) | Self::Phase(_), Self::Named(_) | Self::Phase(_)) => true,
            // A deadline may move while its future stays.
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// The address that tells a reader which socket it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SocketEnd {
    Peer(SocketAddr),
    Local(SocketAddr),
    Unknown,
}

/// Returns the address of a value as its name. It is never read through.
pub(crate) fn address<T>(of: &T) -> usize {
    std::ptr::from_ref(of) as usize
}
