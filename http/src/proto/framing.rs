//! The length of a body. No other module decides it.
//!
//! For a request, [`Announced`] collects the two fields that announce it, and [`Announced::decide`]
//! returns the verdict at the end of the head (RFC 9112, 6.3):
//!
//! | Content-Length | Transfer-Encoding | body |
//! |---|---|---|
//! | none | none | none |
//! | one, digits only | none | that many bytes, or 413 |
//! | repeated, even if equal | any | 400 |
//! | any | any | 400 |
//! | none | `chunked` | chunked |
//! | none | others, then `chunked` | 501 |
//! | none | anything else | 400 |
//!
//! Equal repeated lengths could be folded into one (RFC 9110, 8.6). They are refused: no client sends
//! two, so a proxy on the way added one. If the proxies fold them differently, a request can be
//! smuggled.
//!
//! For an answer that a client reads, `Announced::decide_content` decides by the same fields.
//!
//! For an answer that the server writes, [`AnswerFraming::of`] decides by method, version, status and the known length.
//!
//! **Always**: a request with two readings of its length is refused. **Never**: a request body that
//! ends with the connection.

use http::{Method, StatusCode, Version};

use crate::error::{InvalidAnswer, Refusal};
use crate::headers::white_space::members;

/// The body of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No content.
    #[default]
    None,
    /// That many bytes, at least one.
    Sized(u64),
    /// Chunks, until an empty one (RFC 9112, 7.1).
    Chunked,
}

/// The fields so far that announce a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Announced {
    length: Option<u64>,
    coding: Option<Coding>,
}

/// The members of all Transfer-Encoding fields so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    /// Fields without a member, or only with codings we do not know.
    NotYetChunked { others: bool },
    /// `chunked` and nothing else.
    Chunked,
    /// Others, then `chunked`.
    OthersThenChunked,
    /// Something after `chunked`.
    ChunkedNotLast,
}

impl Announced {
    /// Adds a Content-Length.
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let length = digits(value).ok_or(Refusal::ContentLength)?;
        // Equal values are refused as well: a proxy has added one of them, and another one may read the list
        // differently.
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(Refusal::ContentLengthRepeated),
        }
    }

    /// Adds a Transfer-Encoding.
    pub(super) fn transfer_encoding(&mut self, value: &[u8]) {
        let so_far = self
            .coding
            .unwrap_or(Coding::NotYetChunked { others: false });
        // Several fields are one list (RFC 9110, 5.3), so the state continues over fields.
        self.coding = Some(members(value).fold(so_far, Coding::and));
    }

    /// Returns the framing of the body, or the refusal.
    #[inline]
    pub(super) fn decide(
        self,
        method: &Method,
        version: Version,
        body_bytes_max: u64,
    ) -> Result<Framing, Refusal> {
        let framing = match (self.coding, self.length) {
            // A length of 0 is no body: then the connection needs no state of one (LOG 42).
            (None, None | Some(0)) => return Ok(Framing::None),
            (None, Some(length)) if length > body_bytes_max => return Err(Refusal::BodyTooLarge),
            (None, Some(length)) => Framing::Sized(length),
            // The version comes first: in HTTP/1.0 a coding is refused, no matter which one it is (RFC 9112, 6.1).
            (Some(_), _) if version == Version::HTTP_10 => {
                return Err(Refusal::CodingInOldVersion);
            }
            (Some(_), Some(_)) => return Err(Refusal::LengthAndCoding),
            (Some(Coding::Chunked), None) => Framing::Chunked,
            (Some(Coding::OthersThenChunked), None) => return Err(Refusal::CodingUnknown),
            (Some(Coding::NotYetChunked { .. } | Coding::ChunkedNotLast), None) => {
                return Err(Refusal::CodingNotChunked);
            }
        };
        // Bytes after CONNECT belong to the tunnel, and a body would make their start ambiguous (RFC 9110, 9.3.6).
        if *method == Method::CONNECT {
            return Err(Refusal::ConnectContent);
        }
        Ok(framing)
    }
}

