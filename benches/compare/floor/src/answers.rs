//! The canned answers, of the same length as a real server's.

use crate::options::{Answer, Life, Options};

/// The largest number of requests that one read can end: the shortest request has 18 bytes.
const REPEATS: usize = BUFFER_BYTES / 18 + 1;

/// Bytes read at once.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;

/// The same answer over and over, so that any number of them is one slice.
pub(crate) struct Answers {
    /// The bytes, one answer after the other.
    pub(crate) bytes: Vec<u8>,
    /// Bytes of one answer.
    pub(crate) one: usize,
}

impl Answers {
    /// Renders what the options ask for.
    pub(crate) fn new(options: &Options) -> Self {
        let (kind, body) = match options.answer {
            Answer::Plaintext => ("text/plain", "Hello, World!".to_owned()),
            Answer::Json => (
                "application/json",
                r#"{"message":"Hello, World!"}"#.to_owned(),
            ),
            Answer::Echo => ("application/octet-stream", "w".repeat(1024)),
        };
        let close = match options.life {
            Life::Persistent => "",
            Life::OneAnswer => "connection: close\r\n",
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nserver: ww\r\n\
             date: Thu, 01 Jan 1970 00:00:00 GMT\r\n{close}\r\n{body}",
            body.len()
        );
        Self {
            one: answer.len(),
            bytes: answer.repeat(REPEATS).into_bytes(),
        }
    }
}
