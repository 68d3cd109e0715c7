//! The body of a request for a service: `Send`, and without a lifetime.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::exchange::body::Body;

/// The body of a request that a service receives: an `http_body::Body` that is `Send`.
///
/// Each poll asks for one more piece. So a service that does not poll reads nothing from the client.
///
/// # Errors
///
/// A frame is an error if the client sends a malformed body or leaves, if the body is too long, or if the service's
/// future was dropped and this body was moved elsewhere.
///
/// # Examples
///
/// ```
/// use std::pin::pin;
/// use http_body::Body;
/// use waterwheel::http::web::tower::RequestBody;
///
/// /// Returns the number of bytes that the client sends.
/// async fn count(body: RequestBody) -> std::io::Result<usize> {
///     let (mut body, mut count) = (pin!(body), 0);
///     while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
///         count += frame?.data_ref().map_or(0, |data| data.len());
///     }
///     Ok(count)
/// }
/// ```
pub struct RequestBody {
    shared: Arc<Mutex<SharedPiece>>,
    /// The number of bytes that are still to come, if it is known.
    left: Option<u64>,
    is_over: bool,
}

/// One piece on its way, and the two sides that may wait for each other.
#[derive(Default)]
struct SharedPiece {
    frame: Option<io::Result<Frame<Bytes>>>,
    /// True if the service has asked for a piece that is not there yet.
    is_wanted: bool,
    /// True if no piece follows the one in `frame`.
    is_over: bool,
    service: Option<Waker>,
    pump: Option<Waker>,
}

/// Makes the two sides of a body.
pub(super) fn pair(body: Body<'_>) -> (RequestBody, Pump<'_>) {
    let shared = Arc::new(Mutex::new(SharedPiece::default()));
    let near = RequestBody {
        shared: shared.clone(),
        left: body.size_hint().exact(),
        is_over: body.is_end_stream(),
    };
    (near, Pump { body, shared })
}

fn lock(shared: &Mutex<SharedPiece>) -> MutexGuard<'_, SharedPiece> {
    // No code of a user runs under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves the pieces of a borrowed body to the service.
pub(super) struct Pump<'c> {
    body: Body<'c>,
    shared: Arc<Mutex<SharedPiece>>,
}

impl Pump<'_> {
    /// Runs a future, and moves a piece whenever the service asks for one.
    pub(super) async fn during<F: Future>(&mut self, mut future: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(output) = future.as_mut().poll(cx) {
                    return Poll::Ready(output);
                }
                // A piece that was moved may be what the future waits for. The body spends budget, so this ends.
                if self.move_one(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Moves one piece, or the end. Is pending if the service wants none, or if none has arrived.
    fn move_one(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        {
            let mut shared = lock(&self.shared);
            if !shared.is_wanted {
                shared.pump = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            return Poll::Pending;
        };
        let waker = {
            let mut shared = lock(&self.shared);
            shared.is_wanted = false;
            shared.is_over = !matches!(frame, Some(Ok(_)));
            shared.frame = frame;
            shared.service.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Poll::Ready(())
    }
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        let waker = {
            let mut shared = lock(&self.shared);
            if !shared.is_over && shared.frame.is_none() {
                // The body was moved out of the service's future, and cannot be read any more.
                let text = "the request is over";
                shared.frame = Some(Err(io::Error::new(io::ErrorKind::BrokenPipe, text)));
            }
            shared.is_over = true;
            shared.service.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut shared = lock(&self.shared);
        let (frame, is_over) = (shared.frame.take(), shared.is_over);
        if frame.is_none() && !is_over {
            shared.is_wanted = true;
            shared.service = Some(cx.waker().clone());
            let pump = shared.pump.take();
            drop(shared);
            // The pump is another task if the service has moved the body.
            if let Some(pump) = pump {
                pump.wake();
            }
            return Poll::Pending;
        }
        drop(shared);
        self.is_over = is_over || frame.is_none();
        if let (Some(left), Some(Ok(frame))) = (&mut self.left, &frame) {
            let count = frame.data_ref().map_or(0, Bytes::len);
            *left = left.saturating_sub(count as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}
