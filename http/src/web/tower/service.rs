//! A handler as a service of tower.
//!
//! # How it works
//!
//! ```text
//!  Request ──► bytes of HTTP/1.1 ──► a connection of our server, in memory ──► handler
//!  Response ◄── bytes of HTTP/1.1 ◄──────────────────────────────────────────────┘
//! ```
//!
//! So each request passes through all checks and limits of the server, whatever protocol it came by.
//!
//! # Invariants
//!
//! - Always: a connection has one request. It ends with its answer, and the drop of the answer ends it at once.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderValue, Method, StatusCode};
use http_body::{Frame, SizeHint};
use tower_service::Service;
use waterwheel_runtime::task::JoinSet;

use super::{BoxError, ConnectionFacts};
use crate::error::Refusal;
use crate::exchange::handler::{Handler, Shared, shared};
use crate::proto::answer_head::{AnswerHead, AnswerParser};
use crate::proto::body_rest::BodyRest;
use crate::proto::chunked::{self, Decoded};
use crate::server::Server;
use crate::testing::{ANSWER_LIMITS, MemoryStream};
use crate::transport::io::Io;

/// A service that calls a handler.
///
/// It is not `Send`, as handlers are not. hyper serves it with `LocalSpawner`, also over HTTP/2.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::tower::{HandlerService, into_service};
/// use waterwheel::http::{Handler, Request, StatusCode};
///
/// fn service() -> HandlerService<impl Handler> {
///     into_service(async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await)
/// }
/// ```
pub struct HandlerService<H> {
    server: Rc<Server>,
    handler: Shared<H>,
}

/// Makes a service of a handler, with the default limits of a server.
///
/// # Examples
///
/// ```
/// use std::pin::pin;
///
/// use http_body::Body;
/// use tower_service::Service;
/// use waterwheel::http::web::tower::into_service;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| {
///     let text = format!("hello from {}", request.path());
///     request.respond(StatusCode::OK, text, ()).await
/// };
/// block_on(async {
///     let mut service = into_service(hello);
///     let request = http::Request::get("http://localhost/mill").body(String::new())?;
///     let mut body = pin!(service.call(request).await?.into_body());
///     let frame = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await.unwrap()?;
///     assert_eq!(frame.data_ref().unwrap(), "hello from /mill");
///     Ok::<_, Box<dyn std::error::Error>>(())
/// })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn into_service<H: Handler>(handler: H) -> HandlerService<H> {
    HandlerService::with(Server::builder().without_listener(), handler)
}

impl<H: Handler> HandlerService<H> {
    /// Makes a service with the limits and the settings of this server, whose listeners are not used.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::tower::HandlerService;
    /// use waterwheel::http::{Request, Server, StatusCode};
    ///
    /// let server = Server::builder().max_body(1 << 20).without_listener();
    /// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    /// let service = HandlerService::with(server, hello);
    /// # drop(service);
    /// ```
    pub fn with(server: Server, handler: H) -> Self {
        Self {
            server: Rc::new(server),
            handler: shared(handler),
        }
    }
}

impl<H> Clone for HandlerService<H> {
    fn clone(&self) -> Self {
        Self {
            server: self.server.clone(),
            handler: self.handler.clone(),
        }
    }
}

impl<H> fmt::Debug for HandlerService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerService").finish_non_exhaustive()
    }
}

impl<H, B> Service<http::Request<B>> for HandlerService<H>
where
    H: Handler,
    B: http_body::Body + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<AnswerStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<http::Response<AnswerStream>>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (near, far) = MemoryStream::pair();
        let facts: Option<&ConnectionFacts> = request.extensions().get();
        let peer = facts.and_then(|facts| facts.peer);
        let serving = self
            .server
            .connection(far, peer)
            .serve(self.handler.clone());
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let framing = BodyFraming::of(&body);
            let head = head_of(&parts, framing)?;
            let stream = Rc::new(near);
            let mut tasks = JoinSet::new();
            tasks.spawn(serving);
            tasks.spawn(send(stream.clone(), head, body, framing));
            let mut answer = AnswerReader {
                stream,
                read: Vec::new(),
                _tasks: tasks,
            };
            let head = answer.head().await?;
            answer.into_response(&parts.method, &head)
        })
    }
}

