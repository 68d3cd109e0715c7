//! The body of a response: bytes, a file, or whatever gives bytes.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::pin::Pin;

use bytes::Bytes;
use futures_core::Stream;
use futures_io::AsyncRead;
use waterwheel_runtime::spawn_blocking;

use crate::error::{Error, Result};
use crate::exchange::answer_body::AnswerBody;
use crate::exchange::responded::Responded;

/// How much is read at once of a reader that blocks.
const PIECE_BYTES: usize = 64 * 1024;

/// The body of a [`Response`](super::Response).
///
/// Text and bytes become one with `from`; the rest has a function here. What is not in memory is
/// sent as it is read, a piece at a time, whatever its length.
///
/// ```
/// use waterwheel_http::web::response::ResponseBody;
///
/// assert_eq!(ResponseBody::from("four").length(), Some(4));
/// let endless = std::io::repeat(0);
/// assert_eq!(ResponseBody::blocking(endless).length(), None);
/// ```
#[derive(Default)]
#[non_exhaustive]
pub enum ResponseBody {
    /// Nothing.
    #[default]
    Empty,
    /// What is in memory.
    Bytes(Bytes),
    /// A part of a file, which goes out without a copy where the transport can.
    File {
        /// The file, which is read by position.
        file: File,
        /// Where in it the body is, in bytes.
        range: Range<u64>,
    },
    /// What a reader gives, on the thread of the runtime.
    Reader {
        /// The reader.
        reader: Pin<Box<dyn AsyncRead>>,
        /// Exactly how many bytes that will be; chunks if it is not known.
        length: Option<u64>,
    },
    /// What a stream gives, in chunks.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes>>>>),
    /// What a reader gives that may block: it is read on a thread of the pool.
    Blocking {
        /// The reader.
        reader: Box<dyn Read + Send>,
        /// Exactly how many bytes that will be; chunks if it is not known.
        length: Option<u64>,
    },
}

impl ResponseBody {
    /// A whole file, as long as it is now.
    ///
    /// # Errors
    ///
    /// What `fstat(2)` says.
    pub fn file(file: File) -> io::Result<Self> {
        let range = 0..file.metadata()?.len();
        Ok(Self::File { file, range })
    }

    /// All that a reader gives, in chunks.
    pub fn reader(reader: impl AsyncRead + 'static) -> Self {
        Self::Reader {
            reader: Box::pin(reader),
            length: None,
        }
    }

    /// All that a stream gives, in chunks.
    pub fn stream<D, E>(stream: impl Stream<Item = Result<D, E>> + 'static) -> Self
    where
        D: Into<Bytes> + 'static,
        E: Into<Error> + 'static,
    {
        Self::Stream(Box::pin(Converted {
            stream: Box::pin(stream),
        }))
    }

    /// All that a reader gives which may block, in chunks. It is read on a thread of the pool.
    #[doc(alias = "from_reader")]
    pub fn blocking(reader: impl Read + Send + 'static) -> Self {
        Self::Blocking {
            reader: Box::new(reader),
            length: None,
        }
    }

    /// The same body, of a length that is known: so many bytes, no more and no less, or the
    /// connection is cut. It goes out with a Content-Length. A body that knows its own keeps that.
    #[must_use]
    #[doc(alias = "from_reader_and_size")]
    pub fn of_length(mut self, bytes: u64) -> Self {
        if let Self::Reader { length, .. } | Self::Blocking { length, .. } = &mut self {
            *length = Some(bytes);
        }
        self
    }

    /// How many bytes it has, where that is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { range, .. } => Some(range.end.saturating_sub(range.start)),
            Self::Reader { length, .. } | Self::Blocking { length, .. } => *length,
            Self::Stream(_) => None,
        }
    }

    /// The bytes, if they are in memory.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Sends all of it, and ends the answer.
    pub(super) async fn send(self, mut answer: AnswerBody<'_>) -> Result<Responded> {
        match self {
            Self::Empty => answer.finish().await,
            Self::Bytes(bytes) => {
                answer.write(&bytes).await?;
                answer.finish().await
            }
            Self::File { file, range } => {
                answer.send_file(&file, range).await?;
                answer.finish().await
            }
            Self::Reader { reader, .. } => answer.send_reader(reader).await,
            Self::Stream(stream) => answer.send_stream(stream).await,
            Self::Blocking { reader, .. } => send_blocking(reader, answer).await,
        }
    }
}

/// Reads on a thread of the pool, and writes here, in turns.
async fn send_blocking(
    mut reader: Box<dyn Read + Send>,
    mut answer: AnswerBody<'_>,
) -> Result<Responded> {
    let mut piece = vec![0; PIECE_BYTES];
    while answer.is_sent() {
        let count;
        (reader, piece, count) = spawn_blocking(move || {
            let count = reader.read(&mut piece)?;
            io::Result::Ok((reader, piece, count))
        })
        .await??;
        if count == 0 {
            break;
        }
        answer.write(&piece[..count]).await?;
    }
    answer.finish().await
}

/// A stream of anything that becomes bytes.
struct Converted<S> {
    stream: Pin<Box<S>>,
}

impl<S, D, E> Stream for Converted<S>
where
    S: Stream<Item = Result<D, E>>,
    D: Into<Bytes>,
    E: Into<Error>,
{
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let next = self.stream.as_mut().poll_next(cx);
        next.map(|item| item.map(|item| item.map(Into::into).map_err(Into::into)))
    }
}

impl From<&'static str> for ResponseBody {
    fn from(text: &'static str) -> Self {
        Self::Bytes(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Self::Bytes(text.into())
    }
}

impl From<&'static [u8]> for ResponseBody {
    fn from(bytes: &'static [u8]) -> Self {
        Self::Bytes(Bytes::from_static(bytes))
    }
}

impl From<Vec<u8>> for ResponseBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<()> for ResponseBody {
    fn from((): ()) -> Self {
        Self::Empty
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.as_bytes(), self.length()) {
            (Some(bytes), _) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
            (None, Some(length)) => write!(f, "{length} bytes"),
            (None, None) => f.write_str("bytes to come"),
        }
    }
}
