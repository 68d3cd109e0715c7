//! How long, and how many at once.

use std::cell::Cell;
use std::time::Duration;

use waterwheel_runtime::time::timeout;

use crate::error::Refusal;
use crate::handler::Handler;
use crate::request::Request;

/// Gives a handler so much time for each request; then it is dropped, and the answer is 503. If a
/// part of its own answer is out by then, the connection is cut.
///
/// For a limit on all handlers there is
/// [`Limits::handler_duration_max`](crate::Limits::handler_duration_max).
pub fn time_limit(duration: Duration, handler: impl Handler) -> impl Handler {
    async move |request: Request<'_>| match timeout(duration, handler.call(request)).await {
        Ok(answered) => answered,
        Err(_) => Err(Refusal::HandlerTooSlow.into()),
    }
}

/// Lets a handler work on so many requests at once; to others the answer is 503.
///
/// # Panics
///
/// If that is none at all.
pub fn at_most(requests: usize, handler: impl Handler) -> impl Handler {
    assert!(requests > 0, "a handler that may never be called");
    let places = Cell::new(requests);
    async move |request: Request<'_>| {
        let Some(_place) = Place::take(&places) else {
            return Err(Refusal::Unavailable.into());
        };
        handler.call(request).await
    }
}

/// One of the places; free again when it is dropped, however the handler ends.
struct Place<'p>(&'p Cell<usize>);

impl<'p> Place<'p> {
    fn take(places: &'p Cell<usize>) -> Option<Self> {
        places.set(places.get().checked_sub(1)?);
        Some(Self(places))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}
