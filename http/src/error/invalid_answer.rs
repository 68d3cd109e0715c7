//! Faults in the answer of a handler.

use std::error::Error;
use std::fmt;

/// An answer that the server does not send, because its fields would break the message.
///
/// The server writes no byte of such an answer.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{InvalidAnswer, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// /// Sends the client's text in a field, if that is possible.
/// let echo = async |request: Request<'_>| {
///     let bytes = request.bytes().await?;
///     match request.add_header("x-echo", &bytes) {
///         Err(error) if error.downcast_ref() == Some(&InvalidAnswer::Value) => {
///             request.respond(StatusCode::BAD_REQUEST, "not in a header field\n", ()).await
///         }
///         added => {
///             added?;
///             request.respond(StatusCode::OK, "", ()).await
///         }
///     }
/// };
/// let answer = block_on(async { TestClient::new(echo).post("/", "a\r\nset-cookie: b").await });
/// assert_eq!(answer.status, StatusCode::BAD_REQUEST);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidAnswer {
    /// A field name that is no token (RFC 9110, 5.1).
    Name,
    /// A field value with a control byte, such as a line end (RFC 9110, 5.5).
    Value,
    /// A Content-Length that differs from the length of the body, or that is not allowed (RFC 9110, 8.6).
    Length,
    /// A Transfer-Encoding: the server decides about it (RFC 9112, 6.1).
    Coding,
    /// A Connection member other than `close` and `upgrade`, or another field about the connection:
    /// Keep-Alive, Proxy-Connection (RFC 9110, 7.6.1).
    Connection,
    /// Trailer on an answer that can have no trailers, or a field that is not allowed in a trailer
    /// (RFC 9110, 6.5.1).
    Trailer,
    /// A second Date, Server or Content-Length (RFC 9110, 5.3).
    Repeated,
    /// An interim status for a final answer, or a final status for an interim one (RFC 9110, 15).
    Status,
    /// More of a body after a piece that was not written completely (RFC 9112, 8).
    Torn,
}

impl fmt::Display for InvalidAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Name => "a header name of the answer is not a token",
            Self::Value => "a header value of the answer has a control byte",
            Self::Length => "the answer's content-length is not the length of its body",
            Self::Coding => "the server decides about transfer-encoding",
            Self::Connection => "an answer sets only close and upgrade of the connection fields",
            Self::Trailer => "this field may not be in a trailer, or announce one",
            Self::Repeated => "an answer has this field only once",
            Self::Status => "a final answer has no status 1xx, and an interim answer has no other",
            Self::Torn => "a piece of the answer's body has failed, or was dropped half-way",
        })
    }
}

impl Error for InvalidAnswer {}
