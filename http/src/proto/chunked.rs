//! The chunked coding, both ways (RFC 9112, 7.1).
//!
//! ```text
//!        ┌───────────────────────────── CR LF ◄───────────────────────┐
//!        ▼                                                            │
//!   ─► size ──[ ; extensions ]── CR LF ──► data, as long as its size ─┘
//!        └── 0 ─[ ; extensions ]── CR LF ──► trailer fields ── CR LF ──► end
//! ```
//!
//! [`Decoder`] is that drawing as a state machine: it reads bytes and returns the ranges that are data.
//! It keeps the size so far, the length of the unread data, and the trailers.
//!
//! **Always**: a size is bounded before it can overflow, extensions and zeros before it by
//! line and by body, the sum of all sizes before a byte of the chunk is read. **Never**: a byte behind the end; a
//! trailer among the headers; an empty chunk in the midst of an answer, where it would end it.

use std::ops::Range;

#[cfg(any(feature = "proxy", feature = "tower"))]
use http::{HeaderMap, HeaderName};

use super::fields::{FieldSection, Line, push_field};
use super::scan::{Class, Step, Stop, Token};
use crate::error::{InvalidAnswer, Refusal};
use crate::headers::white_space::is_white;
use crate::headers::{AnswerHeaders, Field, Headers};
use crate::limits::Limits;

/// Reads a chunked body.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    state: State,
    /// The sizes of all chunks so far.
    body_bytes: u64,
    line_bytes: u16,
    extension_bytes: u32,
    trailers: Trailers,
}

/// The result of a call to [`Decoder::decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// The range of the data in the input. The bytes before it are consumed, too.
    Data(Range<usize>),
    /// The whole input is consumed, without more data.
    Incomplete,
    /// The body is over, and its end took that many bytes of the input.
    End(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { size: u64 },
    Extension { part: Extension, size: u64 },
    SizeLineFeed { size: u64 },
    Data { left: u64 },
    DataReturn,
    DataLineFeed,
    Trailers,
    Done,
}

/// The position in `*( BWS ";" BWS name [ BWS "=" BWS value ] )`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    BeforeSemicolon,
    BeforeName,
    Name,
    BehindName,
    BeforeValue,
    Value,
    Quoted,
    Escaped,
    BehindQuoted,
}

/// A size that is larger has no room for another digit. Leading zeros leave it at zero.
const SIZE_WITH_ROOM_MAX: u64 = u64::MAX >> 4;

/// The most digits that a size needs. Further digits have no meaning, because the line begins with as many zeros.
/// They count as bytes of an extension, so that the limit for the whole body holds for them, too.
const SIZE_DIGITS: u16 = 16;

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0 }
    }
}

impl Decoder {
    /// Reads `input`, which follows the consumed bytes, up to and including the next piece of data.
    pub(crate) fn decode(&mut self, input: &[u8], limits: &Limits) -> Result<Decoded, Refusal> {
        let mut at = 0;
        loop {
            match self.state {
                // Before the check for more input, because the end may be the last byte of it.
                State::Done => return Ok(Decoded::End(at)),
                _ if at == input.len() => return Ok(Decoded::Incomplete),
                State::Data { left } => return Ok(Decoded::Data(self.data(at, input.len(), left))),
                State::Trailers => match self.trailers.read(&input[at..], limits) {
                    Ok(end) => (self.state, at) = (State::Done, at + end),
                    Err(Stop::Incomplete) => return Ok(Decoded::Incomplete),
                    Err(Stop::Refused(refusal)) => return Err(refusal),
                },
                _ => {
                    self.state = self.advance(input[at], limits)?;
                    at += 1;
                }
            }
        }
    }

