//! The standard streams of the process.
//!
//! # How it works
//!
//! The non-blocking mode belongs to the open file description, which this process shares with its terminal's
//! other processes. So these streams stay blocking, and other threads call them:
//!
//! - *Input*: one thread of the process reads when a task asks for bytes. The thread belongs to no runtime, so a
//!   runtime can end while the thread waits for a line that never comes.
//! - *Output*: jobs of the pool write. The end of a runtime waits for them.
//!
//! # Invariants
//!
//! - Never: a change of the mode of a standard stream.
//! - Never: a byte of the input read before a task has asked for one.

use std::io::{self, Read};
use std::mem;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

use futures_io::{AsyncRead, AsyncWrite};
use rustix::event::PollFlags;

use super::on_pool::{OnPool, retry};
use crate::{budget, panics};

/// Returns the standard input.
///
/// A thread reads it when a task asks for bytes. A read that is dropped loses no bytes: the next one returns
/// them. The process and the runtime can end while the thread waits. Any number of tasks may read, and each byte
/// goes to one of them. Reads of [`std::io::stdin`] share the buffer, and a mix of both is possible.
///
/// # Examples
///
/// ```no_run
/// use futures_lite::{AsyncBufReadExt, StreamExt, io::BufReader};
/// use waterwheel::runtime::{block_on, io::stdin};
///
/// block_on(async {
///     let mut lines = BufReader::new(stdin()).lines();
///     while let Some(line) = lines.next().await {
///         println!("{}", line?);
///     }
///     std::io::Result::Ok(())
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn stdin() -> Stdin {
    /// The next number. Only its uniqueness matters.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    Stdin {
        id: NEXT.fetch_add(1, Ordering::Relaxed),
    }
}

/// The standard input; see [`stdin`].
///
/// # Examples
///
/// ```no_run
/// use futures_lite::AsyncReadExt;
/// use waterwheel::runtime::{block_on, io::{Stdin, stdin}};
///
/// async fn all(mut input: Stdin) -> std::io::Result<String> {
///     let mut text = String::new();
///     input.read_to_string(&mut text).await?;
///     Ok(text)
/// }
///
/// println!("{}", block_on(all(stdin()))?);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Stdin {
    /// The name of its waker among the waiters.
    id: u64,
}

/// The bytes that a read of the standard input takes at most.
const INPUT_BYTES: usize = 8 * 1024;

/// The standard input of the process, as its thread and all tasks share it.
struct Input {
    state: Mutex<InputState>,
    /// Notified when a task asks for bytes.
    asked: Condvar,
}

static INPUT: Input = Input {
    state: Mutex::new(InputState {
        bytes: Vec::new(),
        start: 0,
        outcome: None,
        is_asked: false,
        has_thread: false,
        waiters: Vec::new(),
    }),
    asked: Condvar::new(),
};

struct InputState {
    /// The bytes that were read. Those before `start` were returned.
    bytes: Vec<u8>,
    start: usize,
    /// The end or an error that no read has returned yet.
    outcome: Option<io::Result<()>>,
    /// True from the question of a task until the answer of the thread.
    is_asked: bool,
    has_thread: bool,
    /// The wakers of the readers that wait for bytes, each with the name of its reader.
    waiters: Vec<(u64, Waker)>,
}

impl InputState {
    /// Removes the waker of a reader.
    fn forget(&mut self, reader: u64) -> Option<Waker> {
        let place = self.waiters.iter().position(|(id, _)| *id == reader)?;
        Some(self.waiters.swap_remove(place).1)
    }
}

