//! hyper on this runtime: the traits of `hyper::rt`. The feature `hyper` adds this module.
//!
//! # How it works
//!
//! | hyper asks for | use |
//! |---|---|
//! | `Read`, `Write` | a [`Stream`] as it is, and [`HyperIo`] around any other stream of `futures-io`, such as TLS |
//! | `Timer`, `Sleep` | [`RuntimeTimer`]. It has the clock of the runtime, so a paused clock drives hyper, too |
//! | `Executor` | [`LocalSpawner`] |
//!
//! hyper's buffer may be uninitialized, and its safe methods only copy into it. So a read goes through a buffer on
//! the stack, which is not initialized either.
//!
//! # Invariants
//!
//! - Always: hyper's futures run as tasks of this thread. They need not be `Send`.

use std::future::Future;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Executor, Read, ReadBufCursor, Timer, Write};

use crate::context::spawn_detached;
use crate::instant::Instant;
use crate::net::{Connected, Stream};
use crate::source::Direction;
use crate::spawner::LocalSpawner;
use crate::time::{Sleep, sleep, sleep_until};

/// The bytes of one read at most. They lie on the stack.
const READ_BYTES: usize = 16 * 1024;

impl<S: Connected + Unpin> Read for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper's buffer grows with the load, and the stack has its limit.
        let wanted = buffer.remaining().min(READ_BYTES);
        let moved = self.socket().poll_move(cx, Direction::Read, |io| {
            let mut stack = [const { MaybeUninit::uninit() }; READ_BYTES];
            let (bytes, edge) = io.receive_uninit(&mut stack[..wanted])?;
            buffer.put_slice(bytes);
            Ok((bytes.len(), edge))
        });
        moved.map_ok(drop)
    }
}

impl<S: Connected + Unpin> Write for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(self, cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_close(self, cx)
    }

    fn is_write_vectored(&self) -> bool {
        // A vectored write is one `sendmsg(2)`, so hyper need not copy head and body into one buffer.
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write_vectored(self, cx, slices)
    }
}

/// A stream of `futures-io` for hyper.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::hyper_rt::HyperIo;
///
/// fn for_hyper(stream: impl futures_io::AsyncRead + futures_io::AsyncWrite + Unpin)
/// -> impl hyper::rt::Read + hyper::rt::Write {
///     HyperIo::new(stream)
/// }
///
/// let io = HyperIo::new("a stream");
/// assert_eq!((*io.get_ref(), io.into_inner()), ("a stream", "a stream"));
/// ```
#[derive(Clone, Debug)]
pub struct HyperIo<T>(T);

impl<T> HyperIo<T> {
    /// Wraps a stream.
    pub fn new(stream: T) -> Self {
        Self(stream)
    }

    /// Returns the stream.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// Returns the stream.
    pub fn get_ref(&self) -> &T {
        &self.0
    }
}

impl<T: AsyncRead + Unpin> Read for HyperIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // A foreign reader takes only initialized memory, so less of it is cleared for each read.
        let mut stack = [0; READ_BYTES / 4];
        let wanted = buffer.remaining().min(stack.len());
        let moved = ready!(Pin::new(&mut self.0).poll_read(cx, &mut stack[..wanted]))?;
        buffer.put_slice(&stack[..moved]);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for HyperIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    // `is_write_vectored` stays false: `futures-io` does not tell if a writer takes more than the first slice.
    // hyper then joins small pieces into one buffer.
}

impl<F: Future + 'static> Executor<F> for LocalSpawner {
    /// # Panics
    ///
    /// Panics outside a runtime.
    fn execute(&self, future: F) {
        // hyper's futures may return a value, which no caller wants.
        spawn_detached(async move {
            future.await;
        });
    }
}

impl hyper::rt::Sleep for Sleep {}

/// The timers of the runtime that the thread is inside, for hyper.
///
/// # Examples
///
/// ```
/// use hyper::server::conn::http1;
/// use waterwheel::runtime::hyper_rt::RuntimeTimer;
///
/// let mut builder = http1::Builder::new();
/// builder.timer(RuntimeTimer); // now hyper's timeout for heads works, also with a paused clock
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct RuntimeTimer;

impl Timer for RuntimeTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(sleep(duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(sleep_until(deadline.into()))
    }

    fn now(&self) -> std::time::Instant {
        // The default is the real time, which would be wrong with a paused clock.
        Instant::now().into()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn hyper::rt::Sleep>>, deadline: std::time::Instant) {
        // A reset to a later deadline is a store, and a new sleep would be an allocation.
        match sleep.as_mut().downcast_mut_pin::<Sleep>() {
            Some(own) => own.get_mut().reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
