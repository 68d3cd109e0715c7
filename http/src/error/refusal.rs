//! The reasons for which the server answers instead of the handler.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// The reason why the server answers a request instead of the handler.
///
/// The connection closes after each of these answers, because the server can no longer tell where the next
/// request begins.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Refusal, StatusCode};
///
/// let refusal = Refusal::BodyTooLarge;
/// assert_eq!(refusal.status(), StatusCode::PAYLOAD_TOO_LARGE);
/// assert_eq!(refusal.to_string(), refusal.reason());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// A line feed without its carriage return (RFC 9112, 2.2).
    BareLineFeed,
    /// A carriage return without its line feed (RFC 9112, 2.2).
    BareCarriageReturn,
    /// A control byte in a head, NUL among them (RFC 9110, 5.5).
    ControlByte,
    /// A record of TLS instead of a request (RFC 8446, 5.1). The client meant a port of HTTPS.
    Tls,
    /// More empty lines before a request line than are read past (RFC 9112, 2.2).
    EmptyLines,
    /// A method that is not a token, or that is empty (RFC 9110, 9.1).
    Method,
    /// A method longer than any that could be implemented (RFC 9112, 3).
    MethodTooLong,
    /// A target with a byte that is not allowed in targets: a space, a `#`, non-ASCII (RFC 9112, 3.2).
    Target,
    /// A target longer than the limit (RFC 9112, 3).
    TargetTooLong,
    /// A target in a form that is unknown, or that is not for its method (RFC 9112, 3.2.1 to 3.2.4).
    TargetForm,
    /// No `HTTP/` digit `.` digit at the end of the request line (RFC 9112, 2.3).
    Version,
    /// A status line that is malformed or too long, in an answer that a client reads (RFC 9112, 4).
    StatusLine,
    /// A version of another major number than 1 (RFC 9110, 15.6.6).
    VersionUnsupported,
    /// White space between the request line and the first field (RFC 9112, 2.2).
    LeadingWhitespace,
    /// A field value folded over two lines (RFC 9112, 5.2).
    ObsoleteFold,
    /// A field name that is empty or not a token, or a field line without a colon (RFC 9112, 5).
    FieldName,
    /// White space between a field's name and its colon (RFC 9112, 5.1).
    SpaceBeforeColon,
    /// A field line longer than the limit (RFC 6585, 5).
    FieldLineTooLong,
    /// More fields than the limit (RFC 6585, 5).
    TooManyFields,
    /// A head longer than the limit (RFC 6585, 5).
    HeadTooLarge,
    /// No Host in HTTP/1.1 (RFC 9112, 3.2).
    HostMissing,
    /// More than one Host (RFC 9112, 3.2).
    HostRepeated,
    /// A Host that is not a host with an optional port (RFC 9110, 7.2).
    HostInvalid,
    /// A Content-Length with a byte that is not a digit, or above 2⁶⁴ (RFC 9110, 8.6).
    ContentLength,
    /// More than one Content-Length (RFC 9110, 8.6; RFC 9112, 6.3).
    ContentLengthRepeated,
    /// Both Content-Length and Transfer-Encoding (RFC 9112, 6.1).
    LengthAndCoding,
    /// Transfer-Encoding in HTTP/1.0 (RFC 9112, 6.1).
    CodingInOldVersion,
    /// Transfer-Encoding without `chunked` once and last (RFC 9112, 6.3).
    CodingNotChunked,
    /// A transfer coding other than `chunked` (RFC 9112, 6.1).
    CodingUnknown,
    /// CONNECT with content, which has no meaning (RFC 9110, 9.3.6).
    ConnectContent,
    /// CONNECT that a handler would answer with success, without making the connection a tunnel
    /// (RFC 9110, 9.3.6).
    ConnectUnanswerable,
    /// An expectation other than `100-continue` (RFC 9110, 10.1.1).
    Expectation,
    /// Content longer than the limit (RFC 9110, 15.5.14).
    BodyTooLarge,
    /// The connection ended within the content (RFC 9112, 8).
    BodyCutShort,
    /// A chunk size that is not hexadecimal, or beyond 2⁶³ (RFC 9112, 7.1).
    ChunkSize,
    /// A chunk extension against its grammar (RFC 9112, 7.1.1).
    ChunkExtension,
    /// A chunk's size line, or the extensions of one body, longer than the limit (RFC 9112, 7.1.1).
    ChunkLineTooLong,
    /// Chunk data not followed by its line end (RFC 9112, 7.1).
    ChunkEnd,
    /// Trailers longer or more than the limit (RFC 6585, 5).
    TrailersTooLarge,
    /// A head that took too long (RFC 9110, 15.5.9).
    HeadTooSlow,
    /// Content that took too long (RFC 9110, 15.5.9).
    BodyTooSlow,
    /// A handler that took longer than it may (RFC 9110, 15.6.4).
    HandlerTooSlow,
    /// The program or server behind a gateway made no valid answer, or made no whole one (RFC 9110, 15.6.3).
    BadGateway,
    /// The program or server behind a gateway took too long (RFC 9110, 15.6.5).
    GatewayTimeout,
    /// The server takes no requests now (RFC 9110, 15.6.4).
    Unavailable,
    /// A handler works on as many requests as it may ([`at_most`](crate::web::middleware::at_most); RFC 9110,
    /// 15.6.4).
    TooManyAtOnce,
    /// More connections from one address than the limit (RFC 6585, 4).
    PeerLimit,
    /// More connections from one address than the limit, answered with 503 by
    /// [`OnPeerLimit::ServiceUnavailable`](crate::OnPeerLimit::ServiceUnavailable) (RFC 9110, 15.6.4).
    PeerLimitUnavailable,
}

