//! One HTTP/1.1 request on a connection, and its answer.
//!
//! The first half is pure: bytes in, values out. It names no socket and contains no `async`. So its tests are tables of
//! bytes. The second half reads, calls the handler, and writes.

use std::io;
use std::time::Duration;

use crate::net::TcpStream;
use crate::timeout::timeout;

/// The limits of one request. No buffer grows without a limit, and no wait for a client lasts without a deadline.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub head_bytes_max: usize,
    pub body_bytes_max: usize,
    /// The time from the accept to the last byte of the request.
    pub request_duration_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 8 * 1024,
            body_bytes_max: 64 * 1024,
            request_duration_max: Duration::from_secs(10),
        }
    }
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    /// The names, in lower case, and the values.
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// Returns the values of a field. `name` is in lower case.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = self.fields.iter().filter(move |(other, _)| other == name);
        same.map(|(_, value)| value.as_str())
    }
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

/// The reason why a request is not passed to the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The bytes are not a request.
    Malformed,
    /// The request did not arrive in time.
    TooSlow,
    HeadTooLarge,
    BodyTooLarge,
    /// The request has a body in chunks, which this server does not understand.
    NotImplemented,
    /// The request is not HTTP/1.1.
    Version,
}

impl Refusal {
    /// The only place that maps a refusal to a status.
    fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::TooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::HeadTooLarge => 431,
            Self::NotImplemented => 501,
            Self::Version => 505,
        }
    }
}

/// Looks for a head at the beginning of `bytes`. Returns the request without its body, and the length of the head.
/// Returns `None` if the head has not arrived as a whole.
///
/// # Errors
///
/// Refuses a head that RFC 9112 forbids.
pub fn parse_head(bytes: &[u8], limits: &Limits) -> Result<Option<(Request, usize)>, Refusal> {
    // TODO 1: A head ends with the bytes `\r\n\r\n`. Find them: `bytes.windows(4).position(|four| four == b"\r\n\r\n")`. The length
    // of the head is that position plus 4.
    // - If they are not there, the head is not complete. Then return `Ok(None)`, or `Err(Refusal::HeadTooLarge)` if `bytes`
    //   is longer than `limits.head_bytes_max` already.
    // - If the head is longer than that limit, return the same error.
    let length: usize = todo!("TODO 1");
    let head = str::from_utf8(&bytes[..length - 4]).map_err(|_| Refusal::Malformed)?;
    let mut lines = head.split("\r\n");
    let mut request = parse_request_line(lines.next().unwrap_or_default())?;
    for line in lines {
        request.fields.push(parse_field(line)?);
    }
    // RFC 9112, section 3.2: exactly one Host.
    if request.values("host").count() != 1 {
        return Err(Refusal::Malformed);
    }
    Ok(Some((request, length)))
}

/// Splits a request line: `GET /path HTTP/1.1` (RFC 9112, section 3).
fn parse_request_line(line: &str) -> Result<Request, Refusal> {
    // TODO 2: The line has three parts with exactly one space between them: method, target and version. `line.split(' ')` splits
    // it, and it must have three parts. The method must be a token (`is_token`). The target must begin with `/`. A version
    // that is not `HTTP/1.1` is `Refusal::Version` if it begins with `HTTP/`. All other faults are `Refusal::Malformed`.
    // (`..Request::default()` fills the other fields.)
    todo!("TODO 2")
}

/// Splits a field line: `Name: value` (RFC 9112, section 5).
fn parse_field(line: &str) -> Result<(String, String), Refusal> {
    // TODO 3: Split at the first colon (`split_once(':')`). The name must be a token, so a space before the colon is a fault. The
    // spaces and tabs around the value do not count (`trim_matches([' ', '\t'])`). A control character in the value is a
    // fault, except for a tab. Return the name in lower case, and the value.
    todo!("TODO 3")
}

/// Returns true if a text is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    let is_token_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// Decides how long the body is. No other place decides this (RFC 9112, section 6).
fn body_length(request: &Request, limits: &Limits) -> Result<usize, Refusal> {
    if request.values("transfer-encoding").next().is_some() {
        return Err(Refusal::NotImplemented);
    }
    let mut lengths = request.values("content-length");
    let Some(length) = lengths.next() else {
        return Ok(0);
    };
    // Two lengths are how requests are smuggled past a proxy. A sign is not a digit, although `parse` accepts it.
    if lengths.next().is_some() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Refusal::Malformed);
    }
    match length.parse() {
        Ok(length) if length <= limits.body_bytes_max => Ok(length),
        // More digits than a number has.
        _ if !length.is_empty() => Err(Refusal::BodyTooLarge),
        _ => Err(Refusal::Malformed),
    }
}

/// Encodes an answer. The connection is closed after it.
fn encode(response: &Response) -> Vec<u8> {
    let Response { status, body } = response;
    let length = body.len();
    format!(
        "HTTP/1.1 {status} \r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Serves one request, and closes the connection.
///
/// # Errors
///
/// Returns the errors of the connection. The client has no answer then.
pub async fn serve_one(
    stream: TcpStream,
    limits: &Limits,
    handler: impl AsyncFn(Request) -> Response,
) -> io::Result<()> {
    // TODO 4: 1. Run `read_request(&stream, limits)` with a `timeout` of `limits.request_duration_max`. If the time is over, the
    //    result is a refusal: `Ok(Err(Refusal::TooSlow))`.
    // 2. The result has three cases: an `io::Error` (use `?`), a refusal, or a request. The answer is
    //    `Response { status, body: String::new() }` for a refusal, and `handler(request).await` for a request.
    // 3. Write the encoded answer (`stream.write_all`), and return the result of `close(stream).await`.
    todo!("TODO 4")
}

/// Reads a whole request.
async fn read_request(stream: &TcpStream, limits: &Limits) -> io::Result<Result<Request, Refusal>> {
    let mut input = Vec::new();
    loop {
        match parse_whole(&input, limits) {
            Ok(None) => {}
            Ok(Some(request)) => return Ok(Ok(request)),
            Err(refusal) => return Ok(Err(refusal)),
        }
        let mut buffer = [0; 4096];
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            // No answer is possible: the client has closed in the middle of its request.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        input.extend_from_slice(&buffer[..bytes]);
    }
}

/// Returns the request at the beginning of `bytes`, or `None` if it has not arrived as a whole.
fn parse_whole(bytes: &[u8], limits: &Limits) -> Result<Option<Request>, Refusal> {
    let Some((mut request, head_length)) = parse_head(bytes, limits)? else {
        return Ok(None);
    };
    let body_length = body_length(&request, limits)?;
    let Some(body) = bytes[head_length..].get(..body_length) else {
        return Ok(None);
    };
    request.body = body.to_owned();
    Ok(Some(request))
}

/// The longest time, and the most bytes, that a closed connection is still read.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// Closes a connection so that the client receives the whole answer.
async fn close(stream: TcpStream) -> io::Result<()> {
    // A close with unread bytes sends a reset, and the reset erases the answer in the client's kernel.
    // TODO 5: 1. Close the write half (`shutdown_write`).
    // 2. Read and discard, until a read returns 0 or an error, or `LINGER_BYTES_MAX` bytes have come, and for at most
    //    `LINGER` (`timeout`). Then return `Ok(())`, which drops the stream.
    todo!("TODO 5")
}
