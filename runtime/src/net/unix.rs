//! Unix sockets: connections within one machine, by a path or by an abstract name.
//!
//! # How it works
//!
//! A connection within the machine is ready at once, or the queue of the listener is full. The kernel reports no
//! event when it has room again, so a client tries from time to time.
//!
//! # Invariants
//!
//! - Always: a listener removes the file that it has made, and no other file.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net as std_unix;
use std::path::Path;
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, recv, recvmsg};
use socket2::{Domain, SockAddr, Type};

use super::listener::{Accept, Listener, sealed};
use super::socket::{Edge, Receive};
use super::socket_file::SocketFile;
use super::stream::{Connected, Stream};
use crate::budget;
use crate::causes::Call;
use crate::points;
use crate::sys;
use crate::time::sleep;

/// A Unix stream connection.
///
/// See [`Stream`] for the methods and properties of all streams.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::net::{UnixListener, UnixStream};
/// use waterwheel::runtime::{block_on, join};
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-unix-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// block_on(async {
///     let path = folder.join("mill");
///     let listener = UnixListener::bind(&path)?;
///     let (accepted, connected) = join(listener.accept(), UnixStream::connect(&path)).await;
///     let (mut server, mut client) = (accepted?, connected?);
///     client.write_all(b"water").await?;
///     let mut received = [0; 5];
///     server.read_exact(&mut received).await?;
///     assert_eq!(received, *b"water");
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub type UnixStream = Stream<std_unix::UnixStream>;

impl UnixStream {
    /// Opens a connection to the socket at `path`.
    ///
    /// If the queue of the listener is full, this waits until there is room. The kernel reports no event for
    /// that, so this tries again after 1 ms, 2 ms and so on, up to 64 ms. It waits without a limit; use
    /// [`timeout`](crate::time::timeout()) for one.
    ///
    /// # Errors
    ///
    /// Returns the errors of `connect(2)`: no such path, no listener, no permission.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        connect(&SockAddr::unix(path)?).await
    }

    /// Opens a connection to the socket with this abstract name (`unix(7)`).
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends the attempt.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::{UnixListener, UnixStream};
    /// use waterwheel::runtime::{block_on, join};
    ///
    /// block_on(async {
    ///     let name = format!("mill-stream-{}", std::process::id());
    ///     let listener = UnixListener::bind_abstract(&name)?;
    ///     let (accepted, connected) = join(listener.accept(), UnixStream::connect_abstract(&name)).await;
    ///     assert!(accepted.is_ok() && connected.is_ok());
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn connect_abstract(name: impl AsRef<[u8]>) -> io::Result<Self> {
        connect(&sys::abstract_address(name.as_ref())?).await
    }

    /// Makes two streams that are connected to each other.
    ///
    /// # Errors
    ///
    /// Returns the errors of `socketpair(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::UnixStream;
    ///
    /// let (ours, theirs) = UnixStream::pair()?;
    /// assert_eq!(ours.try_write(b"water")?, 5);
    /// assert_eq!(theirs.try_read(&mut [0; 16])?, 5);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        let (ours, theirs) = std_unix::UnixStream::pair()?;
        Ok((Self::from_std(ours)?, Self::from_std(theirs)?))
    }

    /// Makes a stream of one of the standard library, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Write;
    /// use waterwheel::runtime::net::UnixStream;
    ///
    /// let (near, mut far) = std::os::unix::net::UnixStream::pair()?;
    /// let stream = UnixStream::from_std(near)?;
    /// far.write_all(b"water")?;
    /// assert_eq!(stream.try_read(&mut [0; 16])?, 5);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(stream: std_unix::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self::from_nonblocking(stream))
    }
}

impl Receive for std_unix::UnixStream {
    /// Calls `recvmsg(2)`. It has the same result as `recv`, and flags.
    ///
    /// The kernel ends a read behind bytes that have descriptors or credentials attached. This call discards
    /// those, and the kernel sets a flag (`MSG_CTRUNC`). Then more bytes may wait behind a short read.
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Edge)> {
        let asked = buffer.len();
        let nothing = &mut RecvAncillaryBuffer::default();
        let buffers = &mut [IoSliceMut::new(buffer)];
        let received = recvmsg(self, buffers, nothing, RecvFlags::empty())?;
        let edge = if received.flags.contains(ReturnFlags::CTRUNC) {
            Edge::Kept
        } else {
            Edge::after(received.bytes, asked)
        };
        Ok((received.bytes, edge))
    }

    fn receive_uninit<'a>(
        &self,
        buffer: &'a mut [MaybeUninit<u8>],
    ) -> io::Result<(&'a [u8], Edge)> {
        let ((received, _), _) = recv(self, buffer, RecvFlags::empty())?;
        // This call has no flags, so a short read proves nothing.
        Ok((received, Edge::Kept))
    }
}

impl Connected for std_unix::UnixStream {}

