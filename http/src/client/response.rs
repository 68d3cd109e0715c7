//! An answer as a value: its head, and the ways to read its body.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::{AsyncBufRead, AsyncRead};
use http::{StatusCode, Uri, Version};
use http_body::{Frame, SizeHint};

use super::error::{AnyError, RequestError, RequestErrorKind};
use super::exchange::{ClientExchange, INPUT_BYTES};
use super::stream::ClientStream;
use crate::headers::Headers;

/// The most room that is made for bytes that have not arrived.
const ROOM_BYTES_MAX: u64 = 256 * 1024;

/// An answer, with the connection that it comes from. `'b` is the lifetime of a request's body that is streamed.
///
/// There are several ways to read the body, and they share one position: whole ([`bytes`](Self::bytes),
/// [`text`](Self::text), [`json`](Self::json)), piece by piece ([`chunk`](Self::chunk), or as an
/// `http_body::Body`), or as a reader (`AsyncRead` and `AsyncBufRead` of `futures-io`). Each is an error if the
/// connection ends within the body.
///
/// If the request is not sent as a whole yet, reading sends the rest of it. The end of a successful answer waits for
/// that. The end of any other answer cuts it.
///
/// When the body has been read to its end, the connection serves other requests. A response that is dropped before
/// closes its connection, unless the rest of the body has arrived already.
///
/// # Cancel safety
///
/// `chunk` and the readers are safe. `bytes`, `text` and `json` consume the response.
///
/// # Examples
///
/// ```
/// use futures_lite::AsyncReadExt;
/// use waterwheel::http::client::{Client, ClientResponse};
///
/// async fn save(client: &Client, file: &mut Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
///     let mut response: ClientResponse<'_> = client.get("http://example.org/large").send().await?;
///     println!("{:?} {} from {:?}", response.version(), response.status(), response.peer_address());
///     println!("{}: {:?} bytes", response.uri(), response.content_length());
///     while let Some(piece) = response.chunk().await? {
///         file.extend_from_slice(&piece);
///     }
///     println!("{:?}", response.trailers().and_then(|trailers| trailers.get("x-sum")));
///     Ok(())
/// }
/// # drop(save);
/// ```
#[must_use = "the body of an answer is read, or its connection closes"]
pub struct ClientResponse<'b>(pub(super) ClientExchange<'b>);

