//! One socket's readiness, and who waits for it, per direction.
//!
//! # How it works
//!
//! mio reports edges: "readable" is said once, when data arrives, not as long as there is some.
//! So readiness is *remembered*, in two places:
//!
//! ```text
//!  event ──► news, here in the reactor ──asked for──► known, in the socket itself
//! ```
//!
//! What the socket knows it need not ask for: an operation on a socket that is known to be ready
//! looks nowhere else. It asks when what it knows is used up, takes all the news there are, and
//! leaves a waker if they are not what it wants.
//!
//! | flag | set by | cleared by | makes ready |
//! |---|---|---|---|
//! | `READABLE` | event | short read, `WouldBlock` of a read | reading |
//! | `WRITABLE` | event | short write, `WouldBlock` of a write | writing |
//! | `READ_CLOSED` | event (FIN, reset) | `WouldBlock` of a read | reading |
//! | `WRITE_CLOSED` | event (reset, hang-up) | `WouldBlock` of a write | writing |
//! | `READ_ERROR` | event | `WouldBlock` of a read | reading |
//! | `WRITE_ERROR` | event | `WouldBlock` of a write | writing |
//!
//! The last four are sticky: a request and its FIN in one segment are *one* event; if the short
//! read of the request cleared everything, the end of the stream would never be seen.
//!
//! No connection says `WouldBlock` after its end. But other descriptors do: a datagram socket
//! goes on after it has reported an error, a named pipe after its next writer has come. There
//! the kernel's word counts for more than our memory.
//!
//! News that are older than what cleared the flag make for one try in vain, which clears it again;
//! never for a wait in vain.
//!
//! A task that reads is kept as its id: no waker is cloned, woken or dropped for it. It is entered
//! when it asks, whatever the answer, so that in the same poll it need not come back to say that it
//! waits (`polled`). The price is that an event may wake it, once, while it does something else.
//!
//! # Invariants
//!
//! - Always: whoever was told "not ready" is here, as a task or with a waker, or is about to be.
//! - Never: a waker woken in this module, or dropped before the source ends. They are handed out.

use std::num::NonZeroU32;
use std::task::Waker;

use mio::event::Event;

use crate::local_queue::TaskId;

/// The two directions in which a socket can be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Reading is ready. One waiter; a later one takes the place.
    Read,
    /// Writing is ready. One waiter; a later one takes the place.
    Write,
    /// Reading is ready; any number wait, all are woken.
    AnyReader,
    /// The peer has ended its direction, or all of the connection.
    ReadClosed,
    /// The connection is gone: a reset, a hang-up, an error.
    Closed,
}

impl Interest {
    /// The direction whose operations use the edge up.
    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Write => Direction::Write,
            Self::Read | Self::AnyReader | Self::ReadClosed | Self::Closed => Direction::Read,
        }
    }
}

impl From<Direction> for Interest {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Read => Self::Read,
            Direction::Write => Self::Write,
        }
    }
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const READ_CLOSED: u8 = 1 << 2;
const WRITE_CLOSED: u8 = 1 << 3;
const READ_ERROR: u8 = 1 << 4;
const WRITE_ERROR: u8 = 1 << 5;
const ERROR: u8 = READ_ERROR | WRITE_ERROR;

const READING: u8 = READABLE | READ_CLOSED | READ_ERROR;
const WRITING: u8 = WRITABLE | WRITE_CLOSED | WRITE_ERROR;

/// For what a socket is ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readiness(u8);

impl Readiness {
    /// Of a socket that has not been registered: the way to find out is to try.
    pub(crate) const UNTRIED: Self = Self(READABLE | WRITABLE);

    fn of(event: &Event) -> Self {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Self(
            flag(event.is_readable(), READABLE)
                | flag(event.is_writable(), WRITABLE)
                | flag(event.is_read_closed(), READ_CLOSED)
                | flag(event.is_write_closed(), WRITE_CLOSED)
                | flag(event.is_error(), ERROR),
        )
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This direction is ready.
    pub(crate) fn ready(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 | READABLE,
            Direction::Write => self.0 | WRITABLE,
        })
    }

    /// The edge of this direction is used up. What is sticky stays.
    pub(crate) fn cleared(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READABLE,
            Direction::Write => self.0 & !WRITABLE,
        })
    }

    /// The kernel has said that this direction would block, whatever was known of it.
    pub(crate) fn blocked(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READING,
            Direction::Write => self.0 & !WRITING,
        })
    }

    pub(crate) fn satisfies(self, interest: Interest) -> bool {
        let wanted = match interest {
            Interest::Read | Interest::AnyReader => READING,
            Interest::Write => WRITING,
            Interest::ReadClosed => READ_CLOSED | WRITE_CLOSED | ERROR,
            Interest::Closed => WRITE_CLOSED | ERROR,
        };
        self.0 & wanted != 0
    }
}

