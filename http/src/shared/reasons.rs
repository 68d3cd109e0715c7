//! Names for the parts of a server, for `waterwheel_runtime::inspect`.
//!
//! # How it works
//!
//! A dump of the runtime shows a connection as `connection(idle) > read fd 12 of 127.0.0.1:4711`, and one whose handler
//! waits as `connection(handling) > handler(GET /slow) > sleep(3 s left)`. Without the feature `inspect`, the functions
//! here only call their arguments. A trace of the runtime has the cause why a handler was dropped.
//!
//! # Invariants
//!
//! - Never: a query of a request in a name, because it may be a secret.

#[cfg(not(feature = "inspect"))]
pub(crate) use off::{client_gone, handler, handler_too_slow, named, poll_connection};
#[cfg(feature = "inspect")]
pub(crate) use on::{client_gone, handler, handler_too_slow, named, poll_connection};

/// The names of a build with the feature.
#[cfg(feature = "inspect")]
mod on {
    use std::future::{Future, poll_fn};
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll};

    use http::Method;
    use waterwheel_runtime::inspect::{self, CancelCause};

    use crate::shared::connections::Phase;

    /// Names a part of a server.
    pub(crate) async fn named<F: Future>(name: &'static str, future: F) -> F::Output {
        let mut future = pin!(future);
        // A phase without a text, so that no name of a program is taken for a part of a server.
        let part = |cx: &mut Context<'_>| {
            let poll = |future: &mut Pin<&mut F>, cx: &mut Context<'_>| future.as_mut().poll(cx);
            inspect::poll_in_phases(name, &mut future, cx, poll, |_| "")
        };
        poll_fn(part).await
    }

    /// Polls a connection, and shows its phase while it waits.
    #[inline]
    pub(crate) fn poll_connection<S, T>(
        state: &mut S,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<T>,
        phase: impl FnOnce(&S) -> Option<Phase>,
    ) -> Poll<T> {
        inspect::poll_in_phases("connection", state, cx, poll, |state| {
            phase(state).map_or("over", text_of)
        })
    }

    fn text_of(phase: Phase) -> &'static str {
        match phase {
            Phase::Handshake => "handshake",
            Phase::New => "first request",
            Phase::ReadingHead => "reading head",
            Phase::HeadOverdue => "head overdue",
            Phase::Handling => "handling",
            Phase::Idle => "idle",
            Phase::Closing => "closing",
            Phase::Lingering(_) => "lingering",
            Phase::Upgraded => "upgraded",
        }
    }

    /// Records that a handler is about to be dropped, because its client has left or takes no byte.
    #[cold]
    #[track_caller]
    pub(crate) fn client_gone() {
        inspect::cancelled(CancelCause::ClientGone);
    }

    /// Records that a handler is about to be dropped, because its time is over.
    #[cold]
    #[track_caller]
    pub(crate) fn handler_too_slow() {
        inspect::cancelled(CancelCause::Timeout);
    }

    /// Polls a handler, and shows its request.
    #[inline]
    pub(crate) fn handler<'a, T>(
        cx: &mut Context<'a>,
        request: impl FnOnce() -> Option<(Method, String)>,
        poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
    ) -> Poll<T> {
        let detail = || {
            let (method, target) = request().unwrap_or_default();
            let path = target.split('?').next().unwrap_or_default();
            format!("{method} {path}")
        };
        inspect::poll_named("handler", detail, cx, poll)
    }
}

/// The empty names of all other builds.
#[cfg(not(feature = "inspect"))]
mod off {
    use std::future::Future;
    use std::task::{Context, Poll};

    use http::Method;

    use crate::shared::connections::Phase;

    pub(crate) fn named<F: Future>(_: &'static str, future: F) -> F {
        future
    }

    pub(crate) fn client_gone() {}
    pub(crate) fn handler_too_slow() {}

    #[inline]
    pub(crate) fn poll_connection<S, T>(
        state: &mut S,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<T>,
        _: impl FnOnce(&S) -> Option<Phase>,
    ) -> Poll<T> {
        poll(state, cx)
    }

    #[inline]
    pub(crate) fn handler<'a, T>(
        cx: &mut Context<'a>,
        _: impl FnOnce() -> Option<(Method, String)>,
        poll: impl FnOnce(&mut Context<'a>) -> Poll<T>,
    ) -> Poll<T> {
        poll(cx)
    }
}
