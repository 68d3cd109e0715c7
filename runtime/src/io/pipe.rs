//! Pipes: anonymous ones, named ones (FIFOs), and those of child processes.
//!
//! # How it works
//!
//! A pipe is a socket with one direction. Two facts of named pipes need care (`fifo(7)`):
//!
//! - A read returns the end of the stream while no writer has opened the pipe. So the first read waits for an
//!   event, which comes with the first bytes, or when the last writer has left.
//! - An open for writing fails while no reader has opened the pipe, and the kernel reports no event for that. So
//!   [`PipeWriter::open`] tries again after 1 ms, 2 ms and so on, up to 64 ms.
//!
//! # Invariants
//!
//! - Never: SIGPIPE. A write to a pipe whose readers are gone returns `BrokenPipe`.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::fs::{FileType, Mode, OFlags, fcntl_getfl, fcntl_setfl, fstat, open};
use rustix::io::{Errno, read, write};

use crate::budget;
use crate::net::socket::{Edge, Socket, is_ready};
use crate::source::Direction;
use crate::sys;
use crate::time::sleep;

/// Makes a pipe: bytes that are written into the second value are read from the first one.
///
/// Use [`into_blocking_fd`](PipeWriter::into_blocking_fd) to give an end to a child process.
///
/// # Errors
///
/// Returns the errors of `pipe(2)`: the process has fewer than two descriptors left.
///
/// # Examples
///
/// ```
/// use futures_lite::{AsyncReadExt, AsyncWriteExt};
/// use waterwheel::runtime::{block_on, io::pipe};
///
/// block_on(async {
///     let (mut reader, mut writer) = pipe()?;
///     writer.write_all(b"water").await?;
///     drop(writer);
///     let mut received = Vec::new();
///     reader.read_to_end(&mut received).await?;
///     assert_eq!(received, b"water");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((
        PipeReader::from_fd(reader.into())?,
        PipeWriter::from_fd(writer.into())?,
    ))
}

/// The end of a pipe that reads. It registers with the runtime in which it first has to wait.
///
/// # Cancel safety
///
/// A read takes bytes only when it completes.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
/// use waterwheel::runtime::{block_on, io::PipeReader};
///
/// # let path = std::env::temp_dir().join(format!("waterwheel-fifo-{}", std::process::id()));
/// # std::process::Command::new("mkfifo").arg(&path).status()?;
/// block_on(async {
///     let mut reader = PipeReader::open(&path)?; // a named pipe
///     assert!(reader.try_read(&mut [0; 8]).is_err()); // no writer yet, and no bytes
///     # let path = path.clone();
///     std::thread::spawn(move || std::fs::write(path, "water"));
///     let mut text = String::new();
///     reader.read_to_string(&mut text).await?;
///     assert_eq!(text, "water");
///
///     let (reader, _writer) = std::io::pipe()?;
///     let reader = PipeReader::from_fd(reader.into())?; // a pipe of the standard library
///     let input = reader.into_blocking_fd()?; // for a child process
///     # drop(input);
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
pub struct PipeReader {
    socket: Socket<OwnedFd>,
}

/// The end of a pipe that writes. Its drop or close is the end of the stream for the reader, if no other writer
/// is left.
///
/// # Cancel safety
///
/// A write moves bytes only when it completes.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, io::PipeWriter, spawn_blocking};
///
/// # let path = std::env::temp_dir().join(format!("waterwheel-fifo-out-{}", std::process::id()));
/// # std::process::Command::new("mkfifo").arg(&path).status()?;
/// block_on(async {
///     # let path = path.clone();
///     # let copy = path.clone();
///     let read = spawn_blocking(move || std::fs::read_to_string(copy));
///     let mut writer = PipeWriter::open(&path).await?; // a named pipe; waits for the reader
///     writer.write_all(b"water").await?;
///     writer.close().await?;
///     assert_eq!(read.await.unwrap()?, "water");
///
///     let (_reader, writer) = std::io::pipe()?;
///     let writer = PipeWriter::from_fd(writer.into())?; // a pipe of the standard library
///     assert_eq!(writer.try_write(b"wheel")?, 5);
///     let output = writer.into_blocking_fd()?; // for a child process
///     # drop(output);
///     std::io::Result::Ok(())
/// })?;
/// # std::fs::remove_file(&path)?;
/// # std::io::Result::Ok(())
/// ```
pub struct PipeWriter {
    /// `None` after the close: a pipe has no half-close, so the close drops the descriptor.
    socket: Option<Socket<OwnedFd>>,
}

