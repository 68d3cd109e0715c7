//! The body of a response: bytes, a file, a reader or a stream.

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
use crate::exchange::handler::Responded;

/// The number of bytes that are read from a blocking reader at once.
const PIECE_BYTES: usize = 64 * 1024;

/// The body of a [`Response`](super::Response).
///
/// `from` makes a body of text and bytes, and the functions here make one of other sources. A body that is
/// not in memory is sent in pieces while it is read.
///
/// ```
/// use waterwheel::http::web::response::ResponseBody;
///
/// assert_eq!(ResponseBody::from("four").length(), Some(4));
/// let endless = std::io::repeat(0);
/// assert_eq!(ResponseBody::blocking(endless).length(), None);
/// ```
#[derive(Default)]
#[non_exhaustive]
pub enum ResponseBody {
    /// No bytes.
    #[default]
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A part of a file. It is sent without a copy if the transport can.
    File {
        /// The file. It is read by position.
        file: File,
        /// The position of the body in the file, in bytes.
        range: Range<u64>,
    },
    /// The bytes of an asynchronous reader. The runtime's thread reads them.
    Reader {
        /// The reader.
        reader: Pin<Box<dyn AsyncRead>>,
        /// The exact length in bytes. If it is `None`, the body is sent in chunks.
        length: Option<u64>,
    },
    /// The bytes of a stream, which are sent in chunks.
    Stream(Pin<Box<dyn Stream<Item = Result<Bytes>>>>),
    /// The bytes of a reader that blocks. A thread of the pool reads them.
    Blocking {
        /// The reader.
        reader: Box<dyn Read + Send>,
        /// The exact length in bytes. If it is `None`, the body is sent in chunks.
        length: Option<u64>,
    },
}

impl ResponseBody {
    /// Makes a body of a whole file, with its present length.
    ///
    /// ```
    /// use std::fs::File;
    /// use waterwheel::http::web::response::ResponseBody;
    ///
    /// let body = ResponseBody::file(File::open("/proc/self/comm")?)?;
    /// assert!(body.length().is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The errors of `fstat(2)`.
    pub fn file(file: File) -> io::Result<Self> {
        let range = 0..file.metadata()?.len();
        Ok(Self::File { file, range })
    }

    /// Makes a body of all bytes of a reader, sent in chunks.
    ///
    /// ```
    /// use waterwheel::http::web::response::ResponseBody;
    ///
    /// let body = ResponseBody::reader(futures_lite::io::Cursor::new("four"));
    /// assert_eq!(body.of_length(4).length(), Some(4));
    /// ```
    pub fn reader(reader: impl AsyncRead + 'static) -> Self {
        Self::Reader {
            reader: Box::pin(reader),
            length: None,
        }
    }

    /// Makes a body of all items of a stream, sent in chunks.
    ///
    /// ```
    /// use std::io;
    /// use waterwheel::http::web::response::ResponseBody;
    ///
    /// let pieces = ["one", "two"].map(Ok::<_, io::Error>);
    /// let body = ResponseBody::stream(futures_lite::stream::iter(pieces));
    /// assert_eq!(body.length(), None);
    /// ```
    pub fn stream<D, E>(stream: impl Stream<Item = Result<D, E>> + 'static) -> Self
    where
        D: Into<Bytes> + 'static,
        E: Into<Error> + 'static,
    {
        Self::Stream(Box::pin(Converted {
            stream: Box::pin(stream),
        }))
    }

    /// Makes a body of all bytes of a reader that blocks, sent in chunks. A thread of the pool reads it.
    #[doc(alias = "from_reader")]
    pub fn blocking(reader: impl Read + Send + 'static) -> Self {
        Self::Blocking {
            reader: Box::new(reader),
            length: None,
        }
    }

    /// Sets the length of a reader, which is sent as Content-Length. If the reader returns another number of
    /// bytes, the connection is closed. Other bodies keep their own length.
    #[must_use]
    #[doc(alias = "from_reader_and_size")]
    pub fn of_length(mut self, bytes: u64) -> Self {
        if let Self::Reader { length, .. } | Self::Blocking { length, .. } = &mut self {
            *length = Some(bytes);
        }
        self
    }

    /// Returns the length in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File { range, .. } => Some(range.end.saturating_sub(range.start)),
            Self::Reader { length, .. } | Self::Blocking { length, .. } => *length,
            Self::Stream(_) => None,
        }
    }

    /// Returns the bytes, if they are in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::response::ResponseBody;
    ///
    /// assert_eq!(ResponseBody::from("rye").as_bytes(), Some(&b"rye"[..]));
    /// assert_eq!(ResponseBody::blocking(std::io::empty()).as_bytes(), None);
    /// ```
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Sends the whole body and finishes the answer.
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

/// Reads on a thread of the pool and writes on this thread, in turns.
async fn send_blocking(
    mut reader: Box<dyn Read + Send>,
    mut answer: AnswerBody<'_>,
) -> Result<Responded> {
    // Reader and buffer move to the pool and back, so each piece costs no allocation.
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

/// Converts the items of a stream to bytes.
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
