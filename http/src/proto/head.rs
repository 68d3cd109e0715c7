//! A request head: read once, judged on the way, kept as positions.
//!
//! [`HeadParser`] remembers where in a head it is; [`Head`] is what came out. Both are filled
//! in place and used again for the next request, so that a head costs no allocation.
//!
//! ```text
//! bytes so far ─► request line ─► field ─► field ─► … ─► empty line ─► verdict
//!                     each field is shown once to whoever needs it:
//!                     Host · framing · keep_alive · Expect · Upgrade
//! ```
//!
//! **Always**: the bytes given begin with all bytes given before, up to a verdict; each is
//! looked at once, and the verdict is the same in however many pieces they came. A limit is
//! met, or a forbidden byte refused, when it arrives. **Never**: a position beyond the head's
//! last byte; a second pass over the fields.

use http::{Method, Version};

use super::authority::is_host_field;
use super::fields::{FieldSection, Line};
use super::framing::{Announced, Framing};
use super::keep_alive::{ConnectionOptions, Persistence};
use super::request_line::{LineReader, RequestLine};
use super::scan::{Step, Stop, members};
use super::target::{Form, Target};
use crate::error::Refusal;
use crate::headers::{Field, Headers, Span};
use crate::limits::Limits;

/// What a request head says, as positions in the bytes it was read from.
///
/// Whole only once [`HeadParser::parse`] has said so. After a refusal the method is the one
/// received, if the head got that far, else GET.
#[derive(Debug, Default)]
pub(crate) struct Head {
    line: RequestLine,
    fields: Vec<Field>,
    host: Option<Span>,
    /// The last Host that was judged and found valid. All requests of a connection tend to have
    /// the same one, and comparing is cheaper than judging.
    known_host: Vec<u8>,
    announced: Announced,
    framing: Framing,
    options: ConnectionOptions,
    expectation: Expectation,
}

/// What the client waits for before it sends its body (RFC 9110, 10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    #[default]
    Nothing,
    Continue,
}

/// How far a head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// The head is whole and has that many bytes; what follows them is the body.
    Complete(usize),
}

/// How far a head has been read.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    line: LineReader,
    /// Set once the request line is whole.
    section: Option<FieldSection>,
}

impl HeadParser {
    /// Reads on in `bytes`, which begin with the first byte of the head, into `head`.
    ///
    /// When a head is complete the parser is ready for the next one, and clears `head` when
    /// that begins. After a refusal it is of no more use: the connection closes.
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<Parsed, Refusal> {
        let head_bytes_max = usize::from(limits.head_bytes_max);
        let window = &bytes[..bytes.len().min(head_bytes_max)];
        match self.advance(window, head, limits) {
            Ok(end) => Ok(Parsed::Complete(end)),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::Incomplete) if window.len() == head_bytes_max => Err(Refusal::HeadTooLarge),
            Err(Stop::Incomplete) => Ok(Parsed::Incomplete),
        }
    }

    #[inline]
    fn advance(&mut self, bytes: &[u8], head: &mut Head, limits: &Limits) -> Step<usize> {
        let section = if let Some(section) = &mut self.section {
            section
        } else {
            if self.line.is_fresh() {
                head.clear();
            }
            let end = self.line.read(bytes, limits, &mut head.line)?;
            self.section.insert(FieldSection::at(end))
        };
        let end = read_fields(section, bytes, head, limits)?;
        head.decide(limits)?;
        *self = Self::default();
        Ok(end)
    }
}

#[inline]
fn read_fields(
    section: &mut FieldSection,
    bytes: &[u8],
    head: &mut Head,
    limits: &Limits,
) -> Step<usize> {
    loop {
        match section.next(bytes, limits.field_line_bytes_max)? {
            Line::Field(_) if head.fields.len() == usize::from(limits.fields_max) => {
                return Err(Refusal::TooManyFields.into());
            }
            Line::Field(field) => head.add(bytes, field)?,
            Line::End(end) => return Ok(end),
        }
    }
}

