//! The shutdown of a server, as work that never ends by itself learns of it.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use waterwheel_runtime::Notify;

/// Tells a handler or a task that the server shuts down.
///
/// [`Request::shutdown_signal`](crate::Request::shutdown_signal) and
/// [`Upgraded::shutdown_signal`](crate::Upgraded::shutdown_signal) return it. Work that never ends by itself, such
/// as a stream of events or a WebSocket, waits for it beside its own events, says goodbye, and ends. Otherwise the
/// server waits for it until the grace of the shutdown is over, and then cuts it.
///
/// A clone is the same signal. It keeps neither the server nor the connection alive.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
/// use waterwheel::runtime::time::{sleep, timeout};
///
/// async fn ticks(request: Request<'_>) -> Result<Responded> {
///     let shutdown = request.shutdown_signal();
///     let mut body = request.start(StatusCode::OK, ()).await?;
///     // Each second, until the server shuts down.
///     while timeout(Duration::from_secs(1), shutdown.wait()).await.is_err() {
///         body.write("tick\n").await?;
///     }
///     body.write("goodbye\n").await?;
///     body.finish().await
/// }
/// # drop(waterwheel::http::shared(ticks));
/// ```
#[derive(Clone)]
pub struct ShutdownSignal(Rc<SignalState>);

struct SignalState {
    is_set: Cell<bool>,
    /// Notified once, when the signal is set.
    was_set: Notify,
}

impl ShutdownSignal {
    pub(crate) fn new() -> Self {
        Self(Rc::new(SignalState {
            is_set: Cell::new(false),
            was_set: Notify::new(),
        }))
    }

    pub(crate) fn set(&self) {
        self.0.is_set.set(true);
        self.0.was_set.notify_all();
    }

    /// Returns true if the server shuts down or has shut down.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn ready(request: Request<'_>) -> Result<Responded> {
    ///     let status = if request.shutdown_signal().is_set() {
    ///         StatusCode::SERVICE_UNAVAILABLE
    ///     } else {
    ///         StatusCode::OK
    ///     };
    ///     request.respond(status, "", ()).await
    /// }
    /// # drop(waterwheel::http::shared(ready));
    /// ```
    pub fn is_set(&self) -> bool {
        self.0.is_set.get()
    }

    /// Completes when the server shuts down. Completes at once if it has begun to.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn wait(&self) {
        while !self.is_set() {
            self.0.was_set.notified().await;
        }
    }
}

impl fmt::Debug for ShutdownSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShutdownSignal")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}