/// The shortest and the longest pause between two attempts to connect to a full queue.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Connects, and waits while the queue of the listener is full.
async fn connect(address: &SockAddr) -> io::Result<UnixStream> {
    let mut pause = PAUSE_MIN;
    loop {
        // A connection within the machine is ready at once. So without a cost, a loop of connects would keep
        // the thread.
        poll_fn(|cx| budget::poll_spend(cx, 1)).await;
        // A new socket for each attempt: the state of one whose attempt has failed is unspecified (`connect(2)`).
        let socket = sys::open(Domain::UNIX, Type::STREAM, None)?;
        let connected = socket.connect(address);
        points::call(Call::Connect, &socket, &connected, |()| 0);
        match connected {
            // The queue is full (`connect(2)`, EAGAIN).
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            connected => return connected.map(|()| UnixStream::from_nonblocking(socket.into())),
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// A socket that accepts Unix connections. Its drop removes its file, except after
/// [`leave_file`](Listener::leave_file).
///
/// See [`UnixStream`] for an example, and [`Listener`] for how to accept.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::net::UnixListener;
///
/// # let folder = std::env::temp_dir().join(format!("waterwheel-listener-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let listener = UnixListener::bind(folder.join("mill.sock"))?;
/// assert!(listener.path().unwrap().ends_with("mill.sock"));
/// drop(listener);
/// assert!(!folder.join("mill.sock").exists());
///
/// let listener = UnixListener::bind(folder.join("mill.sock"))?.leave_file();
/// drop(listener);
/// assert!(folder.join("mill.sock").exists()); // for the process that goes on listening
/// # std::fs::remove_dir_all(&folder)?;
/// # std::io::Result::Ok(())
/// ```
pub type UnixListener = Listener<Bound>;

/// The type parameter of a [`UnixListener`]: the socket and its file. It has no methods of its own.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::net::{Bound, Listener, UnixListener};
///
/// /// Holds a listener of either kind: `Mill<std::net::TcpListener>`, or this one.
/// struct Mill<L> {
///     listener: Listener<L>,
/// }
///
/// let listener: UnixListener = UnixListener::bind_abstract(format!("bound-{}", std::process::id()))?;
/// let mill: Mill<Bound> = Mill { listener };
/// # drop(mill.listener);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Bound {
    listener: std_unix::UnixListener,
    /// `None` for an abstract name, and for a listener of the standard library.
    file: Option<SocketFile>,
}

impl UnixListener {
    /// Makes a listener of one of the standard library, and sets it to non-blocking mode. Its drop does not
    /// remove the file.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::net::UnixListener;
    ///
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-from-std-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let inherited = std::os::unix::net::UnixListener::bind(folder.join("mill.sock"))?;
    /// let listener = UnixListener::from_std(inherited)?;
    /// # drop(listener);
    /// assert!(folder.join("mill.sock").exists()); // the file is not its own
    /// # std::fs::remove_dir_all(&folder)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn from_std(listener: std_unix::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let file = None;
        Ok(Self::from_nonblocking(Bound { listener, file }))
    }

    /// Keeps the file when the listener drops. Use this if another process has received the listener and goes
    /// on listening.
    #[must_use]
    pub fn leave_file(self) -> Self {
        let mut bound = self.into_io();
        if let Some(file) = &mut bound.file {
            file.stay();
        }
        Self::from_nonblocking(bound)
    }

    /// Returns the absolute path of the file that it has made. Returns `None` for an abstract name.
    pub fn path(&self) -> Option<&Path> {
        self.io().file.as_ref().map(SocketFile::path)
    }
}

/// Binds a path. An error names the path.
pub(super) fn bind_path(path: &Path, backlog: i32) -> io::Result<UnixListener> {
    // The call of `listen` is inside the lock of the folder, too. Until then, the file looks dead to another
    // server.
    let (listener, file) = SocketFile::make(path, Type::STREAM, |address| listen(address, backlog))
        .map_err(|error| {
            let text = format!("cannot listen on {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
    Ok(UnixListener::from_nonblocking(Bound {
        listener,
        file: Some(file),
    }))
}

/// Binds an abstract name.
pub(super) fn bind_abstract(name: &[u8], backlog: i32) -> io::Result<UnixListener> {
    let listener = listen(&sys::abstract_address(name)?, backlog)?;
    let file = None;
    Ok(UnixListener::from_nonblocking(Bound { listener, file }))
}

/// Binds an address and listens.
fn listen(address: &SockAddr, backlog: i32) -> io::Result<std_unix::UnixListener> {
    let socket = sys::open(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(address)?;
    socket.listen(backlog)?;
    Ok(socket.into())
}

impl AsFd for Bound {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl sealed::Sealed for Bound {}

impl Accept for Bound {
    type Accepted = UnixStream;

    fn accept_one(&self) -> io::Result<Self::Accepted> {
        // A client is usually not bound, so its address would be empty.
        let (descriptor, _) = sys::accept(self)?;
        Ok(UnixStream::from_nonblocking(descriptor.into()))
    }
}
