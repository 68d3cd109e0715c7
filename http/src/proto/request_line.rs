//! The request line: `method SP target SP version CR LF` (RFC 9112, 3).
//!
//! It has four parts, each a run of one class of bytes. Between two calls the reader keeps the present
//! part and the position in it.
//!
//! ```text
//! CR LF (a few) ─► Method ──SP──► Path ──'?'──► Query ──SP──► Version ─► the fields
//!                                  └──────────────────SP────────┘
//! ```
//!
//! **Always**: one space between the parts. The form of a target is judged when the version is known,
//! so that a request of another HTTP gets 505 and not 400. **Never**: a request line without a version.

use std::mem;

use http::{Method, Version};

use super::fields::line_end;
use super::scan::{Class, Path, Query, Step, Stop, Token, misplaced};
use super::target::{Target, judge};
use crate::error::Refusal;
use crate::limits::{Limits, METHOD_BYTES_MAX};

/// The content of a request line.
#[derive(Debug)]
pub(crate) struct RequestLine {
    pub(crate) method: Method,
    /// The target as received. Its grammar allows ASCII only.
    pub(crate) text: String,
    pub(crate) target: Target,
    /// 1.0 or 1.1; any later 1.x is read as 1.1 (RFC 9110, 2.5).
    pub(crate) version: Version,
}

impl Default for RequestLine {
    fn default() -> Self {
        Self {
            method: Method::GET,
            text: String::new(),
            target: Target::default(),
            version: Version::HTTP_11,
        }
    }
}

impl RequestLine {
    /// Makes room for the next one, in the memory of this one.
    pub(super) fn clear(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        *self = Self {
            text,
            ..Self::default()
        };
    }
}

/// The position in a request line that is being read.
#[derive(Debug, Default)]
pub(super) struct LineReader {
    part: Part,
    /// The first byte of the method or of the target.
    start: usize,
    position: usize,
    /// The end of the target up to its `?`, and of all of it: known one after the other.
    path_end: usize,
    target_end: usize,
    empty_lines: u8,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Method,
    Path,
    Query,
    Version,
}

impl LineReader {
    /// Returns true if no byte has been read yet.
    pub(super) const fn is_fresh(&self) -> bool {
        self.position == 0
    }

