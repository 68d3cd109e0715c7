//! A request as a value.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_io::AsyncRead;
use http::{Method, StatusCode, Uri};

use super::ClientShared;
#[cfg(feature = "input")]
use super::error::AnyError;
use super::error::{RequestError, RequestErrorKind, without_secrets};
use super::exchange::OnInterim;
use super::response::ClientResponse;
use super::upload::UploadSource;
use crate::headers::{AnswerHeaders, Headers};
use crate::proto::request_head::RequestFields;

/// A request that is not sent yet. `'b` is the lifetime of a body that is streamed.
///
/// [`send`](Self::send) sends it. `.await` on the request does the same. A fault in a part of it, such as a line end
/// in a header value, is an error of `send`, and then no byte is sent.
///
/// Host is the authority of the URI, unless a field `host` is added. Content-Length and Transfer-Encoding are the
/// client's. No other field is added.
///
/// # Examples
///
/// ```
/// use waterwheel::http::client::{Client, ClientRequest, RequestError};
///
/// async fn upload(client: &Client, file: waterwheel::runtime::fs::File) -> Result<(), RequestError> {
///     let request: ClientRequest<'_> = client.put("http://example.org/file");
///     let response = request
///         .header("content-type", "application/octet-stream")
///         .body_reader(file, None)
///         .await?;
///     println!("{}", response.status());
///     Ok(())
/// }
/// # drop(upload);
/// ```
#[must_use = "a request is sent by `send`"]
pub struct ClientRequest<'b> {
    pub(super) shared: Rc<ClientShared>,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) fields: RequestFields,
    pub(super) target: Option<String>,
    pub(super) source: UploadSource<'b>,
    /// The type of the body, if the kind of body has one.
    pub(super) content_type: Option<&'static str>,
    pub(super) pause: Option<Duration>,
    pub(super) total_timeout: Option<Duration>,
    pub(super) on_interim: Option<OnInterim<'b>>,
    /// The first fault.
    pub(super) fault: Option<RequestError>,
}

impl<'b> ClientRequest<'b> {
    pub(super) fn new(
        shared: Rc<ClientShared>,
        method: Method,
        uri: Result<Uri, http::Error>,
    ) -> Self {
        let (uri, fault) = match uri {
            Ok(uri) => (uri, None),
            Err(error) => {
                let text = format!("its URI is malformed: {error}; expected http://host:port/path");
                let fault = RequestError::of(RequestErrorKind::Request, text);
                (Uri::default(), Some(fault))
            }
        };
        Self {
            total_timeout: shared.options.total_timeout,
            shared,
            method,
            uri,
            fields: RequestFields::default(),
            target: None,
            source: UploadSource::Whole(Bytes::new()),
            content_type: None,
            pause: None,
            on_interim: None,
            fault,
        }
    }

    fn note(&mut self, text: &'static str) {
        self.note_fault(RequestError::with(RequestErrorKind::Request, text));
    }

    fn note_fault(&mut self, fault: RequestError) {
        let (method, uri) = (&self.method, &self.uri);
        self.fault.get_or_insert_with(|| fault.at(method, uri));
    }

    fn with_source(mut self, source: UploadSource<'b>, content_type: Option<&'static str>) -> Self {
        (self.source, self.content_type) = (source, content_type);
        self
    }

