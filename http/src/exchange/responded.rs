//! The proof of an answer, which a handler returns.

use http::StatusCode;

/// Proof that a request has been answered.
///
/// Only the ways to answer make one. The connection also checks that it belongs to the present request. For a
/// `Responded` of another request, the client receives 500.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Handler, Request, Responded, Result};
///
/// /// Middleware that prints a line for each answer.
/// async fn printed(request: Request<'_>, inner: &impl Handler) -> Result<Responded> {
///     let path = request.path().to_owned();
///     let responded = inner.call(request).await?;
///     println!("{path}: {:?}, {} bytes", responded.status(), responded.body_bytes());
///     Ok(responded)
/// }
/// ```
#[derive(Debug)]
#[must_use = "a handler returns it"]
pub struct Responded {
    status: Option<StatusCode>,
    body_bytes: u64,
}

impl Responded {
    pub(crate) const ABORTED: Self = Self {
        status: None,
        body_bytes: 0,
    };

    pub(crate) const fn new(status: StatusCode, body_bytes: u64) -> Self {
        Self {
            status: Some(status),
            body_bytes,
        }
    }

    /// Returns the status of the answer, or `None` if the request was [aborted](crate::Request::abort).
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the length of the sent body in bytes, without framing. It is 0 for an answer to HEAD.
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}
