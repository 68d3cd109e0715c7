//! The head of an answer, as a client reads it: status line and fields, judged on the way.
//!
//! ```text
//! HTTP/1.1 200 OK ─► field ─► field ─► … ─► empty line ─► how the body ends
//! ```
//!
//! The fields go through the same reader and the same rules as those of a request. Two faults of a status line are
//! refused that a request line cannot have. Its reason phrase is read past, and may be absent together with the space
//! before it, because many servers write it so and it has no other reading.
//!
//! **Always**: the bytes of a call begin with all bytes of the calls before, up to a verdict. The verdict is the same,
//! however many pieces they arrive in. **Never**: an empty line before a status line, which only a request may have.

use http::{Method, StatusCode, Version};

use super::fields::{FieldSection, Line, line_end};
use super::framing::{Announced, ContentFraming, digits};
use super::keep_alive::ConnectionOptions;
use super::scan::{Step, Stop, is_word, misplaced, value_end};
use crate::error::Refusal;
use crate::headers::white_space::{members, trim};
use crate::headers::{Field, Headers};
use crate::limits::Limits;

/// A whole head of an answer, with its bytes.
#[derive(Debug, Default)]
pub(crate) struct AnswerHead {
    /// The bytes of the field section.
    bytes: Vec<u8>,
    list: Vec<Field>,
    status: StatusCode,
    version: Version,
    announced: Announced,
    options: ConnectionOptions,
    keep_alive_seconds: Option<u64>,
}

/// The position in a head that is being read.
#[derive(Debug, Default)]
pub(crate) struct AnswerParser {
    position: usize,
    /// The length of the status line, once it is whole.
    line_bytes: Option<usize>,
    section: FieldSection,
}

/// The length of `HTTP/1.1 200`.
const STATUS_END: usize = 12;

impl AnswerParser {
    /// Reads on in `bytes`, which begin with the first byte of the head, into `head`. Returns the length of the head
    /// when it is complete. Then the parser is ready for the next one.
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        head: &mut AnswerHead,
        limits: &Limits,
    ) -> Result<Option<usize>, Refusal> {
        let bytes_max = usize::from(limits.head_bytes_max);
        let window = &bytes[..bytes.len().min(bytes_max)];
        match self.advance(window, head, limits) {
            Ok(end) => Ok(Some(end)),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Incomplete) if window.len() == bytes_max => Err(Refusal::HeadTooLarge),
            Err(Stop::Incomplete) => Ok(None),
        }
    }

    fn advance(&mut self, bytes: &[u8], head: &mut AnswerHead, limits: &Limits) -> Step<usize> {
        let line_bytes = if let Some(line_bytes) = self.line_bytes {
            line_bytes
        } else {
            let line_bytes = self.status_line(bytes, head, limits)?;
            // The lists keep their memory, so that a head costs no allocation after the first one of its length.
            head.bytes.clear();
            head.list.clear();
            head.announced = Announced::default();
            head.options = ConnectionOptions::default();
            head.keep_alive_seconds = None;
            *self.line_bytes.insert(line_bytes)
        };
        let rest = &bytes[line_bytes..];
        loop {
            match self
                .section
                .next_in_pieces(rest, limits.field_line_bytes_max)?
            {
                Line::Field(_) if head.list.len() == usize::from(limits.fields_max) => {
                    return Err(Refusal::TooManyFields.into());
                }
                Line::Field(found) => {
                    // Each field is judged when it is here, so that its pieces do not matter.
                    head.list.push(found.field());
                    head.note(found.name, found.value)?;
                }
                Line::End(end) => {
                    // A copy, because the body is read over the bytes of the head.
                    head.bytes.extend_from_slice(&rest[..end]);
                    *self = Self::default();
                    return Ok(line_bytes + end);
                }
            }
        }
    }

    /// Reads the status line (RFC 9112, 4).
    fn status_line(&mut self, bytes: &[u8], head: &mut AnswerHead, limits: &Limits) -> Step<usize> {
        if self.position == 0 {
            (head.version, head.status) = version_and_status(bytes)?;
            match bytes.get(STATUS_END) {
                None => return Err(Stop::Incomplete),
                Some(b' ' | b'\r') => self.position = STATUS_END,
                Some(byte) => return Err(misplaced(*byte, Refusal::StatusLine).into()),
            }
        }
        self.position = value_end(bytes, self.position);
        if self.position > usize::from(limits.field_line_bytes_max) {
            return Err(Refusal::StatusLine.into());
        }
        line_end(bytes, self.position)
    }
}

/// Reads `HTTP/1.1 200`, byte by byte, so that the first byte that does not fit decides.
fn version_and_status(bytes: &[u8]) -> Step<(Version, StatusCode)> {
    for (index, byte) in bytes.iter().take(STATUS_END).enumerate() {
        let fits = match index {
            5 | 7 | 10 | 11 => byte.is_ascii_digit(),
            9 => matches!(byte, b'1'..=b'9'),
            _ => *byte == b"HTTP/ .  "[index],
        };
        if !fits {
            let refusal = if index < 8 {
                Refusal::Version
            } else {
                Refusal::StatusLine
            };
            return Err(misplaced(*byte, refusal).into());
        }
        if index == 7 && bytes[5] != b'1' {
            return Err(Refusal::VersionUnsupported.into());
        }
    }
    let Some(status) = bytes.get(9..STATUS_END) else {
        return Err(Stop::Incomplete);
    };
    let version = match bytes[7] {
        b'0' => Version::HTTP_10,
        _ => Version::HTTP_11, // any later 1.x is read as 1.1 (RFC 9110, 2.5)
    };
    let status = StatusCode::from_bytes(status).map_err(|_| Refusal::StatusLine)?;
    Ok((version, status))
}

impl AnswerHead {
    fn note(&mut self, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match name.len() {
            10 if is_word(name, b"connection") => self.options.add(value),
            10 if is_word(name, b"keep-alive") => self.note_keep_alive(value),
            14 if is_word(name, b"content-length") => self.announced.content_length(value)?,
            17 if is_word(name, b"transfer-encoding") => self.announced.transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    /// Reads `timeout=5` of Keep-Alive (RFC 2068, 19.7.1). It is a hint, so a malformed one is no fault.
    fn note_keep_alive(&mut self, value: &[u8]) {
        let timeouts = members(value).filter_map(|member| {
            let equals = member.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (trim(&member[..equals]), trim(&member[equals + 1..]));
            name.eq_ignore_ascii_case(b"timeout")
                .then(|| digits(value))?
        });
        self.keep_alive_seconds = timeouts.last();
    }

    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers::new(&self.bytes, &self.list)
    }

    /// Returns the length of the body, or the refusal of fields that contradict each other.
    pub(crate) fn framing(&self, method: &Method) -> Result<ContentFraming, Refusal> {
        self.announced
            .decide_content(method, self.version, self.status)
    }
}

#[cfg(feature = "client")]
impl AnswerHead {
    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// Returns the announced Content-Length.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.announced.length()
    }

    /// Returns true if the server keeps the connection for another request.
    pub(crate) fn persists(&self) -> bool {
        self.options.persistence(self.version).persists()
    }

    /// Returns how long the server keeps an idle connection, if it has announced that.
    pub(crate) const fn keep_alive_seconds(&self) -> Option<u64> {
        self.keep_alive_seconds
    }
}

#[cfg(test)]
mod tests;
