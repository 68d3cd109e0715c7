//! Listeners: one socket or several, of either family, bound here or inherited.
//!
//! # How it works
//!
//! The server polls its listeners in turn. Each round begins after the listener that returned the last
//! connection. So a busy listener does not keep the others waiting.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::env;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::task::{Context, Poll};

use listenfd::ListenFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(not(target_vendor = "apple"))]
use rustix::net::sockopt::socket_acceptconn;
use waterwheel_runtime::net::{TcpListener, UnixListener};

use crate::transport::stream::Stream;

/// A listening socket, of either family.
///
/// # Examples
///
/// ```no_run
/// use waterwheel::http::{Listener, Server};
/// use waterwheel::runtime::net::{TcpListener, UnixListener};
///
/// let server = Server::builder().listen_on([
///     Listener::from(TcpListener::bind("[::1]:8080")?),
///     Listener::from(UnixListener::bind("/run/mill.sock")?),
/// ])?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Listener {
    /// Accepts TCP connections.
    Tcp(TcpListener),
    /// Accepts connections of a Unix socket.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

impl Listener {
    /// Returns the listeners that this process has inherited, in their order: those of a supervisor
    /// (`LISTEN_FDS`, `sd_listen_fds(3)`), or those of the process that it replaces. The list is empty if the
    /// process has inherited no listeners. Each listener is returned once.
    /// [`inherited_by_name`](Self::inherited_by_name) returns their names, too.
    ///
    /// Call this before other threads exist, because it changes the environment.
    ///
    /// # Errors
    ///
    /// If a descriptor is not a listening stream socket, such as a connection of a socket unit with `Accept=yes`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Listener, Server};
    ///
    /// // With systemd's socket activation, the supervisor listens, and a restart loses no client.
    /// let inherited = Listener::inherited()?;
    /// let server = if inherited.is_empty() {
    ///     Server::bind("127.0.0.1:0")?
    /// } else {
    ///     Server::builder().listen_on(inherited)?
    /// };
    /// # drop(server);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn inherited() -> io::Result<Vec<Self>> {
        let mut fds = ListenFd::from_env();
        (0..fds.len())
            .map(|index| Self::take(&mut fds, index))
            .collect()
    }

    /// Returns the listeners of [`inherited`](Self::inherited) by their names (`LISTEN_FDNAMES`,
    /// `sd_listen_fds_with_names(3)`), for a program that serves its sockets in different ways. The order of sockets of
    /// several units is not determined, so a program can only tell them apart by name.
    ///
    /// The name is the `FileDescriptorName=` of the socket unit, or else the name of the unit, such as `mill.socket`. All
    /// `ListenStream=` of a unit have one name, and are in the order of their lines. Without `LISTEN_FDNAMES`, each name
    /// is `unknown`. Each listener is returned once, by this function or by [`inherited`](Self::inherited).
    ///
    /// Call this before other threads exist, because it changes the environment.
    ///
    /// # Errors
    ///
    /// As [`inherited`](Self::inherited), and if there are more or fewer names than descriptors.
    ///
    /// # Examples
    ///
    /// ```text
    /// # web.socket                      # admin.socket
    /// [Socket]                          [Socket]
    /// ListenStream=443                  ListenStream=/run/mill/admin
    /// FileDescriptorName=web            FileDescriptorName=admin
    /// Service=mill.service              Service=mill.service
    /// ```
    ///
    /// ```
    /// use waterwheel::http::{Listener, Server};
    /// use waterwheel::runtime::net::TcpListener;
    ///
    /// let mut inherited = Listener::inherited_by_name()?;
    /// let mut named = |name: &str| match inherited.remove(name) {
    ///     Some(listeners) => Ok(listeners),
    ///     // Started by hand.
    ///     None => TcpListener::bind("127.0.0.1:0").map(|listener| vec![listener.into()]),
    /// };
    /// let web = Server::builder().listen_on(named("web")?)?;
    /// let admin = Server::builder().listen_on(named("admin")?)?;
    /// # drop((web, admin));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn inherited_by_name() -> io::Result<BTreeMap<String, Vec<Self>>> {
        let names = env::var_os("LISTEN_FDNAMES");
        let listeners = Self::inherited()?;
        let names: Vec<_> = match &names {
            // They may be those of a parent process: listenfd removes only the other variables.
            _ if listeners.is_empty() => Vec::new(),
            None => vec!["unknown".into(); listeners.len()],
            Some(names) => {
                let names = names.as_bytes().split(|byte| *byte == b':');
                names.map(String::from_utf8_lossy).collect()
            }
        };
        if names.len() != listeners.len() {
            let (names, sockets) = (names.len(), listeners.len());
            let text =
                format!("LISTEN_FDNAMES has names for {names} sockets, and there are {sockets}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut by_name = BTreeMap::<_, Vec<_>>::new();
        for (name, listener) in names.into_iter().zip(listeners) {
            by_name.entry(name.into_owned()).or_default().push(listener);
        }
        Ok(by_name)
    }

    fn take(fds: &mut ListenFd, index: usize) -> io::Result<Self> {
        // A descriptor of another family stays in the list, so that it can be taken as that family.
        let listener = match fds.take_tcp_listener(index) {
            Ok(Some(listener)) => TcpListener::from_std(listener).map(Self::from)?,
            _ => match fds.take_unix_listener(index)? {
                Some(listener) => UnixListener::from_std(listener).map(Self::from)?,
                None => return Err(io::ErrorKind::NotFound.into()),
            },
        };
        // A connection, as a socket unit with `Accept=yes` passes it, is a socket of the same kind. Apple's systems cannot
        // tell the two apart, and have no such units.
        #[cfg(not(target_vendor = "apple"))]
        if !socket_acceptconn(&listener)? {
            let text = format!("the inherited socket {index} does not listen");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(listener)
    }

    /// Returns the address, if it is an internet address.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Listener;
    /// use waterwheel::runtime::net::TcpListener;
    ///
    /// let listener = Listener::from(TcpListener::bind("127.0.0.1:0")?);
    /// assert!(listener.local_address().is_some_and(|address| address.ip().is_loopback()));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn local_address(&self) -> Option<SocketAddr> {
        match self {
            // A path is not returned: most users ask for the port that the kernel has chosen.
            Self::Tcp(listener) => listener.local_address().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Returns where it listens, for the log.
    pub(crate) fn place(&self) -> String {
        let path = match self {
            Self::Tcp(_) => None,
            Self::Unix(listener) => listener.path(),
        };
        match (self.local_address(), path) {
            (Some(address), _) => address.to_string(),
            (None, Some(path)) => path.display().to_string(),
            (None, None) => "an abstract Unix socket".to_owned(),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener
                .poll_accept(cx)
                .map_ok(|(stream, peer)| (stream.into(), Some(peer))),
            Self::Unix(listener) => listener
                .poll_accept(cx)
                .map_ok(|stream| (stream.into(), None)),
        }
    }

    fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(listener) => listener.poll_pending(cx),
            Self::Unix(listener) => listener.poll_pending(cx),
        }
    }
}

