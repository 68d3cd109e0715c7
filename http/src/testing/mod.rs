//! Tests without a network: a connection in memory, through the real parser and writer.
//!
//! ```
//! use waterwheel::http::testing::TestClient;
//! use waterwheel::http::{Request, Responded, Result, StatusCode};
//! use waterwheel::runtime::block_on;
//!
//! async fn greet(request: Request<'_>) -> Result<Responded> {
//!     let path = request.path().to_owned();
//!     let greeting = [b"good morning, ", &request.bytes().await?[..]].concat();
//!     request.respond(StatusCode::OK, greeting, [("x-path", path)]).await
//! }
//!
//! block_on(async {
//!     let mut client = TestClient::new(greet);
//!     let answer = client.post("/greet", "miller").await;
//!     assert_eq!(answer.status, StatusCode::OK);
//!     assert_eq!(answer.headers["x-path"], "/greet");
//!     assert_eq!(answer.text(), "good morning, miller");
//!
//!     client.send("BREW /pot HTTP/1.1\r\n\r\n").await; // no Host
//!     assert_eq!(client.answer().await.status, StatusCode::BAD_REQUEST);
//! });
//! ```
//!
//! The limits, deadlines and refusals of a server apply to these connections too, and so does keep-alive.
//! With a paused clock ([`time::pause`](waterwheel_runtime::time::pause)) deadlines pass at once. So a test
//! of a timeout takes no time.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;

use futures_io::{AsyncRead, AsyncWrite};
use http::{HeaderMap, Method, StatusCode};
use waterwheel_runtime::{JoinHandle, spawn};

use crate::exchange::handler::Handler;
use crate::limits::Limits;
use crate::proto::answer_head::{AnswerHead, AnswerParser};
use crate::proto::chunked::{Decoded, Decoder};
use crate::proto::framing::ContentFraming;
use crate::server::Server;
use crate::server::builder::Builder;
use crate::transport::io::Io;

mod memory;
mod torture;

pub use memory::MemoryStream;
pub use torture::Torture;

/// A client that speaks to a handler over a connection in memory.
///
/// # Panics
///
/// The methods panic outside a runtime. They also panic if no answer arrives, or if the answer is malformed,
/// because this type is for tests.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Method, Request, Responded, Result, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// async fn echo(request: Request<'_>) -> Result<Responded> {
///     let body = request.bytes().await?;
///     request.respond(StatusCode::OK, body, ()).await
/// }
///
/// block_on(async {
///     let mut client = TestClient::new(echo);
///     assert_eq!(client.get("/").await.status, StatusCode::OK);
///     assert_eq!(client.post("/", "water").await.text(), "water");
///     let fields = [("x-mill", "north")];
///     assert_eq!(client.request(&Method::PUT, "/", &fields, b"rye").await.text(), "rye");
///
///     // Literal bytes, and two connections of one server with a setting of its own.
///     let server = Server::builder().max_body(3).without_listener();
///     let mut client = TestClient::of(&server, echo);
///     client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nwater").await;
///     assert_eq!(client.answer().await.status, StatusCode::PAYLOAD_TOO_LARGE);
///
///     let mut client = TestClient::of(&server, echo);
///     client.send("GET / HTTP/1.0\r\n\r\n").await;
///     client.end();
///     assert!(client.read_to_end().await.starts_with(b"HTTP/1.1 200 OK\r\n"));
///     client.closed().await;
/// });
/// ```
pub struct TestClient {
    stream: MemoryStream,
    /// Bytes that have been read, and are not part of a returned answer.
    read: Vec<u8>,
    task: Option<JoinHandle<()>>,
}

/// A whole answer.
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::{Answer, TestClient};
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| {
///     request.respond(StatusCode::CREATED, "hello", [("x-mill", "north")]).await
/// };
/// let answer: Answer = block_on(async { TestClient::new(hello).get("/").await });
/// assert_eq!(answer.status, StatusCode::CREATED);
/// assert_eq!(answer.headers["x-mill"], "north");
/// assert_eq!((answer.text(), answer.body.len()), ("hello".to_owned(), 5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 404 …
    pub status: StatusCode,
    /// All fields of the head.
    pub headers: HeaderMap,
    /// The body, without its chunk framing.
    pub body: Vec<u8>,
    /// The fields after the last chunk.
    pub trailers: HeaderMap,
}

impl Answer {
    /// Returns the body as text. Bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl TestClient {
    /// Makes a new connection. `handler` serves it under the default limits.
    #[must_use]
    pub fn new(handler: impl Handler) -> Self {
        Self::with(Server::builder(), handler)
    }

