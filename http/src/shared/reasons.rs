//! Names for the parts of a server, for `waterwheel_runtime::inspect`.
//!
//! # How it works
//!
//! A dump of the runtime shows a connection as `connection(idle) > read fd 12 of 127.0.0.1:4711`, and one whose handler
//! waits as `connection(handling) > handler(GET /slow) > sleep(3 s left)`. Without the feature `inspect`, the functions
//! here are empty. A trace of the runtime has the cause why a handler was dropped.
//!
//! # Invariants
//!
//! - Never: a query of a request in a name, because it may be a secret.

#[cfg(not(feature = "inspect"))]
pub(crate) use off::*;
#[cfg(feature = "inspect")]
pub(crate) use on::*;

/// The names of a build with the feature.
#[cfg(feature = "inspect")]
mod on {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::{Context, Poll};

    use http::Method;
    use waterwheel_runtime::inspect::{self, CancelCause, NamedPart};

    use crate::shared::connections::Phase;

    /// Names a part of a server.
    pub(crate) async fn named<F: Future>(name: &'static str, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let part = NamedPart::enter(name, String::new, cx);
            match future.as_mut().poll(cx) {
                Poll::Ready(output) => {
                    part.leave(false);
                    Poll::Ready(output)
                }
                Poll::Pending => {
                    // A phase without a text, so that no name of a program is taken for a part of a server.
                    part.leave_in_phase(|| "");
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Enters a connection, before its poll.
    #[inline]
    pub(crate) fn enter_connection(cx: &Context<'_>) -> NamedPart {
        NamedPart::enter("connection", String::new, cx)
    }

    /// Leaves a connection that has to wait, and shows its phase.
    #[inline]
    pub(crate) fn leave_connection(part: NamedPart, phase: impl FnOnce() -> Option<Phase>) {
        part.leave_in_phase(|| phase().map_or("over", text_of));
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

    /// Enters a handler, before its poll, and shows its request.
    #[inline]
    pub(crate) fn enter_handler(
        cx: &Context<'_>,
        request: impl FnOnce() -> Option<(Method, String)>,
    ) -> NamedPart {
        let detail = || {
            let (method, target) = request().unwrap_or_default();
            let path = target.split('?').next().unwrap_or_default();
            format!("{method} {path}")
        };
        NamedPart::enter("handler", detail, cx)
    }
}

/// The empty names of all other builds.
#[cfg(not(feature = "inspect"))]
mod off {
    use std::future::Future;
    use std::task::Context;

    use http::Method;

    use crate::shared::connections::Phase;

    pub(crate) fn named<F: Future>(_: &'static str, future: F) -> F {
        future
    }

    pub(crate) fn client_gone() {}
    pub(crate) fn handler_too_slow() {}

    /// The place of a part in all other builds.
    pub(crate) struct NamedPart;

    #[expect(clippy::unused_self, reason = "the signature of the one of `inspect`")]
    impl NamedPart {
        pub(crate) fn leave(self, _: bool) {}
    }

    pub(crate) fn enter_connection(_: &Context<'_>) -> NamedPart {
        NamedPart
    }

    pub(crate) fn leave_connection(_: NamedPart, _: impl FnOnce() -> Option<Phase>) {}

    pub(crate) fn enter_handler(
        _: &Context<'_>,
        _: impl FnOnce() -> Option<(Method, String)>,
    ) -> NamedPart {
        NamedPart
    }
}
