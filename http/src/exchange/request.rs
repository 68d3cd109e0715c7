//! A request as its handler sees it.

use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use http::{Method, StatusCode, Version};

use crate::error::{ClientError, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::answer_coder::{AnswerCoder, CoderOfRequest};
use crate::exchange::body::Body;
use crate::exchange::handle::Exchange;
use crate::exchange::handler::Responded;
use crate::exchange::respond::{self, Unsent};
use crate::extensions::Extensions;
use crate::headers::white_space::members;
use crate::headers::{AnswerHeaders, Headers};
use crate::proto::encode;
use crate::proto::head::Head;
use crate::transport::address::PeerAddress;
use crate::transport::connection_info::ConnectionInfo;
use crate::transport::shutdown_signal::ShutdownSignal;
use crate::transport::upgrade::Upgrade;

/// A request, and the obligation to answer it.
///
/// A handler answers it exactly once. Each way to answer takes the request and returns a
/// [`Responded`], which the handler must return. A handler without an answer does not compile:
///
/// ```compile_fail
/// use waterwheel::http::{Request, Responded, Result};
///
/// async fn forgetful(request: Request<'_>) -> Result<Responded> {
///     println!("{}", request.path());
/// }
/// ```
///
/// A handler that answers twice does not compile either:
///
/// ```compile_fail
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn eager(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "once", ()).await?;
///     request.respond(StatusCode::OK, "twice", ()).await
/// }
/// ```
///
/// The path and the headers borrow from the connection, and not from the request. So they are valid after the
/// body has been read, and after the answer.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Method, Request, StatusCode, Version};
/// use waterwheel::runtime::block_on;
///
/// let show = async |request: Request<'_>| {
///     assert_eq!(request.method(), Method::POST);
///     assert_eq!(request.target(), "/mills/north?open");
///     assert_eq!((request.path(), request.query()), ("/mills/north", Some("open")));
///     assert_eq!(request.version(), Version::HTTP_11);
///     assert!(request.host().is_some() && request.headers().contains("host"));
///     assert_eq!(request.peer_address(), None); // a connection in memory has no address
///     assert_eq!(request.connection().local_address(), None);
///     let body = request.bytes().await?;
///     request.respond(StatusCode::OK, body, ()).await
/// };
/// let answer = block_on(async { TestClient::new(show).post("/mills/north?open", "water").await });
/// assert_eq!(answer.text(), "water");
/// ```
pub struct Request<'c> {
    exchange: Exchange<'c>,
    peer: &'c PeerAddress,
}

/// The request, its client and its body.
impl<'c> Request<'c> {
    pub(crate) fn new(exchange: Exchange<'c>, peer: &'c PeerAddress) -> Self {
        Self { exchange, peer }
    }

