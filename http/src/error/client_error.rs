//! Faults of a client that a handler finds.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use http::StatusCode;

/// A fault in a request that is valid HTTP. A handler finds it, and the server reports it to the client.
///
/// Return it with `?`. The server answers with its status, and with its text as a line of `text/plain`. The
/// connection stays open. The server logs no line.
///
/// ```
/// use waterwheel::http::{ClientError, Request, Responded, Result, StatusCode};
///
/// async fn page(request: Request<'_>) -> Result<Responded> {
///     let number = request.query().and_then(|query| query.parse::<u32>().ok());
///     let number = number.ok_or_else(|| {
///         ClientError::new(StatusCode::BAD_REQUEST, "the query is the number of a page")
///     })?;
///     request.respond(StatusCode::OK, format!("page {number}\n"), ()).await
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    status: StatusCode,
    text: Cow<'static, str>,
    /// Header fields besides Content-Type.
    fields: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

impl ClientError {
    /// Makes an error of the client. The client reads `text`.
    ///
    /// # Panics
    ///
    /// If the status is not one of 400 to 499 (RFC 9110, 15.5).
    #[must_use]
    #[track_caller]
    pub fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        assert!(status.is_client_error(), "{status} is not a client error");
        Self {
            status,
            text: text.into(),
            fields: Vec::new(),
        }
    }

    /// Adds a header field to the answer: Allow to a 405, WWW-Authenticate to a 401.
    ///
    /// If the field may not be sent, the answer goes out without any fields, and the connection closes.
    ///
    /// ```
    /// use waterwheel::http::{ClientError, StatusCode};
    ///
    /// let refused = ClientError::new(StatusCode::METHOD_NOT_ALLOWED, "only GET")
    ///     .with_header("allow", "GET");
    /// assert_eq!(refused.text(), "only GET");
    /// ```
    #[must_use]
    pub fn with_header(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Returns the status of the answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{ClientError, StatusCode};
    ///
    /// let taken = ClientError::new(StatusCode::CONFLICT, "the name is taken");
    /// assert_eq!(taken.status(), StatusCode::CONFLICT);
    /// ```
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the text of the answer, without a line end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the fields of the answer, without Content-Type.
    pub(crate) fn fields(&self) -> &[(Cow<'static, str>, Cow<'static, str>)] {
        &self.fields
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Error for ClientError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "500 Internal Server Error is not a client error")]
    fn a_client_error_blames_the_client() {
        drop(ClientError::new(StatusCode::INTERNAL_SERVER_ERROR, "ours"));
    }
}
