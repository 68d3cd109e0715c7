//! The access log: one entry for each request, however it ends.
//!
//! # How it works
//!
//! An [`OpenEntry`] is made before the handler is called. It is closed if the handler answers, fails or
//! panics; a panic then continues. If the handler is dropped, because its client has left or its time is
//! over, the destructor closes the entry.
//!
//! Middleware does not see a request that the server refuses before it calls the handler. The server reports
//! such a request ([`Server::on_refusal`](crate::Server::on_refusal)), and the report becomes an entry.
//!
//! # Invariants
//!
//! - Always: one entry for each request that reaches the handler.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode, Version};
use waterwheel_runtime::time::Instant;

use super::id::REQUEST_ID;
use crate::error::Refusal;
use crate::error::panics::catch_panic;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;
use crate::shared::refused::Refused;

/// Calls `sink` with a [`LogEntry`] for each request that reaches the handler, at its end.
///
/// The server refuses some requests before it calls a handler (400, 413, 431 …). It reports them to
/// [`Server::on_refusal`](crate::Server::on_refusal), and [`LogEntry::from`] makes an entry of each report.
///
/// The runtime's thread calls `sink`, so it must not wait for a disk or a terminal. A
/// [`LineWriter`](super::LineWriter) writes on a thread of its own.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use waterwheel::http::web::middleware::{LogEntry, LineWriter, access_log};
/// use waterwheel::http::{Handler, Server};
///
/// fn logged(server: &Server, handler: impl Handler) -> std::io::Result<impl Handler> {
///     let lines = Rc::new(LineWriter::new(std::io::stdout())?);
///     let refused = lines.clone();
///     server.on_refusal(move |request| refused.write(LogEntry::from(request).json()));
///     Ok(access_log(handler, move |entry| lines.write(entry.json())))
/// }
/// ```
pub fn access_log(handler: impl Handler, sink: impl Fn(&LogEntry<'_>) + 'static) -> impl Handler {
    async move |request: Request<'_>| {
        let entry = OpenEntry::begin(&request, &sink);
        // If this future is dropped here, the entry stays open, and its destructor reports `Dropped`.
        let answered = catch_panic(async || handler.call(request).await).await;
        let end = match &answered {
            Ok(Ok(responded)) => match responded.status() {
                Some(status) => End::Answered(status, responded.body_bytes()),
                None => End::Aborted,
            },
            Ok(Err(error)) if error.is_disconnect() => End::Left(format!("{error:?}")),
            Ok(Err(error)) => End::Failed(error.status(), format!("{error:?}")),
            Err(_) => End::Panicked,
        };
        entry.end(end);
        // The server turns the panic into a 500, so it must continue behind the log.
        answered.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

/// The report of one request.
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::{End, access_log};
/// use waterwheel::http::{Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let logged = access_log(hello, |entry| {
///     assert_eq!(entry.target, Some("/mill"));
///     assert_eq!(entry.end, End::Answered(StatusCode::OK, 5));
///     assert_eq!(entry.end.body_bytes(), Some(5));
///     assert!(entry.combined().to_string().contains("\"GET /mill HTTP/1.1\" 200 5"));
///     assert!(entry.json().to_string().contains("\"status\":200"));
/// });
/// block_on(async { TestClient::new(logged).get("/mill").await });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LogEntry<'r> {
    /// The client's address, if the transport knows addresses. Its port is 0 if middleware has
    /// [set](Request::set_client_address) another address than that of the peer.
    pub peer: Option<SocketAddr>,
    /// The time at which the head was complete, or the request was refused.
    pub time: SystemTime,
    /// The time that the handler took. Zero if the request was refused.
    pub duration: Duration,
    /// The method. `None`, like target and version, if the request was refused before its request line was
    /// known.
    pub method: Option<&'r Method>,
    /// The target as the client sent it.
    pub target: Option<&'r str>,
    /// The version: HTTP/1.0 or HTTP/1.1.
    pub version: Option<Version>,
    /// The value of the Referer field.
    pub referer: Option<&'r [u8]>,
    /// The value of the User-Agent field.
    pub user_agent: Option<&'r [u8]>,
    /// The id that [`request_ids`](super::request_ids) has added.
    pub id: Option<String>,
    /// The end of the request.
    pub end: End,
}

/// The end of a request.
///
/// # Examples
///
/// ```
/// use waterwheel::http::StatusCode;
/// use waterwheel::http::web::middleware::End;
///
/// let end = End::Answered(StatusCode::OK, 11);
/// assert_eq!((end.status(), end.body_bytes()), (Some(StatusCode::OK), Some(11)));
/// assert_eq!(End::Dropped.status(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The handler answered with this status and this number of body bytes.
    Answered(StatusCode, u64),
    /// The handler failed with this error, which is answered with this status. The server makes that answer after
    /// the entry, so its number of bytes is not known here, and a line has `-` for it.
    Failed(StatusCode, String),
    /// The connection to the client failed with this error. No complete answer was sent.
    Left(String),
    /// The handler panicked, which is answered with 500.
    Panicked,
    /// The server refused the request before it called the handler.
    Refused(Refusal),
    /// The handler aborted the connection.
    Aborted,
    /// The handler was dropped, because the client had left or the time was over.
    Dropped,
}

