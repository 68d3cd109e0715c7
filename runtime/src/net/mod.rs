//! Sockets: TCP, Unix, and any other descriptor that can be waited for.
//!
//! # How it works
//!
//! All of them are a `Socket` inside: a non-blocking descriptor that registers with the
//! reactor of the runtime it first has to wait in. They implement the `futures-io` traits, by
//! value and by reference, so reading and writing at once needs no lock and no clone.
//!
//! # Invariants
//!
//! - Always: plain data. A socket can be made outside a runtime and sent to another thread; it
//!   stays with the runtime it first waited in.
//! - Never: SIGPIPE, whatever the process does with it. Writing to a connection that is gone is an error,
//!   in every way of writing; only the operations of an [`AsyncFd`] are its user's.

mod async_fd;
#[cfg(target_os = "linux")]
mod defer_accept;
mod listen_options;
mod listener;
mod lookup;
mod no_signal;
mod socket;
mod split;
mod stream;
mod tcp_listener;
mod tcp_stream;
mod unix;

pub use async_fd::AsyncFd;
pub use listen_options::ListenOptions;
pub use listener::{Accept, Listener};
pub use lookup::lookup_host;
pub use split::{ReadHalf, WriteHalf};
pub use stream::{Connected, Stream};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use unix::{Bound, UnixListener, UnixStream};
