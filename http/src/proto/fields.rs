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

use super::scan::{Step, Stop, TOKEN, is_token, is_white, misplaced, run_end, trim, value_end};
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
    Field(Field),
    End(usize),
}

impl FieldSection {
    /// What every section ends with, an empty one too: a line end, and an empty line.
    pub(super) const END: &[u8] = b"\r\n\r\n";

    /// Reads one line of `bytes`, which begin with all that earlier calls saw.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8], line_bytes_max: u16) -> Step<Line> {
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
        self.position = run_end(bytes, self.position, &TOKEN);
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
    fn value(&mut self, bytes: &[u8], name_end: usize, line_bytes_max: u16) -> Step<Field> {
        self.position = value_end(bytes, self.position);
        self.check_length(line_bytes_max)?;
        let next = line_end(bytes, self.position)?;
        let field = Field {
            name: Span::new(self.line_start, name_end),
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
fn trimmed(bytes: &[u8], mut start: usize, mut end: usize) -> Span {
    while start < end && is_white(bytes[start]) {
        start += 1;
    }
    while start < end && is_white(bytes[end - 1]) {
        end -= 1;
    }
    Span::new(start, end)
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
