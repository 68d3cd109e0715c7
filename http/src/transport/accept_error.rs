//! What can go wrong when a connection is accepted, as the loop's owner must tell it apart.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// Why no connection was accepted.
///
/// Whatever it is, the loop goes on unless [`is_fatal`](Self::is_fatal) holds.
#[derive(Debug)]
pub struct AcceptError {
    kind: AcceptErrorKind,
    error: io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptErrorKind {
    Connection,
    Exhausted,
    Fatal,
}

impl AcceptError {
    pub(crate) fn new(error: io::Error) -> Self {
        Self {
            kind: kind_of(&error),
            error,
        }
    }

    pub(crate) fn closed() -> Self {
        let error = io::Error::new(io::ErrorKind::NotConnected, "the server has been closed");
        Self {
            kind: AcceptErrorKind::Fatal,
            error,
        }
    }

    /// Whether one connection died before it could be accepted. Go on.
    pub fn is_connection(&self) -> bool {
        self.kind == AcceptErrorKind::Connection
    }

    /// Whether the process or the system is out of something: descriptors, memory, buffers. The
    /// gate is shut now; await [`Server::capacity`](crate::Server::capacity).
    pub fn is_exhausted(&self) -> bool {
        self.kind == AcceptErrorKind::Exhausted
    }

    /// Whether the listener is gone: closed, or no socket. The loop has nothing more to do.
    pub fn is_fatal(&self) -> bool {
        self.kind == AcceptErrorKind::Fatal
    }
}

/// The errors of `accept(2)` by whose they are.
fn kind_of(error: &io::Error) -> AcceptErrorKind {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            AcceptErrorKind::Exhausted
        }
        Some(Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::OPNOTSUPP | Errno::FAULT) => {
            AcceptErrorKind::Fatal
        }
        _ => AcceptErrorKind::Connection,
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            AcceptErrorKind::Connection => "a connection was lost before it was accepted",
            AcceptErrorKind::Exhausted => "no connection can be accepted now",
            AcceptErrorKind::Fatal => "no connection can be accepted any more",
        };
        write!(f, "{what}: {}", self.error)
    }
}

impl std::error::Error for AcceptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<AcceptError> for io::Error {
    fn from(error: AcceptError) -> Self {
        Self::new(error.error.kind(), error)
    }
}
