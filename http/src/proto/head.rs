//! A request head: read once, judged on the way, kept as positions.
//!
//! [`HeadParser`] holds the position in a head that is being read; [`Head`] holds the result. Both are
//! filled in place and used again for the next request, so that a head costs no allocation.
//!
//! ```text
//! bytes so far ─► request line ─► field ─► field ─► … ─► empty line ─► verdict
//!                     each field is read once, by those that need it:
//!                     Host · framing · keep_alive · Expect
//! ```
//!
//! A head or a field section that equals the last one is found in the [`HeadCache`] and not judged again.
//!
//! **Always**: the bytes of a call begin with all bytes of the calls before, up to a verdict. The
//! verdict is the same, however many pieces they arrive in. A limit is met, and a forbidden byte is
//! refused, when it arrives. **Never**: a position beyond the head's last byte; a byte that is read
//! again for each piece that arrives.

use http::{Method, Version};

use super::authority::is_host_field;
use super::fields::{FieldSection, Found, Line};
use super::framing::{Announced, Framing};
use super::head_cache::HeadCache;
use super::keep_alive::{ConnectionOptions, Persistence};
use super::request_line::{LineReader, RequestLine};
use super::scan::{Step, Stop, is_word};
use super::target::{Form, Target};
use crate::error::Refusal;
use crate::headers::white_space::members;
use crate::headers::{Field, Headers, Span};
use crate::limits::Limits;

/// The content of a request head: the target as text, the fields as positions in the bytes that were
/// parsed.
///
/// Valid when [`HeadParser::parse`] has returned [`Parsed::Complete`]. After a refusal the method is the
/// received one, or GET if the method was not complete.
#[derive(Debug, Default)]
pub(crate) struct Head {
    line: RequestLine,
    line_bytes: usize,
    fields: Fields,
    framing: Framing,
    persistence: Persistence,
    cache: HeadCache,
}

/// The content of a field section, as positions in it.
#[derive(Debug, Default)]
struct Fields {
    list: Vec<Field>,
    host: Option<Span>,
    announced: Announced,
    options: ConnectionOptions,
    expectation: Expectation,
}

/// The answer that the client waits for before it sends its body (RFC 9110, 10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    #[default]
    Nothing,
    Continue,
}

/// The progress of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More bytes are needed.
    Incomplete,
    /// The head is whole and has this many bytes. The body follows them.
    Complete(usize),
}

/// The position in a head that is being read.
#[derive(Debug, Default)]
pub(crate) struct HeadParser {
    line: LineReader,
    /// Set once the request line is whole.
    section: Option<FieldSection>,
}

impl HeadParser {
    /// Reads on in `bytes`, which begin with the first byte of the head, into `head`.
    ///
    /// When a head is complete the parser is ready for the next one, and clears `head` when that
    /// begins. After a refusal it must not be used again: the connection closes.
    #[inline]
    pub(crate) fn parse(
        &mut self,
        bytes: &[u8],
        head: &mut Head,
        limits: &Limits,
    ) -> Result<Parsed, Refusal> {
        if bytes.is_empty() {
            return Ok(Parsed::Incomplete);
        }
        // Equal bytes mean the same, so no field is judged again (LOG 10). Nor is the parser looked at (LOG 46).
        if let Some(end) = head.cache.head_at(bytes) {
            debug_assert!(self.is_fresh(), "within a head, none is known");
            return Ok(Parsed::Complete(end)); // a cached head has met all limits
        }
        self.read(bytes, head, limits)
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.section.is_none() && self.line.is_fresh()
    }

    /// Reads a head that is not cached. Out of line, so that the short way stays short (LOG 13).
    #[inline(never)]
    fn read(&mut self, bytes: &[u8], head: &mut Head, limits: &Limits) -> Result<Parsed, Refusal> {
        let head_bytes_max = usize::from(limits.head_bytes_max);
        let window = &bytes[..bytes.len().min(head_bytes_max)];
        match self.advance(window, head, limits) {
            Ok(end) => Ok(Parsed::Complete(end)),
            Err(Stop::Refused(refusal)) => Err(refusal),
            // The window has no more bytes than the limit. So a head that is incomplete within it is too large.
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
                head.begin();
            }
            head.line_bytes = self.line.read(bytes, limits, &mut head.line)?;
            let rest = &bytes[head.line_bytes..];
            // Only the target differs in most requests of a client, and then the fields keep their meaning (LOG 10).
            if let Some(section_bytes) = head.cache.section_at(rest) {
                return self.end(bytes, section_bytes, head, limits);
            }
            head.begin_fields();
            self.section.insert(FieldSection::default())
        };
        let rest = &bytes[head.line_bytes..];
        let section_bytes = head.fields.read(section, rest, limits)?;
        self.end(bytes, section_bytes, head, limits)
    }

    fn end(
        &mut self,
        bytes: &[u8],
        section_bytes: usize,
        head: &mut Head,
        limits: &Limits,
    ) -> Step<usize> {
        let end = head.line_bytes + section_bytes;
        head.decide(limits)?;
        head.cache.keep(&bytes[..end], head.line_bytes);
        *self = Self::default();
        Ok(end)
    }
}

/// Filling it.
impl Head {
    fn begin(&mut self) {
        // Forgotten before the first byte is read: after a refusal the old line must not be found.
        self.cache.forget_line();
        self.line.clear();
    }

    fn begin_fields(&mut self) {
        self.cache.forget();
        self.fields.clear();
    }