    #[cfg(feature = "sessions")]
    pub(crate) fn exchange(&self) -> Exchange<'c> {
        self.exchange
    }

    fn head(&self) -> &'c Head {
        self.exchange.head()
    }

    /// Returns the method: GET, POST, or any other token (RFC 9110, 9.1).
    #[doc(alias = "reqMethod")]
    pub fn method(&self) -> &'c Method {
        self.head().method()
    }

    /// Returns the request target as the client has sent it (RFC 9112, 3.2).
    #[doc(alias = "raw_url")]
    pub fn target(&self) -> &'c str {
        self.head().target()
    }

    /// Returns the target's path as the client has sent it, without decoding.
    #[doc(alias = "url")]
    pub fn path(&self) -> &'c str {
        self.head().path()
    }

    /// Returns the part after the target's first `?`, as the client has sent it.
    #[doc(alias = "raw_query_string")]
    pub fn query(&self) -> Option<&'c str> {
        self.head().query()
    }

    /// Returns the host of the request, with its port if there is one. It is the target's host, or else that
    /// of the Host field. Returns `None` only in HTTP/1.0.
    pub fn host(&self) -> Option<&'c str> {
        self.head().host(self.exchange.bytes_from_head())
    }

    /// Returns the version: HTTP/1.0 or HTTP/1.1.
    #[doc(alias = "protocol")]
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// Returns true if the client offers to change to that protocol (in any case): an Upgrade field names it,
    /// Connection names Upgrade, and the version is HTTP/1.1 (RFC 9110, 7.8).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn chat(request: Request<'_>) -> Result<Responded> {
    ///     if !request.offers("websocket") {
    ///         return request.respond(StatusCode::OK, "open this page in a browser\n", ()).await;
    ///     }
    ///     let (responded, upgrade) = request.upgrade("websocket", ()).await?;
    ///     # drop(upgrade);
    ///     Ok(responded)
    /// }
    /// # drop(waterwheel::http::shared(chat));
    /// ```
    pub fn offers(&self, protocol: &str) -> bool {
        let offered =
            |field| members(field).any(|one| one.eq_ignore_ascii_case(protocol.as_bytes()));
        self.head().allows_upgrade() && self.headers().get_all("upgrade").any(offered)
    }

    /// Returns the header fields, as a view of the read buffer.
    pub fn headers(&self) -> Headers<'c> {
        self.head().headers(self.exchange.bytes_from_head())
    }

    /// Returns the client's address, or `None` if the transport has no addresses.
    #[doc(alias = "hostname")]
    #[doc(alias = "remote_addr")]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.connection().peer_address()
    }

    /// Returns the address of the client: the one that middleware has [set](Self::set_client_address), or that of the
    /// [peer](Self::peer_address). They differ behind a proxy. An IPv4 address that comes as an IPv6 one
    /// (`::ffff:192.0.2.7`) is returned as the IPv4 address.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use waterwheel::http::Request;
    ///
    /// fn is_local(request: &Request<'_>) -> bool {
    ///     request.client_address().is_some_and(|address: IpAddr| address.is_loopback())
    /// }
    /// ```
    pub fn client_address(&self) -> Option<IpAddr> {
        match self.extensions().get::<ClientAddress>() {
            Some(address) => Some(address.0),
            None => self.peer_address().map(|peer| peer.ip().to_canonical()),
        }
    }

    /// Sets the address of the client, for the handler and for the access log. Middleware calls this if the peer is a
    /// proxy that it trusts.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Handler, Request};
    ///
    /// /// Takes the word of a proxy that is the only one to reach this server.
    /// fn behind_proxy(handler: impl Handler) -> impl Handler {
    ///     async move |request: Request<'_>| {
    ///         let address = request.headers().get("x-real-ip").and_then(|text| text.parse().ok());
    ///         if let Some(address) = address {
    ///             request.set_client_address(address);
    ///         }
    ///         handler.call(request).await
    ///     }
    /// }
    /// # drop(behind_proxy(async |request: Request<'_>| Ok(request.abort())));
    /// ```
    pub fn set_client_address(&self, address: IpAddr) {
        self.extensions().insert(ClientAddress(address));
    }

    /// Returns the connection of this request: its addresses, and the facts that a transport of
    /// [`Builder::transport`](crate::Builder::transport) has found about the client.
    pub fn connection(&self) -> ConnectionInfo<'c> {
        ConnectionInfo::new(self.exchange.io(), self.peer.get())
    }

    /// Returns the body, to be read piece by piece.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn size(request: Request<'_>) -> Result<Responded> {
    ///     let (mut body, mut bytes) = (request.body(), 0);
    ///     while let Some(piece) = body.next().await? {
    ///         bytes += piece.len();
    ///     }
    ///     request.respond(StatusCode::OK, format!("{bytes} bytes\n"), ()).await
    /// }
    /// # drop(waterwheel::http::shared(size));
    /// ```
    pub fn body(&self) -> Body<'c> {
        Body::new(self.exchange)
    }

    /// Reads the whole body into memory, up to the server's limit
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
            .bytes(self.exchange.limits().body_bytes_max)
            .await
    }

    /// Returns the values that middleware hands to handlers, by their types.
    ///
    /// A request without values costs no allocation.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// struct User(String); // inserted by middleware
    ///
    /// async fn home(request: Request<'_>) -> Result<Responded> {
    ///     match request.extensions().get::<User>() {
    ///         Some(user) => request.respond(StatusCode::OK, user.0.as_str(), ()).await,
    ///         None => request.respond(StatusCode::UNAUTHORIZED, "", ()).await,
    ///     }
    /// }
    /// # drop(waterwheel::http::shared(home));
    /// ```
    pub fn extensions(&self) -> &'c Extensions {
        self.exchange.extensions()
    }

    /// Returns the signal that the server shuts down, for answers that never end by themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    /// use waterwheel::runtime::race;
    /// use waterwheel::runtime::time::sleep;
    ///
    /// async fn wait_for_news(request: Request<'_>) -> Result<Responded> {
    ///     let news = async {
    ///         sleep(Duration::from_secs(60)).await;
    ///         "news\n"
    ///     };
    ///     let shutdown = request.shutdown_signal();
    ///     let end = async {
    ///         shutdown.wait().await;
    ///         "ask again: the server restarts\n"
    ///     };
    ///     let text = race(news, end).await;
    ///     request.respond(StatusCode::OK, text, ()).await
    /// }
    /// # drop(waterwheel::http::shared(wait_for_news));
    /// ```
    pub fn shutdown_signal(&self) -> ShutdownSignal {
        self.exchange.shutdown_signal()
    }

    /// Completes when the client has left: a reset or a hang-up.
    ///
    /// A client that has only closed its write half is still there and waits for its answer.
    /// [`Builder::on_half_close`](crate::Builder::on_half_close) changes this.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    /// use waterwheel::runtime::{race, time::sleep};
    ///
    /// /// Works for as long as the client waits.
    /// async fn report(request: Request<'_>) -> Result<Responded> {
    ///     let work = async {
    ///         sleep(Duration::from_secs(60)).await;
    ///         Some("the report")
    ///     };
    ///     let left = async {
    ///         request.disconnected().await;
    ///         None
    ///     };
    ///     match race(work, left).await {
    ///         Some(text) => request.respond(StatusCode::OK, text, ()).await,
    ///         None => Ok(request.abort()), // no answer is possible
    ///     }
    /// }
    /// # drop(waterwheel::http::shared(report));
    /// ```
    pub async fn disconnected(&self) {
        poll_fn(|cx| self.exchange.poll_gone(cx)).await;
    }
}

