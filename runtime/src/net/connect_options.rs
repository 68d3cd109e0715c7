//! The options of a TCP client, and the way in which it finds an address that answers.
//!
//! # How it works
//!
//! A name may have addresses that do not answer, often those of IPv6. So the attempts overlap (Happy Eyeballs,
//! RFC 8305): the next address is tried as soon as an attempt fails, and at the latest 250 ms after the last
//! one began. The first connection wins, and the sockets of the other attempts are closed.
//!
//! ```text
//!  v6 a ──────── SYN ───────────────────────────────────╳ closed
//!  v4 b          └─ 250 ms ─► SYN ─── refused
//!  v6 c                               └─ SYN ───► connected
//! ```
//!
//! The addresses alternate between the families (RFC 8305, section 4). Within a family, they keep the order of
//! the resolver.
//!
//! # Invariants
//!
//! - Always: when the future completes or is dropped, no socket of it is left but the one that it returns.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::destination::Destination;
use super::tcp_stream::TcpStream;
use crate::budget;
use crate::causes::Call;
use crate::instant::Instant;
use crate::nodes::{self, Origin, Subject};
use crate::points;
use crate::sys;
use crate::time::{Sleep, sleep};

/// The time after which the next address is tried (RFC 8305, section 5: Connection Attempt Delay).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The options of a TCP client, which are set before it connects.
///
/// There is no `SO_LINGER`, because a time above zero makes the drop of the stream block this thread (`socket(7)`).
/// For zero, use [`reset_on_drop`](super::Stream::reset_on_drop).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::net::{ConnectOptions, TcpListener};
///
/// block_on(async {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let options = ConnectOptions::new()
///         .bind("127.0.0.1:0".parse().unwrap())
///         .reuse_address(true)
///         .nodelay(true)
///         .keepalive(Duration::from_secs(60))
///         .send_buffer_bytes(256 * 1024)
///         .receive_buffer_bytes(256 * 1024)
///         .hops_max(4);
///     let stream = options.connect(listener.local_address()?).await?;
///     assert!(stream.nodelay()?);
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
#[doc(alias = "TcpSocket")]
pub struct ConnectOptions {
    from: Option<SocketAddr>,
    reuse_address: bool,
    nodelay: bool,
    keepalive: Option<Duration>,
    send_buffer_bytes: Option<usize>,
    receive_buffer_bytes: Option<usize>,
    hops_max: Option<u32>,
}

impl ConnectOptions {
    /// Returns the defaults: the kernel chooses the local address, and all options are those of the system.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Connects from this local address (`bind(2)`). Port 0 means any free port. Peers of the other family are
    /// not tried.
    #[must_use]
    pub fn bind(mut self, local: SocketAddr) -> Self {
        self.from = Some(local);
        self
    }

