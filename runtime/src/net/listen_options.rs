//! The options of a listener.
//!
//! # How it works
//!
//! The options are set before the socket is bound, because the kernel reads some of them then. An accepted
//! connection inherits `TCP_NODELAY` and keep-alive from its listener, so they cost no call for each
//! connection.
//!
//! # Invariants
//!
//! - Always: an error of [`ListenOptions::bind`] names the address.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use super::connect_options::set_keepalive;
use super::tcp_listener::TcpListener;
use super::unix::{self, UnixListener};
use crate::sys;

/// The options of a listener, which are set before its socket is bound.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::net::ListenOptions;
///
/// let listener = ListenOptions::new().backlog(64).bind("127.0.0.1:0")?;
/// assert_ne!(listener.local_address()?.port(), 0);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenOptions {
    reuse_address: bool,
    reuse_port: bool,
    only_v6: Option<bool>,
    nodelay: bool,
    keepalive: Option<Duration>,
    defer_accept: Option<Duration>,
    backlog: i32,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            // Otherwise a TCP address is unavailable for some time after its close (`ip(7)`), and a server could
            // not start again at once.
            reuse_address: true,
            reuse_port: false,
            only_v6: None,
            // Nagle's algorithm would hold a small answer back until the client has acknowledged the one before.
            nodelay: true,
            keepalive: None,
            defer_accept: None,
            // The kernel's own limit by default since Linux 5.4 (`listen(2)`).
            backlog: 4096,
        }
    }
}

impl ListenOptions {
    /// Returns the defaults: the address can be bound again at once, the port is not shared, small writes are
    /// sent at once, and the backlog is 4,096.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::net::ListenOptions;
    ///
    /// let options = ListenOptions::new()
    ///     .reuse_address(true)
    ///     .reuse_port(true) // another process may listen on the same port
    ///     .only_v6(false) // v4 clients come in, too
    ///     .nodelay(true)
    ///     .keepalive(Duration::from_secs(60))
    ///     .defer_accept(Duration::from_secs(5));
    /// let listener = options.bind("[::]:0").or_else(|_| options.bind("0.0.0.0:0"))?;
    /// # drop(listener);
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Allows a process to bind a port right after the last owner has closed it (`SO_REUSEADDR`). On by
    /// default.
    #[must_use]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.reuse_address = reuse;
        self
    }

    /// Allows other sockets to bind the same port and share its connections (`SO_REUSEPORT`). Off by default.
    #[must_use]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.reuse_port = reuse;
        self
    }

    /// Restricts a v6 address to v6 connections (`IPV6_V6ONLY`), or lets it also accept v4 connections, with
    /// mapped addresses. The default is the setting of the system (`net.ipv6.bindv6only`).
    #[must_use]
    pub fn only_v6(mut self, only: bool) -> Self {
        self.only_v6 = Some(only);
        self
    }

    /// Makes the kernel probe a silent peer (`SO_KEEPALIVE`). The first probe is sent after this time. Up to
    /// nine further probes follow, each after a tenth of this time. Both times are a second at least. Off by
    /// default. Connections inherit it.
    #[must_use]
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.keepalive = Some(after);
        self
    }

    /// Makes connections send small writes at once (`TCP_NODELAY`). On by default. Connections inherit it, so
    /// it costs no system call for each connection.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Makes the kernel hold a connection back until its first bytes have come, or until this time is over,
    /// rounded up to seconds (`TCP_DEFER_ACCEPT`). Off by default.
    ///
    /// Use this for protocols in which the client sends first. It saves one wake for each connection, and a
    /// client that sends no bytes costs no descriptor until the time is over. When the listener closes, the
    /// kernel resets the connections that it holds back. Linux only; on other systems it has no effect.
    #[must_use]
    pub fn defer_accept(mut self, wait: Duration) -> Self {
        self.defer_accept = Some(wait);
        self
    }

    /// Sets the number of connections that may wait to be accepted. The default is 4,096. The kernel caps it at
    /// `net.core.somaxconn`.
    #[must_use]
    pub fn backlog(mut self, connections: i32) -> Self {
        self.backlog = connections;
        self
    }

    /// Binds and listens on the first address that succeeds. Port 0 means any free port. A name is resolved on
    /// this thread, which blocks meanwhile.
    ///
    /// # Errors
    ///
    /// Returns the error of `bind(2)` for the last address, for example `AddrInUse` or `PermissionDenied`.
    /// Returns `InvalidInput` if the name resolves to no address.
    pub fn bind(&self, address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let mut last = io::Error::new(
            io::ErrorKind::InvalidInput,
            "the name resolves to no address",
        );
        // A name may have addresses of a family that this machine has switched off. So one success is enough.
        for address in address.to_socket_addrs().map_err(explained)? {
            match self.listen(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => {
                    let text = format!("cannot listen on {address}: {error}");
                    last = io::Error::new(error.kind(), text);
                }
            }
        }
        Err(last)
    }

    /// Binds a path; see [`UnixListener::bind`]. Only the backlog is used.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::ListenOptions;
    ///
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-options-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let listener = ListenOptions::new().backlog(16).bind_unix(folder.join("mill.sock"))?;
    /// assert_eq!(listener.path(), Some(&*folder.join("mill.sock")));
    /// # drop(listener);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_unix(&self, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        unix::bind_path(path.as_ref(), self.backlog)
    }

    /// Binds an abstract name; see [`UnixListener::bind_abstract`]. Only the backlog is used.
    ///
    /// # Errors
    ///
    /// Returns the same errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::ListenOptions;
    ///
    /// let name = format!("mill-{}", std::process::id());
    /// let listener = ListenOptions::new().backlog(16).bind_abstract(&name)?;
    /// assert_eq!(listener.path(), None); // such a name needs no file
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_abstract(&self, name: impl AsRef<[u8]>) -> io::Result<UnixListener> {
        unix::bind_abstract(name.as_ref(), self.backlog)
    }

    /// Binds one address.
    fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let domain = Domain::for_address(address);
        let socket = sys::open(domain, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(self.reuse_address)?;
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        socket.set_tcp_nodelay(self.nodelay)?;
        // A v4 socket does not have this option, and the call would fail.
        if let (true, Some(only)) = (address.is_ipv6(), self.only_v6) {
            socket.set_only_v6(only)?;
        }
        if let Some(after) = self.keepalive {
            set_keepalive(&socket, after)?;
        }
        if let Some(wait) = self.defer_accept {
            sys::defer_accept(&socket, wait)?;
        }
        // All options are set by now. A connection that came before an option would not inherit it.
        socket.bind(&address.into())?;
        socket.listen(self.backlog)?;
        Ok(TcpListener::from_nonblocking(socket.into()))
    }
}