impl Refusal {
    /// Returns the status of the answer.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        self.entry().0
    }

    /// Returns the text of the answer: one short line, without its line end.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        self.entry().1
    }

    /// The one table from failures to statuses.
    const fn entry(self) -> (StatusCode, &'static str) {
        use StatusCode as Status;
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        const FIELDS: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        const PEER_LIMIT: &str = "too many connections from this address";
        match self {
            Self::BareLineFeed => (BAD, "line feed without carriage return"),
            Self::BareCarriageReturn => (BAD, "carriage return without line feed"),
            Self::ControlByte => (BAD, "control byte in the head"),
            Self::Tls => (BAD, "this port speaks HTTP, not TLS"),
            Self::EmptyLines => (BAD, "too many empty lines before the request line"),
            Self::Method => (BAD, "malformed method"),
            Self::MethodTooLong => (Status::NOT_IMPLEMENTED, "unknown method"),
            Self::Target => (BAD, "malformed request target"),
            Self::TargetTooLong => (Status::URI_TOO_LONG, "request target too long"),
            Self::TargetForm => (BAD, "wrong form of request target"),
            Self::Version => (BAD, "malformed HTTP version"),
            Self::StatusLine => (Status::BAD_GATEWAY, "malformed status line"),
            Self::VersionUnsupported => (
                Status::HTTP_VERSION_NOT_SUPPORTED,
                "this server speaks HTTP/1.1",
            ),
            Self::LeadingWhitespace => (BAD, "white space before the first field"),
            Self::ObsoleteFold => (BAD, "folded field"),
            Self::FieldName => (BAD, "malformed field name"),
            Self::SpaceBeforeColon => (BAD, "white space before a colon"),
            Self::FieldLineTooLong => (FIELDS, "field too long"),
            Self::TooManyFields => (FIELDS, "too many fields"),
            Self::HeadTooLarge => (FIELDS, "head too large"),
            Self::HostMissing => (BAD, "Host missing"),
            Self::HostRepeated => (BAD, "more than one Host"),
            Self::HostInvalid => (BAD, "malformed Host"),
            Self::ContentLength => (BAD, "malformed Content-Length"),
            Self::ContentLengthRepeated => (BAD, "more than one Content-Length"),
            Self::LengthAndCoding => (BAD, "both Content-Length and Transfer-Encoding"),
            Self::CodingInOldVersion => (BAD, "Transfer-Encoding in HTTP/1.0"),
            Self::CodingNotChunked => (BAD, "Transfer-Encoding without chunked once and last"),
            Self::CodingUnknown => (Status::NOT_IMPLEMENTED, "unknown transfer coding"),
            Self::ConnectContent => (BAD, "CONNECT with content"),
            Self::ConnectUnanswerable => (Status::NOT_IMPLEMENTED, "this server makes no tunnels"),
            Self::Expectation => (Status::EXPECTATION_FAILED, "unknown expectation"),
            Self::BodyTooLarge => (Status::PAYLOAD_TOO_LARGE, "content too large"),
            Self::BodyCutShort => (BAD, "content shorter than announced"),
            Self::ChunkSize => (BAD, "malformed chunk size"),
            Self::ChunkExtension => (BAD, "malformed chunk extension"),
            Self::ChunkLineTooLong => (BAD, "chunk size line too long"),
            Self::ChunkEnd => (BAD, "chunk without its end"),
            Self::TrailersTooLarge => (FIELDS, "trailers too large"),
            Self::HeadTooSlow => (Status::REQUEST_TIMEOUT, "the head took too long"),
            Self::BodyTooSlow => (Status::REQUEST_TIMEOUT, "the content took too long"),
            Self::HandlerTooSlow => (Status::SERVICE_UNAVAILABLE, "the answer took too long"),
            Self::BadGateway => (Status::BAD_GATEWAY, "no valid answer from upstream"),
            Self::GatewayTimeout => (Status::GATEWAY_TIMEOUT, "no answer from upstream in time"),
            Self::Unavailable => (
                Status::SERVICE_UNAVAILABLE,
                "the server takes no requests now",
            ),
            Self::TooManyAtOnce => (Status::SERVICE_UNAVAILABLE, "too many requests at once"),
            Self::PeerLimit => (Status::TOO_MANY_REQUESTS, PEER_LIMIT),
            Self::PeerLimitUnavailable => (Status::SERVICE_UNAVAILABLE, PEER_LIMIT),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.reason())
    }
}

