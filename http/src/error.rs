//! Errors, grouped by cause.
//!
//! [`Error`] has the table of causes.
//!
//! A handler may pass on a refusal with `?`, such as that of a body above the limit. [`Error::status`] finds
//! the refusal again, also beneath an application's own error.
//!
//! # Invariants
//!
//! - Always: one table maps failures to statuses, in [`Refusal`].
//! - Never: an answer of the server contains a byte that the peer sent, or a detail of our code.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::StatusCode;

/// The result of a handler: an answer, or an error.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// fn page(query: Option<&str>) -> Result<u32> {
///     Ok(query.unwrap_or("1").parse()?) // any error
/// }
///
/// async fn show(request: Request<'_>) -> Result<Responded> {
///     let page = page(request.query())?;
///     request.respond(StatusCode::OK, format!("page {page}\n"), ()).await
/// }
/// # drop(waterwheel::http::shared(show));
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

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

impl StdError for Refusal {}

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

impl StdError for ClientError {}

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

impl StdError for InvalidAnswer {}

/// An error of a handler. `?` converts each error to it. The error inside decides about the answer:
///
/// | cause | type | result |
/// |---|---|---|
/// | the client, a limit, or the state of the server | [`Refusal`] | the server sends its status, then closes the connection |
/// | the client, as a handler finds | [`ClientError`] | the server sends its status and text, and keeps the connection |
/// | the peer is gone | [`Error::is_disconnect`] | no answer is possible, and no line is logged |
/// | the answer of the handler | [`InvalidAnswer`] | the server sends 500 instead of the answer |
/// | any other error of a handler | [`Error`] | the server sends 500 and logs a line |
///
/// It is one pointer wide, so that `Result<Responded>` stays small. It does not implement
/// [`std::error::Error`]; [`source`](Self::source) returns the error inside.
///
/// ```
/// use waterwheel::http::{Result, StatusCode};
///
/// fn parse(text: &str) -> Result<u16> {
///     Ok(text.parse::<u16>()?)
/// }
/// let error = parse("many").unwrap_err();
/// assert_eq!(error.to_string(), "invalid digit found in string");
/// assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// ```
pub struct Error(Box<Cause>);

/// The error inside. Its box makes a thin pointer out of the fat pointer to a trait object.
struct Cause {
    source: Box<dyn StdError>,
}

impl Error {
    /// Makes an error that is only a message.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Error, StatusCode};
    ///
    /// let error = Error::message("the mill stands still");
    /// assert_eq!(error.to_string(), "the mill stands still");
    /// assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    /// ```
    #[must_use]
    pub fn message(text: impl Into<String>) -> Self {
        let source: Box<dyn StdError> = text.into().into();
        Self(Box::new(Cause { source }))
    }

    /// Makes an error from one that is boxed already, such as an error from another thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Error, Result};
    /// use waterwheel::runtime::{block_on, spawn_blocking};
    ///
    /// type Portable = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// async fn grind() -> Result<u32> {
    ///     let ground = spawn_blocking(|| Err::<u32, Portable>("no grain".into())).await?;
    ///     ground.map_err(|error| Error::boxed(error))
    /// }
    ///
    /// assert_eq!(block_on(grind()).unwrap_err().to_string(), "no grain");
    /// ```
    #[must_use]
    pub fn boxed(source: Box<dyn StdError>) -> Self {
        Self(Box::new(Cause { source }))
    }

    /// Returns the status of the answer to a request whose handler returns this error: the status of the
    /// refusal or the client error inside, or else 500.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        // A refusal comes first: after it the begin of the next request is unknown, and the connection closes.
        let refused = self.refusal().map(Refusal::status);
        refused
            .or_else(|| self.client_error().map(ClientError::status))
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Returns the refusal that this error is or comes from. Also finds it beneath an application's own
    /// error, and in an `io::Error` from a body that was read through `futures-io` or `http-body`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Refusal, Request, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let short = async |request: Request<'_>| match request.body().bytes(3).await {
    ///     Err(error) if error.refusal() == Some(Refusal::BodyTooLarge) => {
    ///         request.respond(StatusCode::OK, "that was long", ()).await
    ///     }
    ///     bytes => {
    ///         let bytes = bytes?;
    ///         request.respond(StatusCode::OK, bytes, ()).await
    ///     }
    /// };
    /// let answer = block_on(async { TestClient::new(short).post("/", "four").await });
    /// assert_eq!(answer.text(), "that was long");
    /// ```
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        self.find().copied()
    }

    /// Returns the client error that this error is or comes from.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{ClientError, Error, StatusCode};
    ///
    /// let error = Error::from(ClientError::new(StatusCode::NOT_FOUND, "no such mill"));
    /// assert_eq!(error.client_error().map(ClientError::text), Some("no such mill"));
    /// assert_eq!(error.status(), StatusCode::NOT_FOUND);
    /// ```
    #[must_use]
    pub fn client_error(&self) -> Option<&ClientError> {
        self.find()
    }

    /// Returns true if this error comes from the connection to the client: the client reset it, or reads
    /// no more of its answer. Then no answer is possible, and the handler is not to blame.
    ///
    /// Returns false for an error of the handler's own connections, also for one of the same kind.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io;
    /// use waterwheel::http::Error;
    ///
    /// // An error of the handler's own connection, for example to a database.
    /// let error = Error::from(io::Error::from(io::ErrorKind::ConnectionReset));
    /// assert!(!error.is_disconnect());
    /// ```
    #[must_use]
    pub fn is_disconnect(&self) -> bool {
        self.find::<OfPeer>().is_some()
    }

    /// Returns the first `E` among this error and its causes.
    /// Returns the first cause of this type.
    pub(crate) fn find<'e, E: StdError + 'static>(&'e self) -> Option<&'e E> {
        // Applications wrap errors in their own, so the whole chain is searched.
        let cause = |error: &&'e (dyn StdError + 'static)| -> Option<&'e (dyn StdError + 'static)> {
            let error = *error;
            // The `source` of an `io::Error` skips the error that it carries, so ask for that one itself.
            match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
                Some(carried) => carried.map(|carried| carried as _),
                None => error.source(),
            }
        };
        let chain = std::iter::successors(Some(self.source()), cause);
        chain
            .take(CAUSES_MAX)
            .find_map(<dyn StdError>::downcast_ref)
    }

    /// Returns the error inside, if it is an `E`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Error;
    ///
    /// let error = Error::from("x".parse::<u8>().unwrap_err());
    /// assert!(error.downcast_ref::<std::num::ParseIntError>().is_some());
    /// ```
    #[must_use]
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.source.downcast_ref()
    }

    /// Returns the error inside.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Error;
    ///
    /// let error = Error::from(std::fmt::Error);
    /// assert!(error.source().is::<std::fmt::Error>());
    /// assert!(error.source().source().is_none()); // the cause of the error inside
    /// ```
    #[must_use]
    pub fn source(&self) -> &(dyn StdError + 'static) {
        &*self.0.source
    }
}

