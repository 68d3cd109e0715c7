//! Sockets: TCP, Unix, and any other descriptor that can be waited for.
//!
//! # How it works
//!
//! Each type has a `Socket` inside: a non-blocking descriptor. It registers with the reactor of the runtime in
//! which it first has to wait. Streams implement the `futures-io` traits, by value and by reference. So a
//! program can read and write at the same time without a lock and without a clone.
//!
//! # Invariants
//!
//! - Always: a socket is plain data. A program can make it outside a runtime and send it to another thread. It
//!   stays with the runtime in which it first waited.
//! - Never: SIGPIPE, whatever the process does with that signal. A write to a connection that is gone returns
//!   an error, in every way of writing. The exception is [`AsyncFd`], whose user supplies the operations.

mod async_fd;
mod connect_options;
mod datagram;
mod destination;
mod incoming;
mod listen_options;
mod listener;
mod lookup;
mod owned_halves;
mod registration;
pub(crate) mod socket;
mod socket_file;
mod split;
mod stream;
mod tcp_listener;
mod tcp_stream;
mod udp;
mod unix;
mod unix_datagram;

pub use async_fd::AsyncFd;
pub use connect_options::ConnectOptions;
pub use datagram::{Datagram, DatagramSocket};
pub use destination::Destination;
pub use listen_options::ListenOptions;
pub use listener::{Accept, Listener};
pub use lookup::lookup_host;
pub use owned_halves::{OwnedReadHalf, OwnedWriteHalf};
pub use split::{ReadHalf, WriteHalf};
pub use stream::{Connected, Stream};
pub use tcp_listener::TcpListener;
pub use tcp_stream::TcpStream;
pub use udp::UdpSocket;
pub use unix::{Bound, UnixListener, UnixStream};
pub use unix_datagram::{BoundDatagram, UnixDatagram};
