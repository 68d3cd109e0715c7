//! Limits of a handler: its time, and its calls at once.

use std::cell::Cell;
use std::time::Duration;

use waterwheel_runtime::time::timeout;

use crate::error::Refusal;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;

/// Limits the time of a handler for each request. When the time is over, the handler is dropped and the
/// answer is 503. If a part of the handler's answer has been sent, the connection is closed instead.
///
/// [`Limits::handler_duration_max`](crate::Limits::handler_duration_max) limits all handlers of a server.
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::time_limit;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
/// use waterwheel::runtime::time::{pause, sleep};
///
/// let slow = async |request: Request<'_>| {
///     sleep(Duration::from_secs(60)).await;
///     request.respond(StatusCode::OK, "late", ()).await
/// };
/// let answer = block_on(async {
///     pause();
///     TestClient::new(time_limit(Duration::from_secs(5), slow)).get("/").await
/// });
/// assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
/// ```
pub fn time_limit(duration: Duration, handler: impl Handler) -> impl Handler {
    async move |request: Request<'_>| match timeout(duration, handler.call(request)).await {
        Ok(answered) => answered,
        Err(_) => Err(Refusal::HandlerTooSlow.into()),
    }
}

/// Limits the number of requests that a handler works on at once. Further requests are answered with 503
/// ("too many requests at once") and Retry-After, and their connections close.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::at_most;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let answer = block_on(async { TestClient::new(at_most(2, hello)).get("/").await });
/// assert_eq!(answer.text(), "hello");
/// ```
///
/// # Panics
///
/// If `requests` is 0.
pub fn at_most(requests: usize, handler: impl Handler) -> impl Handler {
    assert!(requests > 0, "at_most needs at least one request");
    let places = Cell::new(requests);
    async move |request: Request<'_>| {
        // The place lives as long as the handler's future, and is freed with it.
        let Some(left) = places.get().checked_sub(1) else {
            return Err(Refusal::TooManyAtOnce.into());
        };
        places.set(left);
        let _place = Place(&places);
        handler.call(request).await
    }
}

/// One of the places. Dropping it frees the place, also if the handler panics or is dropped.
struct Place<'p>(&'p Cell<usize>);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}