/// The answers that a client reads (RFC 9112, 6.3).
impl Announced {
    /// Returns the announced Content-Length.
    #[cfg(feature = "client")]
    pub(super) const fn length(self) -> Option<u64> {
        self.length
    }

    /// Returns how the body of an answer to `method` ends, or the refusal.
    ///
    /// The RFC lets a client close after an answer whose fields contradict each other, or read it until the close.
    /// This refuses it, as the server refuses such a request.
    pub(super) fn decide_content(
        self,
        method: &Method,
        version: Version,
        status: StatusCode,
    ) -> Result<ContentFraming, Refusal> {
        // Before all fields, which a client must ignore in the answer that opens a tunnel (RFC 9110, 9.3.6).
        if *method == Method::CONNECT && status.is_success() {
            return Ok(ContentFraming::Tunnel);
        }
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(ContentFraming::Tunnel);
        }
        // The fields mean the same as in a request, but none of them means a body until the close.
        let framing = match self.decide(&Method::GET, version, u64::MAX)? {
            Framing::None if self.length.is_none() => ContentFraming::AtClose,
            Framing::None => ContentFraming::None,
            Framing::Sized(length) => ContentFraming::Sized(length),
            Framing::Chunked => ContentFraming::Chunked,
        };
        let has_none = *method == Method::HEAD
            || status.is_informational()
            || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        Ok(if has_none {
            ContentFraming::None
        } else {
            framing
        })
    }
}

impl Coding {
    fn and(self, member: &[u8]) -> Self {
        match (self, member.eq_ignore_ascii_case(b"chunked")) {
            (Self::NotYetChunked { others: false }, true) => Self::Chunked,
            (Self::NotYetChunked { others: true }, true) => Self::OthersThenChunked,
            (Self::NotYetChunked { .. }, false) => Self::NotYetChunked { others: true },
            _ => Self::ChunkedNotLast,
        }
    }
}

/// `1*DIGIT`, as far as a `u64` goes (RFC 9110, 8.6).
pub(crate) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u64, |sum, digit| {
        // `str::parse` would accept a plus sign, which another implementation may refuse or read as 0.
        let digit = digit.is_ascii_digit().then(|| digit - b'0')?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}

/// How a client finds the end of the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentFraming {
    /// No body: to HEAD, 1xx, 204, 304, and a length of 0.
    None,
    /// That many bytes, at least one.
    Sized(u64),
    /// Chunks, until an empty one.
    Chunked,
    /// The body ends with the connection.
    AtClose,
    /// The bytes behind the head belong to another protocol: 101, and success to CONNECT.
    Tunnel,
}

/// How the end of an answer is found, and whether it has a body at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerFraming {
    /// `content-length`, and that many bytes.
    Sized(u64),
    /// `transfer-encoding: chunked`, and chunks.
    Chunked,
    /// No length; the body ends with the connection, which cannot persist (RFC 9112, 6.3).
    UntilClose,
    /// `content-length: 0` and no body, also if the handler has one (205: RFC 9110, 15.3.6).
    Empty,
    /// No body. `content-length` is the one of a GET, if it is known: for HEAD and 304 (RFC 9110, 8.6).
    Withheld(Option<u64>),
    /// No body, and no field that announces one: 1xx, 204, and success to CONNECT (RFC 9112, 6.1).
    Bare,
}

impl AnswerFraming {
    /// Returns the framing of an answer whose body has `length` bytes. `None` is a length that is not known yet.
    ///
    /// An empty body in an answer to HEAD has no `content-length`. The handler may have left out the body
    /// because the method is HEAD, and then 0 would be wrong for GET.
    #[inline]
    pub(crate) fn of(
        method: &Method,
        version: Version,
        status: StatusCode,
        length: Option<u64>,
    ) -> Self {
        match status.as_u16() {
            // The usual answers take one comparison (LOG 20).
            200 | 400.. if !matches!(*method, Method::HEAD | Method::CONNECT) => {
                Self::with_body(version, length) // most answers
            }
            100..=199 | 204 => Self::Bare,
            200..=299 if *method == Method::CONNECT => Self::Bare,
            205 => Self::Empty,
            304 => Self::Withheld(None),
            _ if *method == Method::HEAD => Self::Withheld(length.filter(|length| *length > 0)),
            _ => Self::with_body(version, length),
        }
    }