impl Input {
    /// Locks the state. Poisoning is ignored, because no foreign code runs while it is locked.
    fn lock(&self) -> MutexGuard<'_, InputState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads when a task asks. The thread of the standard input runs this, and it never ends.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            let wait = self.asked.wait_while(state, |state| !state.is_asked);
            drop(wait.unwrap_or_else(PoisonError::into_inner));
            // Not locked here: this may wait for hours.
            let mut bytes = vec![0; INPUT_BYTES];
            let read = retry(&io::stdin(), PollFlags::IN, || io::stdin().read(&mut bytes));
            state = self.lock();
            match read {
                Ok(0) => state.outcome = Some(Ok(())),
                Ok(count) => {
                    bytes.truncate(count);
                    state.bytes = bytes;
                    state.start = 0;
                }
                Err(error) => state.outcome = Some(Err(error)),
            }
            state.is_asked = false;
            // All of them, because the bytes may be enough for several.
            let waiters = mem::take(&mut state.waiters);
            drop(state);
            panics::wake_all(waiters.into_iter().map(|(_, waker)| waker));
            state = self.lock();
        }
    }

    /// Takes bytes, the end or an error. Otherwise asks the thread and stores the waker. Returns a waker
    /// that is not stored.
    fn take_or_ask(
        &'static self,
        reader: u64,
        buffer: &mut [u8],
        waker: Waker,
    ) -> (Poll<io::Result<usize>>, Option<Waker>) {
        // One lock for both: an answer between them would wait for the next question.
        let mut state = self.lock();
        let rest = &state.bytes[state.start..];
        let moved = rest.len().min(buffer.len());
        if moved > 0 {
            buffer[..moved].copy_from_slice(&rest[..moved]);
            state.start += moved;
            return (Poll::Ready(Ok(moved)), Some(waker));
        }
        // A terminal can go on after its end, so the end is returned once, and the next read asks again.
        if let Some(outcome) = state.outcome.take() {
            return (Poll::Ready(outcome.map(|()| 0)), Some(waker));
        }
        if !state.has_thread {
            let thread = thread::Builder::new().name("ww-stdin".to_owned());
            if let Err(error) = thread.spawn(move || self.serve()) {
                return (Poll::Ready(Err(error)), Some(waker));
            }
            // Set after the spawn, so that the next read tries again if the process has no thread left. The
            // thread is not joined, because its read may never return.
            state.has_thread = true;
        }
        state.is_asked = true;
        self.asked.notify_one();
        // One waker for each reader: reads that come and are dropped take no memory.
        let replaced = state.forget(reader);
        state.waiters.push((reader, waker));
        (Poll::Pending, replaced)
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(budget::poll_spend(cx, 1));
        // Without this, a read of no bytes would wait for a line.
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // Wakers may be foreign, so they are cloned and dropped while the state is not locked.
        let (taken, unused) = INPUT.take_or_ask(self.id, buffer, cx.waker().clone());
        panics::discard(unused);
        taken
    }
}

impl Drop for Stdin {
    fn drop(&mut self) {
        let forgotten = INPUT.lock().forget(self.id);
        panics::discard(forgotten);
    }
}

/// Returns the standard output.
///
/// A write completes when the bytes are copied, and a job of the pool writes them. Flush or close it before the
/// end, to see the error of the last write. The end of the runtime waits for writes that were accepted. The
/// bytes of one value keep their order. Two values, and [`print!`], do not wait for each other.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, io::stdout};
///
/// block_on(async {
///     let mut stdout = stdout();
///     stdout.write_all(b"water\n").await?;
///     stdout.flush().await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn stdout() -> Stdout {
    Stdout {
        inner: OnPool::new(io::stdout()),
    }
}

/// Returns the standard error; see [`stdout`].
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, io::stderr};
///
/// block_on(async {
///     let mut stderr = stderr();
///     stderr.write_all(b"no water\n").await?;
///     stderr.flush().await
/// })?;
/// # std::io::Result::Ok(())
/// ```
#[must_use]
pub fn stderr() -> Stderr {
    Stderr {
        inner: OnPool::new(io::stderr()),
    }
}

/// The standard output; see [`stdout`].
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, io::{Stdout, stdout}};
///
/// async fn say(mut stream: Stdout, line: &str) -> std::io::Result<()> {
///     stream.write_all(format!("{line}\n").as_bytes()).await?;
///     stream.flush().await
/// }
///
/// block_on(say(stdout(), "water"))?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Stdout {
    inner: OnPool<io::Stdout>,
}

/// The standard error; see [`stderr`].
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncWriteExt;
/// use waterwheel::runtime::{block_on, io::{Stderr, stderr}};
///
/// async fn say(mut stream: Stderr, line: &str) -> std::io::Result<()> {
///     stream.write_all(format!("{line}\n").as_bytes()).await?;
///     stream.flush().await
/// }
///
/// block_on(say(stderr(), "no water"))?;
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Stderr {
    inner: OnPool<io::Stderr>,
}

impl AsyncWrite for Stdout {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_accept(cx, bytes, |_, _| Ok(()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    /// Waits until all bytes are written. The stream stays open.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}

impl AsyncWrite for Stderr {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_accept(cx, bytes, |_, _| Ok(()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    /// Waits until all bytes are written. The stream stays open.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }
}