impl End {
    /// Returns the status that was sent, as far as it is known.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Answered(status, _) | Self::Failed(status, _) => Some(*status),
            Self::Panicked => Some(StatusCode::INTERNAL_SERVER_ERROR),
            Self::Refused(refusal) => Some(refusal.status()),
            Self::Left(_) | Self::Aborted | Self::Dropped => None,
        }
    }

    /// Returns the length of the body in bytes, if it is known.
    #[must_use]
    pub fn body_bytes(&self) -> Option<u64> {
        match self {
            Self::Answered(_, bytes) => Some(*bytes),
            _ => None,
        }
    }

    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Failed(_, error) | Self::Left(error) => Some(error),
            Self::Refused(refusal) => Some(refusal.reason()),
            _ => None,
        }
    }

    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Answered(..) => "answered",
            Self::Failed(..) => "failed",
            Self::Left(_) => "left",
            Self::Panicked => "panicked",
            Self::Refused(_) => "refused",
            Self::Aborted => "aborted",
            Self::Dropped => "dropped",
        }
    }
}

impl<'r> From<&Refused<'r>> for LogEntry<'r> {
    fn from(refused: &Refused<'r>) -> Self {
        Self {
            peer: refused.peer,
            time: SystemTime::now(),
            duration: Duration::ZERO,
            method: refused.method,
            target: refused.target,
            version: refused.version,
            referer: None,
            user_agent: None,
            id: None,
            end: End::Refused(refused.refusal),
        }
    }
}

/// An entry of a request that has not ended.
struct OpenEntry<'r, S: Fn(&LogEntry<'_>)> {
    entry: LogEntry<'r>,
    start: Instant,
    sink: &'r S,
}

/// Returns the address of the client, with the port of the peer if the client is the peer.
fn address_of(request: &Request<'_>) -> Option<SocketAddr> {
    let (peer, client) = (request.peer_address(), request.client_address()?);
    let is_client = |peer: &SocketAddr| peer.ip().to_canonical() == client;
    let port = peer.filter(is_client).map_or(0, |peer| peer.port());
    Some((client, port).into())
}

impl<'r, S: Fn(&LogEntry<'_>)> OpenEntry<'r, S> {
    fn begin<'c: 'r>(request: &Request<'c>, sink: &'r S) -> Self {
        let headers = request.headers();
        let entry = LogEntry {
            peer: address_of(request),
            time: SystemTime::now(),
            duration: Duration::ZERO,
            method: Some(request.method()),
            target: Some(request.target()),
            version: Some(request.version()),
            referer: headers.get_bytes("referer"),
            user_agent: headers.get_bytes("user-agent"),
            id: request.added_header(REQUEST_ID),
            end: End::Dropped,
        };
        Self {
            entry,
            start: Instant::now(),
            sink,
        }
    }

    /// Sets the end. The destructor passes the entry to the sink.
    fn end(mut self, end: End) {
        self.entry.end = end;
    }
}

