//! A field section: the lines between a request line and the empty one, and the same again
//! behind a chunked body (RFC 9112, 5 and 7.1.2).
//!
//! [`FieldSection::next`] returns one field after the other. It has two ways to read a line:
//!
//! - *Case A: the line is here as a whole, and valid.* Nearly all lines are. `whole_line` reads it in one step.
//! - *Case B: only a part of the line is here, or the line is invalid.* `next_in_pieces` reads it class by
//!   class, and keeps its position within a name or a value.
//!
//! ```text
//!            ┌── token ──┐       ┌─ anything but controls ─┐
//!   line ─► Name ──':'──────► Value ──────────── CR LF ──────► the next line
//!             └─ CR LF at once: the end
//! ```
//!
//! [`push_field`] writes a field of an answer.
//!
//! **Always**: the length of a line is judged before the byte that ends the line, so that the outcome does not
//! depend on how the bytes were split. Only case B refuses a line, so that the first fault in it decides the
//! refusal. **Never**: a line that is tried twice in one step; a judgement of the meaning of a field, which is
//! the caller's.

use super::scan::{Class, Step, Stop, Token, is_token, is_value, misplaced, value_end};
use crate::error::{InvalidAnswer, Refusal};
use crate::headers::white_space::{is_white, trim, trim_end, trim_start};
use crate::headers::{Field, Span};

/// The position in a field section that is being read.
#[derive(Debug, Default)]
pub(crate) struct FieldSection {
    line_start: usize,
    position: usize,
    /// The end of this line's name, once it is known.
    name_end: Option<usize>,
}

/// One more field, or the end of the section and the position behind it.
pub(crate) enum Line<'a> {
    Field(Found<'a>),
    End(usize),
}

/// A field's name and value, and their positions.
pub(crate) struct Found<'a> {
    pub(crate) name: &'a [u8],
    /// Without the white space around it.
    pub(crate) value: &'a [u8],
    start: usize,
    value_start: usize,
}

impl<'a> Found<'a> {
    /// Makes a field of a line that begins at `start`: a name, a colon, and `value` with its white space.
    fn trimmed(start: usize, name: &'a [u8], value: &'a [u8]) -> Self {
        let behind_white = trim_start(value);
        let white_bytes = value.len() - behind_white.len();
        Self {
            name,
            value: trim_end(behind_white),
            start,
            value_start: start + name.len() + 1 + white_bytes,
        }
    }

    /// Returns the positions alone.
    #[inline]
    pub(super) const fn field(&self) -> Field {
        Field {
            name: Span::new(self.start, self.start + self.name.len()),
            value: Span::new(self.value_start, self.value_start + self.value.len()),
        }
    }
}

impl FieldSection {
    /// The last bytes of each section, also of an empty one: a line end, and an empty line.
    pub(super) const END: &[u8] = b"\r\n\r\n";