impl ClientResponse<'_> {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.head().status()
    }

    /// Returns the version of the answer: 1.0 or 1.1.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.head().version()
    }

    /// Returns the header fields, in the order of their arrival.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::ClientResponse;
    ///
    /// fn kind<'r>(response: &'r ClientResponse<'_>) -> Option<&'r str> {
    ///     response.headers().get("content-type")
    /// }
    /// # drop::<fn(&'static ClientResponse<'static>) -> _>(kind);
    /// ```
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        self.0.head().headers()
    }

    /// Returns the URI of the request. After redirects it is the last one.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.0.uri
    }

    /// Returns the Content-Length, if the server has announced one. For HEAD and 304, it is that of GET.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.0.head().content_length()
    }

    /// Returns the server's address, if the transport has addresses.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Reads the next piece of the body. Returns `None` at its end.
    ///
    /// # Errors
    ///
    /// If the connection ends or fails within the body, if the body is malformed, or if no bytes come for too long.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, RequestError> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, RequestError>> {
        if !ready!(self.0.poll_fill(cx))? {
            return Poll::Ready(Ok(None));
        }
        // A copy, so that the input keeps its memory for the next read.
        let piece = Bytes::copy_from_slice(self.0.data());
        self.0.use_up(piece.len());
        Poll::Ready(Ok(Some(piece)))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and if the body is longer than
    /// [`body_bytes_max`](super::ClientBuilder::body_bytes_max).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn icon(client: &Client) -> Result<Vec<u8>, RequestError> {
    ///     client.get("http://example.org/favicon.ico").send().await?.bytes().await
    /// }
    /// # drop(icon);
    /// ```
    pub async fn bytes(mut self) -> Result<Vec<u8>, RequestError> {
        let bytes_max = self.0.shared.options.body_bytes_max;
        let too_large = |this: Self| this.0.at(RequestError::new(RequestErrorKind::BodyTooLarge));
        let mut all = Vec::new();
        let mut filled = 0;
        loop {
            let left = self.0.left();
            // An announced length is refused before its bytes are read.
            if left.is_some_and(|left| left > bytes_max - filled as u64) {
                return Err(too_large(self));
            }
            if filled == all.len() {
                // Not all that is announced: a server could announce more than this machine has.
                let room = left.unwrap_or(INPUT_BYTES as u64).min(ROOM_BYTES_MAX);
                all.resize(filled + usize::try_from(room).unwrap_or(INPUT_BYTES), 0);
            }
            let count = poll_fn(|cx| self.0.poll_read_to(cx, &mut all[filled..])).await?;
            filled += count;
            if filled as u64 > bytes_max {
                return Err(too_large(self));
            }
            // The last byte of a sized body needs no further read, and no room for one.
            if count == 0 || (left == Some(count as u64) && self.0.has_ended()) {
                all.truncate(filled);
                return Ok(all);
            }
        }
    }

    /// Reads the whole body as UTF-8.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if the body is not UTF-8.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn page(client: &Client) -> Result<String, RequestError> {
    ///     client.get("http://example.org/").send().await?.text().await
    /// }
    /// # drop(page);
    /// ```
    pub async fn text(self) -> Result<String, RequestError> {
        self.decoded(String::from_utf8).await
    }

    /// Reads the whole body as JSON, of any Content-Type and any status. With the feature `json`.
    ///
    /// # Errors
    ///
    /// As [`bytes`](Self::bytes), and if the body is not the JSON of a `T`.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::client::{Client, RequestError};
    ///
    /// async fn numbers(client: &Client) -> Result<Vec<u32>, RequestError> {
    ///     client.get("http://example.org/numbers").send().await?.json().await
    /// }
    /// # drop(numbers);
    /// ```
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, RequestError> {
        self.decoded(|bytes| serde_json::from_slice(&bytes)).await
    }

    /// Reads the whole body, and decodes it.
    async fn decoded<T, E: Into<AnyError>>(
        self,
        decode: impl FnOnce(Vec<u8>) -> Result<T, E>,
    ) -> Result<T, RequestError> {
        let (method, uri) = (self.0.method.clone(), self.0.uri.clone());
        let decoded = decode(self.bytes().await?);
        decoded
            .map_err(|error| RequestError::of(RequestErrorKind::Content, error).at(&method, &uri))
    }

    /// Returns the trailers, when a chunked body has been read to its end and has some.
    #[must_use]
    pub fn trailers(&self) -> Option<Headers<'_>> {
        self.0.trailers()
    }

    /// Returns the stream of the new protocol, after 101, or after a successful CONNECT.
    ///
    /// # Errors
    ///
    /// If the server has not changed the protocol: its status is another one.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Method;
    /// use waterwheel::http::client::{Client, ClientStream, RequestError};
    ///
    /// /// Opens a tunnel through a proxy.
    /// async fn tunnel(client: &Client) -> Result<ClientStream, RequestError> {
    ///     let connect = client.request(Method::CONNECT, "http://proxy.example:3128");
    ///     connect.target("example.org:443").send().await?.upgrade()
    /// }
    /// # drop(tunnel);
    /// ```
    pub fn upgrade(mut self) -> Result<ClientStream, RequestError> {
        let stream = self.0.take_stream();
        stream.ok_or_else(|| self.0.at(RequestError::new(RequestErrorKind::Upgrade)))
    }
}

impl AsyncRead for ClientResponse<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read_to(cx, buffer).map_err(io::Error::other)
    }
}

impl AsyncBufRead for ClientResponse<'_> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        ready!(this.0.poll_fill(cx)).map_err(io::Error::other)?;
        Poll::Ready(Ok(this.0.data()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.0.use_up(count);
    }
}

impl http_body::Body for ClientResponse<'_> {
    type Data = Bytes;
    type Error = RequestError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestError>>> {
        let piece = ready!(self.poll_chunk(cx))?;
        if let Some(piece) = piece {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let trailers = self.0.take_trailers();
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.0.left();
        left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl fmt::Debug for ClientResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientResponse")
            .field("status", &self.status())
            .field("headers", &self.headers())
            .finish_non_exhaustive()
    }
}
