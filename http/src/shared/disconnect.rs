//! What a server makes of clients that leave.
//!
//! TCP tells two things apart. A client that has *ended its direction* (FIN) sends nothing more and
//! may well wait for its answer: `curl`, `nc` and every "send, shut down, read" script do. A client
//! that is *gone* (reset, or both directions ended) will never read anything. A client that closes
//! its socket looks like the first until something is written to it.

/// What the end of a client's direction, a mere FIN, means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHalfClose {
    /// The end of what it sends: it still waits for its answers, and gets them.
    #[default]
    KeepServing,
    /// The client has left. For services whose clients never end their direction alone: long polls
    /// and event streams then end with their clients.
    Disconnect,
}

/// What becomes of the handler of a client that has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisconnect {
    /// It runs to its end, as any other; [`Request::disconnected`](crate::Request::disconnected)
    /// tells it.
    #[default]
    FinishHandler,
    /// It is dropped where it waits.
    DropHandler,
}

/// Both.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Departure {
    pub(crate) half_close: OnHalfClose,
    pub(crate) disconnect: OnDisconnect,
}
