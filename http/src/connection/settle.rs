//! How an exchange ends, and how all of them do.
//!
//! Whatever a handler did or failed to do, the request at hand is answered or the connection is cut;
//! what it left of the body is read past, or the connection closes; and a client that is still
//! sending is given the time to see its answer.

use std::any::Any;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use waterwheel_runtime::time::Instant;

use super::{Connection, Stage};
use crate::answer::Responded;
use crate::error::{Error, Refusal, Result};
use crate::exchange::Answer;
use crate::io::Io;
use crate::link::Link;
use crate::proto::keep_alive::Persistence;

impl<T: Io> Connection<T> {
    /// The handler is done, one way or the other: sees to it that the request is answered, and
    /// that the next one can be found.
    pub(super) async fn settle(&mut self, outcome: Outcome) -> ControlFlow<()> {
        self.judge(outcome)?;
        let Some(link) = self.link() else {
            return ControlFlow::Break(());
        };
        let drained = drain(link, self.behind()).await;
        let persists = link.exchange.persistence.get().persists();
        let Some(work) = &mut self.work else {
            return ControlFlow::Break(());
        };
        work.advance();
        self.stage = Stage::Between;
        match (persists, drained) {
            (true, Drained::Whole) => ControlFlow::Continue(()),
            (false, Drained::Whole) if work.input.is_empty() => {
                // Nothing unread is left that could cost the client its answer.
                drop(self.flush().await);
                ControlFlow::Break(())
            }
            _ => {
                self.close_lingering().await;
                ControlFlow::Break(())
            }
        }
    }

    /// What came behind the head at the front.
    fn behind(&self) -> &[u8] {
        self.work
            .as_ref()
            .map_or(&[], |work| &work.input.filled()[work.head_bytes..])
    }

    /// Looks at what became of the request; breaks if the connection has to be cut.
    fn judge(&self, outcome: Outcome) -> ControlFlow<()> {
        let (Some(link), Some(work)) = (self.link(), self.work.as_deref()) else {
            return ControlFlow::Break(());
        };
        let error = match outcome {
            Ok(Ok(_)) if link.exchange.is_answered() => return ControlFlow::Continue(()),
            Ok(Ok(_)) if link.exchange.answer.get() == Answer::Streaming => {
                return ControlFlow::Break(());
            }
            Ok(Ok(_)) => Error::message("the handler gave back a Responded of another request"),
            Ok(Err(error)) => error,
            Err(payload) => Error::message(format!(
                "the handler panicked: {}",
                panic_message(&*payload)
            )),
        };
        self.log(&error);
        match link.exchange.answer.get() {
            Answer::Awaited => link.queue_error(&work.head, error.status(), reason(&error)),
            Answer::Streaming => return ControlFlow::Break(()),
            Answer::Complete => link.exchange.persistence.set(Persistence::Close),
        }
        ControlFlow::Continue(())
    }

    /// Errors that are the client's fault, or the network's, are no news to the operator.
    fn log(&self, error: &Error) {
        let foreign = error.refusal().is_some()
            || error
                .downcast_ref::<std::io::Error>()
                .is_some_and(is_of_peer);
        if foreign {
            return;
        }
        if let Some(left_out) = self.place.shared.log.allows() {
            tracing::error!(peer = ?self.peer, ?error, left_out, "a request failed in its handler");
        }
    }

    /// Answers a request that cannot be read, and ends the connection.
    pub(super) async fn refuse(&mut self, refusal: Refusal) {
        if let (Some(link), Some(work)) = (self.link(), self.work.as_deref()) {
            link.queue_error(&work.head, refusal.status(), refusal.reason());
        }
        self.close_lingering().await;
    }

    /// Sends what is queued, ends the writing direction, and reads on for a while: a client that
    /// is still sending would lose the answer to a reset otherwise.
    async fn close_lingering(&mut self) {
        if self.flush().await.is_ok() && self.io.end_writing().is_ok() {
            self.sleep
                .reset(Instant::now() + self.place.shared.limits.linger_duration_max);
            let mut left = self.place.shared.limits.linger_bytes_max;
            poll_fn(|cx| self.poll_discard(cx, &mut left)).await;
        }
    }

    /// Reads and throws away, until the end, the cap, or the deadline.
    fn poll_discard(&mut self, cx: &mut Context<'_>, left: &mut u64) -> Poll<()> {
        let mut scrap = [0; 4096];
        while *left > 0 {
            match self.io.poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => *left = left.saturating_sub(count as u64),
                Poll::Pending => return Pin::new(&mut self.sleep).poll(cx),
            }
        }
        Poll::Ready(())
    }
}

/// A handler's end: an answer (or, where requests are pulled, nothing to show), an error, or a
/// panic.
pub(super) type Outcome = std::result::Result<Result<Option<Responded>>, Box<dyn Any + Send>>;

/// Polls a handler. Whatever is queued when it waits goes out; its panic ends here.
///
/// Pinned where it stands: a handler's future may be large, and is not moved.
pub(super) async fn drive(
    link: Link<'_>,
    mut handler: Pin<&mut impl Future<Output = Result<Responded>>>,
) -> Outcome {
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(cx))) {
            Ok(Poll::Ready(responded)) => Poll::Ready(Ok(responded.map(Some))),
            Ok(Poll::Pending) => {
                // An error here will be met again by whoever writes next.
                drop(link.poll_flush(cx));
                Poll::Pending
            }
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}

#[derive(PartialEq, Eq)]
enum Drained {
    /// The next byte is the next request's.
    Whole,
    /// There is more, or it is broken: nothing can be found behind it.
    Given,
}

/// Reads what the handler has left of the body, up to the limit.
async fn drain(link: Link<'_>, behind: &[u8]) -> Drained {
    let mut left = link.shared.limits.drain_bytes_max;
    loop {
        if link.exchange.body.borrow().is_done() {
            return Drained::Whole;
        }
        if left == 0 || !link.exchange.persistence.get().persists() {
            return Drained::Given;
        }
        let mut count = 0;
        let mut sink = |data: &[u8]| count += data.len() as u64;
        if poll_fn(|cx| link.poll_take(cx, behind, &mut sink))
            .await
            .is_err()
        {
            return Drained::Given;
        }
        left = left.saturating_sub(count);
    }
}

fn reason(error: &Error) -> &'static str {
    error
        .refusal()
        .map_or("internal server error", Refusal::reason)
}

/// Whether an error only says that the peer is gone or has stopped.
fn is_of_peer(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::BrokenPipe
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::WriteZero
    )
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a value that is not text")
}
