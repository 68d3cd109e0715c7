//! Unix sockets: connections within one machine, by a path or by an abstract name.
//!
//! # How it works
//!
//! A process that is killed leaves its socket file behind. [`UnixListener::bind`] replaces such a file: it
//! first removes a socket file at which no process answers. It removes neither a socket at which a process
//! answers, nor a file of another kind. It locks the folder meanwhile (`flock(2)`), so that two servers that
//! start at the same time do not remove each other's files.
//!
//! # Invariants
//!
//! - Always: a listener removes the file that it has made, and no other file.

use std::fs::{self, File};
use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net as std_unix;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, recvmsg};
use socket2::{Domain, SockAddr, Type};

use super::listener::{Accept, Listener, accept, sealed};
use super::socket::{Edge, Receive};
use super::stream::{Connected, Stream};
use super::sys;
use crate::budget;
use crate::time::sleep;

/// A Unix stream connection.
///
/// See [`Stream`] for the methods and properties of all streams.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel_runtime::net::{UnixListener, UnixStream};
/// use waterwheel_runtime::{block_on, join};
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
    pub async fn connect_abstract(name: impl AsRef<[u8]>) -> io::Result<Self> {
        connect(&abstract_address(name.as_ref())?).await
    }

    /// Makes a stream of one of the standard library, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
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
        match open(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
            opened => return opened,
        }
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// Connects without waiting. Returns `WouldBlock` if the queue is full (`connect(2)`, EAGAIN).
fn open(address: &SockAddr) -> io::Result<UnixStream> {
    let socket = sys::open(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(address)?;
    Ok(UnixStream::from_nonblocking(socket.into()))
}

/// Returns the address of an abstract name, which begins with a zero byte (`unix(7)`).
fn abstract_address(name: &[u8]) -> io::Result<SockAddr> {
    use std::os::unix::ffi::OsStrExt;
    let whole = [b"\0", name].concat();
    SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&whole)))
}

/// A socket that accepts Unix connections. Its drop removes its file, except after
/// [`leave_file`](Listener::leave_file).
///
/// See [`UnixStream`] for an example, and [`Listener`] for how to accept.
pub type UnixListener = Listener<Bound>;

/// The type parameter of a [`UnixListener`]: the socket and its file. It has no methods of its own.
#[derive(Debug)]
pub struct Bound {
    listener: std_unix::UnixListener,
    /// `None` for an abstract name, and for a listener of the standard library.
    file: Option<SocketFile>,
}

/// The file of a listener. Its drop removes the file.
#[derive(Debug)]
struct SocketFile {
    /// Absolute, because the process may change its folder.
    path: PathBuf,
    /// True if the file stays when the listener is dropped.
    stays: bool,
    /// Device and inode. The drop compares them, because another listener may have replaced the file.
    identity: (u64, u64),
}

impl UnixListener {
    /// Makes a listener of one of the standard library, and sets it to non-blocking mode. Its drop does not
    /// remove the file.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
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
            file.stays = true;
        }
        Self::from_nonblocking(bound)
    }

    /// Returns the absolute path of the file that it has made. Returns `None` for an abstract name.
    pub fn path(&self) -> Option<&Path> {
        self.io().file.as_ref().map(|file| &*file.path)
    }
}

/// Binds a path. An error names the path.
pub(super) fn bind_path(path: &Path, backlog: i32) -> io::Result<UnixListener> {
    let naming = |error: io::Error| {
        let text = format!("cannot listen on {}: {error}", path.display());
        io::Error::new(error.kind(), text)
    };
    bind_locked(path, backlog).map_err(naming)
}

/// Binds a path, with the folder locked.
fn bind_locked(path: &Path, backlog: i32) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path)?;
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // Until the end of this function: between the removal of an old file and the binding, another server could
    // bind, and this one would then remove its file.
    let _lock = lock(folder)?;
    remove_dead_socket(path, &address)?;
    let listener = listen(&address, backlog)?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile {
        stays: false,
        path: std::path::absolute(path)?,
        identity: (metadata.dev(), metadata.ino()),
    };
    Ok(UnixListener::from_nonblocking(Bound {
        listener,
        file: Some(file),
    }))
}

/// The wait for the lock of the folder at most, in hundredths of a second. No server needs the lock for longer.
/// A process that keeps it for ever must not prevent a server from starting.
const LOCK_TRIES: u32 = 100;

/// Locks a folder until the returned file drops. Returns `None` if this process may not read the folder.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let folder = match File::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
        folder => folder?,
    };
    // `flock` without a limit could block this thread for ever.
    for _ in 0..LOCK_TRIES {
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => thread::sleep(Duration::from_millis(10)),
            locked => return Ok(locked.map(|()| Some(folder))?),
        }
    }
    let text = "another process keeps its folder locked";
    Err(io::Error::new(io::ErrorKind::WouldBlock, text))
}

/// Binds an abstract name.
pub(super) fn bind_abstract(name: &[u8], backlog: i32) -> io::Result<UnixListener> {
    let listener = listen(&abstract_address(name)?, backlog)?;
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

/// Removes a socket file at which no process answers.
fn remove_dead_socket(path: &Path, address: &SockAddr) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            let text = "a file that is not a socket is there";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
        }
        Ok(_) => {}
    }
    // Only an attempt to connect shows if a process listens.
    match open(address) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::CONNREFUSED) => {
            fs::remove_file(path)
        }
        // A full queue also means that a process listens.
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::AddrInUse.into())
        }
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        // Another process may have replaced the file while this listener was open.
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if same {
            // A file that cannot be removed does no harm, because the next listener replaces it.
            drop(fs::remove_file(&self.path));
        }
    }
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
        let (descriptor, _) = accept(self)?;
        Ok(UnixStream::from_nonblocking(descriptor.into()))
    }
}
