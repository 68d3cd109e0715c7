//! The errors of the client.

use std::error::Error as StdError;
use std::fmt;

use http::{Method, Uri};

use crate::error::Refusal;

/// An error of another type, such as that of a body's source.
pub(super) type AnyError = Box<dyn StdError + Send + Sync>;

/// The cause of a [`RequestError`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::client::{Client, RequestErrorKind};
/// use waterwheel::runtime::block_on;
///
/// let asked = block_on(async { Client::new().get("ftp://example.org/").send().await });
/// assert_eq!(asked.unwrap_err().kind(), RequestErrorKind::Request);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// The request cannot be sent: its URI, a field, or its body. No byte has been sent.
    Request,
    /// The name does not resolve, or no address accepts the connection.
    Connect,
    /// The TLS handshake failed: an unknown certificate, another name.
    Tls,
    /// Connecting, with the TLS handshake, took too long.
    ConnectTimeout,
    /// The head of the answer took too long.
    HeadTimeout,
    /// The server sent no byte of the body for too long, or accepted none of the request's body.
    BodyTimeout,
    /// The whole exchange took too long.
    TotalTimeout,
    /// The answer breaks a rule of HTTP/1.1, or a limit. The request may have been processed.
    Refused(Refusal),
    /// The connection ended before the first byte of an answer. The request may have been processed.
    Closed,
    /// The connection ended within an answer. The bytes so far are not the whole answer.
    CutShort,
    /// The connection failed in another way.
    Io,
    /// The body of the answer is longer than [`body_bytes_max`](super::ClientBuilder::body_bytes_max).
    BodyTooLarge,
    /// The body of the answer is not what the call expects: no UTF-8, no JSON.
    Content,
    /// The source of the request's body has failed, or has more or fewer bytes than announced.
    Upload,
    /// A redirect that is not followed: there are too many, it leads to a weaker scheme, its Location is missing or
    /// malformed, or the request's body cannot be sent twice.
    Redirect,
    /// The server has changed the protocol without being asked, to another one or within the request, or has not
    /// changed it.
    Upgrade,
}

impl RequestErrorKind {
    /// Returns what happened, and the next step of a person who reads it.
    const fn text(self) -> &'static str {
        match self {
            Self::Request => "the request cannot be sent",
            Self::Connect => "cannot connect",
            Self::Tls => "the TLS handshake failed",
            Self::ConnectTimeout => "connecting took too long (see connect_timeout)",
            Self::HeadTimeout => "the head of the answer took too long (see head_timeout)",
            Self::BodyTimeout => "the body made no progress for too long (see body_timeout)",
            Self::TotalTimeout => "the exchange took too long (see total_timeout)",
            Self::Refused(_) => "the answer is malformed or above a limit",
            Self::Closed => "the server closed the connection without an answer",
            Self::CutShort => "the answer ended before its end",
            Self::Io => "the connection failed",
            Self::BodyTooLarge => "the body of the answer is too large (see body_bytes_max)",
            Self::Content => "the body of the answer cannot be decoded",
            Self::Upload => "the body of the request failed",
            Self::Redirect => "the redirect is not followed",
            Self::Upgrade => "the protocol was not changed as asked",
        }
    }
}

/// An error of a request or of its answer: what happened, and where.
///
/// Its text names the method and the URI without its query, which may hold secrets.
///
/// # Examples
///
/// ```
/// use waterwheel::http::client::Client;
/// use waterwheel::runtime::block_on;
///
/// // No server listens there.
/// let error = block_on(async { Client::new().get("http://127.0.0.1:9/").send().await }).unwrap_err();
/// assert!(error.is_connect() && !error.is_timeout());
/// assert!(error.to_string().starts_with("GET http://127.0.0.1:9/: cannot connect: "));
/// assert_eq!(error.uri().unwrap().port_u16(), Some(9));
/// ```
pub struct RequestError(Box<Fault>);

struct Fault {
    kind: RequestErrorKind,
    place: Option<(Method, Uri)>,
    detail: &'static str,
    source: Option<AnyError>,
}

impl RequestError {
    pub(super) fn new(kind: RequestErrorKind) -> Self {
        let detail = match kind {
            RequestErrorKind::Refused(refusal) => refusal.reason(),
            _ => "",
        };
        Self::with(kind, detail)
    }

    pub(super) fn with(kind: RequestErrorKind, detail: &'static str) -> Self {
        Self(Box::new(Fault {
            kind,
            place: None,
            detail,
            source: None,
        }))
    }

    pub(super) fn of(kind: RequestErrorKind, source: impl Into<AnyError>) -> Self {
        let mut error = Self::new(kind);
        error.0.source = Some(source.into());
        error
    }

    /// Adds words that stand before the source.
    #[cfg(feature = "tls-core")]
    pub(super) fn detailed(mut self, detail: &'static str) -> Self {
        self.0.detail = detail;
        self
    }

    /// Adds the place, unless the error has one.
    pub(crate) fn at(mut self, method: &Method, uri: &Uri) -> Self {
        let place = || (method.clone(), uri.clone());
        // The first place is the nearest to the fault, after redirects too.
        self.0.place.get_or_insert_with(place);
        self
    }

    /// Returns the cause.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::StatusCode;
    /// use waterwheel::http::client::{RequestError, RequestErrorKind};
    ///
    /// /// The status of a proxy's answer.
    /// fn status(error: &RequestError) -> StatusCode {
    ///     match error.kind() {
    ///         RequestErrorKind::Upload => StatusCode::BAD_REQUEST,
    ///         _ if error.is_timeout() => StatusCode::GATEWAY_TIMEOUT,
    ///         _ => StatusCode::BAD_GATEWAY,
    ///     }
    /// }
    /// # drop(status as fn(&_) -> _);
    /// ```
    #[must_use]
    pub fn kind(&self) -> RequestErrorKind {
        self.0.kind
    }

    /// Returns the URI of the request, if it was valid. After redirects it is the last one.
    #[must_use]
    pub fn uri(&self) -> Option<&Uri> {
        self.0.place.as_ref().map(|(_, uri)| uri)
    }

    /// Returns true if no connection could be opened, so the server has not seen the request.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        use RequestErrorKind::{Connect, ConnectTimeout, Tls};
        matches!(self.kind(), Connect | ConnectTimeout | Tls)
    }

    /// Returns true if a time limit of the client is over.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        use RequestErrorKind::{BodyTimeout, ConnectTimeout, HeadTimeout, TotalTimeout};
        matches!(
            self.kind(),
            ConnectTimeout | HeadTimeout | BodyTimeout | TotalTimeout
        )
    }
}

/// Returns a URI for people. The query is left out, because tokens are often in it and such a text is often logged.
pub(super) fn without_secrets(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    // Credentials are refused before the place is known, but a text must not depend on that.
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", uri.path())
}

impl From<Refusal> for RequestError {
    fn from(refusal: Refusal) -> Self {
        Self::new(RequestErrorKind::Refused(refusal))
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault {
            kind,
            place,
            detail,
            source,
        } = &*self.0;
        if let Some((method, uri)) = place {
            write!(f, "{method} {}: ", without_secrets(uri))?;
        }
        f.write_str(kind.text())?;
        if !detail.is_empty() {
            write!(f, ": {detail}")?;
        }
        match source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestError")
            .field("kind", &self.0.kind)
            .field("text", &self.to_string())
            .finish_non_exhaustive()
    }
}

impl StdError for RequestError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.0.source.as_deref()?;
        Some(source)
    }
}