    /// Decides what depends on all fields.
    #[inline]
    fn decide(&mut self, limits: &Limits) -> Result<(), Refusal> {
        let RequestLine {
            method, version, ..
        } = &self.line;
        // HTTP/1.0 did not know the field, so its clients may leave it out (RFC 9112, 3.2).
        if self.fields.host.is_none() && *version == Version::HTTP_11 {
            return Err(Refusal::HostMissing);
        }
        let announced = self.fields.announced;
        self.framing = announced.decide(method, *version, limits.body_bytes_max)?;
        self.persistence = self.fields.options.persistence(*version);
        Ok(())
    }
}

impl Fields {
    fn clear(&mut self) {
        // The list keeps its memory, so that a head costs no allocation after the first one of its length.
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        *self = Self {
            list,
            ..Self::default()
        };
    }

    #[inline]
    fn read(&mut self, section: &mut FieldSection, bytes: &[u8], limits: &Limits) -> Step<usize> {
        loop {
            match section.next(bytes, limits.field_line_bytes_max)? {
                Line::Field(_) if self.list.len() == usize::from(limits.fields_max) => {
                    return Err(Refusal::TooManyFields.into());
                }
                Line::Field(found) => self.add(&found)?,
                Line::End(end) => return Ok(end),
            }
        }
    }

    #[inline]
    fn add(&mut self, found: &Found<'_>) -> Result<(), Refusal> {
        let field = found.field();
        self.list.push(field);
        let (name, value) = (found.name, found.value);
        // The length goes first: most names differ in it, and then no byte is compared (LOG 25).
        match name.len() {
            4 if is_word(name, b"host") => self.add_host(value, field.value)?,
            6 if is_word(name, b"expect") => self.add_expectation(value)?,
            10 if is_word(name, b"connection") => self.options.add(value),
            14 if is_word(name, b"content-length") => self.announced.content_length(value)?,
            17 if is_word(name, b"transfer-encoding") => self.announced.transfer_encoding(value),
            _ => {}
        }
        Ok(())
    }

    #[inline]
    fn add_host(&mut self, value: &[u8], span: Span) -> Result<(), Refusal> {
        if self.host.replace(span).is_some() {
            return Err(Refusal::HostRepeated);
        }
        if !is_host_field(value) {
            return Err(Refusal::HostInvalid);
        }
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
}

/// Reading it. Each parameter `bytes` is the bytes that were parsed.
impl Head {
    pub(crate) const fn method(&self) -> &Method {
        &self.line.method
    }

    pub(crate) const fn version(&self) -> Version {
        self.line.version
    }

    /// The form of the target.
    #[cfg(test)]
    pub(crate) const fn form(&self) -> Form {
        self.line.target.form
    }

    /// Returns method, target and version if the request line was complete, also after a refusal.
    pub(crate) fn request_line(&self) -> Option<(&Method, &str, Version)> {
        let RequestLine {
            method,
            text,
            version,
            ..
        } = &self.line;
        // The target is set last, and is never empty.
        (!text.is_empty()).then_some((method, text, *version))
    }

    /// The target as received.
    pub(crate) fn target(&self) -> &str {
        &self.line.text
    }

    /// Returns the path as received, or `/` if an absolute target has none. Returns `*` for the asterisk
    /// form and an empty path for the authority form.
    pub(crate) fn path(&self) -> &str {
        let Target { form, path, .. } = self.line.target;
        if path.len() == self.line.text.len() {
            return &self.line.text; // most targets have no query (LOG 34)
        }
        match form {
            Form::Absolute if path.is_empty() => "/",
            _ => &self.line.text[path.range()],
        }
    }

    /// Returns the text behind the first `?` as received.
    pub(crate) fn query(&self) -> Option<&str> {
        let Target { form, path, .. } = self.line.target;
        let behind = self.line.text.get(path.range().end + 1..)?;
        matches!(form, Form::Origin | Form::Absolute).then_some(behind)
    }

    /// Returns host and port of the target, or of Host if the target has none (RFC 9112, 3.2.2).
    /// Returns `None` for HTTP/1.0 without Host.
    pub(crate) fn host<'a>(&'a self, bytes: &'a [u8]) -> Option<&'a str> {
        let authority = self.line.target.authority;
        if !authority.is_empty() {
            return Some(&self.line.text[authority.range()]);
        }
        let section = &bytes[self.line_bytes..];
        // Its grammar holds it to ASCII.
        str::from_utf8(self.fields.host?.of(section)).ok()
    }

    pub(crate) fn headers<'a>(&'a self, bytes: &'a [u8]) -> Headers<'a> {
        Headers::new(&bytes[self.line_bytes..], &self.fields.list)
    }

    /// How the end of the body is found.
    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// The client's wish for the connection.
    pub(crate) const fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Returns true if the client may wait for 100 before it sends its body. Returns false for
    /// HTTP/1.0, and for a request without a body (RFC 9110, 10.1.1).
    pub(crate) fn awaits_continue(&self) -> bool {
        self.fields.expectation == Expectation::Continue
            && self.line.version == Version::HTTP_11
            && self.framing != Framing::None
    }

    /// Returns true if an Upgrade field counts (RFC 9110, 7.8).
    pub(crate) fn allows_upgrade(&self) -> bool {
        self.fields.options.allows_upgrade(self.line.version)
    }
}

#[cfg(test)]
mod tests;