    /// Reads on in `bytes`, which begin with all bytes of earlier calls. Returns the position behind the
    /// line. Sets the method as soon as it is known.
    #[inline]
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        line: &mut RequestLine,
    ) -> Step<usize> {
        if self.part == Part::Method {
            self.skip_empty_lines(bytes, limits.empty_lines_max)?;
            line.method = self.method(bytes)?;
        }
        if self.part == Part::Path {
            self.path(bytes, limits.target_bytes_max)?;
        }
        if self.part == Part::Query {
            self.query(bytes, limits.target_bytes_max)?;
        }
        // The target is judged when the line is whole. So the refusal is the same in however many pieces it came.
        line.version = version(bytes, self.position)?;
        let target = &bytes[self.start..self.target_end];
        line.target = judge(target, &line.method, self.path_end - self.start)?;
        line.text = text(target, &mut line.text);
        Ok(self.position + VERSION_BYTES)
    }

    #[inline]
    fn skip_empty_lines(&mut self, bytes: &[u8], empty_lines_max: u8) -> Step<()> {
        // Some clients send a line end after a body. A server should ignore a few of them (RFC 9112, 2.2).
        while self.position == self.start && bytes.get(self.start) == Some(&b'\r') {
            if self.empty_lines == empty_lines_max {
                return Err(Refusal::EmptyLines.into());
            }
            self.start = line_end(bytes, self.start)?;
            self.position = self.start;
            self.empty_lines += 1;
        }
        Ok(())
    }

    #[inline]
    fn method(&mut self, bytes: &[u8]) -> Step<Method> {
        // Most requests are GET, and one comparison of a word finds it (LOG 2).
        if let Some([b'G', b'E', b'T', b' ', ..]) = bytes.get(self.start..) {
            self.position = self.start + 3;
            self.begin(Part::Path);
            return Ok(Method::GET);
        }
        self.any_method(bytes)
    }

    fn any_method(&mut self, bytes: &[u8]) -> Step<Method> {
        self.position = Token::run_end(bytes, self.position);
        // Checked before the end of the method arrives, so that its bytes have a limit while they come.
        if self.position - self.start > METHOD_BYTES_MAX {
            return Err(Refusal::MethodTooLong.into());
        }
        let method = &bytes[self.start..self.position];
        match bytes.get(self.position) {
            None => return Err(Stop::Incomplete),
            Some(b' ') if !method.is_empty() => self.begin(Part::Path),
            // The first byte of a handshake (RFC 8446, 5.1).
            Some(22) if self.position == 0 => return Err(Refusal::Tls.into()),
            Some(byte) => return Err(misplaced(*byte, Refusal::Method).into()),
        }
        Method::from_bytes(method).map_err(|_| Refusal::Method.into())
    }

    #[inline]
    fn path(&mut self, bytes: &[u8], target_bytes_max: u16) -> Step<()> {
        let found = self.run::<Path>(bytes, target_bytes_max)?;
        self.path_end = self.position;
        // The first question mark ends the path. Each later one belongs to the query (RFC 3986, 3.4).
        if found == b'?' {
            self.position += 1;
            self.part = Part::Query;
            return Ok(());
        }
        self.target_ends(found)
    }

    #[inline]
    fn query(&mut self, bytes: &[u8], target_bytes_max: u16) -> Step<()> {
        let found = self.run::<Query>(bytes, target_bytes_max)?;
        self.target_ends(found)
    }

    /// Reads over bytes of the class, and returns the first byte outside it.
    #[inline]
    fn run<C: Class>(&mut self, bytes: &[u8], target_bytes_max: u16) -> Step<u8> {
        self.position = C::run_end(bytes, self.position);
        if self.position - self.start > usize::from(target_bytes_max) {
            return Err(Refusal::TargetTooLong.into());
        }
        bytes.get(self.position).copied().ok_or(Stop::Incomplete)
    }

    #[inline]
    fn target_ends(&mut self, found: u8) -> Step<()> {
        if found != b' ' || self.position == self.start {
            return Err(misplaced(found, Refusal::Target).into());
        }
        self.target_end = self.position;
        self.part = Part::Version;
        self.position += 1;
        Ok(())
    }

    #[inline]
    fn begin(&mut self, part: Part) {
        self.part = part;
        self.position += 1;
        self.start = self.position;
    }
}

/// Returns `target`, which its grammar holds to ASCII, as text in the memory of another text. That
/// memory is aligned to a word, so the check for UTF-8 goes by words.
fn text(target: &[u8], room: &mut String) -> String {
    let mut bytes = mem::take(room).into_bytes();
    bytes.clear();
    bytes.extend_from_slice(target);
    String::from_utf8(bytes).unwrap_or_default()
}

/// The length of `HTTP/1.1` and its line end.
const VERSION_BYTES: usize = 10;

/// Returns the version that begins at `start` (RFC 9112, 2.3).
#[inline]
fn version(bytes: &[u8], start: usize) -> Step<Version> {
    match bytes.get(start..).and_then(<[u8]>::first_chunk) {
        Some(b"HTTP/1.1\r\n") => Ok(Version::HTTP_11),
        _ => rare_version(bytes.get(start..).unwrap_or_default()),
    }
}

/// Any other version, or the beginning of one, byte by byte.
#[cold]
fn rare_version(rest: &[u8]) -> Step<Version> {
    for (index, byte) in rest.iter().take(VERSION_BYTES).enumerate() {
        let fits = match index {
            5 | 7 => byte.is_ascii_digit(),
            _ => *byte == b"HTTP/ . \r\n"[index],
        };
        if !fits {
            return Err(misfit(index, *byte));
        }
    }
    match rest {
        [_, _, _, _, _, b'1', _, b'0', _, _, ..] => Ok(Version::HTTP_10),
        [_, _, _, _, _, b'1', _, _, _, _, ..] => Ok(Version::HTTP_11),
        [_, _, _, _, _, _, _, _, _, _, ..] => Err(Refusal::VersionUnsupported.into()),
        _ => Err(Stop::Incomplete),
    }
}

fn misfit(index: usize, byte: u8) -> Stop {
    match index {
        9 => Refusal::BareCarriageReturn.into(),
        _ => misplaced(byte, Refusal::Version).into(),
    }
}
