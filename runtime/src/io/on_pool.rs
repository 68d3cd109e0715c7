//! A blocking reader or writer whose calls run on the pool.
//!
//! # How it works
//!
//! At most one job runs at a time, and it owns the buffer meanwhile:
//!
//! ```text
//!          poll_read: an empty buffer              the job ends
//!  Idle ─────────────────────────────────► Busy ───────────────► Idle, with bytes that were read
//!    │     poll_write: copies the bytes            the job ends
//!    └───────────────────────────────────► Busy ───────────────► Idle; after an error with unwritten bytes
//! ```
//!
//! A write completes when its bytes are copied into the buffer. Its error is returned by the next call, whatever
//! that is. The unwritten bytes stay, and the call after that writes them again. So a flush succeeds only if all
//! bytes are written.
//!
//! A read that is dropped leaves its job. The next read returns the bytes of that job. A write or a seek first
//! moves the position back by the bytes that were read and not returned.
//!
//! # Invariants
//!
//! - Always: each accepted byte is written, even if the value is dropped or the runtime ends. The exception is an
//!   error.
//! - Always: the position is behind the bytes that were returned, for each call that uses it.

use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use rustix::event::{PollFd, PollFlags, poll};

use crate::blocking::{Blocking, spawn_to_end};
use crate::budget;

/// The bytes that one job moves at most.
const JOB_BYTES_MAX: usize = 128 * 1024;

/// A blocking reader or writer.
pub(crate) struct OnPool<T: Send + Sync + 'static> {
    io: Arc<T>,
    state: PoolState,
}

/// A bufferful of work.
enum PoolState {
    /// No job runs.
    Idle(Buffer),
    /// A job runs, and has the buffer.
    Busy {
        job: Blocking<Done>,
        /// True if the job must run even if no call waits for it.
        writes: bool,
    },
}

/// Bytes on their way. The buffer holds only one kind at a time.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    /// The bytes before this index are done.
    start: usize,
    /// True for accepted bytes that an error has left unwritten. False for bytes that were read.
    unwritten: bool,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// The end of a job.
struct Done {
    buffer: Buffer,
    outcome: Outcome,
}

/// The outcome of a job. The next call that is interested in it takes it.
enum Outcome {
    Read(io::Result<()>),
    Wrote(io::Result<()>),
    Sought(SeekFrom, io::Result<u64>),
}

impl<T: Send + Sync + 'static> OnPool<T> {
    pub(crate) fn new(io: T) -> Self {
        Self {
            io: Arc::new(io),
            state: PoolState::Idle(Buffer::default()),
        }
    }

    pub(crate) fn io(&self) -> &Arc<T> {
        &self.io
    }

    /// Returns true if the position may be behind bytes that were not returned.
    pub(crate) fn is_ahead(&self) -> bool {
        match &self.state {
            PoolState::Idle(buffer) => !buffer.rest().is_empty(),
            PoolState::Busy { .. } => true,
        }
    }

    /// Takes the buffer out for a job.
    fn take_buffer(&mut self) -> Buffer {
        match &mut self.state {
            PoolState::Idle(buffer) => mem::take(buffer),
            PoolState::Busy { .. } => Buffer::default(),
        }
    }

    /// Starts a job. No other one may run.
    fn start(&mut self, writes: bool, job: impl FnOnce(&T) -> Done + Send + 'static) {
        let io = self.io.clone();
        // The job has the descriptor, too: a value that is dropped closes it after its last write.
        let job = spawn_to_end("blocking I/O", move || job(&io));
        self.state = PoolState::Busy { job, writes };
    }

    /// Waits until no job runs. Returns the outcome of the one that has run.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Outcome>>> {
        let PoolState::Busy { job, .. } = &mut self.state else {
            return Poll::Ready(Ok(None));
        };
        let done = ready!(std::pin::Pin::new(job).poll(cx));
        // The job is over in any case, so it must not be polled again.
        self.state = PoolState::Idle(Buffer::default());
        let Done { buffer, outcome } = done.map_err(io::Error::other)?;
        self.state = PoolState::Idle(buffer);
        Poll::Ready(Ok(Some(outcome)))
    }
}

impl<T: Send + Sync + 'static> OnPool<T>
where
    T: AsFd,
    for<'a> &'a T: Read + Write + Seek,
{
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        ready!(budget::poll_spend(cx, 1));
        // Bytes that are written come before the ones that are read.
        while ready!(self.poll_write_rest(cx))? {}
        loop {
            let ended = match ready!(self.poll_idle(cx))? {
                Some(Outcome::Read(read)) => read.map(|()| true)?,
                _ => false,
            };
            let PoolState::Idle(own) = &mut self.state else {
                continue;
            };
            let moved = own.rest().len().min(buffer.len());
            if moved > 0 || ended || buffer.is_empty() {
                buffer[..moved].copy_from_slice(&own.rest()[..moved]);
                own.start += moved;
                budget::spend_bytes(moved);
                return Poll::Ready(Ok(moved));
            }
            // No more than the caller wants: bytes beyond that would have to be given back by a seek.
            let wanted = buffer.len().min(JOB_BYTES_MAX);
            let mut own = self.take_buffer();
            self.start(false, move |mut io| {
                // In the job, because clearing the memory takes time, too.
                own.bytes.resize(wanted, 0);
                let read = retry(io, PollFlags::IN, || io.read(&mut own.bytes));
                own.bytes.truncate(*read.as_ref().unwrap_or(&0));
                own.start = 0;
                Done {
                    buffer: own,
                    outcome: Outcome::Read(read.map(drop)),
                }
            });
        }
    }

    /// Moves the position. Returns the new one.
    pub(crate) fn poll_seek(
        &mut self,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        ready!(budget::poll_spend(cx, 1));
        loop {
            match ready!(self.poll_idle(cx))? {
                // A seek to another place was dropped while it ran. This one follows it.
                Some(Outcome::Sought(place, sought)) if place == to => return Poll::Ready(sought),
                Some(Outcome::Wrote(Err(error))) => return Poll::Ready(Err(error)),
                _ => {}
            }
            while ready!(self.poll_write_rest(cx))? {}
            let mut own = self.take_buffer();
            self.start(false, move |mut io| {
                let mut seek = || {
                    if let SeekFrom::Current(_) = to {
                        step_back(io, own.rest().len())?;
                        own = Buffer::default();
                    }
                    io.seek(to)
                };
                let sought = seek();
                // A seek that has failed has not moved the position, so the bytes still belong to it.
                if sought.is_ok() {
                    own = Buffer::default();
                }
                Done {
                    buffer: own,
                    outcome: Outcome::Sought(to, sought),
                }
            });
        }
    }

    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_accept(cx, bytes, step_back)
    }
}

