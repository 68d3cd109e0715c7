//! The answers of a server behind the proxy, read from a connection of the client.

use std::future::poll_fn;
use std::io;

use bytes::{Buf, BytesMut};
use http::{HeaderMap, Method, StatusCode, Version};

use crate::error::{Error, Refusal};
use crate::limits::Limits;
use crate::proto::answer_head::{AnswerHead, AnswerParser};
use crate::proto::body_rest::BodyRest;
use crate::proto::chunked::Decoded;
use crate::proto::framing::ContentFraming;
use crate::transport::io::Io;
use crate::web::gateway::{self, Watch};

/// A failure of the server, before or within its answer.
pub(super) enum LinkFailure {
    /// The connection has ended before a byte of the answer.
    Closed,
    Bad(String),
}

impl LinkFailure {
    pub(super) fn into_error(self, server: &str) -> Error {
        match self {
            Self::Closed => gateway::bad(format!(
                "{server} has closed the connection before its answer"
            )),
            Self::Bad(text) => gateway::bad(format!("{server}: {text}")),
        }
    }
}

impl From<&str> for LinkFailure {
    fn from(text: &str) -> Self {
        Self::Bad(text.to_owned())
    }
}

/// The head of an answer that is passed on.
pub(super) struct PassedHead {
    pub(super) status: StatusCode,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) framing: ContentFraming,
    /// True if another request may follow on the connection.
    pub(super) persists: bool,
    /// How many seconds the server keeps an idle connection, if it has announced that.
    pub(super) idle_seconds: Option<u64>,
}

/// The number of bytes that are read at once: of a head, and of a body. Room for a read is filled with zeros first.
const HEAD_READ_BYTES: usize = 4 * 1024;
const BODY_READ_BYTES: usize = 16 * 1024;

/// The sizes of chunks and trailers are limited as in requests. The body passes through, so it has no limit.
const CHUNK_LIMITS: Limits = Limits {
    body_bytes_max: u64::MAX,
    ..Limits::DEFAULT
};

/// The reader of a connection.
pub(super) struct LinkReader<'l> {
    pub(super) io: &'l dyn Io,
    /// The bytes that were read and not used.
    pub(super) input: &'l mut BytesMut,
    pub(super) watch: &'l Watch,
}

impl LinkReader<'_> {
    /// Reads up to `room` more bytes, and returns their number. Returns 0 at the end of the stream.
    async fn fill(&mut self, room: usize) -> io::Result<usize> {
        let before = self.input.len();
        let count = poll_fn(|cx| {
            self.input.resize(before + room, 0);
            let read = self.io.poll_read(cx, &mut self.input[before..]);
            // Also if it is pending: a future that is dropped then must leave no zeros behind.
            let count = match &read {
                std::task::Poll::Ready(Ok(count)) => *count,
                _ => 0,
            };
            self.input.truncate(before + count);
            read
        })
        .await?;
        self.watch.progress();
        Ok(count)
    }

    /// Reads the next head, which may be an interim one.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn head(
        &mut self,
        method: &Method,
        limits: &Limits,
    ) -> Result<PassedHead, LinkFailure> {
        let (mut parser, mut head) = (AnswerParser::default(), AnswerHead::default());
        loop {
            if !self.input.is_empty() {
                let parsed = parser.parse(self.input, &mut head, limits);
                if let Some(length) = parsed.map_err(Refusal::reason)? {
                    self.input.advance(length);
                    let framing = head.framing(method).map_err(Refusal::reason)?;
                    return Ok(PassedHead {
                        status: head.status(),
                        version: head.version(),
                        headers: head.headers().to_header_map(),
                        persists: head.persists() && framing != ContentFraming::AtClose,
                        framing,
                        idle_seconds: head.keep_alive_seconds(),
                    });
                }
            }
            let read = self.fill(HEAD_READ_BYTES).await;
            match read {
                Ok(1..) => {}
                _ if self.input.is_empty() => return Err(LinkFailure::Closed),
                Ok(0) => return Err("its connection has ended within its fields".into()),
                Err(error) => return Err(LinkFailure::Bad(format!("within its fields: {error}"))),
            }
        }
    }

    /// Reads the next piece of a body, which is at the start of the input then. Returns its length, or 0 at the end
    /// of the body.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn piece(&mut self, rest: &mut BodyRest) -> Result<usize, LinkFailure> {
        loop {
            match rest
                .decode(self.input, &CHUNK_LIMITS)
                .map_err(Refusal::reason)?
            {
                Decoded::Data(range) => {
                    self.input.advance(range.start);
                    return Ok(range.len());
                }
                Decoded::Incomplete => self.input.clear(),
                Decoded::End(count) => {
                    self.input.advance(count);
                    return Ok(0);
                }
            }
            match self.fill(BODY_READ_BYTES).await {
                Ok(1..) => {}
                Ok(0) if matches!(rest, BodyRest::UntilClose) => return Ok(0),
                Ok(0) => return Err("its connection has ended within its body".into()),
                Err(error) => return Err(LinkFailure::Bad(format!("within its body: {error}"))),
            }
        }
    }
}

/// Writes all bytes, and flushes. Each write is progress of the server.
pub(super) async fn write_all(io: &dyn Io, mut bytes: &[u8], watch: &Watch) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| io.poll_write_one(cx, bytes)).await?;
        watch.progress();
        bytes = &bytes[count..];
    }
    poll_fn(|cx| io.poll_flush(cx)).await
}
