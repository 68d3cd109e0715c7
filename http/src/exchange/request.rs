//! One request, as its handler sees it.

use std::fmt;
use std::net::SocketAddr;

use http::{Method, StatusCode, Version};

use crate::error::{ClientError, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::body::Body;
use crate::exchange::link::Link;
use crate::exchange::respond::{self, Unsent};
use crate::exchange::responded::Responded;
use crate::headers::{AnswerHeaders, Headers};
use crate::proto::encode;
use crate::proto::head::Head;
use crate::transport::address::PeerAddress;
use crate::transport::connection_info::ConnectionInfo;
use crate::transport::upgrade::Upgrade;
use crate::white_space::members;

/// One request, and the obligation to answer it.
///
/// It must be answered exactly once: each way to answer takes the request and gives a
/// [`Responded`], which a handler has to return. Forgetting it does not compile:
///
/// ```compile_fail
/// use waterwheel_http::{Request, Responded, Result};
///
/// async fn forgetful(request: Request<'_>) -> Result<Responded> {
///     println!("{}", request.path());
/// }
/// ```
///
/// nor does answering twice:
///
/// ```compile_fail
/// use waterwheel_http::{Request, Responded, Result, StatusCode};
///
/// async fn eager(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "once", ()).await?;
///     request.respond(StatusCode::OK, "twice", ()).await
/// }
/// ```
///
/// What it says of itself (path, headers) borrows from the connection, not from the request: it
/// can be used after the body has been read and after the answer.
pub struct Request<'c> {
    link: Link<'c>,
    peer: &'c PeerAddress,
}

impl<'c> Request<'c> {
    pub(crate) fn new(link: Link<'c>, peer: &'c PeerAddress) -> Self {
        Self { link, peer }
    }