impl<T: Send + Sync + 'static> OnPool<T>
where
    T: AsFd,
    for<'a> &'a T: Write,
{
    /// Accepts bytes to write. `prepare` is called in the job with the number of bytes that were read and not
    /// returned.
    pub(crate) fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        prepare: impl FnOnce(&T, usize) -> io::Result<()> + Send + 'static,
    ) -> Poll<io::Result<usize>> {
        ready!(budget::poll_spend(cx, 1));
        while ready!(self.poll_write_rest(cx))? {}
        // A read or a seek that was dropped may still run. Its error concerns no caller any more.
        ready!(self.poll_idle(cx))?;
        let accepted = bytes.len().min(JOB_BYTES_MAX);
        if accepted == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut own = self.take_buffer();
        let ahead = own.rest().len();
        own.bytes.clear();
        own.bytes.extend_from_slice(&bytes[..accepted]);
        own.start = 0;
        budget::spend_bytes(accepted);
        self.start(true, move |io| match prepare(io, ahead) {
            Ok(()) => write_all(io, own),
            Err(error) => unwritten(own, error),
        });
        Poll::Ready(Ok(accepted))
    }

    /// Waits until all accepted bytes are written.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(budget::poll_spend(cx, 1));
        while ready!(self.poll_write_rest(cx))? {}
        Poll::Ready(Ok(()))
    }

    /// Waits until no write runs, and returns its error. If an earlier error has left bytes, starts to write
    /// them again, and returns true.
    fn poll_write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        // A job that reads or seeks is left to the call that is interested in its outcome.
        if let PoolState::Busy { writes: true, .. } = self.state
            && let Some(Outcome::Wrote(Err(error))) = ready!(self.poll_idle(cx))?
        {
            return Poll::Ready(Err(error));
        }
        match &self.state {
            PoolState::Idle(own) if own.unwritten => {
                let own = self.take_buffer();
                self.start(true, |io| write_all(io, own));
                Poll::Ready(Ok(true))
            }
            _ => Poll::Ready(Ok(false)),
        }
    }
}

/// Moves the position back by the bytes that were read and not returned.
fn step_back<T>(mut io: &T, ahead: usize) -> io::Result<()>
where
    for<'a> &'a T: Seek,
{
    // Without such bytes no call is made, because a pipe or a terminal has no position.
    if ahead > 0 {
        let back = i64::try_from(ahead).map_err(io::Error::other)?;
        io.seek(SeekFrom::Current(-back))?;
    }
    Ok(())
}

/// Writes all bytes. After an error, the buffer has those that are not written.
fn write_all<T: AsFd>(mut io: &T, mut own: Buffer) -> Done
where
    for<'a> &'a T: Write,
{
    while !own.rest().is_empty() {
        match retry(io, PollFlags::OUT, || io.write(own.rest())) {
            Ok(0) => return unwritten(own, ErrorKind::WriteZero.into()),
            Ok(moved) => own.start += moved,
            Err(error) => return unwritten(own, error),
        }
    }
    own.unwritten = false;
    // The standard output holds the rest of a line back.
    let outcome = Outcome::Wrote(retry(io, PollFlags::OUT, || io.flush()));
    Done {
        buffer: own,
        outcome,
    }
}

/// Returns the end of a write that has failed.
fn unwritten(mut own: Buffer, error: io::Error) -> Done {
    own.unwritten = true;
    Done {
        buffer: own,
        outcome: Outcome::Wrote(Err(error)),
    }
}

/// Calls a blocking function again if a signal has interrupted it, and waits here if the descriptor is
/// non-blocking. The mode belongs to the open file description, so another process may have set it.
pub(super) fn retry<R>(
    io: &impl AsFd,
    interest: PollFlags,
    mut call: impl FnMut() -> io::Result<R>,
) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // An error is no loss: the call itself reports what is wrong with the descriptor.
                _ = poll(&mut [PollFd::new(io, interest)], None);
            }
            other => return other,
        }
    }
}

impl<T: Send + Sync + 'static> Drop for OnPool<T> {
    fn drop(&mut self) {
        let state = mem::replace(&mut self.state, PoolState::Idle(Buffer::default()));
        // Any other job has no effect that a later reader of the file could miss, so it is cancelled.
        if let PoolState::Busy { job, writes: true } = state {
            job.detach();
        }
    }
}

impl<T: Send + Sync + std::fmt::Debug> std::fmt::Debug for OnPool<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.io.fmt(f)
    }
}