    /// Allows [`bind`](Self::bind) to a port right after another connection has used it (`SO_REUSEADDR`). Off
    /// by default.
    #[must_use]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Sends small writes at once (`TCP_NODELAY`). Off by default.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Makes the kernel probe a silent peer (`SO_KEEPALIVE`). The first probe is sent after this time, and the
    /// further ones as in [`ListenOptions::keepalive`](super::ListenOptions::keepalive). Off by default.
    #[must_use]
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.keepalive = Some(after);
        self
    }

    /// Sets the size of the kernel's send buffer (`SO_SNDBUF`). Linux doubles the number. The default grows as
    /// needed, and a set size does not.
    #[must_use]
    pub fn send_buffer_bytes(mut self, bytes: usize) -> Self {
        self.send_buffer_bytes = Some(bytes);
        self
    }

    /// Sets the size of the kernel's receive buffer (`SO_RCVBUF`); see
    /// [`send_buffer_bytes`](Self::send_buffer_bytes).
    #[must_use]
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> Self {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    /// Sets the number of routers that a packet may pass (`IP_TTL`, `IPV6_UNICAST_HOPS`).
    #[must_use]
    #[doc(alias = "ttl")]
    pub fn hops_max(mut self, hops: u32) -> Self {
        self.hops_max = Some(hops);
        self
    }

    /// Opens a connection; see [`TcpStream::connect`].
    ///
    /// # Errors
    ///
    /// Returns the same errors, and those of `setsockopt(2)` and `bind(2)`.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all attempts and closes their sockets.
    #[track_caller]
    pub fn connect(
        &self,
        to: impl Into<Destination>,
    ) -> impl Future<Output = io::Result<TcpStream>> {
        self.connect_for(to.into(), Origin::here("connect"))
    }

    async fn connect_for(&self, to: Destination, origin: Origin) -> io::Result<TcpStream> {
        // A connection within the machine may be ready at once. So without a cost, a loop of connects would
        // keep the thread.
        poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        let mut addresses = to.addresses().await?;
        if let Some(from) = self.from {
            // The kernel would refuse them, and its error would hide that of a real attempt.
            addresses.retain(|address| address.is_ipv4() == from.is_ipv4());
        }
        // Not a task for each attempt: a drop of this future must end them all.
        let mut attempts = Attempts::new(alternating(addresses));
        poll_fn(|cx| {
            nodes::enter(
                cx,
                origin,
                || Subject::None,
                |cx| attempts.poll_first(cx, |address| self.start(address)),
            )
        })
        .await
    }

    /// Starts an attempt, and does not wait for its end.
    fn start(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = sys::open(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        self.set(&socket, address)?;
        // A non-blocking `connect` usually returns EINPROGRESS. On the own machine it may succeed at once.
        let connected = socket.connect(&address.into());
        points::call(Call::Connect, &socket, &connected, |()| 0);
        match connected {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::INPROGRESS) => Err(error),
            _ => Ok(TcpStream::from_nonblocking(socket.into())),
        }
    }

    /// Sets the options of a socket that is to connect to `address`.
    fn set(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if self.nodelay {
            socket.set_tcp_nodelay(true)?;
        }
        if let Some(after) = self.keepalive {
            set_keepalive(socket, after)?;
        }
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        match (self.hops_max, address) {
            (Some(hops), SocketAddr::V4(_)) => socket.set_ttl_v4(hops)?,
            (Some(hops), SocketAddr::V6(_)) => socket.set_unicast_hops_v6(hops)?,
            (None, _) => {}
        }
        // Last, because the kernel reads the other options when it binds.
        if let Some(from) = self.from {
            socket.set_reuse_address(self.reuse_address)?;
            socket.bind(&from.into())?;
        }
        Ok(())
    }
}

/// Makes the kernel probe a silent peer after this time, at least a second, and then up to nine times.
pub(super) fn set_keepalive(socket: &Socket, after: Duration) -> io::Result<()> {
    // `setsockopt` counts whole seconds, and refuses zero.
    let second = Duration::from_secs(1);
    let keepalive = TcpKeepalive::new().with_time(after.max(second));
    let keepalive = keepalive.with_interval((after / 10).max(second));
    socket.set_tcp_keepalive(&keepalive.with_retries(9))
}

/// Makes the families alternate, beginning with that of the first address. Within a family, the order stays.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv6) else {
        return addresses;
    };
    let (mut own, mut other): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| address.is_ipv6() == first);
    // While both families have addresses, one of each. The rest of the longer list follows.
    let mut all = Vec::with_capacity(own.len() + other.len());
    let pairs = own.len().min(other.len());
    for (own, other) in own.drain(..pairs).zip(other.drain(..pairs)) {
        all.extend([own, other]);
    }
    all.extend(own);
    all.extend(other);
    all
}

/// The attempts of one connect.
struct Attempts {
    /// The addresses that are not tried yet.
    addresses: std::vec::IntoIter<SocketAddr>,
    /// The sockets whose attempts have not ended.
    running: Vec<TcpStream>,
    /// The time at which the next address is tried.
    next: Sleep,
    /// The error of the last attempt that has failed.
    error: io::Error,
}

impl Attempts {
    fn new(addresses: Vec<SocketAddr>) -> Self {
        Self {
            addresses: addresses.into_iter(),
            running: Vec::new(),
            // The first attempt sets it.
            next: sleep(Duration::ZERO),
            error: io::Error::new(
                io::ErrorKind::InvalidInput,
                "there is no address to connect to",
            ),
        }
    }