    /// Makes a new connection to a server with these settings. The server listens nowhere.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    /// block_on(async {
    ///     let mut client = TestClient::with(Server::builder().server_name("mill"), hello);
    ///     assert_eq!(client.get("/").await.headers["server"], "mill");
    /// });
    /// ```
    #[must_use]
    pub fn with(builder: Builder, handler: impl Handler) -> Self {
        Self::of(&builder.without_listener(), handler)
    }

    /// Makes another connection to a server.
    #[must_use]
    pub fn of(server: &Server, handler: impl Handler) -> Self {
        Self::through(server, handler, |stream| stream)
    }

    /// Makes another connection to a server. The server serves it over the transport that `wrap` makes from
    /// its end of the connection, such as a [`Torture`].
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::{TestClient, Torture};
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    /// let server = Server::builder().without_listener();
    /// block_on(async {
    ///     // A transport that moves few bytes at a time, and waits often.
    ///     let mut client = TestClient::through(&server, hello, |stream| Torture::new(stream, 7));
    ///     assert_eq!(client.get("/").await.text(), "hello");
    /// });
    /// ```
    #[must_use]
    pub fn through<T: Io>(
        server: &Server,
        handler: impl Handler,
        wrap: impl FnOnce(MemoryStream) -> T,
    ) -> Self {
        Self::connected(server, None, handler, wrap)
    }

    /// Makes another connection to a server, from this address. The other functions make connections without an
    /// address, as those of a Unix socket. A rate limit of each address, for example, does not count these.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::web::middleware::RateLimit;
    /// use waterwheel::http::{Request, Server, StatusCode, shared};
    /// use waterwheel::runtime::block_on;
    ///
    /// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    /// let limited = shared(RateLimit::new(1, Duration::from_secs(60)).around(hello));
    /// let server = Server::builder().without_listener();
    /// block_on(async {
    ///     let get = async |address: &str| {
    ///         let address = address.parse().expect("an address");
    ///         TestClient::from_peer(&server, address, limited.clone()).get("/").await.status
    ///     };
    ///     assert_eq!(get("192.0.2.7:1000").await, StatusCode::OK);
    ///     assert_eq!(get("192.0.2.7:1001").await, StatusCode::TOO_MANY_REQUESTS);
    ///     assert_eq!(get("192.0.2.8:1000").await, StatusCode::OK);
    /// });
    /// ```
    #[must_use]
    pub fn from_peer(server: &Server, address: SocketAddr, handler: impl Handler) -> Self {
        Self::connected(server, Some(address), handler, |stream| stream)
    }

    fn connected<T: Io>(
        server: &Server,
        address: Option<SocketAddr>,
        handler: impl Handler,
        wrap: impl FnOnce(MemoryStream) -> T,
    ) -> Self {
        let (stream, far) = MemoryStream::pair();
        let connection = server.connection(wrap(far), address);
        Self {
            stream,
            read: Vec::new(),
            task: Some(spawn(connection.serve(handler))),
        }
    }

