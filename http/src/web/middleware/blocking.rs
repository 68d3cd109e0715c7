//! Handlers that block: plain functions from a request to a value, run on a thread pool.
//!
//! ```text
//!  runtime's thread             a thread of the pool                  runtime's thread
//!  read the body ─► OwnedRequest ─► call ─► IntoResponse ─► PortableResponse ─► respond
//! ```

use std::error::Error as StdError;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};
use waterwheel_runtime::{ThreadPool, spawn_blocking};

use crate::error::{Error, Result};
use crate::exchange::handler::Handler;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::web::response::{IntoResponse, Response, ResponseBody};

/// Makes a handler of a plain function that blocks: it queries a database, computes or sleeps.
///
/// The whole body is read first. Then a thread of the runtime's pool calls the function and turns its value
/// into a response ([`IntoResponse`]). At most [`THREADS_MAX`](waterwheel_runtime::THREADS_MAX) calls run at
/// once. Other calls wait in a queue, and other handlers are not delayed.
///
/// A panic of the function is a 500. So is a body that only the runtime's thread can read:
/// [`ResponseBody::reader`] and [`ResponseBody::stream`]. An error keeps its status and its text, but not
/// its type, because a [`waterwheel_http::Error`](crate::Error) stays on its thread.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::{OwnedRequest, blocking};
/// use waterwheel::runtime::block_on;
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
    R: IntoResponse,
{
    let handler = Arc::new(handler);
    async move |request: Request<'_>| {
        let (owned, handler) = (OwnedRequest::read(&request).await?, handler.clone());
        let called = spawn_blocking(move || PortableResponse::of(handler(&owned)));
        send(request, called.await?).await
    }
}

/// Makes a handler of a plain function that blocks, on a pool of your own.
///
/// The pool runs as many calls at once as it has threads. See [`blocking`] for the rest.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::{OwnedRequest, blocking_on};
/// use waterwheel::runtime::{ThreadPool, block_on};
///
/// let pool = Arc::new(ThreadPool::new(4));
/// let handler = blocking_on(pool, |request: &OwnedRequest| request.path().to_owned());
/// let answer = block_on(async { TestClient::new(handler).get("/name").await });
/// assert_eq!(answer.text(), "/name");
/// ```
pub fn blocking_on<F, R>(pool: Arc<ThreadPool>, handler: F) -> impl Handler
where
    F: Fn(&OwnedRequest) -> R + Send + Sync + 'static,
    R: IntoResponse,
{
    let handler = Arc::new(handler);
    async move |request: Request<'_>| {
        let (owned, handler) = (OwnedRequest::read(&request).await?, handler.clone());
        let called = pool.spawn(move || PortableResponse::of(handler(&owned)));
        send(request, called.await?).await
    }
}

/// An error that can be sent to another thread.
type PortableError = Box<dyn StdError + Send + Sync>;

/// A response that can be sent to another thread.
struct PortableResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: PortableBody,
}

/// A [`ResponseBody`] of a kind that can be sent to another thread.
enum PortableBody {
    Bytes(Bytes),
    File {
        file: File,
        range: Range<u64>,
    },
    Blocking {
        reader: Box<dyn Read + Send>,
        length: Option<u64>,
    },
}

impl PortableResponse {
    fn of(value: impl IntoResponse) -> Result<Self, PortableError> {
        let response = value.into_response().and_then(Response::checked);
        let response = response.map_err(|error| portable(&error))?;
        let body = match response.body {
            ResponseBody::Empty => PortableBody::Bytes(Bytes::new()),
            ResponseBody::Bytes(bytes) => PortableBody::Bytes(bytes),
            ResponseBody::File { file, range } => PortableBody::File { file, range },
            ResponseBody::Blocking { reader, length } => PortableBody::Blocking { reader, length },
            // These hold futures that are not `Send`.
            ResponseBody::Reader { .. } | ResponseBody::Stream(_) => {
                return Err(
                    "a blocking handler returned a body that only the runtime's thread can read"
                        .into(),
                );
            }
        };
        Ok(Self {
            status: response.status,
            headers: response.headers,
            body,
        })
    }
}

impl From<PortableBody> for ResponseBody {
    fn from(body: PortableBody) -> Self {
        match body {
            PortableBody::Bytes(bytes) => Self::Bytes(bytes),
            PortableBody::File { file, range } => Self::File { file, range },
            PortableBody::Blocking { reader, length } => Self::Blocking { reader, length },
        }
    }
}