impl Error for Refusal {}

const _: () = assert!(size_of::<Refusal>() == 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(refusal: Refusal, status: u16) {
        assert_eq!(refusal.status().as_u16(), status, "{refusal:?}");
        let reason = refusal.reason();
        assert!(reason.is_ascii() && !reason.contains(['\r', '\n']) && reason.len() < 60);
    }

    #[test]
    fn a_refusal_has_its_status_and_one_short_line_of_reason() {
        check(Refusal::BareLineFeed, 400); // RFC 9112, 2.2
        check(Refusal::HostMissing, 400); // RFC 9112, 3.2
        check(Refusal::LengthAndCoding, 400); // RFC 9112, 6.1
        check(Refusal::CodingNotChunked, 400); // RFC 9112, 6.3
        check(Refusal::HeadTooSlow, 408); // RFC 9110, 15.5.9
        check(Refusal::BodyTooSlow, 408);
        check(Refusal::BodyTooLarge, 413); // RFC 9110, 15.5.14
        check(Refusal::TargetTooLong, 414); // RFC 9112, 3
        check(Refusal::Expectation, 417); // RFC 9110, 10.1.1
        check(Refusal::PeerLimit, 429); // RFC 6585, 4
        check(Refusal::PeerLimitUnavailable, 503); // RFC 9110, 15.6.4
        check(Refusal::FieldLineTooLong, 431); // RFC 6585, 5
        check(Refusal::TooManyFields, 431);
        check(Refusal::HeadTooLarge, 431);
        check(Refusal::TrailersTooLarge, 431);
        check(Refusal::CodingUnknown, 501); // RFC 9112, 6.1
        check(Refusal::ConnectUnanswerable, 501); // RFC 9110, 9.3.6
        check(Refusal::MethodTooLong, 501); // RFC 9112, 3
        check(Refusal::BadGateway, 502); // RFC 9110, 15.6.3
        check(Refusal::GatewayTimeout, 504); // RFC 9110, 15.6.5
        check(Refusal::Unavailable, 503); // RFC 9110, 15.6.4
        check(Refusal::TooManyAtOnce, 503); // RFC 9110, 15.6.4
        check(Refusal::VersionUnsupported, 505); // RFC 9110, 15.6.6
    }
}