    /// Returns true if the body is over.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Returns the fields behind the last chunk, once the body is over. They are no headers: their
    /// reader decides which of them may have a meaning (RFC 9110, 6.5.1).
    pub(crate) fn trailers(&self) -> Headers<'_> {
        Headers::new(&self.trailers.bytes, &self.trailers.fields)
    }

    fn data(&mut self, at: usize, end: usize, left: u64) -> Range<usize> {
        // The data is passed on where it lies: a decoder that copied it would cost each byte once more.
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(end - at);
        self.state = match left - here as u64 {
            0 => State::DataReturn,
            left => State::Data { left },
        };
        at..at + here
    }

    /// Reads one byte between the data.
    fn advance(&mut self, byte: u8, limits: &Limits) -> Result<State, Refusal> {
        // Only the size line has a length that the client chooses. All else between the data has two bytes.
        if matches!(self.state, State::Size { .. } | State::Extension { .. }) {
            // The carriage return may be one byte above the limit, because it ends the line.
            if byte != b'\r' && self.line_bytes == limits.chunk_line_bytes_max {
                return Err(Refusal::ChunkLineTooLong);
            }
            self.line_bytes += 1;
        }
        match self.state {
            State::Size { size } => self.size(byte, size, limits),
            State::Extension { part, size } => self.extension(byte, part, size, limits),
            State::SizeLineFeed { size } if byte == b'\n' => self.line_ends(size, limits),
            State::DataReturn if byte == b'\r' => Ok(State::DataLineFeed),
            State::DataLineFeed if byte == b'\n' => Ok(State::default()),
            State::SizeLineFeed { .. } => Err(Refusal::BareCarriageReturn),
            _ => Err(Refusal::ChunkEnd),
        }
    }

    fn size(&mut self, byte: u8, size: u64, limits: &Limits) -> Result<State, Refusal> {
        if let Some(digit) = char::from(byte).to_digit(16) {
            if size > SIZE_WITH_ROOM_MAX {
                return Err(Refusal::ChunkSize);
            }
            // The line has more digits than a size needs, so it has leading zeros.
            if self.line_bytes > SIZE_DIGITS {
                self.count_extension_byte(limits)?;
            }
            return Ok(State::Size {
                size: size << 4 | u64::from(digit),
            });
        }
        // A size above `i64::MAX` is refused, too: an implementation with signed numbers would read another length.
        let has_digit = self.line_bytes > 1; // this byte counts already
        if !has_digit || size > i64::MAX as u64 {
            return Err(Refusal::ChunkSize);
        }
        match byte {
            b'\r' => Ok(State::SizeLineFeed { size }),
            b';' | b' ' | b'\t' => self.extension(byte, Extension::BeforeSemicolon, size, limits),
            b'\n' => Err(Refusal::BareLineFeed),
            _ => Err(Refusal::ChunkSize),
        }
    }

    fn extension(
        &mut self,
        byte: u8,
        part: Extension,
        size: u64,
        limits: &Limits,
    ) -> Result<State, Refusal> {
        if byte != b'\r' {
            self.count_extension_byte(limits)?;
        }
        match byte {
            // The line ends neither within a pair nor after white space that leads nowhere.
            b'\r'
                if matches!(
                    part,
                    Extension::Name | Extension::Value | Extension::BehindQuoted
                ) =>
            {
                Ok(State::SizeLineFeed { size })
            }
            b'\n' => Err(Refusal::BareLineFeed),
            _ => part
                .and(byte)
                .map(|part| State::Extension { part, size })
                .ok_or(Refusal::ChunkExtension),
        }
    }

    #[cold]
    fn count_extension_byte(&mut self, limits: &Limits) -> Result<(), Refusal> {
        self.extension_bytes += 1;
        if self.extension_bytes > limits.chunk_extension_bytes_max {
            return Err(Refusal::ChunkLineTooLong);
        }
        Ok(())
    }

    fn line_ends(&mut self, size: u64, limits: &Limits) -> Result<State, Refusal> {
        self.line_bytes = 0;
        // Checked with the size line, before a byte of the chunk arrives. The sum is not computed, as it could
        // overflow.
        if size > limits.body_bytes_max - self.body_bytes {
            return Err(Refusal::BodyTooLarge);
        }
        self.body_bytes += size;
        Ok(match size {
            0 => State::Trailers,
            left => State::Data { left },
        })
    }
}

impl Extension {
    /// The part that `byte` leads to (RFC 9112, 7.1.1).
    fn and(self, byte: u8) -> Option<Self> {
        use Extension as Part;
        let white = is_white(byte);
        let token = Token::has(byte);
        let is_text = byte == b'\t' || !byte.is_ascii_control();
        match (self, byte) {
            (Part::Quoted, b'"') => Some(Part::BehindQuoted),
            (Part::Quoted, b'\\') => Some(Part::Escaped),
            (Part::Quoted | Part::Escaped, _) => is_text.then_some(Part::Quoted),
            (Part::BeforeValue, b'"') => Some(Part::Quoted),
            (Part::BeforeSemicolon | Part::BeforeName | Part::BeforeValue, _) if white => {
                Some(self)
            }
            (Part::BeforeName | Part::Name, _) if token => Some(Part::Name),
            (Part::BeforeValue | Part::Value, _) if token => Some(Part::Value),
            (Part::Name | Part::BehindName, b'=') => Some(Part::BeforeValue),
            (Part::Name | Part::BehindName, _) if white => Some(Part::BehindName),
            (Part::Value | Part::BehindQuoted, _) if white => Some(Part::BeforeSemicolon),
            (Part::BeforeName | Part::BeforeValue, _) => None,
            _ => (byte == b';').then_some(Part::BeforeName),
        }
    }
}