/// Filling it.
impl Head {
    fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        let known_host = std::mem::take(&mut self.known_host);
        fields.clear();
        *self = Self {
            fields,
            known_host,
            ..Self::default()
        };
    }

    #[inline]
    fn add(&mut self, bytes: &[u8], field: Field) -> Result<(), Refusal> {
        self.fields.push(field);
        let (name, value) = (field.name.of(bytes), field.value.of(bytes));
        match name.len() {
            4 if is(name, b"host") => self.add_host(value, field.value)?,
            6 if is(name, b"expect") => self.add_expectation(value)?,
            10 if is(name, b"connection") => self.options.add(value),
            14 if is(name, b"content-length") => self.announced.content_length(value)?,
            17 if is(name, b"transfer-encoding") => self.announced.transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn add_host(&mut self, value: &[u8], span: Span) -> Result<(), Refusal> {
        if self.host.replace(span).is_some() {
            return Err(Refusal::HostRepeated);
        }
        if value == self.known_host {
            return Ok(());
        }
        self.judge_host(value)
    }

    fn judge_host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        if !is_host_field(value) {
            return Err(Refusal::HostInvalid);
        }
        self.known_host.clear();
        self.known_host.extend_from_slice(value);
        Ok(())
    }

    fn add_expectation(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for member in members(value) {
            if !member.eq_ignore_ascii_case(b"100-continue") {
                return Err(Refusal::Expectation);
            }
            self.expectation = Expectation::Continue;
        }
        Ok(())
    }

    /// What can be said only when all fields are known.
    #[inline]
    fn decide(&mut self, limits: &Limits) -> Result<(), Refusal> {
        let RequestLine {
            method, version, ..
        } = &self.line;
        if self.host.is_none() && *version == Version::HTTP_11 {
            return Err(Refusal::HostMissing);
        }
        self.framing = self
            .announced
            .decide(method, *version, limits.body_bytes_max)?;
        Ok(())
    }
}

#[inline]
fn is(name: &[u8], lower: &[u8]) -> bool {
    name.eq_ignore_ascii_case(lower)
}

/// Reading it. Where bytes are asked for, they are those it was parsed from.
impl Head {
    pub(crate) const fn method(&self) -> &Method {
        &self.line.method
    }

    pub(crate) const fn version(&self) -> Version {
        self.line.version
    }

    /// Where the target and its parts are, and in which form it came.
    #[cfg(test)]
    pub(crate) const fn target_parts(&self) -> Target {
        self.line.target
    }

    /// The target as it came.
    pub(crate) fn target<'a>(&self, bytes: &'a [u8]) -> &'a str {
        text(self.line.target.whole, bytes)
    }

    /// The path as it came, `/` where an absolute target has none, `*` and nothing for the
    /// asterisk and authority forms.
    pub(crate) fn path<'a>(&self, bytes: &'a [u8]) -> &'a str {
        match self.line.target {
            Target {
                form: Form::Absolute,
                path,
                ..
            } if path.is_empty() => "/",
            Target { path, .. } => text(path, bytes),
        }
    }

    /// What follows the first `?`, as it came.
    pub(crate) fn query<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let Target {
            form, path, whole, ..
        } = self.line.target;
        let (mark, end) = (path.range().end, whole.range().end);
        let has_one = matches!(form, Form::Origin | Form::Absolute) && mark < end;
        has_one.then(|| text(Span::new(mark + 1, end), bytes))
    }

    /// Host and port the request is for: the target's, else Host's (RFC 9112, 3.2.2). `None`
    /// for HTTP/1.0 without Host.
    pub(crate) fn host<'a>(&self, bytes: &'a [u8]) -> Option<&'a str> {
        let authority = self.line.target.authority;
        let span = if authority.is_empty() {
            self.host?
        } else {
            authority
        };
        Some(text(span, bytes))
    }

    pub(crate) fn headers<'a>(&'a self, bytes: &'a [u8]) -> Headers<'a> {
        Headers::new(bytes, &self.fields)
    }

    /// How long the body is.
    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// What the client would have become of the connection.
    pub(crate) fn persistence(&self) -> Persistence {
        self.options.persistence(self.line.version)
    }

    /// Whether the client may be waiting for 100 before it sends its body: never in HTTP/1.0,
    /// never without a body (RFC 9110, 10.1.1).
    pub(crate) fn awaits_continue(&self) -> bool {
        self.expectation == Expectation::Continue
            && self.line.version == Version::HTTP_11
            && self.framing != Framing::None
    }

    /// Whether an Upgrade field counts (RFC 9110, 7.8).
    pub(crate) fn allows_upgrade(&self) -> bool {
        self.options.allows_upgrade(self.line.version)
    }
}

/// A piece the grammar holds to ASCII.
fn text(span: Span, bytes: &[u8]) -> &str {
    str::from_utf8(span.of(bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
