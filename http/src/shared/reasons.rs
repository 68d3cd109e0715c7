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
    use std::pin::{Pin, pin};
    use std::task::Context;

    use http::Method;
    use waterwheel_runtime::inspect::{self, CancelCause, NamedPart};

    use crate::shared::connections::Phase;

    /// Names a part of a server.
    pub(crate) async fn named<F: Future>(name: &'static str, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            // A phase without a text, so that no name of a program is taken for a part of a server.
            inspect::poll_in_phase(name, cx, || Some(""), |cx| future.as_mut().poll(cx))
        })
        .await
    }

    /// Boxes the future that serves connections. Each of its polls is a part of its task, in the phase of the connection
    /// at the end of the poll. It never ends.
    // Around the boxed future, so that a task without reports runs no code for it. // LOG S7
    pub(crate) fn connection(
        future: impl Future<Output = ()> + 'static,
        phase: impl Fn() -> Option<Phase> + 'static,
    ) -> Pin<Box<dyn Future<Output = ()>>> {
        if !inspect::records_parts() {
            return Box::pin(future);
        }
        let mut future = Box::pin(future);
        Box::pin(poll_fn(move |cx| {
            let phase = || phase().map(text_of);
            inspect::poll_in_phase(CONNECTION, cx, phase, |cx| future.as_mut().poll(cx))
        }))
    }

    /// Removes the part of a connection that has been left as one that waits.
    #[inline]
    pub(crate) fn take_back_connection() {
        NamedPart::take_back(CONNECTION);
    }

    const CONNECTION: &str = "connection";

    fn text_of(phase: Phase) -> &'static str {
        match phase {
            Phase::Handshake => "handshake",
            Phase::New => "first request",
            Phase::ReadingHead => "reading head",
            Phase::HeadOverdue => "head overdue",
            Phase::Handling => "handling",
            Phase::Idle | Phase::Promised => "idle",
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
    use std::pin::Pin;
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
        pub(crate) fn waits(self) {}
    }

    pub(crate) fn connection(
        future: impl Future<Output = ()> + 'static,
        _: impl Fn() -> Option<Phase>,
    ) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(future)
    }

    pub(crate) fn take_back_connection() {}

    pub(crate) fn enter_handler(
        _: &Context<'_>,
        _: impl FnOnce() -> Option<(Method, String)>,
    ) -> NamedPart {
        NamedPart
    }
}