/// What the reactor keeps of one registered socket.
pub(crate) struct Source {
    pub(crate) generation: NonZeroU32,
    /// What has been reported since the socket last asked.
    news: Readiness,
    /// Who is to be woken for reading, if it is a task: perhaps once without need.
    reader: Option<TaskId>,
    /// Everybody else; not allocated unless somebody uses it.
    others: Option<Box<Others>>,
}

type Others = Vec<(Interest, Waker)>;

impl Source {
    pub(crate) fn new(generation: NonZeroU32) -> Self {
        Self {
            generation,
            news: Readiness::default(),
            reader: None,
            others: None,
        }
    }

    pub(crate) fn take_news(&mut self) -> Readiness {
        std::mem::take(&mut self.news)
    }

    /// Has a task woken for reading, in the place of the one before.
    pub(crate) fn set_reader(&mut self, task: Option<TaskId>) {
        self.reader = task;
    }

    /// Whether the waker to be woken is here already and need not be left.
    pub(crate) fn is_waited_for(&self, interest: Interest, waker: &Waker) -> bool {
        let mut others = self.others.iter().flat_map(|others| others.iter());
        others.any(|(other, waiter)| *other == interest && waiter.will_wake(waker))
    }

    /// Leaves a waker; hands out the one whose place it takes.
    pub(crate) fn wait(&mut self, interest: Interest, waker: Waker) -> Option<Waker> {
        let others = self.others.get_or_insert_default();
        if matches!(interest, Interest::Read | Interest::Write)
            && let Some((_, waiter)) = others.iter_mut().find(|(other, _)| *other == interest)
        {
            return Some(std::mem::replace(waiter, waker));
        }
        others.push((interest, waker));
        None
    }

    /// Takes an event in. Hands out the reader, if that makes it ready; the others' wakers are moved
    /// into `due`.
    pub(crate) fn deliver(&mut self, event: &Event, due: &mut Vec<Waker>) -> Option<TaskId> {
        self.add(Readiness::of(event), due)
    }

    fn add(&mut self, more: Readiness, due: &mut Vec<Waker>) -> Option<TaskId> {
        let news = self.news.and(more);
        self.news = news;
        if let Some(others) = &mut self.others {
            let ready = others.extract_if(.., |(interest, _)| news.satisfies(*interest));
            due.extend(ready.map(|(_, waker)| waker));
        }
        self.reader.take_if(|_| news.satisfies(Interest::Read))
    }

    pub(crate) fn reader(&self) -> Option<TaskId> {
        self.reader
    }

    /// All others who wait, for when the source ends.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        let others = self.others.into_iter().flat_map(|others| *others);
        others.map(|(_, waker)| waker)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may")]
mod tests {
    use super::*;

    const READ: Interest = Interest::Read;
    const WRITE: Interest = Interest::Write;

    #[test]
    fn what_is_sticky_outlives_a_short_read() {
        let known = Readiness(READABLE | READ_CLOSED).cleared(Direction::Read);
        assert!(known.satisfies(READ));
        assert!(known.satisfies(Interest::ReadClosed));
        assert!(!known.satisfies(Interest::Closed));
        assert!(!known.blocked(Direction::Read).satisfies(READ));
    }

    #[test]
    fn a_direction_that_is_used_up_is_not_ready() {
        let known = Readiness(READABLE | WRITABLE).cleared(Direction::Read);
        assert!(!known.satisfies(READ));
        assert!(known.satisfies(WRITE));
    }

    #[test]
    fn news_are_taken_once_and_wake_whom_they_concern() {
        let mut source = Source::new(NonZeroU32::MIN);
        let mut due = Vec::new();
        for (interest, replaces) in [
            (READ, false),
            (WRITE, false),
            (Interest::Closed, false),
            (WRITE, true),
        ] {
            let replaced = source.wait(interest, Waker::noop().clone());
            assert_eq!(replaced.is_some(), replaces);
        }
        assert!(source.add(Readiness(READABLE), &mut due).is_none());
        assert_eq!(std::mem::take(&mut due).len(), 1);
        assert!(source.add(Readiness(WRITABLE), &mut due).is_none());
        assert_eq!(due.len(), 1);
        assert_eq!(source.take_news(), Readiness(READABLE | WRITABLE));
        assert_eq!(source.take_news(), Readiness::default());
        assert_eq!(source.into_wakers().count(), 1);
    }

    #[test]
    fn a_reader_that_was_woken_is_not_woken_again_until_it_waits() {
        let mut source = Source::new(NonZeroU32::MIN);
        let mut due = Vec::new();
        let task = Some(TaskId::ROOT);
        for _ in 0..2 {
            source.set_reader(task);
            assert_eq!(source.add(Readiness(WRITABLE), &mut due), None);
            assert_eq!(source.add(Readiness(READABLE), &mut due), task);
            assert_eq!(source.add(Readiness(READABLE), &mut due), None);
            source.take_news();
        }
        assert_eq!(due.len(), 0);
    }

    #[test]
    fn a_source_stays_small() {
        assert!(size_of::<Source>() <= 24, "{}", size_of::<Source>());
        assert_eq!(size_of::<Option<Source>>(), size_of::<Source>());
    }
}