    fn with_body(version: Version, length: Option<u64>) -> Self {
        match length {
            Some(length) => Self::Sized(length),
            // HTTP/1.0 has no chunks, so the body ends with the connection.
            None if version == Version::HTTP_10 => Self::UntilClose,
            None => Self::Chunked,
        }
    }

    /// Returns the framing with the handler's own Content-Length. It must equal the known length, or
    /// replaces an unknown one.
    pub(super) fn with_length(self, value: &[u8]) -> Result<Self, InvalidAnswer> {
        let said = digits(value).ok_or(InvalidAnswer::Length)?;
        match self {
            Self::Sized(length) if length == said => Ok(self),
            Self::Empty if said == 0 => Ok(self),
            Self::Chunked | Self::UntilClose => Ok(Self::Sized(said)),
            Self::Withheld(_) => Ok(Self::Withheld(Some(said))),
            Self::Sized(_) | Self::Empty | Self::Bare => Err(InvalidAnswer::Length),
        }
    }

    /// Returns true if the body itself is sent.
    pub(crate) const fn sends_body(self) -> bool {
        matches!(self, Self::Sized(_) | Self::Chunked | Self::UntilClose)
    }
}

#[cfg(test)]
mod tests {
    use AnswerFraming::{Bare, Chunked, Empty, Sized, UntilClose, Withheld};

    use super::*;

    fn check(method: &Method, status: u16, length: Option<u64>, expected: AnswerFraming) {
        let status = StatusCode::from_u16(status).unwrap_or_default();
        let framing = AnswerFraming::of(method, Version::HTTP_11, status, length);
        assert_eq!(framing, expected, "{method} {status} {length:?}");
    }

    #[test]
    fn an_answer_is_framed_by_what_is_known_of_it() {
        // RFC 9112, 6.1 to 6.3
        check(&Method::GET, 200, Some(5), Sized(5));
        check(&Method::GET, 200, Some(0), Sized(0));
        check(&Method::GET, 200, None, Chunked);
        check(&Method::GET, 404, Some(5), Sized(5));
        check(&Method::CONNECT, 405, Some(5), Sized(5));
        let old =
            |length| AnswerFraming::of(&Method::GET, Version::HTTP_10, StatusCode::OK, length);
        assert_eq!((old(Some(5)), old(None)), (Sized(5), UntilClose));
    }

    #[test]
    fn some_answers_never_have_a_body() {
        check(&Method::HEAD, 200, Some(5), Withheld(Some(5))); // RFC 9110, 9.3.2
        check(&Method::HEAD, 200, Some(0), Withheld(None)); // RFC 9110, 8.6
        check(&Method::HEAD, 404, None, Withheld(None));
        check(&Method::HEAD, 204, Some(5), Bare);
        check(&Method::GET, 304, Some(5), Withheld(None)); // RFC 9110, 15.4.5
        check(&Method::GET, 204, Some(5), Bare); // RFC 9110, 15.3.5
        check(&Method::GET, 204, None, Bare);
        check(&Method::GET, 101, None, Bare); // RFC 9110, 15.2
        check(&Method::GET, 103, Some(5), Bare);
        check(&Method::GET, 205, Some(5), Empty); // RFC 9110, 15.3.6
        check(&Method::CONNECT, 200, Some(5), Bare); // RFC 9110, 9.3.6
        for framing in [Withheld(Some(5)), Withheld(None), Bare, Empty] {
            assert!(!framing.sends_body());
        }
        for framing in [Sized(5), Chunked, UntilClose] {
            assert!(framing.sends_body());
        }
    }
}