/// A trailer section, kept because it comes in pieces and is read after the body.
#[derive(Debug, Default)]
struct Trailers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
    section: FieldSection,
}

impl Trailers {
    /// Returns the position in `input` behind the section.
    fn read(&mut self, input: &[u8], limits: &Limits) -> Step<usize> {
        // Most bodies have no trailers, and then no byte is kept.
        if self.bytes.is_empty() && input.starts_with(b"\r\n") {
            return Ok(2);
        }
        let before = self.bytes.len();
        let room = usize::from(limits.trailer_bytes_max) - before;
        // Trailers arrive in pieces and are read after the body, when the input has gone. So they are copied, up to
        // their
        // limit.
        self.bytes
            .extend_from_slice(&input[..input.len().min(room)]);
        match self.fields(limits) {
            Err(Stop::Incomplete) if self.bytes.len() == before + room => {
                Err(Refusal::TrailersTooLarge.into())
            }
            end => Ok(end? - before),
        }
    }

    fn fields(&mut self, limits: &Limits) -> Step<usize> {
        loop {
            match self
                .section
                .next_in_pieces(&self.bytes, limits.field_line_bytes_max)?
            {
                Line::Field(_) if self.fields.len() == usize::from(limits.trailer_fields_max) => {
                    return Err(Refusal::TrailersTooLarge.into());
                }
                Line::Field(found) => self.fields.push(found.field()),
                Line::End(end) => return Ok(end),
            }
        }
    }
}

/// Writes a chunk: size, data, line end. No data, no chunk.
#[cfg(any(test, feature = "proxy", feature = "tower"))]
pub(crate) fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if data.is_empty() {
        return;
    }
    push_size_line(out, data.len() as u64);
    out.extend_from_slice(data);
    out.extend_from_slice(CHUNK_END);
}

/// Writes what precedes the data of a chunk of `size` bytes, at least one. Behind the data
/// goes [`CHUNK_END`].
pub(crate) fn push_size_line(out: &mut Vec<u8>, size: u64) {
    debug_assert!(size > 0, "an empty chunk is the last one");
    let digits = size.checked_ilog2().unwrap_or(0) / 4;
    for digit in (0..=digits).rev() {
        out.push(b"0123456789abcdef"[(size >> (4 * digit) & 0xf) as usize]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The bytes behind the data of a chunk.
pub(crate) const CHUNK_END: &[u8] = b"\r\n";

/// Writes the last chunk and the trailers.
///
/// # Errors
///
/// If a trailer is malformed, or is one that a recipient must know before the body
/// (RFC 9110, 6.5.1). Then no byte is written.
pub(crate) fn push_last_chunk(
    out: &mut Vec<u8>,
    trailers: &impl AnswerHeaders,
) -> Result<(), InvalidAnswer> {
    let start = out.len();
    out.extend_from_slice(b"0\r\n");
    let pushed = trailers.try_for_each(|name, value| {
        if NEVER_TRAILERS
            .iter()
            .any(|never| name.eq_ignore_ascii_case(never))
        {
            return Err(InvalidAnswer::Trailer);
        }
        push_field(out, name, value)
    });
    match pushed {
        Ok(()) => out.extend_from_slice(b"\r\n"),
        // The body stays open, so the connection is cut. Half a trailer section must not look like its end.
        Err(_) => out.truncate(start),
    }
    pushed
}

/// Removes the trailers that [`push_last_chunk`] refuses. A recipient may ignore them.
#[cfg(any(feature = "proxy", feature = "tower"))]
pub(crate) fn remove_never_trailers(trailers: &mut HeaderMap) {
    for never in NEVER_TRAILERS {
        if let Ok(name) = HeaderName::from_bytes(never) {
            trailers.remove(name);
        }
    }
}

/// Fields for framing, routing, authentication and the understanding of the content.
const NEVER_TRAILERS: [&[u8]; 19] = [
    b"age",
    b"authorization",
    b"cache-control",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"date",
    b"expires",
    b"host",
    b"keep-alive",
    b"location",
    b"proxy-authenticate",
    b"set-cookie",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"www-authenticate",
];

#[cfg(test)]
mod tests;