    fn head(&self) -> &'c Head {
        &self.link.work.head
    }

    /// What has come, from the first byte of the head.
    fn bytes_from_head(&self) -> &'c [u8] {
        self.link.work.input.filled()
    }

    /// GET, POST, or any other token (RFC 9110, 9.1).
    #[doc(alias = "reqMethod")]
    pub fn method(&self) -> &'c Method {
        self.head().method()
    }

    /// The request target as it came (RFC 9112, 3.2).
    #[doc(alias = "raw_url")]
    pub fn target(&self) -> &'c str {
        self.head().target()
    }

    /// The target's path, as it came: nothing decoded.
    #[doc(alias = "url")]
    pub fn path(&self) -> &'c str {
        self.head().path()
    }

    /// What follows the target's first `?`, as it came.
    #[doc(alias = "raw_query_string")]
    pub fn query(&self) -> Option<&'c str> {
        self.head().query()
    }

    /// The host, and port if there is one, that the request is for: the target's if it has one, else
    /// the Host field's. `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&'c str> {
        self.head().host(self.bytes_from_head())
    }

    /// HTTP/1.0 or HTTP/1.1.
    #[doc(alias = "protocol")]
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// Whether the client offers to change to that protocol (any case): an Upgrade field names it,
    /// Connection names Upgrade, and it is not HTTP/1.0 (RFC 9110, 7.8).
    pub fn offers(&self, protocol: &str) -> bool {
        let offered =
            |field| members(field).any(|one| one.eq_ignore_ascii_case(protocol.as_bytes()));
        self.head().allows_upgrade() && self.headers().get_all("upgrade").any(offered)
    }

    /// The header fields, where they arrived.
    pub fn headers(&self) -> Headers<'c> {
        self.head().headers(self.bytes_from_head())
    }

    /// The client's address, if the transport knows addresses.
    #[doc(alias = "hostname")]
    #[doc(alias = "remote_addr")]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.connection().peer_address()
    }

    /// The connection it has come over: addresses, and what a transport of
    /// [`Builder::transport`](crate::Builder::transport) has found out about the client.
    pub fn connection(&self) -> ConnectionInfo<'c> {
        ConnectionInfo::new(self.link.io, self.peer.get())
    }

    /// The body, to be read as it comes.
    pub fn body(&self) -> Body<'c> {
        Body::new(self.link, self.behind())
    }

    /// What came behind the head.
    fn behind(&self) -> &'c [u8] {
        &self.bytes_from_head()[self.link.work.head_bytes..]
    }

    /// The whole body, in memory; at most as long as the server takes any
    /// ([`Limits::body_bytes_max`](crate::Limits::body_bytes_max)).
    ///
    /// # Errors
    ///
    /// As [`Body::bytes`].
    ///
    /// # Cancel safety
    ///
    /// As [`Body::bytes`].
    pub async fn bytes(&self) -> Result<Vec<u8>> {
        self.body()
            .bytes(self.link.shared.limits.body_bytes_max)
            .await
    }

    /// Completes when the client has left: a reset or a hang-up.
    ///
    /// A client that has only ended its direction is still there, waiting for its answer; unless
    /// the server has been told otherwise, by
    /// [`Builder::on_half_close`](crate::Builder::on_half_close).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn disconnected(&self) {
        std::future::poll_fn(|cx| self.link.poll_gone(cx)).await;
    }

    /// Adds a field to the answer that is yet to be given, whoever gives it: this handler, one it
    /// is passed on to, or the server after an error. For what stands around handlers.
    ///
    /// Interim answers do not have it.
    ///
    /// # Errors
    ///
    /// When name or value are none, or it is a field the server decides about (Content-Length,
    /// Connection, Date …).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel_http::{Handler, Request, Responded, Result};
    ///
    /// async fn unframed(request: Request<'_>, inner: &impl Handler) -> Result<Responded> {
    ///     request.add_header("x-frame-options", "deny")?;
    ///     inner.call(request).await
    /// }
    /// ```
    pub fn add_header(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let lines = &mut self.link.work.exchange.output.borrow_mut().added;
        Ok(encode::push_added(lines, name.as_ref(), value.as_ref())?)
    }

    /// The value of the first field of that name (in any case) that was
    /// [added](Self::add_header) and is UTF-8.
    pub fn added_header(&self, name: &str) -> Option<String> {
        let output = self.link.work.exchange.output.borrow();
        let lines = output.added.split(|byte| *byte == b'\n');
        let fields = lines.filter_map(|line| {
            let line = str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
            line.split_once(": ")
        });
        let mut named = fields.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.to_owned())
    }

    /// Queues an interim answer, such as 103 (Early Hints); the final one is still due. To a client
    /// of HTTP/1.0, which knows of none, nothing is sent (RFC 9110, 15.2).
    ///
    /// 100 (Continue) needs no help: it goes out with the first read of the body.
    ///
    /// # Errors
    ///
    /// When it is no interim status, or 100 or 101; when a header field may not be sent.
    pub fn inform(&self, status: StatusCode, headers: impl AnswerHeaders) -> Result<()> {
        respond::inform(self.link, status, &headers)
    }

    /// Answers: status, body, and header fields.
    ///
    /// The body is anything that is bytes. Content-Length and Date are added, and Connection where
    /// it is needed; an answer that may not have a body (to HEAD, 204, 304) is sent without one.
    ///
    /// It completes when the answer is queued: it is written when the handler returns, or waits,
    /// in one piece with whatever else is queued. A body of more than 16 KiB is not copied; then it
    /// completes when the kernel has taken all of it.
    ///
    /// # Errors
    ///
    /// When a header field may not be sent (a line end in it, a second Content-Length): then
    /// nothing has been queued, and a handler that returns the error answers 500. When the peer is
    /// gone or takes nothing: then there is nobody to answer.
    ///
    /// # Cancel safety
    ///
    /// None: the request is gone. Return an error then: an answer that is queued whole goes out, and half of one
    /// cuts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel_http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "Hello World", [("content-type", "text/plain")]).await
    /// }
    /// ```
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` has room for its arguments twice, and moves them"
    )]
    pub fn respond(
        self,
        status: StatusCode,
        body: impl AsRef<[u8]>,
        headers: impl AnswerHeaders,
    ) -> impl Future<Output = Result<Responded>> {
        async move {
            let body = body.as_ref();
            if self.link.repeat(status, body, &headers) {
                return Ok(Responded::new(status, body.len() as u64)); // mostly so
            }
            let (responded, unsent) = respond::queue(self.link, status, body, &headers)?;
            if !matches!(unsent, Unsent::Nothing) {
                respond::send(self.link, unsent, body).await?;
            }
            Ok(responded)
        }
    }

    /// Begins an answer whose body is sent piece by piece.
    ///
    /// It goes out chunked (and until the end of the connection to HTTP/1.0), or with the
    /// Content-Length that is among `headers`. [`AnswerBody::finish`] ends it; if that is never
    /// called, the connection is cut, so that nobody takes half an answer for a whole one.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    ///
    /// # Cancel safety
    ///
    /// None: the request is gone. Return an error then; the client is told, or the connection is cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel_http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn count(request: Request<'_>) -> Result<Responded> {
    ///     let mut body = request.start(StatusCode::OK, ()).await?;
    ///     for line in ["one\n", "two\n", "three\n"] {
    ///         body.write(line).await?;
    ///     }
    ///     body.finish().await
    /// }
    /// ```
    pub async fn start(
        self,
        status: StatusCode,
        headers: impl AnswerHeaders,
    ) -> Result<AnswerBody<'c>> {
        respond::start(self.link, status, &headers).await
    }

    /// Changes to a protocol that the client [offers](Self::offers): answers 101, and hands the
    /// stream over, with whatever of it has been read.
    ///
    /// What is left of the request's body is read past first. The handler returns the `Responded`;
    /// the stream comes out of the [`Upgrade`], mostly in a task of its own:
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    /// use waterwheel_http::{Request, Responded, Result};
    /// use waterwheel_runtime::spawn;
    ///
    /// async fn greet(request: Request<'_>) -> Result<Responded> {
    ///     let (responded, upgrade) = request.upgrade("greeting", ()).await?;
    ///     spawn(async {
    ///         let mut stream = upgrade.await?;
    ///         stream.write_all(b"good morning\n").await
    ///     })
    ///     .detach();
    ///     Ok(responded)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// A [`ClientError`] with 426 and an Upgrade field if the client does not offer the protocol; return it
    /// from the handler. When a header field may not be sent, when the body is longer than is read past
    /// ([`Limits::drain_bytes_max`](crate::Limits::drain_bytes_max)).
    ///
    /// # Cancel safety
    ///
    /// None: the request is gone. Return an error then; the client is told.
    pub async fn upgrade(
        self,
        protocol: &str,
        headers: impl AnswerHeaders,
    ) -> Result<(Responded, Upgrade)> {
        if !self.offers(protocol) {
            let text = format!("upgrade to {protocol}");
            let blame = ClientError::new(StatusCode::UPGRADE_REQUIRED, text);
            // RFC 9110, 15.5.22
            return Err(blame.with_header("upgrade", protocol.to_owned()).into());
        }
        respond::upgrade(self.link, self.behind(), protocol, &headers).await
    }

    /// Answers CONNECT with 200, and hands the stream over: from here on it is a tunnel
    /// (RFC 9110, 9.3.6).
    ///
    /// # Errors
    ///
    /// A [`ClientError`] with 405 if the method is another. When a header field may not be sent.
    pub fn tunnel(self, headers: impl AnswerHeaders) -> Result<(Responded, Upgrade)> {
        respond::tunnel(self.link, &headers)
    }

    /// Answers nothing and cuts the connection.
    pub fn abort(self) -> Responded {
        respond::abort(self.link)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("headers", &self.headers())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::testing::TestClient;

    #[test]
    fn an_added_field_is_found_as_it_was_added() {
        let values: [&[u8]; 5] = [
            b"plain",
            b"",
            "a\u{a0}".as_bytes(),
            "\u{2003}a\u{85}".as_bytes(),
            b"a: b",
        ];
        let look = async move |request: Request<'_>| {
            for (number, value) in values.into_iter().enumerate() {
                request.add_header(format!("x-{number}"), value)?;
                let found = request.added_header(&format!("X-{number}"));
                let found = found.as_deref().map(str::as_bytes);
                assert_eq!(found, Some(value), "RFC 9110, 5.5");
            }
            request.add_header("x-note", " \ta\t ")?;
            assert_eq!(request.added_header("x-note").as_deref(), Some("a"));
            request.add_header("x-bytes", b"\xff")?;
            assert_eq!(request.added_header("x-bytes"), None);
            request.respond(StatusCode::OK, "", ()).await
        };
        let answer = block_on(async { TestClient::new(look).get("/").await });
        assert_eq!(answer.status, StatusCode::OK);
    }
}
