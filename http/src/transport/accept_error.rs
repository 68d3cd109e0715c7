//! Errors of accept, grouped by the action that they ask of the accept loop.

use std::fmt;
use std::io;

use rustix::io::Errno;

/// The reason why no connection was accepted.
///
/// The accept loop goes on unless [`is_fatal`](Self::is_fatal) returns true.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{AcceptError, Request, Responded, Result, Server, StatusCode};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "hello", ()).await
/// }
///
/// async fn accept_loop(server: &Server) -> Result<(), AcceptError> {
///     loop {
///         match server.accept_request(hello).await {
///             Ok(()) => {}
///             Err(error) if error.is_closed() => return Ok(()),
///             Err(error) if error.is_fatal() => return Err(error),
///             Err(error) if error.is_exhausted() => server.capacity().await,
///             Err(error) => println!("a client was lost: {} {error}", error.is_connection()),
///         }
///     }
/// }
/// # waterwheel::runtime::block_on(async {
/// #     let server = Server::bind("127.0.0.1:0").unwrap();
/// #     server.close();
/// #     accept_loop(&server).await.unwrap();
/// # });
/// ```
#[derive(Debug)]
pub struct AcceptError {
    kind: AcceptErrorKind,
    error: io::Error,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AcceptErrorKind {
    Connection,
    Exhausted,
    /// This process has closed the server.
    Closed,
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
            kind: AcceptErrorKind::Closed,
            error,
        }
    }

    /// Returns true if one connection was lost before it could be accepted. The loop goes on.
    pub fn is_connection(&self) -> bool {
        self.kind == AcceptErrorKind::Connection
    }

    /// Returns true if the process or the system has no descriptors, memory or buffers left. The gate is now
    /// shut. Await [`Server::capacity`](crate::Server::capacity).
    pub fn is_exhausted(&self) -> bool {
        self.kind == AcceptErrorKind::Exhausted
    }

    /// Returns true if the server was closed by this process: by [`Server::close`](crate::Server::close), or by a
    /// shutdown that has emptied the queue. The loop ends with success.
    pub fn is_closed(&self) -> bool {
        self.kind == AcceptErrorKind::Closed
    }

    /// Returns true if the server was [closed](Self::is_closed), or if the listener fails for good. The loop must
    /// end.
    pub fn is_fatal(&self) -> bool {
        matches!(self.kind, AcceptErrorKind::Closed | AcceptErrorKind::Fatal)
    }
}

/// Groups the errors of `accept(2)`.
fn kind_of(error: &io::Error) -> AcceptErrorKind {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            AcceptErrorKind::Exhausted
        }
        Some(Errno::BADF | Errno::NOTSOCK | Errno::INVAL | Errno::OPNOTSUPP | Errno::FAULT) => {
            AcceptErrorKind::Fatal
        }
        // Linux reports pending network errors of a new connection from `accept`. They concern only that one.
        _ => AcceptErrorKind::Connection,
    }
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            AcceptErrorKind::Connection => "a connection was lost before it was accepted",
            AcceptErrorKind::Exhausted => "the process can accept no connection now",
            AcceptErrorKind::Closed | AcceptErrorKind::Fatal => {
                "the listener can accept no more connections"
            }
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
