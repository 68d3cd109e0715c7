//! What a handler gives back.

use http::StatusCode;

/// Proof that a request has been answered.
///
/// Only an answer makes one. The connection still checks that the request at hand was the one
/// answered: a `Responded` that was kept from another request is worth a 500.
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

    /// What it was answered with; `None` if it was [aborted](crate::Request::abort).
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// How long the body was that went out, in bytes and without its framing: nothing in answer to
    /// HEAD.
    pub const fn body_bytes(&self) -> u64 {
        self.body_bytes
    }
}