    /// Sends bytes, which the server reads in one piece (up to the size of its buffer).
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut left = bytes.as_ref();
        while !left.is_empty() {
            let write = poll_fn(|cx| Pin::new(&mut self.stream).poll_write(cx, left)).await;
            // A server that has closed reads no more, but the client can still read its answer.
            let Ok(count) = write else { return };
            left = &left[count..];
        }
    }

    /// Closes the write half. Answers can still be read.
    pub fn end(&mut self) {
        self.stream.end();
    }

    /// Sends a GET and reads its answer.
    pub async fn get(&mut self, target: &str) -> Answer {
        self.request(&Method::GET, target, &[], b"").await
    }

    /// Sends a POST with a body and reads its answer.
    pub async fn post(&mut self, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.request(&Method::POST, target, &[], body.as_ref())
            .await
    }

    /// Sends a request and reads its answer. Adds Host, and Content-Length if there is a body.
    pub async fn request(
        &mut self,
        method: &Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n");
        for (name, value) in headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        if !body.is_empty() {
            head.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        self.send([head.as_bytes(), body].concat()).await;
        self.answer_to(method).await
    }

    /// Reads the next final answer to any method but HEAD. Skips interim answers.
    pub async fn answer(&mut self) -> Answer {
        self.answer_to(&Method::GET).await
    }

    async fn answer_to(&mut self, method: &Method) -> Answer {
        loop {
            let answer = self.one_answer(method).await;
            if !answer.status.is_informational() || answer.status == StatusCode::SWITCHING_PROTOCOLS
            {
                return answer;
            }
        }
    }

    async fn one_answer(&mut self, method: &Method) -> Answer {
        let head = self.head().await;
        let framing = head.framing(method);
        let mut answer = Answer {
            status: head.status(),
            headers: head.headers().to_header_map(),
            body: Vec::new(),
            trailers: HeaderMap::new(),
        };
        match framing {
            // The bytes of a tunnel stay in `read`, for `into_stream`.
            Ok(ContentFraming::None | ContentFraming::Tunnel) => {}
            Ok(ContentFraming::Sized(length)) => {
                let length = usize::try_from(length).expect("a body that fits into memory");
                while self.read.len() < length {
                    self.must_read_more("within a body").await;
                }
                answer.body = self.read.drain(..length).collect();
            }
            Ok(ContentFraming::Chunked) => (answer.body, answer.trailers) = self.chunks().await,
            Ok(ContentFraming::AtClose) => answer.body = self.read_to_end().await,
            Err(refusal) => panic!("the end of the body is not known: {refusal}; {answer:?}"),
        }
        answer
    }

    /// Reads one head.
    async fn head(&mut self) -> AnswerHead {
        let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
        loop {
            // The parser goes on where it has stopped, so a head in many pieces is read once.
            match parser.parse(&self.read, &mut head, &ANSWER_LIMITS) {
                Ok(Some(length)) => {
                    self.read.drain(..length);
                    return head;
                }
                Ok(None) => self.must_read_more("within a head").await,
                Err(refusal) => {
                    let read = String::from_utf8_lossy(&self.read);
                    panic!("the answer's head is malformed: {refusal}: {read:?}");
                }
            }
        }
    }

    async fn chunks(&mut self) -> (Vec<u8>, HeaderMap) {
        let (mut decoder, mut body) = (Decoder::default(), Vec::new());
        while !decoder.is_done() {
            if self.read.is_empty() {
                self.must_read_more("within chunks").await;
            }
            let used = match decoder.decode(&self.read, &ANSWER_LIMITS) {
                Ok(Decoded::Data(data)) => {
                    body.extend_from_slice(&self.read[data.clone()]);
                    data.end
                }
                Ok(Decoded::Incomplete) => self.read.len(),
                Ok(Decoded::End(used)) => used,
                Err(refusal) => panic!("the answer's chunks are malformed: {refusal}"),
            };
            // The decoder may stop within the buffer: the rest belongs to the next answer.
            self.read.drain(..used);
        }
        (body, decoder.trailers().to_header_map())
    }

    /// Reads all bytes until the end of the connection, without parsing them.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        while self.read_more().await {}
        std::mem::take(&mut self.read)
    }

    async fn must_read_more(&mut self, place: &str) {
        assert!(
            self.read_more().await,
            "the connection ended {place}: {:?}",
            String::from_utf8_lossy(&self.read)
        );
    }

    /// Reads more bytes. Returns false at the end.
    async fn read_more(&mut self) -> bool {
        let mut piece = [0; 4096];
        // An error counts as the end: the caller says where the connection ended, which tests want to know.
        let read = poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, &mut piece)).await;
        let count = read.unwrap_or(0);
        self.read.extend_from_slice(&piece[..count]);
        count > 0
    }

    /// Waits until the server has closed the connection and its task has ended.
    pub async fn closed(&mut self) {
        if let Some(task) = self.task.take() {
            drop(task.await);
        }
    }

    /// Returns the stream, for another protocol, and the bytes that have been read from it.
    ///
    /// The server continues to serve the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::AsyncReadExt;
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Request, Responded, Result};
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// async fn chat(request: Request<'_>) -> Result<Responded> {
    ///     let (responded, upgrade) = request.upgrade("chat", ()).await?;
    ///     spawn(async {
    ///         let mut stream = upgrade.await?;
    ///         futures_lite::AsyncWriteExt::write_all(&mut stream, b"good morning").await
    ///     })
    ///     .detach();
    ///     Ok(responded)
    /// }
    ///
    /// block_on(async {
    ///     let mut client = TestClient::new(chat);
    ///     client.send("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: chat\r\nConnection: upgrade\r\n\r\n").await;
    ///     assert_eq!(client.answer().await.status.as_u16(), 101);
    ///     let (mut stream, mut said) = client.into_stream();
    ///     stream.read_to_end(&mut said).await?;
    ///     assert_eq!(said, b"good morning");
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    #[must_use]
    pub fn into_stream(mut self) -> (MemoryStream, Vec<u8>) {
        if let Some(task) = self.task.take() {
            task.detach();
        }
        (self.stream, self.read)
    }
}

/// The answers come from our own encoder, so only the largest sizes limit them.
pub(crate) const ANSWER_LIMITS: Limits = Limits {
    field_line_bytes_max: u16::MAX,
    fields_max: u16::MAX,
    head_bytes_max: u16::MAX,
    body_bytes_max: u64::MAX,
    ..Limits::DEFAULT
};

impl fmt::Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}