    /// Reads one line of `bytes`, which begin with all bytes of earlier calls.
    #[inline]
    pub(super) fn next<'a>(&mut self, bytes: &'a [u8], line_bytes_max: u16) -> Step<Line<'a>> {
        let start = self.line_start;
        // The fast way needs the whole line. It leaves all errors and all pieces to the careful way, so that each
        // refusal has
        // one place (LOG 26).
        if self.position == start {
            if let Some(end) = whole_line_end(bytes, start) {
                return Ok(Line::End(end));
            }
            if let Some((found, next)) = whole_line(bytes, start, line_bytes_max) {
                (self.line_start, self.position) = (next, next);
                return Ok(Line::Field(found));
            }
        }
        self.next_in_pieces(bytes, line_bytes_max)
    }

    /// The same for any line, also one that arrives in pieces or must be refused. Trailers are read only this
    /// way, so that [`next`](Self::next) has one caller and is inlined there.
    #[inline(never)]
    pub(crate) fn next_in_pieces<'a>(
        &mut self,
        bytes: &'a [u8],
        line_bytes_max: u16,
    ) -> Step<Line<'a>> {
        let name_end = match self.name_end {
            Some(name_end) => name_end,
            None => match self.name(bytes, line_bytes_max)? {
                Name::Ends(name_end) => name_end,
                Name::NoneButTheEnd(end) => return Ok(Line::End(end)),
            },
        };
        self.value(bytes, name_end, line_bytes_max).map(Line::Field)
    }

    #[inline]
    fn name(&mut self, bytes: &[u8], line_bytes_max: u16) -> Step<Name> {
        self.position = Token::run_end(bytes, self.position);
        self.check_length(line_bytes_max)?;
        match bytes.get(self.position) {
            // The position stays, so the next piece is read from here and no byte twice.
            None => Err(Stop::Incomplete),
            Some(b':') if self.position > self.line_start => Ok(self.name_ends()),
            Some(b'\r') if self.position == self.line_start => {
                line_end(bytes, self.position).map(Name::NoneButTheEnd)
            }
            Some(byte) => Err(self.no_name(*byte).into()),
        }
    }

    #[inline]
    fn name_ends(&mut self) -> Name {
        let end = self.position;
        self.name_end = Some(end);
        self.position = end + 1;
        Name::Ends(end)
    }

    #[cold]
    fn no_name(&self, byte: u8) -> Refusal {
        let white = is_white(byte);
        match self.position {
            0 if white => Refusal::LeadingWhitespace,
            at if at == self.line_start && white => Refusal::ObsoleteFold,
            _ if white => Refusal::SpaceBeforeColon,
            _ => misplaced(byte, Refusal::FieldName),
        }
    }

    #[inline]
    fn value<'a>(
        &mut self,
        bytes: &'a [u8],
        name_end: usize,
        line_bytes_max: u16,
    ) -> Step<Found<'a>> {
        self.position = value_end(bytes, self.position);
        self.check_length(line_bytes_max)?;
        // An error leaves the position at the end of the value. So the next piece begins there, too.
        let next = line_end(bytes, self.position)?;
        let name = &bytes[self.line_start..name_end];
        let value = &bytes[name_end + 1..self.position];
        let found = Found::trimmed(self.line_start, name, value);
        (self.line_start, self.position, self.name_end) = (next, next, None);
        Ok(found)
    }

    #[inline]
    fn check_length(&self, line_bytes_max: u16) -> Result<(), Refusal> {
        if self.position - self.line_start > usize::from(line_bytes_max) {
            return Err(Refusal::FieldLineTooLong);
        }
        Ok(())
    }
}

/// Returns the field whose line begins at `start`, and the position behind it. Returns `None` if the line is not
/// whole, or not valid.
///
/// The end of the line is searched first. So the processor begins the next line before it knows the result of this
/// one.
#[inline]
fn whole_line(bytes: &[u8], start: usize, line_bytes_max: u16) -> Option<(Found<'_>, usize)> {
    let end = value_end(bytes, start);
    let next = whole_line_end(bytes, end)?;
    let line = bytes.get(start..end)?;
    let (name, rest) = line.split_at_checked(Token::run_end(bytes, start) - start)?;
    let [b':', value @ ..] = rest else {
        return None;
    };
    if name.is_empty() || line.len() > line_bytes_max.into() {
        return None;
    }
    let found = match value {
        // Nearly all clients write one space.
        [b' ', value @ ..] if is_black(value) => Found {
            name,
            value,
            start,
            value_start: start + name.len() + 2,
        },
        _ => Found::trimmed(start, name, value),
    };
    Some((found, next))
}

/// Returns the position behind a whole line end that begins at `at`.
#[inline]
fn whole_line_end(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at..)?.first_chunk() == Some(b"\r\n")).then_some(at + 2)
}

enum Name {
    Ends(usize),
    NoneButTheEnd(usize),
}

/// Returns the position behind the line end that must begin at `at`.
#[inline]
pub(super) fn line_end(bytes: &[u8], at: usize) -> Step<usize> {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at + 2),
        Some([] | [b'\r']) | None => Err(Stop::Incomplete),
        Some([b'\r', ..]) => Err(Refusal::BareCarriageReturn.into()),
        Some([byte, ..]) => Err(misplaced(*byte, Refusal::ControlByte).into()),
    }
}

/// Returns true if `value` has at least two bytes and no white space around it: its ends are above a space.
#[inline]
fn is_black(value: &[u8]) -> bool {
    matches!(value, [first, .., last] if (*first.min(last)) > b' ')
}

/// Writes one field line if name and value are valid. A value that is written begins and ends without white
/// space.
#[inline]
pub(super) fn push_field(
    out: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
) -> Result<(), InvalidAnswer> {
    if !is_token(name) {
        return Err(InvalidAnswer::Name);
    }
    if !is_value(value) {
        return Err(InvalidAnswer::Value);
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(trim(value));
    out.extend_from_slice(b"\r\n");
    Ok(())
}
