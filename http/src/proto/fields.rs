//! A field section: the lines between a request line and the empty one, and the same again
//! behind a chunked body (RFC 9112, 5 and 7.1.2).
//!
//! [`FieldSection`] gives one field after the other and remembers where it stopped, within a
//! name or within a value, so that no byte is looked at twice.
//!
//! ```text
//!            ┌── token ──┐       ┌─ anything but controls ─┐
//!   line ─► Name ──':'──────► Value ──────────── CR LF ──────► the next line
//!             └─ CR LF at once: the end
//! ```
//!
//! [`push_field`] is the way back, for a field of ours.
//!
//! **Always**: a line's length is judged before the byte that ends it, so that the outcome
//! does not depend on how the bytes were split. **Never**: what a field means; that is for
//! whoever asked for it.

use std::ops::Range;

use super::scan::{Class, Step, Stop, Token, is_token, is_white, misplaced, trim, value_end};
use crate::error::{InvalidAnswer, Refusal};
use crate::headers::{Field, Span};

/// How far a field section has been read.
#[derive(Debug, Default)]
pub(super) struct FieldSection {
    line_start: usize,
    position: usize,
    /// Where the name of this line ends, once it is known.
    name_end: Option<usize>,
}

/// One more field, or the end of the section and the position behind it.
pub(super) enum Line {
    Field(Found),
    End(usize),
}

/// Where a field's name and value are.
pub(super) struct Found {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Found {
    #[inline]
    pub(super) const fn field(&self) -> Field {
        Field {
            name: Span::new(self.name.start, self.name.end),
            value: Span::new(self.value.start, self.value.end),
        }
    }
}

impl FieldSection {
    /// What every section ends with, an empty one too: a line end, and an empty line.
    pub(super) const END: &[u8] = b"\r\n\r\n";

    /// Reads one line of `bytes`, which begin with all that earlier calls saw.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], line_bytes_max: u16) -> Step<Line> {
        let start = self.line_start;
        if self.position == start {
            if let Some(end) = empty_line(bytes, start) {
                return Ok(Line::End(end));
            }
            if let Some((found, next)) = whole_line(bytes, start, line_bytes_max) {
                (self.line_start, self.position) = (next, next);
                return Ok(Line::Field(found));
            }
        }
        self.piece(bytes, line_bytes_max)
    }

    /// Reads on in a line that comes in pieces, or is the last one, or is to be refused.
    #[inline(never)]
    fn piece(&mut self, bytes: &[u8], line_bytes_max: u16) -> Step<Line> {
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
    fn value(&mut self, bytes: &[u8], name_end: usize, line_bytes_max: u16) -> Step<Found> {
        self.position = value_end(bytes, self.position);
        self.check_length(line_bytes_max)?;
        let next = line_end(bytes, self.position)?;
        let field = Found {
            name: self.line_start..name_end,
            value: trimmed(bytes, name_end + 1, self.position),
        };
        (self.line_start, self.position, self.name_end) = (next, next, None);
        Ok(field)
    }

    #[inline]
    fn check_length(&self, line_bytes_max: u16) -> Result<(), Refusal> {
        if self.position - self.line_start > usize::from(line_bytes_max) {
            return Err(Refusal::FieldLineTooLong);
        }
        Ok(())
    }
}

/// The field whose line begins at `start`, and the position behind it: if the line is here whole
/// and there is nothing to refuse in it.
///
/// Its end is looked for first. So the processor goes on to the next line without waiting for what
/// is found in this one.
#[inline]
fn whole_line(bytes: &[u8], start: usize, line_bytes_max: u16) -> Option<(Found, usize)> {
    let end = value_end(bytes, start);
    let next = empty_line(bytes, end)?;
    let name_end = Token::run_end(bytes, start);
    let is_whole = name_end > start && bytes.get(name_end) == Some(&b':');
    if !is_whole || end - start > line_bytes_max.into() {
        return None;
    }
    let found = Found {
        name: start..name_end,
        value: trimmed(bytes, name_end + 1, end),
    };
    Some((found, next))
}

/// The position behind a line end that is whole and begins at `at`.
#[inline]
fn empty_line(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at..)?.first_chunk() == Some(b"\r\n")).then_some(at + 2)
}

enum Name {
    Ends(usize),
    NoneButTheEnd(usize),
}

/// The position behind the line end that must begin at `at`.
#[inline]
pub(super) fn line_end(bytes: &[u8], at: usize) -> Step<usize> {
    match bytes.get(at..) {
        Some([b'\r', b'\n', ..]) => Ok(at + 2),
        Some([] | [b'\r']) | None => Err(Stop::Incomplete),
        Some([b'\r', ..]) => Err(Refusal::BareCarriageReturn.into()),
        Some([byte, ..]) => Err(misplaced(*byte, Refusal::ControlByte).into()),
    }
}

/// `start..end` without the white space around what is there (RFC 9112, 5.1).
#[inline]
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> Range<usize> {
    if let Some([b' ', first, .., last]) = bytes.get(start..end)
        && (*first.min(last)) > b' '
    {
        return start + 1..end; // as nearly all write it
    }
    while start < end && is_white(bytes[start]) {
        start += 1;
    }
    while start < end && is_white(bytes[end - 1]) {
        end -= 1;
    }
    start..end
}

/// Writes one field line, if name and value are what a field may be made of. A value that is
/// written begins and ends without white space.
#[inline]
pub(super) fn push_field(
    out: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
) -> Result<(), InvalidAnswer> {
    if !is_token(name) {
        return Err(InvalidAnswer::Name);
    }
    if value_end(value, 0) < value.len() {
        return Err(InvalidAnswer::Value);
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(trim(value));
    out.extend_from_slice(b"\r\n");
    Ok(())
}
