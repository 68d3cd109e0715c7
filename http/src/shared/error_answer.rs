//! The look of the error answers that the server makes itself.
//!
//! # How it works
//!
//! ```text
//!  a refusal, a client error, a failure ──► status, text, fields
//!                                              │
//!            the request's hook (a router's) or the server's hook, if there is one
//!                                              │ fields and a body
//!                                              ▼
//!  the answer: this status; the hook's fields, and those of ours that it leaves out; the hook's body
//! ```
//!
//! # Invariants
//!
//! - Always: the status, the framing and the fate of the connection are those of the answer without a hook.
//! - Never: a request without an answer because of its hook. If the hook fails, the line of text is sent.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::error::panics::{drop_contained, panic_text};
use crate::error::{Error, Refusal, Result};
use crate::headers::{AnswerHeaders, Headers};

/// An error answer that the server is about to send, for a hook that makes its body.
///
/// See [`Builder::error_responses`](crate::Builder::error_responses).
///
/// # Examples
///
/// ```
/// use waterwheel::http::{ErrorAnswer, Refusal, StatusCode};
///
/// /// The line of the access log.
/// fn line(answer: &ErrorAnswer<'_>) -> String {
///     let cause = match answer.refusal {
///         Some(Refusal::BodyTooLarge) => "an upload above the limit",
///         Some(_) => "a request that the server refuses",
///         None if answer.status == StatusCode::INTERNAL_SERVER_ERROR => "a fault of ours",
///         None => "a fault that a handler has found",
///     };
///     format!("{} {} {}: {cause}", answer.method, answer.target, answer.status.as_u16())
/// }
/// # let _: fn(&ErrorAnswer<'_>) -> String = line;
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ErrorAnswer<'a> {
    /// The status of the answer, 400 to 599. The hook cannot change it.
    pub status: StatusCode,
    /// The text that the client would read: one line, without its line end.
    pub text: &'a str,
    /// The reason, if the server refuses the request.
    pub refusal: Option<Refusal>,
    /// The error, if a handler has returned one. It may hold details that no client should read.
    pub error: Option<&'a Error>,
    /// The method of the request.
    pub method: &'a Method,
    /// The target of the request, as the client has sent it.
    pub target: &'a str,
    /// The header fields of the request. `None` if the server refuses them.
    pub headers: Option<Headers<'a>>,
}

/// The fields and the body that a hook makes. An error if it cannot.
pub(crate) type ErrorPage = Result<(HeaderMap, Bytes)>;

/// Makes the look of error answers, on one thread.
#[derive(Clone)]
pub(crate) struct ErrorHook(Rc<dyn Fn(&ErrorAnswer<'_>) -> ErrorPage>);

impl ErrorHook {
    pub(crate) fn new(hook: impl Fn(&ErrorAnswer<'_>) -> ErrorPage + 'static) -> Self {
        Self(Rc::new(hook))
    }

    /// Calls the hook.
    ///
    /// # Errors
    ///
    /// The error of the hook, or the text of its panic.
    pub(crate) fn call(&self, answer: &ErrorAnswer<'_>) -> ErrorPage {
        // The hook is user code. Its panic must not cost the client its answer.
        catch_unwind(AssertUnwindSafe(|| (self.0)(answer))).unwrap_or_else(|payload| {
            let text = format!("the hook panicked: {}", panic_text(&*payload));
            drop_contained(payload);
            Err(Error::message(text))
        })
    }
}

impl fmt::Debug for ErrorHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHook").finish_non_exhaustive()
    }
}

/// A hook of a server that does not exist yet. Each of its threads makes an [`ErrorHook`] of it.
#[derive(Clone)]
pub(crate) struct ErrorHookOfAll(Arc<dyn Fn(&ErrorAnswer<'_>) -> ErrorPage + Send + Sync>);

impl ErrorHookOfAll {
    #[cfg_attr(
        not(feature = "response"),
        expect(dead_code, reason = "a `Response` makes the only hook")
    )]
    pub(crate) fn new(
        hook: impl Fn(&ErrorAnswer<'_>) -> ErrorPage + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(hook))
    }

    pub(crate) fn of_thread(&self) -> ErrorHook {
        // Each thread counts its own references, so that a clone on its way needs no atomic operation.
        let hook = self.0.clone();
        ErrorHook::new(move |answer| hook(answer))
    }
}

impl fmt::Debug for ErrorHookOfAll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorHookOfAll").finish_non_exhaustive()
    }
}

/// The fields of a hook, and those of the original answer that the hook leaves out (Allow, Retry-After …).
pub(crate) struct PageFields<'a> {
    pub(crate) page: &'a HeaderMap,
    pub(crate) original: &'a [(Cow<'static, str>, Cow<'static, str>)],
}

impl AnswerHeaders for PageFields<'_> {
    fn try_for_each<E>(
        &self,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.page.try_for_each(|name, value| {
            if is_of_server(name) {
                return Ok(());
            }
            visit(name, value)
        })?;
        let is_left_out =
            |name: &str| !self.page.contains_key(name) || is_of_server(name.as_bytes());
        let mut original = self.original.iter();
        original.try_for_each(|(name, value)| {
            // The client needs these, and most hooks do not know of them.
            if is_left_out(name) {
                visit(name.as_bytes(), value.as_bytes())?;
            }
            Ok(())
        })
    }
}

/// Returns true if a field of a hook is not sent. A hook may return the response of another part of the application,
/// whose length and end would not be those of this answer.
fn is_of_server(name: &[u8]) -> bool {
    [&b"connection"[..], b"content-length"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}
