//! One socket's readiness, and the tasks that wait for it.

use std::task::{Context, Poll, Waker};

use mio::event::Event;

/// The two directions in which a socket can be ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Read,
    Write,
}

const READABLE: u8 = 1;
const WRITABLE: u8 = 1 << 1;
const READ_CLOSED: u8 = 1 << 2;
const WRITE_CLOSED: u8 = 1 << 3;

/// The directions in which a socket is ready.
///
/// | flag | set by | cleared by | makes ready |
/// |---|---|---|---|
/// | `READABLE` | event | the caller, when the kernel has no more bytes | reading |
/// | `WRITABLE` | event | the caller, when the kernel takes no more bytes | writing |
/// | `READ_CLOSED` | event (the peer sends no more, or an error) | never | reading |
/// | `WRITE_CLOSED` | event (the connection is gone, or an error) | never | writing |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness(u8);

impl Readiness {
    /// The readiness of a new socket: its operation is tried first.
    const UNTRIED: Self = Self(READABLE | WRITABLE);

    /// Returns the flags of an event.
    pub fn of(event: &Event) -> Self {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        Self(
            flag(event.is_readable(), READABLE)
                | flag(event.is_writable(), WRITABLE)
                | flag(event.is_read_closed() || event.is_error(), READ_CLOSED)
                | flag(event.is_write_closed() || event.is_error(), WRITE_CLOSED),
        )
    }

    /// Returns true if an operation in this direction need not wait.
    pub fn satisfies(self, direction: Direction) -> bool {
        // A read at the end of the stream returns at once. So it counts as ready.
        let wanted = match direction {
            Direction::Read => READABLE | READ_CLOSED,
            Direction::Write => WRITABLE | WRITE_CLOSED,
        };
        self.0 & wanted != 0
    }

    /// Clears the flag of this direction. The flags of closed sides stay.
    fn cleared(self, direction: Direction) -> Self {
        Self(match direction {
            Direction::Read => self.0 & !READABLE,
            Direction::Write => self.0 & !WRITABLE,
        })
    }
}

/// The reactor's part of one registered socket.
pub struct Source {
    /// Distinguishes the sockets that have this slot one after the other.
    pub generation: u32,
    readiness: Readiness,
    /// The task that waits to read.
    reader: Option<Waker>,
    /// The task that waits to write.
    writer: Option<Waker>,
}

impl Source {
    pub fn new(generation: u32) -> Self {
        Self {
            generation,
            readiness: Readiness::UNTRIED,
            reader: None,
            writer: None,
        }
    }

    /// Adds the flags of an event, and moves the wakers of the tasks that need not wait any more into `due`.
    pub fn add(&mut self, more: Readiness, due: &mut Vec<Waker>) {
        self.readiness.0 |= more.0;
        if self.readiness.satisfies(Direction::Read) {
            due.extend(self.reader.take());
        }
        if self.readiness.satisfies(Direction::Write) {
            due.extend(self.writer.take());
        }
    }

    /// Returns `Ready` if an operation in this direction should be tried. Otherwise stores the waker.
    ///
    /// Returns the waker that was there before, which the caller must drop: a destructor may be foreign code.
    pub fn poll_ready(
        &mut self,
        direction: Direction,
        cx: &mut Context<'_>,
    ) -> (Poll<()>, Option<Waker>) {
        if self.readiness.satisfies(direction) {
            return (Poll::Ready(()), None);
        }
        let place = match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        };
        (Poll::Pending, place.replace(cx.waker().clone()))
    }

    /// Notes that the kernel has returned `WouldBlock` in this direction.
    pub fn clear(&mut self, direction: Direction) {
        self.readiness = self.readiness.cleared(direction);
    }
}