/// Fields and coding of the answer, before it is made.
impl Request<'_> {
    /// Adds a field to the answer, before the answer is made. This handler, another handler, or the server
    /// after an error may make it. Middleware uses this.
    ///
    /// Interim answers do not have the field. If the answer of the handler has a field of that name, both are sent. But a
    /// field of which browsers take one value, such as X-Frame-Options or Access-Control-Allow-Origin, is then the
    /// handler's alone.
    ///
    /// # Errors
    ///
    /// If the name or the value is invalid, or if the server itself decides about the field (Content-Length,
    /// Connection, Date …).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Handler, Request, Responded, Result};
    ///
    /// async fn unframed(request: Request<'_>, inner: &impl Handler) -> Result<Responded> {
    ///     request.add_header("x-frame-options", "deny")?;
    ///     inner.call(request).await
    /// }
    /// ```
    pub fn add_header(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (name, value) = (name.as_ref(), value.as_ref());
        let added = self
            .exchange
            .with_added(|lines| encode::push_added(lines, name, value));
        Ok(added?)
    }

    /// Adds a field to the answer, in place of the [added](Self::add_header) ones of that name. A handler uses this to
    /// change a field that middleware has added.
    ///
    /// # Errors
    ///
    /// As [`add_header`](Self::add_header). Then the answer has no such field.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// /// A page that other sites may show in a frame.
    /// async fn map(request: Request<'_>) -> Result<Responded> {
    ///     request.replace_header("content-security-policy", "frame-ancestors *")?;
    ///     request.respond(StatusCode::OK, "a map", ()).await
    /// }
    /// # drop(waterwheel::http::shared(map));
    /// ```
    pub fn replace_header(&self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let name = name.as_ref();
        let is_named = |line: &[u8]| {
            let found = line.split_at_checked(name.len());
            found.is_some_and(|(found, rest)| {
                found.eq_ignore_ascii_case(name) && rest.starts_with(b":")
            })
        };
        self.exchange
            .with_added(|lines| encode::remove_added(lines, is_named));
        self.add_header(name, value)
    }

    /// Adds a Set-Cookie field to the answer, in place of the added one of this name.
    #[cfg(feature = "sessions")]
    pub(crate) fn replace_cookie(&self, name: &str, field: &str) -> Result<()> {
        self.exchange.remove_cookie(name);
        self.add_header("set-cookie", field)
    }

    /// Returns the value of the first [added](Self::add_header) field of that name (in any case), if it is
    /// UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn nonce(request: Request<'_>) -> Result<Responded> {
    ///     request.add_header("x-nonce", "4f")?;
    ///     let nonce = request.added_header("X-Nonce").unwrap_or_default();
    ///     request.respond(StatusCode::OK, format!("<script nonce={nonce}>"), ()).await
    /// }
    /// # drop(waterwheel::http::shared(nonce));
    /// ```
    pub fn added_header(&self, name: &str) -> Option<String> {
        self.exchange.added_header(name)
    }

    /// Sets the coder of the answer's body. A coder that was set before is replaced. Middleware that compresses uses
    /// this.
    ///
    /// The coder sees the answer of the handler, and not the error answers of the server.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::rc::Rc;
    /// use waterwheel::http::{AnswerCoder, Handler, Request};
    ///
    /// /// Sets the coder for each request of a handler.
    /// fn coded<C: AnswerCoder + 'static>(coder: C, handler: impl Handler) -> impl Handler {
    ///     let coder = Rc::new(coder);
    ///     async move |request: Request<'_>| {
    ///         request.set_answer_coder(coder.clone());
    ///         handler.call(request).await
    ///     }
    /// }
    /// ```
    pub fn set_answer_coder(&self, coder: Rc<dyn AnswerCoder>) {
        // A cached head would go past the coder.
        self.exchange.forget_cached_answer();
        self.extensions().insert(CoderOfRequest(coder));
    }
}

