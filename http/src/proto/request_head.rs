//! The head of a request, as a client writes it.
//!
//! [`RequestFields`] takes the fields of the application, and judges each when it is added. [`push_head`] writes the
//! whole head. The fields about the framing and the connection are ours:
//!
//! | field | |
//! |---|---|
//! | Host | the authority of the URI, unless the application has its own |
//! | Content-Type | that of the kind of body, such as JSON, unless the application has its own |
//! | Content-Length | ours; an equal one of the application passes |
//! | Connection | `close`, `te`, `upgrade` |
//! | Trailer, TE, Upgrade | as the application has them |
//! | Transfer-Encoding, Keep-Alive, Proxy-Connection, Expect | never |
//!
//! **Never**: a line end out of a name or a value; two lengths.

use http::Method;

use super::fields::push_field;
use super::scan::{Class, Path, Query};
use crate::error::InvalidAnswer;
use crate::headers::Headers;
use crate::headers::white_space::members;

/// The fields of the application, as they are sent. It has no `Debug`, because credentials are among them.
#[derive(Clone, Default)]
pub(crate) struct RequestFields {
    lines: Vec<u8>,
    has_host: bool,
    has_content_type: bool,
    /// The application's own Content-Length.
    length: Option<u64>,
    /// The members of Connection.
    options: Vec<&'static str>,
}

/// The body of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFraming {
    /// No body.
    None,
    /// That many bytes.
    Sized(u64),
    /// Chunks.
    Chunked,
}

/// The rest of a head.
pub(crate) struct RequestStart<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: &'a str,
    /// The value of Host, unless the fields have one.
    pub(crate) host: &'a str,
    /// The value of Content-Type, unless the fields have one.
    pub(crate) content_type: Option<&'static str>,
    pub(crate) framing: RequestFraming,
    pub(crate) expects_continue: bool,
}

impl RequestFields {
    /// Adds a field.
    ///
    /// # Errors
    ///
    /// The text says why it may not be sent. Then it is not added.
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        // Each name is compared with few words: a program has some ten fields, and most differ in the length.
        match name.to_ascii_lowercase().as_slice() {
            b"host" if self.has_host => return Err("a request has one Host"),
            b"content-length" => {
                let length =
                    super::framing::digits(value).ok_or("Content-Length is not a number")?;
                return match self.length.replace(length) {
                    None => Ok(()),
                    Some(_) => Err("a request has one Content-Length"),
                };
            }
            b"connection" => {
                for member in members(value) {
                    match member.to_ascii_lowercase().as_slice() {
                        b"close" => self.announce("close"),
                        // Sent if there is such a field, which needs it (RFC 9110, 7.8 and 10.1.4).
                        b"te" | b"upgrade" => {}
                        _ => return Err("a request sets only close, te and upgrade of Connection"),
                    }
                }
                return Ok(());
            }
            b"transfer-encoding" => return Err("the client decides about Transfer-Encoding"),
            b"keep-alive" | b"proxy-connection" => {
                return Err("the client decides about the connection");
            }
            b"expect" => return Err("an expectation is set by `expect_continue`"),
            b"host" => self.has_host = true,
            b"content-type" => self.has_content_type = true,
            b"te" => self.announce("te"),
            b"upgrade" => self.announce("upgrade"),
            _ => {}
        }
        push_field(&mut self.lines, name, value).map_err(|fault| match fault {
            InvalidAnswer::Name => "a header name is not a token",
            _ => "a header value has a control byte",
        })
    }

    /// Sets a field that a head has once. A field of that name that is there already is removed. `name` is in lower
    /// case.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push). Then the head has no such field.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), &'static str> {
        let length = self.length;
        self.retain(|known| known != name);
        // The place and the body stay as they are.
        self.length = length;
        self.push(name.as_bytes(), value)
    }

    /// Adds a member of Connection, once.
    fn announce(&mut self, option: &'static str) {
        if !self.options.contains(&option) {
            self.options.push(option);
        }
    }

    /// Returns true if the application wants no other request on this connection.
    pub(crate) fn is_last(&self) -> bool {
        self.options.contains(&"close")
    }

    /// Returns true if an answer changes to protocols that this request offers, and to at least one.
    pub(crate) fn offer(&self, answer: Headers<'_>) -> bool {
        const NAME: &[u8] = b"upgrade:";
        let lines = self.lines.split(|byte| matches!(byte, b'\r' | b'\n'));
        let lines = lines.filter_map(|line| line.split_at_checked(NAME.len()));
        let offered: Vec<_> = lines
            .filter(|(name, _)| name.eq_ignore_ascii_case(NAME))
            .flat_map(|(_, value)| members(value))
            .collect();
        let is_offered =
            |chosen: &[u8]| offered.iter().any(|name| name.eq_ignore_ascii_case(chosen));
        let mut chosen = answer.members("upgrade").peekable();
        chosen.peek().is_some() && chosen.all(is_offered)
    }

    /// Returns the application's own Content-Length.
    pub(crate) const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Removes fields, for a request to another place.
    pub(crate) fn retain(&mut self, keeps: impl Fn(&str) -> bool) {
        let mut kept = Vec::with_capacity(self.lines.len());
        for line in self.lines.split_inclusive(|byte| *byte == b'\n') {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            if keeps(&name) {
                kept.extend_from_slice(line);
                continue;
            }
            match &*name {
                "host" => self.has_host = false,
                "content-type" => self.has_content_type = false,
                _ => {}
            }
        }
        self.lines = kept;
        self.length = None;
    }
}

/// Writes a whole head.
pub(crate) fn push_head(out: &mut Vec<u8>, start: &RequestStart<'_>, fields: &RequestFields) {
    for part in [start.method.as_str(), " ", start.target, " HTTP/1.1\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    if !fields.has_host {
        out.extend_from_slice(b"host: ");
        out.extend_from_slice(start.host.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(&fields.lines);
    if let Some(media) = start.content_type.filter(|_| !fields.has_content_type) {
        for part in ["content-type: ", media, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    match start.framing {
        RequestFraming::None => {}
        RequestFraming::Sized(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        RequestFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if start.expects_continue {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    if !fields.options.is_empty() {
        out.extend_from_slice(b"connection: ");
        out.extend_from_slice(fields.options.join(", ").as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Returns a reference to a place with its forbidden bytes percent-encoded. Many servers send a Location with the letters
/// of its language in UTF-8, or with a space.
pub(crate) fn escaped_target(place: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let query = place.iter().position(|byte| *byte == b'?');
    let query = query.unwrap_or(place.len());
    let mut escaped = String::with_capacity(place.len());
    for (at, byte) in place.iter().enumerate() {
        let fits = if at < query {
            Path::has(*byte)
        } else {
            Query::has(*byte)
        };
        if fits {
            escaped.push(char::from(*byte));
        } else {
            let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
            escaped.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    escaped
}

/// Returns true if `target` may stand in a request line: no space, no control byte, no fragment, only ASCII.
pub(crate) fn is_target(target: &str) -> bool {
    let bytes = target.as_bytes();
    let path_end = Path::run_end(bytes, 0);
    !bytes.is_empty()
        && match bytes.get(path_end) {
            None => true,
            Some(b'?') => Query::has_all(&bytes[path_end + 1..]),
            Some(_) => false,
        }
}