/// Keeps the errors that decide about the status. Any other error becomes its text for the log.
fn portable(error: &Error) -> PortableError {
    match (error.client_error(), error.refusal()) {
        (Some(client_error), _) => Box::new(client_error.clone()),
        (None, Some(refusal)) => Box::new(refusal),
        (None, None) => format!("{error:?}").into(),
    }
}

async fn send(
    request: Request<'_>,
    called: Result<PortableResponse, PortableError>,
) -> Result<Responded> {
    let PortableResponse {
        status,
        headers,
        body,
    } = called.map_err(|error| Error::boxed(error))?;
    let mut response = Response::new(status, body);
    response.headers = headers;
    response.send(request).await
}

/// A copy of a request that can be sent to another thread.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::OwnedRequest;
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::{block_on, spawn_blocking};
///
/// async fn count(request: Request<'_>) -> waterwheel::http::Result<waterwheel::http::Responded> {
///     let owned = OwnedRequest::read(&request).await?;
///     let length = spawn_blocking(move || owned.body().len()).await?;
///     request.respond(StatusCode::OK, length.to_string(), ()).await
/// }
///
/// block_on(async {
///     assert_eq!(TestClient::new(count).post("/", "four").await.text(), "4");
/// });
/// ```
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
    /// Copies the head and reads the whole body. The server's limit for bodies holds.
    ///
    /// # Errors
    ///
    /// The errors of [`Request::bytes`].
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

    /// Returns the method.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::middleware::{OwnedRequest, blocking};
    ///
    /// let show = blocking(|request: &OwnedRequest| {
    ///     format!(
    ///         "{} {}?{} {:?} from {:?}, {} fields, {} bytes\n",
    ///         request.method(),
    ///         request.path(),
    ///         request.query().unwrap_or_default(),
    ///         request.version(),
    ///         request.peer_address(),
    ///         request.headers().len(),
    ///         request.body().len(),
    ///     )
    /// });
    /// # let answer = waterwheel::runtime::block_on(async {
    /// #     waterwheel::http::testing::TestClient::new(show).post("/mill?open", "water").await
    /// # });
    /// # assert_eq!(answer.text(), "POST /mill?open HTTP/1.1 from None, 2 fields, 5 bytes\n");
    /// ```
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path as the client sent it, with its escapes.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the query, which follows the first `?`, as the client sent it.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the version: HTTP/1.0 or HTTP/1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the client's address. `None` if the transport knows no addresses.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the whole body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use waterwheel_runtime::block_on;

    use super::*;
    use crate::error::ClientError;
    use crate::testing::TestClient;

    /// Answers by its path, from a thread of the pool.
    fn respond(request: &OwnedRequest) -> Result<Response> {
        let reader: &[u8] = b"from a reader";
        Ok(match request.path() {
            "/text" => Response::text("text").with_header("x-mill", "1"),
            "/blocking" => Response::new(StatusCode::CREATED, ResponseBody::blocking(reader)),
            "/async" => Response::new(
                StatusCode::OK,
                ResponseBody::reader(futures_lite::io::empty()),
            ),
            "/invalid" => Response::text("").with_header("x", "\n"),
            "/refused" => Err(crate::Refusal::BodyTooLarge)?,
            "/conflict" => Err(ClientError::new(StatusCode::CONFLICT, "taken"))?,
            _ => Err(std::io::Error::other("no flour"))?,
        })
    }

    #[test]
    fn a_response_comes_from_another_thread_unless_its_body_is_read_on_this_one() {
        for (path, status, text) in [
            ("/text", 200, "text"),
            ("/blocking", 201, "from a reader"),
            ("/conflict", 409, "taken\n"),
        ] {
            let answer = block_on(async { TestClient::new(blocking(respond)).get(path).await });
            assert_eq!((answer.status.as_u16(), &*answer.text()), (status, text));
        }
        for (path, status) in [
            ("/async", 500),
            ("/invalid", 500),
            ("/refused", 413),
            ("/other", 500),
        ] {
            let answer = block_on(async { TestClient::new(blocking(respond)).get(path).await });
            assert_eq!(answer.status.as_u16(), status, "{path}");
        }
    }

    #[test]
    fn an_error_keeps_its_text_on_its_way_to_the_log() {
        let error = PortableResponse::of(Err::<(), _>(std::io::Error::other("no flour")));
        let text = error.err().map(|error| error.to_string());
        assert_eq!(text.as_deref(), Some("no flour"));
    }
}