    /// Adds a header field. A field of that name that is there already stays.
    ///
    /// `connection: close` closes the connection after the answer. An `upgrade` field and a `te` field need no
    /// Connection field. An equal Content-Length is accepted. Transfer-Encoding, Keep-Alive, Proxy-Connection, Expect and
    /// other members of Connection are faults.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestErrorKind};
    /// use waterwheel::runtime::block_on;
    ///
    /// let split = Client::new().get("http://example.org/").header("x-tag", "a\r\nb: c").send();
    /// assert_eq!(block_on(split).unwrap_err().kind(), RequestErrorKind::Request);
    /// ```
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if let Err(text) = self.fields.push(name.as_ref(), value.as_ref()) {
            self.note(text);
        }
        self
    }

    /// Adds header fields, such as a `HeaderMap` or an array of pairs.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let client = Client::new();
    /// let request = client.get("http://example.org/").headers([("accept", "text/html"), ("te", "trailers")]);
    /// # drop(request);
    /// ```
    pub fn headers(mut self, fields: impl AnswerHeaders) -> Self {
        let pushed = fields.try_for_each(|name, value| self.fields.push(name, value));
        if let Err(text) = pushed {
            self.note(text);
        }
        self
    }

    /// Sends this target in the request line instead of the path and the query of the URI: `*` for OPTIONS, `host:port`
    /// for CONNECT, an absolute URI for a proxy, or a path with the very bytes that a proxy has received.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().request(Method::CONNECT, "http://proxy.example:3128").target("example.org:443");
    /// # drop(request);
    /// ```
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Appends to the query of the URI: pairs, or a struct of the parameters. A `Vec` repeats its name, and a `None` is
    /// left out. Values are escaped as those of forms (the URL standard, 5.2), so a space becomes `+`. With the feature
    /// `input`.
    ///
    /// The query is in no `Debug` form and in no text of an error. A query that the URI has stays before it. A
    /// [`target`](Self::target) takes the place of both. If the value has another shape, that is an error of
    /// [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Serialize;
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, race};
    ///
    /// #[derive(Serialize)]
    /// struct Page {
    ///     number: u32,
    ///     size: Option<u32>,
    ///     tag: Vec<&'static str>,
    /// }
    ///
    /// let echo = async |request: Request<'_>| {
    ///     let query = request.query().unwrap_or_default();
    ///     request.respond(StatusCode::OK, query, ()).await
    /// };
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let uri = format!("http://{}/?sort=up", server.local_address());
    ///     let ask = async {
    ///         let page = Page { number: 2, size: None, tag: vec!["new", "old"] };
    ///         let response = Client::new().get(&uri).query(&[("grain", "rye & oat")]).query(&page).send().await?;
    ///         assert_eq!(response.text().await?, "sort=up&grain=rye+%26+oat&number=2&tag=new&tag=old");
    ///         Ok::<(), Box<dyn std::error::Error>>(())
    ///     };
    ///     let serve = async { server.serve(echo).await.map_err(Into::into) };
    ///     race(ask, serve).await
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "input")]
    #[cfg_attr(docsrs, doc(cfg(feature = "input")))]
    pub fn query(mut self, pairs: &(impl serde::Serialize + ?Sized)) -> Self {
        match with_query(&self.uri, pairs) {
            Ok(uri) => self.uri = uri,
            Err(error) => self.note_fault(RequestError::of(RequestErrorKind::Request, error)),
        }
        self
    }

    /// Sets the credentials of Basic authentication (RFC 7617), instead of an Authorization that the request has. They
    /// are sent as UTF-8. An empty password is one.
    ///
    /// The credentials are in no `Debug` form and in no error. A [redirect](super::Redirects) to another origin leaves
    /// them out. They are readable for all on the way unless the URI is one of https.
    ///
    /// A colon in the user, or a control character, is an error of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, race};
    ///
    /// let echo = async |request: Request<'_>| {
    ///     let sent = request.headers().get("authorization").unwrap_or_default().to_owned();
    ///     request.respond(StatusCode::OK, sent, ()).await
    /// };
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let uri = format!("http://{}/", server.local_address());
    ///     let ask = async {
    ///         let response = Client::new().get(&uri).basic_auth("miller", "flour").send().await?;
    ///         assert_eq!(response.text().await?, "Basic bWlsbGVyOmZsb3Vy");
    ///         Ok::<(), Box<dyn std::error::Error>>(())
    ///     };
    ///     let serve = async { server.serve(echo).await.map_err(Into::into) };
    ///     race(ask, serve).await
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (user, password) = (user.as_ref(), password.as_ref());
        if user.contains(':') {
            // The server would take the rest of the user as the password.
            self.note("a user of Basic authentication has no colon");
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            self.note("a user or a password has a control character, such as a line end");
        }
        let credentials = STANDARD.encode(format!("{user}:{password}"));
        self.authorization("Basic", &credentials)
    }

    /// Sets a bearer token (RFC 6750), such as one of OAuth or a JWT, instead of an Authorization that the request has.
    ///
    /// The token is in no `Debug` form and in no error. A [redirect](super::Redirects) to another origin leaves it out.
    ///
    /// A control character in the token, such as the line end of a file, is an error of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().get("https://example.org/").bearer_auth("mF_9.B5f-4.1JqM");
    /// assert!(!format!("{request:?}").contains("mF_9"));
    /// ```
    pub fn bearer_auth(self, token: impl AsRef<str>) -> Self {
        self.authorization("Bearer", token.as_ref())
    }

    fn authorization(mut self, scheme: &str, credentials: &str) -> Self {
        let value = format!("{scheme} {credentials}");
        if let Err(text) = self.fields.set("authorization", value.as_bytes()) {
            self.note(text);
        }
        self
    }

    /// Sets a body of known bytes. The client can send it again, after a redirect or on a new connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().post("http://example.org/").body(vec![1, 2, 3]);
    /// # drop(request);
    /// ```
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        self.with_source(UploadSource::Whole(body.into()), None)
    }

    /// Sets a body that is read while it is sent. Without a length it is sent in chunks.
    ///
    /// If the reader ends before that length, the request fails. If it has more bytes, the rest is not read.
    pub fn body_reader(self, reader: impl AsyncRead + 'b, length: Option<u64>) -> Self {
        self.with_source(UploadSource::of_reader(reader, length), None)
    }

    /// Sets a body of frames, such as the [`Body`](crate::Body) of a server's request. If its length is known
    /// (`size_hint`), or if there is a field Content-Length, it has that length. Else it is sent in chunks, and its
    /// trailers behind them.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, ClientResponse, RequestError};
    /// use waterwheel::http::Request;
    ///
    /// /// Passes the body of a server's request on.
    /// async fn pass_on<'r>(client: &Client, request: &'r Request<'_>) -> Result<ClientResponse<'r>, RequestError> {
    ///     client.post("http://example.org/").body_frames(request.body()).await
    /// }
    /// # drop(pass_on as fn(_, _) -> _);
    /// ```
    pub fn body_frames<B>(self, body: B) -> Self
    where
        B: http_body::Body + 'b,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.with_source(UploadSource::of_body(body), None)
    }

    /// Sets a body of JSON. Its Content-Type is `application/json`, unless a field `content-type` is added. With the
    /// feature `json`.
    ///
    /// If the value has no form in JSON, such as a map whose keys are lists, that is an error of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().post("http://example.org/").json(&["a", "b"]);
    /// let patch = Client::new().patch("http://example.org/").json(&["c"]);
    /// let patch = patch.header("content-type", "application/merge-patch+json");
    /// # drop((request, patch));
    /// ```
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json(mut self, value: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(json) => {
                let source = UploadSource::Whole(json.into());
                self.with_source(source, Some("application/json"))
            }
            Err(error) => {
                self.note_fault(RequestError::of(RequestErrorKind::Request, error));
                self
            }
        }
    }

    /// Sets the body of a form (the URL standard, 5.2): pairs, or a struct of the fields, as [`query`](Self::query)
    /// takes them. Its Content-Type is `application/x-www-form-urlencoded`, unless a field `content-type` is added.
    /// With the feature `input`.
    ///
    /// If the value has another shape, that is an error of [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use serde::Serialize;
    /// use waterwheel::http::client::Client;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, race};
    ///
    /// #[derive(Serialize)]
    /// struct Order<'a> {
    ///     grain: &'a str,
    ///     sacks: u32,
    /// }
    ///
    /// let echo = async |request: Request<'_>| {
    ///     let body = request.bytes().await?;
    ///     request.respond(StatusCode::OK, body, ()).await
    /// };
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let uri = format!("http://{}/", server.local_address());
    ///     let ask = async {
    ///         let order = Order { grain: "rye & oat", sacks: 7 };
    ///         let response = Client::new().post(&uri).form(&order).send().await?;
    ///         assert_eq!(response.text().await?, "grain=rye+%26+oat&sacks=7");
    ///         Ok::<(), Box<dyn std::error::Error>>(())
    ///     };
    ///     let serve = async { server.serve(echo).await.map_err(Into::into) };
    ///     race(ask, serve).await
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "input")]
    #[cfg_attr(docsrs, doc(cfg(feature = "input")))]
    pub fn form(mut self, fields: &(impl serde::Serialize + ?Sized)) -> Self {
        match serde_html_form::to_string(fields) {
            Ok(form) => {
                let source = UploadSource::Whole(form.into());
                self.with_source(source, Some("application/x-www-form-urlencoded"))
            }
            Err(error) => {
                self.note_fault(RequestError::of(RequestErrorKind::Request, error));
                self
            }
        }
    }

    /// Sends `Expect: 100-continue`, and the body only when the server has answered 100, or after `limit`
    /// (RFC 9110, 10.1.1). If a final answer comes first, the body is not sent, and the connection closes.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::client::Client;
    ///
    /// let large = vec![0; 1 << 20];
    /// let request = Client::new().put("http://example.org/").body(large);
    /// let request = request.expect_continue(Duration::from_secs(1));
    /// # drop(request);
    /// ```
    pub fn expect_continue(mut self, limit: Duration) -> Self {
        self.pause = Some(limit);
        self
    }

    /// Sets the time for this exchange instead of the client's
    /// [`total_timeout`](super::ClientBuilder::total_timeout).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().get("http://example.org/").total_timeout(Duration::from_secs(5));
    /// # drop(request);
    /// ```
    pub fn total_timeout(mut self, limit: Duration) -> Self {
        self.total_timeout = Some(limit);
        self
    }

    /// Calls a function with each interim answer but 100 and 101, such as 103 (RFC 8297).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::Client;
    ///
    /// let request = Client::new().get("http://example.org/").on_interim(|status, headers| {
    ///     println!("{status}: {:?}", headers.get("link"));
    /// });
    /// # drop(request);
    /// ```
    pub fn on_interim(mut self, see: impl FnMut(StatusCode, Headers<'_>) + 'b) -> Self {
        self.on_interim = Some(Box::new(see));
        self
    }
}

/// Appends pairs to the query of a URI.
#[cfg(feature = "input")]
fn with_query(uri: &Uri, pairs: &(impl serde::Serialize + ?Sized)) -> Result<Uri, AnyError> {
    let mut text = format!("{}?", uri.path());
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        text.extend([query, "&"]);
    }
    let length = text.len();
    serde_html_form::ser::push_to_string(&mut text, pairs)?;
    if text.len() == length {
        return Ok(uri.clone());
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(text.parse()?);
    Ok(Uri::from_parts(parts)?)
}

impl<'b> IntoFuture for ClientRequest<'b> {
    type Output = Result<ClientResponse<'b>, RequestError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + 'b>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for ClientRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The fields may hold credentials.
        f.debug_struct("ClientRequest")
            .field("method", &self.method)
            .field("uri", &format_args!("{}", without_secrets(&self.uri)))
            .finish_non_exhaustive()
    }
}