/// The answer.
impl<'c> Request<'c> {
    /// Queues an interim answer, such as 103 (Early Hints). The final answer must follow. A client of
    /// HTTP/1.0 receives no interim answer, because that version does not have them (RFC 9110, 15.2).
    ///
    /// The server sends 100 (Continue) by itself, at the first read of the body.
    ///
    /// # Errors
    ///
    /// If the status is not an interim one, if it is 100 or 101, or if a header field may not be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn page(request: Request<'_>) -> Result<Responded> {
    ///     // The browser fetches the style while the page is made.
    ///     request.inform(StatusCode::EARLY_HINTS, [("link", "</site.css>; rel=preload; as=style")])?;
    ///     let page = "<!doctype html>…";
    ///     request.respond(StatusCode::OK, page, [("content-type", "text/html; charset=utf-8")]).await
    /// }
    /// # drop(waterwheel::http::shared(page));
    /// ```
    pub fn inform(&self, status: StatusCode, headers: impl AnswerHeaders) -> Result<()> {
        respond::inform(self.exchange, status, &headers)
    }

    /// Answers with a status, a body, and header fields.
    ///
    /// The body is any type that is bytes. The server adds Content-Length and Date, and Connection if it is
    /// needed. An answer that may have no body (to HEAD, 204, 304) is sent without it.
    ///
    /// This completes when the answer is queued. The server writes the queue in one piece when the handler
    /// returns or waits. A body of more than 16 KiB is not copied. Then this completes when the kernel has
    /// accepted all of it.
    ///
    /// # Errors
    ///
    /// If a header field may not be sent, such as one with a line end or a second Content-Length. Then the queue is
    /// unchanged, and the server answers 500 if the handler returns the error. Also if the peer is gone, or accepts no
    /// byte for too long. Then no answer is possible.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request is gone. Return an error then. A complete answer in the queue is sent,
    /// and a part of an answer makes the server cut the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
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
            if self.exchange.repeat(status, body, &headers) {
                // The common case on a warm connection: the head equals that of the last answer.
                return Ok(Responded::new(status, body.len() as u64));
            }
            if respond::may_be_coded(self.exchange)
                && let Some(sending) = respond::respond_coded(self.exchange, status, body, &headers)
            {
                return sending.await;
            }
            // Queued by a plain call, and only the rest is a future. Most answers have no rest (LOG 48).
            let (responded, unsent) = respond::queue(self.exchange, status, body, &headers)?;
            if !matches!(unsent, Unsent::Nothing) {
                respond::send(self.exchange, unsent, body).await?;
            }
            Ok(responded)
        }
    }

    /// Begins an answer whose body is sent piece by piece.
    ///
    /// The answer is chunked, or has the Content-Length among `headers`. To a client of HTTP/1.0, it ends
    /// with the connection. [`AnswerBody::finish`] ends the answer. If a handler does not call it, the server
    /// cuts the connection, so that the client does not take a part of the answer for the whole.
    ///
    /// # Errors
    ///
    /// As [`respond`](Self::respond).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request is gone. Return an error then. The client receives its status, or the
    /// server cuts the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
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
        respond::start(self.exchange, status, &headers).await
    }

    /// Changes to a protocol that the client [offers](Self::offers). Answers 101, and passes on the stream
    /// with the bytes that were read from it.
    ///
    /// The server first discards the rest of the request's body. The handler returns the `Responded`. The
    /// [`Upgrade`] is a future of the stream, usually awaited in a task of its own:
    ///
    /// ```
    /// use futures_lite::AsyncWriteExt;
    /// use waterwheel::http::{Request, Responded, Result};
    /// use waterwheel::runtime::spawn;
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
    /// A [`ClientError`] with 426 and an Upgrade field if the client does not offer the protocol. Return it
    /// from the handler. Also if a header field may not be sent, or if the rest of the body exceeds
    /// [`Limits::drain_bytes_max`](crate::Limits::drain_bytes_max).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the request is gone. Return an error then, and the client receives its status.
    pub async fn upgrade(
        self,
        protocol: &str,
        headers: impl AnswerHeaders,
    ) -> Result<(Responded, Upgrade)> {
        if !self.offers(protocol) {
            let text = format!("upgrade to {protocol}");
            let refused = ClientError::new(StatusCode::UPGRADE_REQUIRED, text);
            // The client learns from the field which protocol it has to offer (RFC 9110, 15.5.22).
            return Err(refused.with_header("upgrade", protocol.to_owned()).into());
        }
        respond::upgrade(self.exchange, protocol, &headers).await
    }

    /// Answers CONNECT with 200, and passes on the stream, which is a tunnel from then on
    /// (RFC 9110, 9.3.6).
    ///
    /// # Errors
    ///
    /// A [`ClientError`] with 405 if the method is another. Also if a header field may not be sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::net::{IpAddr, SocketAddr};
    /// use waterwheel::http::{Request, Responded, Result};
    /// use waterwheel::runtime::{join, net::TcpStream, spawn};
    ///
    /// /// A proxy for CONNECT.
    /// async fn proxy(request: Request<'_>) -> Result<Responded> {
    ///     let address: SocketAddr = request.target().parse()?;
    ///     let server = TcpStream::connect(address).await?;
    ///     let (responded, upgrade) = request.tunnel(())?;
    ///     spawn(async move {
    ///         let (read, write) = futures_lite::io::split(upgrade.await?);
    ///         let there = futures_lite::io::copy(read, &server);
    ///         let back = futures_lite::io::copy(&server, write);
    ///         let (there, back) = join(there, back).await;
    ///         there.and(back)
    ///     })
    ///     .detach();
    ///     Ok(responded)
    /// }
    /// # drop(waterwheel::http::shared(proxy));
    /// ```
    pub fn tunnel(self, headers: impl AnswerHeaders) -> Result<(Responded, Upgrade)> {
        respond::tunnel(self.exchange, &headers)
    }

    /// Answers with an error of the client, as the server does if a handler returns it.
    #[cfg_attr(
        not(any(feature = "files", feature = "routes")),
        expect(dead_code, reason = "only parts of a site answer so")
    )]
    pub(crate) fn refuse(self, error: &ClientError) -> Responded {
        let sent = self.exchange.queue_client_error(error, None);
        Responded::new(error.status(), sent as u64)
    }

    /// Cuts the connection without an answer.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, StatusCode};
    ///
    /// async fn trap(request: Request<'_>) -> Result<Responded> {
    ///     if request.path().ends_with(".php") {
    ///         return Ok(request.abort()); // a scanner gets no byte
    ///     }
    ///     request.respond(StatusCode::NOT_FOUND, "", ()).await
    /// }
    /// # drop(waterwheel::http::shared(trap));
    /// ```
    pub fn abort(self) -> Responded {
        respond::abort(self.exchange)
    }
}

/// The address that middleware has set, as a value among the extensions of the request.
struct ClientAddress(IpAddr);

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