impl<S: Fn(&LogEntry<'_>)> Drop for OpenEntry<'_, S> {
    fn drop(&mut self) {
        self.entry.duration = self.start.elapsed();
        (self.sink)(&self.entry);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::Ready;
    use std::rc::Rc;
    use std::time::UNIX_EPOCH;

    use waterwheel_runtime::block_on;
    use waterwheel_runtime::time::pause;

    use super::*;
    use crate::error::Result;
    use crate::exchange::handler::Responded;
    use crate::limits::Limits;
    use crate::server::Server;
    use crate::testing::TestClient;

    fn entry(end: End) -> LogEntry<'static> {
        LogEntry {
            peer: Some(SocketAddr::from(([10, 0, 0, 7], 4711))),
            time: UNIX_EPOCH + Duration::from_millis(784_111_777_250),
            duration: Duration::from_micros(1_250),
            method: Some(&Method::GET),
            target: Some("/a?b"),
            version: Some(Version::HTTP_11),
            referer: None,
            user_agent: Some(b"\"mill\\\xff\""),
            id: Some("7".to_owned()),
            end,
        }
    }

    /// Returns the log of a server whose clients send these bytes, without dates and durations.
    fn lines(limits: Limits, sent: &[&str]) -> Vec<String> {
        let lines: Rc<RefCell<Vec<String>>> = Rc::default();
        let write = |lines: &Rc<RefCell<Vec<String>>>| {
            let lines = lines.clone();
            move |entry: &LogEntry<'_>| {
                assert_eq!(entry.json().to_string().lines().count(), 1);
                let line = entry.combined().to_string();
                let (_, line) = line.split_once("] ").expect("a date");
                lines.borrow_mut().push(line.replace("0.000000 ", ""));
            }
        };
        block_on(async {
            pause();
            let server = Server::builder().limits(limits).without_listener();
            let refused = write(&lines);
            server.on_refusal(move |request| refused(&LogEntry::from(request)));
            let answer =
                async |request: Request<'_>| request.respond(StatusCode::OK, "fine", ()).await;
            let handler = crate::shared(access_log(answer, write(&lines)));
            for sent in sent {
                let mut client = TestClient::of(&server, handler.clone());
                client.send(sent).await;
                client.read_to_end().await;
            }
        });
        lines.take()
    }

    #[test]
    fn a_request_that_is_refused_before_a_handler_has_a_line() {
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(9000));
        let large = format!(
            "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
            "a".repeat(9000)
        );
        let rows = [
            (
                "GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                r#""GET /a?b HTTP/1.1" 200 4 "-" "-" -"#,
            ),
            (
                "POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
                r#""POST /up HTTP/1.1" 413 - "-" "-" - refused: content too large"#,
            ),
            (
                "GET /no-host HTTP/1.1\r\n\r\n",
                r#""GET /no-host HTTP/1.1" 400 - "-" "-" - refused: Host missing"#,
            ),
            (
                &large,
                r#""GET / HTTP/1.1" 431 - "-" "-" - refused: field too long"#,
            ),
            (
                "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                r#""PUT / HTTP/1.1" 501 - "-" "-" - refused: unknown transfer coding"#,
            ),
            (
                "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
                r#""GET / HTTP/1.1" 417 - "-" "-" - refused: unknown expectation"#,
            ),
            (
                "GET /slow HTTP/1.0\r\nHost:",
                r#""GET /slow HTTP/1.0" 408 - "-" "-" - refused: the head took too long"#,
            ),
            // Without a request line, only the reason is known.
            (
                "GET / HT",
                r#""-" 408 - "-" "-" - refused: the head took too long"#,
            ),
            (
                "GET / HTTP/2.0\r\n\r\n",
                r#""-" 505 - "-" "-" - refused: this server speaks HTTP/1.1"#,
            ),
            (
                &long,
                r#""-" 414 - "-" "-" - refused: request target too long"#,
            ),
            (
                "\u{16}\u{3}\u{1}",
                r#""-" 400 - "-" "-" - refused: this port speaks HTTP, not TLS"#,
            ),
            // The line of an earlier request is not taken for the line of this one.
            (
                "GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET\r\n",
                r#""GET /first HTTP/1.1" 200 4 "-" "-" -"#,
            ),
        ];
        let sent: Vec<_> = rows.iter().map(|(sent, _)| *sent).collect();
        let mut expected: Vec<_> = rows.iter().map(|(_, line)| *line).collect();
        expected.push(r#""-" 400 - "-" "-" - refused: malformed method"#);
        assert_eq!(lines(Limits::DEFAULT, &sent), expected);
    }

    #[test]
    fn a_handler_that_panics_in_its_call_has_panicked_too() {
        /// A handler that fails before it has made its future.
        fn falls(_: Request<'_>) -> Ready<Result<Responded>> {
            panic!("on purpose")
        }
        let ends: Rc<RefCell<Vec<End>>> = Rc::default();
        let seen = ends.clone();
        let logged = access_log(falls, move |entry| {
            seen.borrow_mut().push(entry.end.clone());
        });
        block_on(async { TestClient::new(logged).get("/").await });
        assert_eq!(ends.take(), [End::Panicked]);
    }

    #[test]
    fn the_json_of_a_refused_request_has_its_known_members() {
        let mut entry = entry(End::Refused(Refusal::Version));
        (entry.method, entry.target, entry.version) = (None, None, None);
        (entry.user_agent, entry.id) = (None, None);
        let json = r#"{"time":"1994-11-06T08:49:37.250Z","peer":"10.0.0.7","end":"refused","error":"malformed HTTP version","status":400,"seconds":0.00125}"#;
        assert_eq!(entry.json().to_string(), json);
    }

    #[track_caller]
    fn check(end: End, combined: &str, json: &str) {
        let entry = entry(end);
        assert_eq!(entry.combined().to_string(), combined);
        assert_eq!(entry.json().to_string(), json);
    }

    #[test]
    fn an_entry_with_any_bytes_is_one_line() {
        check(
            End::Answered(StatusCode::OK, 11),
            r#"10.0.0.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b HTTP/1.1" 200 11 "-" "\x22mill\x5C\xFF\x22" 0.001250 7"#,
            r#"{"time":"1994-11-06T08:49:37.250Z","peer":"10.0.0.7","id":"7","method":"GET","target":"/a?b","version":"HTTP/1.1","user_agent":"\"mill\\�\"","end":"answered","status":200,"bytes":11,"seconds":0.00125}"#,
        );
        check(
            End::Failed(StatusCode::IM_A_TEAPOT, "two\nlines".to_owned()),
            r#"10.0.0.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b HTTP/1.1" 418 - "-" "\x22mill\x5C\xFF\x22" 0.001250 7 failed: two\x0Alines"#,
            r#"{"time":"1994-11-06T08:49:37.250Z","peer":"10.0.0.7","id":"7","method":"GET","target":"/a?b","version":"HTTP/1.1","user_agent":"\"mill\\�\"","end":"failed","error":"two\nlines","status":418,"seconds":0.00125}"#,
        );
        check(
            End::Dropped,
            r#"10.0.0.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b HTTP/1.1" - - "-" "\x22mill\x5C\xFF\x22" 0.001250 7 dropped"#,
            r#"{"time":"1994-11-06T08:49:37.250Z","peer":"10.0.0.7","id":"7","method":"GET","target":"/a?b","version":"HTTP/1.1","user_agent":"\"mill\\�\"","end":"dropped","seconds":0.00125}"#,
        );
    }
}