impl PipeReader {
    /// Opens a named pipe (`mkfifo(3)`) for reading. It does not wait for a writer. The first read does.
    ///
    /// The end of the stream comes when the last writer has closed the pipe. If another writer opens it after
    /// that, further reads return its bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of `open(2)`, and `InvalidInput` if the file is not a pipe.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let fd = open_fifo(path.as_ref(), OFlags::RDONLY)?;
        Ok(Self {
            // A read before the first writer would return the end of the stream (`fifo(7)`).
            socket: Socket::new_unready(fd),
        })
    }

    /// Makes a reader of a descriptor, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        set_blocking(&fd, false)?;
        Ok(Self {
            socket: Socket::new(fd),
        })
    }

    /// Returns the descriptor in blocking mode, for a child process.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        // Programs expect blocking streams, and report `WouldBlock` as an error.
        let fd = self.socket.into_io();
        set_blocking(&fd, true)?;
        Ok(fd)
    }

    /// Reads without waiting. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there are no bytes, and else the errors of
    /// `read(2)`.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.try_io(Direction::Read, |io| {
            // A named pipe that has had no writer yet is not readable, but a read would return its end.
            is_ready(io, Direction::Read)?;
            read_some(io, buffer)
        })
    }
}

impl PipeWriter {
    /// Opens a named pipe (`mkfifo(3)`) for writing. Waits until a reader has opened it, without a limit; use
    /// [`timeout`](crate::time::timeout()) for one.
    ///
    /// # Errors
    ///
    /// Returns the errors of `open(2)`, and `InvalidInput` if the file is not a pipe.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        // A writer notices a reader within 64 ms, and a long wait costs 16 calls per second.
        const PAUSE_MAX: Duration = Duration::from_millis(64);
        let path = path.as_ref().to_owned();
        let mut pause = Duration::from_millis(1);
        loop {
            // A pipe that has a reader opens at once, so without a cost a loop of opens would keep the thread.
            poll_fn(|cx| budget::poll_spend(cx, 1)).await;
            match open_fifo(&path, OFlags::WRONLY) {
                // No reader has opened it (`fifo(7)`).
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                    sleep(pause).await;
                }
                opened => {
                    return Ok(Self {
                        socket: Some(Socket::new(opened?)),
                    });
                }
            }
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// Makes a writer of a descriptor, and sets it to non-blocking mode.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        set_blocking(&fd, false)?;
        Ok(Self {
            socket: Some(Socket::new(fd)),
        })
    }

    /// Returns the descriptor in blocking mode, for a child process.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`, and `BrokenPipe` after a close.
    pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
        let fd = self.socket.ok_or(ErrorKind::BrokenPipe)?.into_io();
        set_blocking(&fd, true)?;
        Ok(fd)
    }

    /// Writes without waiting. Returns the number of bytes that the kernel has taken.
    ///
    /// # Errors
    ///
    /// Returns [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room, and else the errors of
    /// `write(2)`.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.open_end()?
            .try_io(Direction::Write, |io| write_some(io, bytes))
    }

    /// Returns the socket, or an error after a close.
    fn open_end(&self) -> io::Result<&Socket<OwnedFd>> {
        let socket = self.socket.as_ref();
        socket.ok_or_else(|| ErrorKind::BrokenPipe.into())
    }
}

/// Opens a named pipe in non-blocking mode, without waiting for the other end.
fn open_fifo(path: &Path, direction: OFlags) -> io::Result<OwnedFd> {
    let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = open(path, flags, Mode::empty())?;
    // A regular file is always ready, and epoll would refuse it only at the first wait.
    if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Fifo {
        return Ok(fd);
    }
    let text = format!("{} is not a named pipe", path.display());
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}

/// Sets the mode of the open file description, which other processes may share.
fn set_blocking(fd: &OwnedFd, blocking: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(fd)?;
    flags.set(OFlags::NONBLOCK, !blocking);
    Ok(fcntl_setfl(fd, flags)?)
}

/// A short read has emptied the pipe (`epoll(7)`, Q9).
fn read_some(io: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Edge)> {
    let asked = buffer.len();
    let moved = read(io, buffer)?;
    Ok((moved, Edge::after(moved, asked)))
}

/// `write(2)` has no flag against the signal.
fn write_some(io: &OwnedFd, bytes: &[u8]) -> io::Result<(usize, Edge)> {
    let moved = sys::while_calling(|| write(io, bytes))?;
    Ok((moved, Edge::after(moved, bytes.len())))
}

impl AsyncRead for PipeReader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.socket
            .poll_move(cx, Direction::Read, |io| read_some(io, buffer))
    }
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.open_end()?
            .poll_move(cx, Direction::Write, |io| write_some(io, bytes))
    }

    /// Completes at once, because the kernel has all bytes that were written.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Closes the descriptor. The reader sees the end of the stream if no other writer is left.
    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket = None;
        Poll::Ready(Ok(()))
    }
}

impl AsFd for PipeReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.io().as_fd()
    }
}

impl fmt::Debug for PipeReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PipeReader").field(self.socket.io()).finish()
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fd = self.socket.as_ref().map(Socket::io);
        f.debug_tuple("PipeWriter").field(&fd).finish()
    }
}
