//! Sockets: TCP, Unix, and any other descriptor that can be waited for.
//!
//! # How it works
//!
//! All of them have a `Socket` inside: a non-blocking descriptor that registers with the reactor of the
//! runtime in which it first has to wait. Streams implement the `futures-io` traits, by value and by
//! reference, so reading and writing at once needs no lock and no clone.
//!
//! # Invariants
//!
//! - Always: plain data. A socket can be made outside a runtime and sent to another thread. It stays with
//!   the runtime in which it first waited.
//! - Never: SIGPIPE, for any disposition of the signal. A write to a connection that is gone returns an
//!   error, in every way of writing. This does not hold for the operations of an [`AsyncFd`], because its
//!   user supplies them.

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