/// Adds the form of an address to the errors of the standard library about its text.
#[cold]
fn explained(error: io::Error) -> io::Error {
    let form = "an address has the form host:port, such as localhost:8080 or 127.0.0.1:8080";
    let text = error.to_string();
    // The standard library has no kinds for these faults, so the texts are compared. If a text changes, only the
    // explanation is lost.
    let fault = match (error.kind(), &*text) {
        (io::ErrorKind::InvalidInput, "invalid socket address") => "the address has no port",
        (io::ErrorKind::InvalidInput, "invalid port value") => {
            "the port of the address is not a number up to 65535"
        }
        // Other servers take `:8080` for all addresses.
        _ if text.starts_with("failed to lookup") => {
            let all = "0.0.0.0:8080 and [::]:8080 mean all addresses";
            let text = format!("cannot find the host of the address: {text}; {form}; {all}");
            return io::Error::new(error.kind(), text);
        }
        _ => return error,
    };
    io::Error::new(error.kind(), format!("{fault}; {form}"))
}

/// Listeners with the default options.
impl TcpListener {
    /// Binds and listens with the defaults of [`ListenOptions`].
    ///
    /// # Errors
    ///
    /// Returns the errors of [`ListenOptions::bind`].
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        ListenOptions::new().bind(address)
    }
}

/// Listeners with the default options.
impl UnixListener {
    /// Binds a path and listens. Replaces a socket file at which no process answers.
    ///
    /// The permissions of the folder and the umask of this process decide which processes may connect
    /// (`unix(7)`).
    ///
    /// # Errors
    ///
    /// Returns `AddrInUse` if a process answers at the path, and `AlreadyExists` if the path names a file that
    /// is not a socket. Returns all other errors of `bind(2)`. A path has at most 107 bytes.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        ListenOptions::new().bind_unix(path)
    }

    /// Binds an abstract name and listens. Such a name needs no file, and exists until the last socket that
    /// has it is closed (`unix(7)`).
    ///
    /// # Errors
    ///
    /// Returns the errors of `bind(2)`, for example `AddrInUse`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::UnixListener;
    ///
    /// let listener = UnixListener::bind_abstract(format!("mill-{}", std::process::id()))?;
    /// # drop(listener);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_abstract(name: impl AsRef<[u8]>) -> io::Result<Self> {
        ListenOptions::new().bind_abstract(name)
    }
}
