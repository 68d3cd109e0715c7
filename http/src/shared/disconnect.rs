//! The meaning of clients that leave.
//!
//! TCP distinguishes two cases. A client that has *closed its write half* (FIN) sends no more bytes, but it
//! may wait for its answer: `curl`, `nc` and every "send, shut down, read" script do so. A client that is
//! *gone* (reset, or both halves closed) reads no more. A client that closes its socket looks like the first
//! case until the server writes to it.

/// The meaning of a client's FIN, which closes only its write half.
///
/// A client that has *closed its write half* (FIN) sends no more bytes, but it may wait for its answer: `curl`, `nc`
/// and every "send, shut down, read" script do so. A client that is *gone* (reset, or both halves closed) reads no
/// more. A client that closes its socket looks like the first case until the server writes to it. Set this with
/// [`Builder::on_half_close`](crate::Builder::on_half_close).
///
/// # Examples
///
/// ```
/// use waterwheel::http::{OnHalfClose, Server};
///
/// // Browsers close both halves at once, so the end of one means that the reader of a live page is gone.
/// let server = Server::builder().on_half_close(OnHalfClose::Disconnect).bind("127.0.0.1:0")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnHalfClose {
    /// The client sends no more, but it waits for its answers, and the server sends them.
    #[default]
    KeepServing,
    /// The client has left. Use this for services whose clients never close their write half alone. Then long
    /// polls and event streams end with their clients.
    Disconnect,
}

/// The effect on the handler if its client has left.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{OnDisconnect, Server};
///
/// // Handlers only read, so the rest of their work is not missed.
/// let server = Server::builder().on_disconnect(OnDisconnect::DropHandler).bind("127.0.0.1:0")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDisconnect {
    /// The handler runs to its end. [`Request::disconnected`](crate::Request::disconnected) completes in it.
    #[default]
    FinishHandler,
    /// The server drops the handler at its next wait.
    DropHandler,
}

/// Both settings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Departure {
    pub(crate) half_close: OnHalfClose,
    pub(crate) disconnect: OnDisconnect,
}
