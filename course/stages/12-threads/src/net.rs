//! TCP sockets whose operations are futures.
//!
//! Each operation is the same loop: wait until it should be tried, try it, and note its answer.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{self, Shutdown, SocketAddr};

use crate::budget;
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
        budget::spend_one().await;
        loop {
            self.registration.ready(Direction::Read).await;
            match call(|| self.listener.accept()) {
                Ok((stream, _)) => return TcpStream::new(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.registration.clear(Direction::Read);
                }
                Err(error) => return Err(error),
            }
        }
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
        budget::spend_one().await;
        loop {
            self.registration.ready(Direction::Read).await;
            match call(|| (&self.stream).read(buffer)) {
                Ok(bytes) => {
                    // A short read: the kernel has no more bytes. The next ones are a new edge.
                    if bytes < buffer.len() {
                        self.registration.clear(Direction::Read);
                    }
                    return Ok(bytes);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.registration.clear(Direction::Read);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes some bytes. Returns their number.
    ///
    /// # Errors
    ///
    /// Returns the errors of `send(2)`.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        budget::spend_one().await;
        loop {
            self.registration.ready(Direction::Write).await;
            match call(|| (&self.stream).write(bytes)) {
                Ok(written) => {
                    if written < bytes.len() {
                        self.registration.clear(Direction::Write);
                    }
                    return Ok(written);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.registration.clear(Direction::Write);
                }
                Err(error) => return Err(error),
            }
        }
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

    /// Returns a second descriptor of the same connection.
    ///
    /// # Errors
    ///
    /// Returns the errors of `fcntl(2)`.
    pub fn duplicate(&self) -> io::Result<net::TcpStream> {
        self.stream.try_clone()
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