    /// Completes with the first connection, or with an error after all attempts have failed.
    fn poll_first(
        &mut self,
        cx: &mut Context<'_>,
        start: impl Fn(SocketAddr) -> io::Result<TcpStream>,
    ) -> Poll<io::Result<TcpStream>> {
        if let Poll::Ready(stream) = self.poll_running(cx) {
            return Poll::Ready(Ok(stream));
        }
        // An attempt that fails at once, for example for want of a route, makes room for the next one.
        while self.running.is_empty()
            || self.addresses.len() > 0 && Pin::new(&mut self.next).poll(cx).is_ready()
        {
            match self.addresses.next().map(&start) {
                None if self.running.is_empty() => {
                    let none = io::ErrorKind::Other.into();
                    return Poll::Ready(Err(std::mem::replace(&mut self.error, none)));
                }
                // No address is left, so only the running attempts can end the wait.
                None => break,
                Some(Err(error)) => self.error = error,
                Some(Ok(stream)) => {
                    self.running.push(stream);
                    self.next.reset(Instant::now() + ATTEMPT_DELAY);
                    // A connect within the machine may have ended already. Otherwise this registers the socket.
                    if let Poll::Ready(stream) = self.poll_running(cx) {
                        return Poll::Ready(Ok(stream));
                    }
                }
            }
        }
        Poll::Pending
    }

    /// Polls all attempts, and removes those that have failed. A failure makes the next address due.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<TcpStream> {
        // All of them, also those without news: there are few, and a list of their own would cost more code.
        let mut index = 0;
        while index < self.running.len() {
            let stream = &self.running[index];
            // The socket is writable when the attempt has ended, and `SO_ERROR` has its result (`connect(2)`).
            let ended = stream
                .poll_connected(cx)
                .map(|ended| ended.and_then(|()| stream.io().take_error()));
            match ended {
                Poll::Pending => index += 1,
                Poll::Ready(Ok(None)) => return Poll::Ready(self.running.remove(index)),
                Poll::Ready(Ok(Some(error)) | Err(error)) => {
                    self.running.remove(index);
                    self.error = error;
                    self.next.reset(Instant::now());
                }
            }
        }
        Poll::Pending
    }
}

/// Clients with the default options.
impl TcpStream {
    /// Opens a connection to an address, or to a name: `"host:port"` or `("host", port)`.
    ///
    /// A name is resolved on the blocking pool. If it has several addresses, the next one is tried when an
    /// attempt fails, or 250 ms after the last attempt began (RFC 8305). The first connection wins. There is no
    /// limit on the time; use [`timeout`](crate::time::timeout()) for one.
    ///
    /// # Errors
    ///
    /// Fails if the name does not resolve. If all attempts fail, returns the error of the last one, as
    /// `connect(2)` does: the peer refuses, it is unreachable, or no descriptor is left.
    ///
    /// # Panics
    ///
    /// Panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends all attempts and closes their sockets. If a thread of the pool has begun to
    /// resolve the name, it finishes that.
    #[track_caller]
    pub fn connect(to: impl Into<Destination>) -> impl Future<Output = io::Result<Self>> {
        let (to, origin) = (to.into(), Origin::here("connect"));
        async move { ConnectOptions::new().connect_for(to, origin).await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_families_alternate_and_keep_their_order() {
        let parse = |text: &str| -> Vec<SocketAddr> {
            let port = |address: &str| SocketAddr::new(address.parse().expect("an address"), 1);
            text.split_whitespace().map(port).collect()
        };
        for (resolved, tried) in [
            ("", ""),
            ("::1 ::2 1.1.1.1 2.2.2.2", "::1 1.1.1.1 ::2 2.2.2.2"),
            ("1.1.1.1 2.2.2.2 ::1", "1.1.1.1 ::1 2.2.2.2"),
            ("::1 ::2 ::3", "::1 ::2 ::3"),
            ("::1 1.1.1.1 2.2.2.2 3.3.3.3", "::1 1.1.1.1 2.2.2.2 3.3.3.3"),
        ] {
            assert_eq!(alternating(parse(resolved)), parse(tried), "{resolved}");
        }
    }
}
