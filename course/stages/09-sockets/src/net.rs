//! TCP sockets whose operations are futures.
//!
//! Each operation is the same loop: wait until it should be tried, try it, and note its answer.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, Shutdown, SocketAddr};

use crate::registration::Registration;
use crate::source::Direction;

thread_local! {
    static SYSTEM_CALLS: Cell<u64> = const { Cell::new(0) };
}

/// Returns the number of reads, writes and accepts that this thread has asked the kernel for.
pub fn system_calls() -> u64 {
    SYSTEM_CALLS.get()
}

/// Counts and makes a system call. Tries it again if a signal has interrupted it.
fn call<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        SYSTEM_CALLS.set(SYSTEM_CALLS.get() + 1);
        match operation() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// A socket that waits for connections.
#[derive(Debug)]
pub struct TcpListener {
    listener: net::TcpListener,
    registration: Registration,
}

impl TcpListener {
    /// Opens a listener. Port 0 stands for any free port.
    ///
    /// # Errors
    ///
    /// Returns the errors of `socket(2)`, `bind(2)` and `listen(2)`.
    pub fn bind(address: &str) -> io::Result<Self> {
        let listener = net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            registration: Registration::new(&listener)?,
            listener,
        })
    }

    /// Returns the address that clients connect to.
    ///
    /// # Errors
    ///
    /// Returns the errors of `getsockname(2)`.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Returns the errors of `accept(2)`.
    pub async fn accept(&self) -> io::Result<TcpStream> {
        // TODO 3: The same loop as in `read`, with `call(|| self.listener.accept())`. It returns a stream and an address.
        // `TcpStream::new(stream)` makes a stream of ours.
        todo!("TODO 3")
    }
}

/// A connection.
#[derive(Debug)]
pub struct TcpStream {
    stream: net::TcpStream,
    registration: Registration,
}

impl TcpStream {
    /// Makes a stream of one of the standard library.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)` and `epoll_ctl(2)`.
    pub fn new(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            registration: Registration::new(&stream)?,
            stream,
        })
    }

    /// Reads some bytes. Returns their number, which is zero at the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns the errors of `recv(2)`.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // TODO 1: Loop:
        // 1. Await `self.registration.ready(Direction::Read)`.
        // 2. Try `call(|| (&self.stream).read(buffer))`.
        // 3. `WouldBlock` (`error.kind() == ErrorKind::WouldBlock`): clear the direction, and loop. Any other error: return it.
        // 4. Bytes: return their number. If there are fewer than the buffer has room for, the kernel has no more: clear
        //    the direction before. So the next read waits at once, and saves a system call.
        todo!("TODO 1")
    }

    /// Writes some bytes. Returns their number.
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // TODO 2: The same loop as in `read`, for `Direction::Write`. A write that takes fewer bytes than it was offered is a
        // short write.
        todo!("TODO 2")
    }

    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.write(bytes).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Closes the write half (sends FIN). The peer reads the end of the stream.
    ///
    /// # Errors
    ///
    /// Returns the errors of `shutdown(2)`.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }
}
