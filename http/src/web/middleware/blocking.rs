//! Handlers that block: plain functions from a request to a reply, run on the pool.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderMap, Method, StatusCode, Version};
use waterwheel_runtime::{Blocking, ThreadPool, spawn_blocking};

use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::request::Request;
use crate::responded::Responded;

/// Makes a handler of a function that may take its time: it queries a database, computes, sleeps.
/// It is called on a thread of the runtime's pool, with the body read to its end.
///
/// At most [`THREADS_MAX`](waterwheel_runtime::THREADS_MAX) such calls run at once; more of them
/// queue, while all other handlers go on. A panic is a 500.
///
/// # Examples
///
/// ```
/// use waterwheel_http::testing::TestClient;
/// use waterwheel_http::web::middleware::{OwnedRequest, blocking};
/// use waterwheel_runtime::block_on;
///
/// let name = blocking(|request: &OwnedRequest| -> std::io::Result<String> {
///     let name = std::fs::read_to_string("/proc/self/comm")?;
///     Ok(format!("{} says {name}", request.path()))
/// });
/// let answer = block_on(async { TestClient::new(name).get("/name").await });
/// assert!(answer.text().starts_with("/name says "));
/// ```
pub fn blocking<F, R>(handler: F) -> impl Handler
where
    F: Fn(&OwnedRequest) -> R + Send + Sync + 'static,
    R: IntoReply,
{
    let handler = Arc::new(handler);
    async move |request: Request<'_>| {
        let job = job(&request, handler.clone()).await?;
        answer(request, spawn_blocking(job)).await
    }
}

/// The same on a pool of your own: so many calls at once as it has threads, and no more.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use waterwheel_http::web::middleware::{OwnedRequest, blocking_on};
/// use waterwheel_runtime::ThreadPool;
///
/// let pool = Arc::new(ThreadPool::new(4));
/// let handler = blocking_on(pool, |request: &OwnedRequest| request.path().to_owned());
/// # drop(handler);
/// ```
pub fn blocking_on<F, R>(pool: Arc<ThreadPool>, handler: F) -> impl Handler
where
    F: Fn(&OwnedRequest) -> R + Send + Sync + 'static,
    R: IntoReply,
{
    let handler = Arc::new(handler);
    async move |request: Request<'_>| {
        let job = job(&request, handler.clone()).await?;
        answer(request, pool.spawn(job)).await
    }
}

/// A [`Reply`], or an error that may go to another thread.
pub type Replied = Result<Reply, Box<dyn StdError + Send + Sync>>;

async fn job<F, R>(
    request: &Request<'_>,
    handler: Arc<F>,
) -> Result<impl FnOnce() -> Replied + use<F, R>>
where
    F: Fn(&OwnedRequest) -> R,
    R: IntoReply,
{
    let owned = OwnedRequest::read(request).await?;
    Ok(move || handler(&owned).into_reply())
}

async fn answer(request: Request<'_>, replied: Blocking<Replied>) -> Result<Responded> {
    let reply = replied.await?.map_err(|error| Error::boxed(error))?;
    request
        .respond(reply.status, reply.body, reply.headers)
        .await
}

/// A request that can leave its connection's thread.
#[derive(Clone, Debug)]
pub struct OwnedRequest {
    method: Method,
    path: String,
    query: Option<String>,
    version: Version,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    body: Vec<u8>,
}

impl OwnedRequest {
    /// Copies a request's head and reads its body, up to the server's limit.
    ///
    /// # Errors
    ///
    /// As [`Request::bytes`].
    pub async fn read(request: &Request<'_>) -> Result<Self> {
        Ok(Self {
            method: request.method().clone(),
            path: request.path().to_owned(),
            query: request.query().map(ToOwned::to_owned),
            version: request.version(),
            headers: request.headers().to_header_map(),
            peer: request.peer_address(),
            body: request.bytes().await?,
        })
    }

    /// GET, POST …
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, as it came.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What follows the first `?`, as it came.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// HTTP/1.0 or HTTP/1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Who sent it, where the transport knows addresses.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The whole body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// An answer that can come from another thread: 200 and nothing else, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// 200, 404 …
    pub status: StatusCode,
    /// Header fields, which are looked at when it is sent.
    pub headers: Vec<(String, String)>,
    /// All of the body.
    pub body: Vec<u8>,
}

impl Reply {
    /// That status, those bytes, and no header fields.
    #[must_use]
    pub fn new(status: StatusCode, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// What a function for [`blocking`] may return: a [`Reply`], text, bytes, `Html`, `Json`, a status, a
/// status and one of these, or a `Result` of any of them. What is an error becomes a 500, or what it says if it is a
/// [`ClientError`](crate::ClientError).
pub trait IntoReply: 'static {
    /// Makes it a reply.
    ///
    /// # Errors
    ///
    /// If it is an error itself.
    fn into_reply(self) -> Replied;
}

impl IntoReply for Reply {
    fn into_reply(self) -> Replied {
        Ok(self)
    }
}

impl IntoReply for &'static str {
    fn into_reply(self) -> Replied {
        self.to_owned().into_reply()
    }
}

impl IntoReply for String {
    fn into_reply(self) -> Replied {
        let reply = Reply::new(StatusCode::OK, self);
        Ok(reply.with_header("content-type", "text/plain; charset=utf-8"))
    }
}

impl IntoReply for Vec<u8> {
    fn into_reply(self) -> Replied {
        let reply = Reply::new(StatusCode::OK, self);
        Ok(reply.with_header("content-type", "application/octet-stream"))
    }
}

impl IntoReply for StatusCode {
    fn into_reply(self) -> Replied {
        Ok(Reply::new(self, ""))
    }
}

#[cfg(feature = "response")]
impl<T: Into<String> + 'static> IntoReply for crate::web::response::Html<T> {
    fn into_reply(self) -> Replied {
        let reply = Reply::new(StatusCode::OK, self.0.into());
        Ok(reply.with_header("content-type", "text/html; charset=utf-8"))
    }
}

#[cfg(feature = "json")]
impl<T: serde::Serialize + 'static> IntoReply for crate::web::response::Json<T> {
    fn into_reply(self) -> Replied {
        let reply = Reply::new(StatusCode::OK, serde_json::to_vec(&self.0)?);
        Ok(reply.with_header("content-type", "application/json"))
    }
}

impl<T: IntoReply> IntoReply for (StatusCode, T) {
    fn into_reply(self) -> Replied {
        let reply = self.1.into_reply()?;
        Ok(Reply {
            status: self.0,
            ..reply
        })
    }
}

impl<T, E> IntoReply for Result<T, E>
where
    T: IntoReply,
    E: Into<Box<dyn StdError + Send + Sync>> + 'static,
{
    fn into_reply(self) -> Replied {
        self.map_err(Into::into)?.into_reply()
    }
}
