//! One socket's readiness, and who waits for it, per direction.
//!
//! # How it works
//!
//! mio reports edges: "readable" is said once, when data arrives, not as long as there is some.
//! So readiness is *remembered* here: an event sets it, and only an operation that proves the
//! edge used up clears it (`WouldBlock`, a short read, a short write).
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
//! # Invariants
//!
//! - Always: whoever was told "not ready" has a waker here, or is about to leave one.
//! - Never: a waker woken or dropped in this module. They are handed out.

use std::task::Waker;

use mio::event::Event;

/// The two directions in which a socket can be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// The direction is ready. One waiter for each; a later one takes the place.
    One(Direction),
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
            Self::One(direction) => direction,
            Self::AnyReader | Self::ReadClosed | Self::Closed => Direction::Read,
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

#[derive(Clone, Copy)]
struct Readiness(u8);

impl Readiness {
    fn of(event: &Event) -> Self {
        let flags = [
            (event.is_readable(), READABLE),
            (event.is_writable(), WRITABLE),
            (event.is_read_closed(), READ_CLOSED),
            (event.is_write_closed(), WRITE_CLOSED),
            (event.is_error(), ERROR),
        ];
        Self(
            flags
                .iter()
                .filter(|(set, _)| *set)
                .fold(0, |all, (_, flag)| all | flag),
        )
    }

    fn satisfies(self, interest: Interest) -> bool {
        let wanted = match interest {
            Interest::One(Direction::Read) | Interest::AnyReader => READING,
            Interest::One(Direction::Write) => WRITING,
            Interest::ReadClosed => READ_CLOSED | WRITE_CLOSED | ERROR,
            Interest::Closed => WRITE_CLOSED | ERROR,
        };
        self.0 & wanted != 0
    }
}

/// What the reactor keeps of one registered socket.
pub(crate) struct Source {
    pub(crate) generation: u32,
    readiness: Readiness,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Everybody else; not allocated unless somebody uses it.
    others: Option<Box<Others>>,
}

type Others = Vec<(Interest, Waker)>;

impl Source {
    pub(crate) fn new(generation: u32) -> Self {
        Self {
            generation,
            readiness: Readiness(0),
            reader: None,
            writer: None,
            others: None,
        }
    }

    pub(crate) fn is_ready(&self, interest: Interest) -> bool {
        self.readiness.satisfies(interest)
    }

    /// The edge of this direction is used up. What is sticky stays.
    pub(crate) fn clear(&mut self, direction: Direction) {
        self.readiness.0 &= match direction {
            Direction::Read => !READABLE,
            Direction::Write => !WRITABLE,
        };
    }

    /// The kernel has said that this direction would block, whatever was known of it.
    pub(crate) fn block(&mut self, direction: Direction) {
        self.readiness.0 &= match direction {
            Direction::Read => !READING,
            Direction::Write => !WRITING,
        };
    }

    /// Whether exactly this task waits for that already, so that its waker need not be cloned.
    pub(crate) fn has_waiter(&self, interest: Interest, waker: &Waker) -> bool {
        match interest {
            Interest::One(Direction::Read) => will_wake(self.reader.as_ref(), waker),
            Interest::One(Direction::Write) => will_wake(self.writer.as_ref(), waker),
            _ => self.others.iter().any(|others| {
                others
                    .iter()
                    .any(|(other, waiter)| *other == interest && waiter.will_wake(waker))
            }),
        }
    }

    /// Leaves a waker; hands out the one whose place it takes.
    pub(crate) fn wait(&mut self, interest: Interest, waker: Waker) -> Option<Waker> {
        match interest {
            Interest::One(Direction::Read) => self.reader.replace(waker),
            Interest::One(Direction::Write) => self.writer.replace(waker),
            _ => {
                self.others.get_or_insert_default().push((interest, waker));
                None
            }
        }
    }

    /// Takes an event in, and moves the wakers of all that it makes ready into `due`.
    pub(crate) fn deliver(&mut self, event: &Event, due: &mut Vec<Waker>) {
        self.readiness.0 |= Readiness::of(event).0;
        if self.is_ready(Interest::One(Direction::Read)) {
            due.extend(self.reader.take());
        }
        if self.is_ready(Interest::One(Direction::Write)) {
            due.extend(self.writer.take());
        }
        if let Some(others) = &mut self.others {
            let readiness = self.readiness;
            let ready = others.extract_if(.., |(interest, _)| readiness.satisfies(*interest));
            due.extend(ready.map(|(_, waker)| waker));
        }
    }

    /// All who wait, for when the source ends.
    pub(crate) fn into_waiters(self) -> impl Iterator<Item = Waker> {
        let others = self.others.into_iter().flat_map(|others| *others);
        let pair = self.reader.into_iter().chain(self.writer);
        pair.chain(others.map(|(_, waker)| waker))
    }
}

fn will_wake(waiter: Option<&Waker>, waker: &Waker) -> bool {
    waiter.is_some_and(|waiter| waiter.will_wake(waker))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sticky_outlives_a_short_read() {
        let mut source = Source::new(0);
        source.readiness.0 = READABLE | READ_CLOSED;
        source.clear(Direction::Read);
        assert!(source.is_ready(Interest::One(Direction::Read)));
        assert!(source.is_ready(Interest::ReadClosed));
        assert!(!source.is_ready(Interest::Closed));
    }

    #[test]
    fn a_direction_that_is_used_up_is_not_ready() {
        let mut source = Source::new(0);
        source.readiness.0 = READABLE | WRITABLE;
        source.clear(Direction::Read);
        assert!(!source.is_ready(Interest::One(Direction::Read)));
        assert!(source.is_ready(Interest::One(Direction::Write)));
    }

    #[test]
    fn a_source_stays_small() {
        assert!(size_of::<Source>() <= 48, "{}", size_of::<Source>());
    }
}