/// A stream, and the address of its other end.
pub(crate) type Accepted = (Stream, Option<SocketAddr>);

/// All listeners of a server.
#[derive(Default)]
pub(crate) struct Listeners {
    sockets: RefCell<Vec<Listener>>,
    next: Cell<usize>,
}

impl Listeners {
    pub(crate) fn new(sockets: Vec<Listener>) -> Self {
        Self {
            sockets: RefCell::new(sockets),
            next: Cell::new(0),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.borrow().is_empty()
    }

    /// Stops listening.
    pub(crate) fn close(&self) {
        // Taken first: a drop of a socket may wake tasks, so not while the list is borrowed.
        let sockets = self.sockets.take();
        drop(sockets);
    }

    /// Accepts the next connection of any listener. An error of any listener is returned too.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.poll_each(|listener| listener.poll_accept(cx))
    }

    /// Waits until a connection is in one of the queues.
    pub(crate) fn poll_pending(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_empty() {
            return Poll::Ready(());
        }
        // An error of a listener counts as pending, because accept reports it.
        self.poll_each(|listener| listener.poll_pending(cx))
            .map(drop)
    }

    /// Returns true if a connection is in one of the queues now.
    pub(crate) fn has_pending(&self) -> bool {
        let sockets = self.sockets.borrow();
        let wanted = sockets.iter();
        // Readiness of the runtime can be stale, so this asks the kernel.
        let mut wanted: Vec<_> = wanted
            .map(|socket| PollFd::new(socket, PollFlags::IN))
            .collect();
        poll(&mut wanted, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn poll_each<T>(&self, mut poll: impl FnMut(&Listener) -> Poll<T>) -> Poll<T> {
        let sockets = self.sockets.borrow();
        // Most servers have one listener, which needs no turns.
        if let [only] = &sockets[..] {
            return poll(only);
        }
        // The round begins behind the last listener that returned a connection, and ends with that one.
        let (before, behind) = sockets.split_at(self.next.get().min(sockets.len()));
        for (index, socket) in behind.iter().chain(before).enumerate() {
            let polled = poll(socket);
            if polled.is_ready() {
                let next = before.len() + index + 1;
                self.next.set(if next >= sockets.len() {
                    next - sockets.len()
                } else {
                    next
                });
                return polled;
            }
        }
        Poll::Pending
    }
}