/// How the server finds the end of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyFraming {
    NoBody,
    Length(u64),
    Chunks,
}

impl BodyFraming {
    fn of(body: &impl http_body::Body) -> Self {
        match body.size_hint().exact() {
            _ if body.is_end_stream() => Self::NoBody,
            Some(length) => Self::Length(length),
            None => Self::Chunks,
        }
    }
}

/// Returns the head of a request as bytes of HTTP/1.1.
fn head_of(parts: &http::request::Parts, framing: BodyFraming) -> io::Result<Vec<u8>> {
    if parts.method == Method::CONNECT {
        let text = "a service cannot make the tunnel that CONNECT asks for";
        return Err(io::Error::new(ErrorKind::Unsupported, text));
    }
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    // `http://mill?q` has an empty path, which a request line cannot have (RFC 9112, 3.2.1).
    let slash = if target.starts_with('?') { "/" } else { "" };
    let mut head = format!("{} {slash}{target} HTTP/1.1\r\n", parts.method).into_bytes();
    let mut push = |name: &[u8], value: &[u8]| {
        head.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
    };
    // HTTP/2 has the host in the target, and HTTP/1.1 in a field. If both have one, that of the target counts
    // (RFC 9113, 8.3.1; RFC 9112, 3.2.2).
    let authority = parts.uri.authority();
    if let Some(authority) = authority {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        push(b"host", host.as_bytes());
    }
    // HTTP/2 may split the cookies (RFC 9113, 8.2.3).
    let cookies: Vec<_> = parts
        .headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if !cookies.is_empty() {
        push(b"cookie", &cookies.join(&b"; "[..]));
    }
    for (name, value) in &parts.headers {
        let is_written =
            name == COOKIE || name == CONTENT_LENGTH || (name == HOST && authority.is_some());
        if !is_written && !is_of_connection(name) {
            push(name.as_str().as_bytes(), value.as_bytes());
        }
    }
    match framing {
        BodyFraming::NoBody => {}
        BodyFraming::Length(length) => push(b"content-length", length.to_string().as_bytes()),
        BodyFraming::Chunks => push(b"transfer-encoding", b"chunked"),
    }
    push(b"connection", b"close");
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// Returns true for fields that belong to one connection (RFC 9110, 7.6.1).
fn is_of_connection(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || matches!(name.as_str(), "keep-alive" | "proxy-connection" | "te")
}

/// Sends a request. An error of the body, or another length than the announced one, ends the stream within the body, so
/// that the handler sees the fault.
async fn send<B>(stream: Rc<MemoryStream>, head: Vec<u8>, body: B, framing: BodyFraming)
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    if write_all(&stream, &head).await.is_err() || framing == BodyFraming::NoBody {
        return;
    }
    let (mut body, mut trailers) = (pin!(body), HeaderMap::new());
    let mut left = match framing {
        BodyFraming::Length(length) => length,
        _ => 0,
    };
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(frame) = frame else {
            stream.end();
            return;
        };
        let mut bytes = Vec::new();
        match frame.into_data() {
            Ok(mut data) => {
                let data = data.copy_to_bytes(data.remaining());
                if framing == BodyFraming::Chunks {
                    chunked::push_chunk(&mut bytes, &data);
                } else if let Some(rest) = left.checked_sub(data.len() as u64) {
                    left = rest;
                    bytes.extend_from_slice(&data);
                } else {
                    stream.end();
                    return;
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
        // The server closes early if the handler has answered without the rest of the body.
        if write_all(&stream, &bytes).await.is_err() {
            return;
        }
    }
    if framing == BodyFraming::Chunks {
        chunked::remove_never_trailers(&mut trailers);
        let mut end = Vec::new();
        match chunked::push_last_chunk(&mut end, &trailers) {
            Ok(()) => drop(write_all(&stream, &end).await),
            Err(_) => stream.end(),
        }
    } else if left > 0 {
        stream.end();
    }
}

async fn write_all(stream: &MemoryStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| Io::poll_write_one(stream, cx, bytes)).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// Reads the bytes of an answer.
struct AnswerReader {
    stream: Rc<MemoryStream>,
    /// Bytes that have been read and not used.
    read: Vec<u8>,
    /// The connection and the sender of the request. The drop ends both.
    _tasks: JoinSet<()>,
}

impl AnswerReader {
    /// Reads more bytes. Returns false at the end.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut piece = [0; 8192];
        let count = ready!(Io::poll_read(&*self.stream, cx, &mut piece))?;
        self.read.extend_from_slice(&piece[..count]);
        Poll::Ready(Ok(count > 0))
    }

    /// Reads the head of the final answer.
    async fn head(&mut self) -> io::Result<AnswerHead> {
        let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
        loop {
            let parsed = parser.parse(&self.read, &mut head, &ANSWER_LIMITS);
            let Some(length) = parsed.map_err(malformed)? else {
                if !poll_fn(|cx| self.poll_more(cx)).await? {
                    // The handler has aborted its connection.
                    return Err(ErrorKind::ConnectionAborted.into());
                }
                continue;
            };
            self.read.drain(..length);
            if !head.status().is_informational() {
                return Ok(head);
            }
            if head.status() == StatusCode::SWITCHING_PROTOCOLS {
                let text = "a service cannot change to another protocol";
                return Err(io::Error::new(ErrorKind::Unsupported, text));
            }
        }
    }

    fn into_response(
        self,
        method: &Method,
        head: &AnswerHead,
    ) -> io::Result<http::Response<AnswerStream>> {
        let rest = BodyRest::of(head.framing(method).map_err(malformed)?);
        let mut headers = head.headers().to_header_map();
        for name in [CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let mut response = http::Response::new(AnswerStream { reader: self, rest });
        *response.status_mut() = head.status();
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// The encoder is our own, so this is a fault of ours.
fn malformed(refusal: Refusal) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, refusal)
}

/// The body of the answer of a [`HandlerService`]. The drop ends the handler.
///
/// # Errors
///
/// A frame is an error if the handler fails after the head.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::tower::AnswerStream;
///
/// fn is_empty(response: &http::Response<AnswerStream>) -> bool {
///     http_body::Body::is_end_stream(response.body())
/// }
/// ```
pub struct AnswerStream {
    reader: AnswerReader,
    rest: BodyRest,
}

impl http_body::Body for AnswerStream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Self { reader, rest } = &mut *self;
        loop {
            match rest.decode(&reader.read, &ANSWER_LIMITS) {
                Ok(Decoded::Data(range)) => {
                    let data = Bytes::copy_from_slice(&reader.read[range.clone()]);
                    reader.read.drain(..range.end);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Decoded::Incomplete) => reader.read.clear(),
                Ok(Decoded::End(_)) => {
                    let trailers = mem::replace(rest, BodyRest::Sized(0)).trailers();
                    let frame = (!trailers.is_empty()).then(|| Frame::trailers(trailers));
                    return Poll::Ready(frame.map(Ok));
                }
                Err(_) => return Poll::Ready(Some(Err(ErrorKind::InvalidData.into()))),
            }
            if !ready!(reader.poll_more(cx))? {
                let before = mem::replace(rest, BodyRest::Sized(0));
                let is_whole = matches!(before, BodyRest::UntilClose);
                let error = || Err(ErrorKind::UnexpectedEof.into());
                return Poll::Ready((!is_whole).then(error));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, BodyRest::Sized(0))
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            BodyRest::Sized(left) => SizeHint::with_exact(left),
            BodyRest::Chunked(_) | BodyRest::UntilClose => SizeHint::new(),
        }
    }
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerStream").finish_non_exhaustive()
    }
}