/// The most causes that are looked at. An error that is its own cause must not hold the thread forever.
const CAUSES_MAX: usize = 64;

/// An error of the connection to the client.
///
/// An `io::Error` carries it, because handlers look for that. The kind alone does not tell the client's
/// connection from the handler's own ones.
#[derive(Debug)]
struct OfPeer(io::Error);

impl fmt::Display for OfPeer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl StdError for OfPeer {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// Marks an error as one of the connection to the client.
#[cold]
// The kind stays the same, because handlers look at the kind.
pub(crate) fn of_peer(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), OfPeer(error))
}

/// Any error converts with `?`: each `std::error::Error`, and each type that converts to a `Box<dyn Error>`, such as
/// `anyhow::Error` and `String`.
///
/// A [`ClientError`] or a [`Refusal`] passes through `anyhow` beneath a context. Without a context, `anyhow` hides
/// its type, and the answer is 500.
impl<E: Into<Box<dyn StdError>>> From<E> for Error {
    // Out of line, so that functions with `?` stay small enough to be inlined.
    #[cold]
    fn from(error: E) -> Self {
        Self(Box::new(Cause {
            source: error.into(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.source)
    }
}

/// Writes the error and its causes, for the log: `outer: middle: inner`.
impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0.source)?;
        let mut deeper = self.0.source.source();
        for _ in 1..CAUSES_MAX {
            let Some(error) = deeper else {
                return Ok(());
            };
            write!(formatter, ": {error}")?;
            deeper = error.source();
        }
        match deeper {
            Some(_) => formatter.write_str(": …"),
            None => Ok(()),
        }
    }
}

const _: () = assert!(size_of::<Error>() == size_of::<usize>());
const _: () = assert!(size_of::<Refusal>() == 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("no number")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Error {
        "x".parse::<u8>()
            .map_err(Outer)
            .expect_err("x is no number")
            .into()
    }

    #[test]
    fn an_error_shows_itself_and_on_debug_what_it_came_from() {
        assert_eq!(outer().to_string(), "no number");
        assert_eq!(
            format!("{:?}", outer()),
            "no number: invalid digit found in string"
        );
        assert_eq!(Error::message("tired").to_string(), "tired");
    }

    #[test]
    fn an_error_is_found_again_as_what_it_was() {
        assert!(outer().downcast_ref::<Outer>().is_some());
        assert!(outer().downcast_ref::<Refusal>().is_none());
        assert!(outer().source().source().is_some());
    }

    #[test]
    fn a_refusal_that_passed_through_a_handler_keeps_its_status() {
        let passed_on = || -> Result<()> { Err(Refusal::BodyTooLarge)? };
        let error = passed_on().expect_err("it refuses");
        assert_eq!(error.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(error.refusal(), Some(Refusal::BodyTooLarge));
        assert_eq!(outer().status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            Error::from(InvalidAnswer::Value).status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
    }

    #[test]
    fn a_client_error_keeps_its_status_and_its_words() {
        let passed_on = || -> Result<()> { Err(ClientError::new(StatusCode::CONFLICT, "taken"))? };
        let error = passed_on().expect_err("it blames");
        assert_eq!(error.status(), StatusCode::CONFLICT);
        assert_eq!(error.to_string(), "taken");
        assert_eq!(error.refusal(), None);
    }

    #[test]
    #[should_panic(expected = "500 Internal Server Error is not a client error")]
    fn a_client_error_blames_the_client() {
        drop(ClientError::new(StatusCode::INTERNAL_SERVER_ERROR, "ours"));
    }

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
