//! SIGINT and SIGTERM as futures.
//!
//! # How it works
//!
//! signal-hook's handler writes a byte into a socket pair of ours, whose other end the reactor
//! watches like any other. The handlers are installed by the *call*, not by the first poll: a
//! program that says "ready" after it ends cleanly from then on.
//!
//! # Invariants
//!
//! - Always: when the last future for a signal is dropped, its bytes go nowhere; the signal's
//!   default action does not come back (`signal-hook` keeps its handler).

use std::future::Future;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use signal_hook::{SigId, flag, low_level};

use crate::net::AsyncFd;

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: somebody pressed Ctrl-C.
    Interrupt,
    /// SIGTERM: a supervisor asks for the end.
    Terminate,
}

impl Signal {
    fn number(self) -> i32 {
        match self {
            Self::Interrupt => SIGINT,
            Self::Terminate => SIGTERM,
        }
    }
}

/// Completes when the process is asked to end, by SIGINT or SIGTERM.
///
/// From this call on, neither ends the process by itself. Await it again (by
/// [`Shutdown::recv`]) to learn of a second one.
///
/// # Errors
///
/// Awaiting it fails if the handlers could not be installed, for want of descriptors: it needs
/// two for each signal.
///
/// # Examples
///
/// ```no_run
/// use waterwheel_runtime::{block_on, signal};
///
/// block_on(async {
///     let shutdown = signal::shutdown();
///     println!("ready");
///     let signal = shutdown.await?;
///     println!("ending: {signal:?}");
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
pub fn shutdown() -> Shutdown {
    Shutdown {
        inner: Receiver::new(&[Signal::Interrupt, Signal::Terminate]),
    }
}

/// The future of [`shutdown`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Shutdown {
    inner: io::Result<Receiver>,
}

impl Shutdown {
    /// Waits for the next signal.
    ///
    /// # Errors
    ///
    /// If the handlers could not be installed.
    ///
    /// # Cancel safety
    ///
    /// Safe: a signal that nobody took is still there.
    pub async fn recv(&mut self) -> io::Result<Signal> {
        Pin::new(self).await
    }
}

impl Future for Shutdown {
    type Output = io::Result<Signal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.inner {
            Ok(receiver) => receiver.poll_recv(cx),
            Err(error) => Poll::Ready(Err(io::Error::new(error.kind(), error.to_string()))),
        }
    }
}

/// Two handlers for each signal: one notes which it was, one writes the byte that wakes us.
#[derive(Debug)]
struct Receiver {
    reader: AsyncFd<UnixStream>,
    last: Arc<AtomicUsize>,
    handlers: Vec<SigId>,
}

impl Receiver {
    fn new(signals: &[Signal]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let reader = AsyncFd::new(reader);
        let mut receiver = Self {
            reader,
            last: Arc::default(),
            handlers: Vec::new(),
        };
        for signal in signals {
            receiver.install(*signal, writer.try_clone()?)?;
        }
        Ok(receiver)
    }

    fn install(&mut self, signal: Signal, writer: UnixStream) -> io::Result<()> {
        // Handlers run in the order of their registration: the note first, then the byte.
        let noted = flag::register_usize(signal.number(), self.last.clone(), signal as usize)?;
        self.handlers.push(noted);
        let written = pipe::register(signal.number(), writer)?;
        self.handlers.push(written);
        Ok(())
    }

    fn poll_recv(&self, cx: &mut Context<'_>) -> Poll<io::Result<Signal>> {
        let mut byte = [0];
        let read = ready!(self.reader.poll_read_with(cx, |mut io| io.read(&mut byte)));
        Poll::Ready(read.map(|_| match self.last.load(Ordering::Relaxed) {
            last if last == Signal::Interrupt as usize => Signal::Interrupt,
            _ => Signal::Terminate,
        }))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            low_level::unregister(handler);
        }
    }
}
