//! The head of an answer, written into the connection's buffer.
//!
//! ```text
//! HTTP/1.1 200 OK                     rendered beforehand
//! content-type: text/plain            the handler's, each validated
//! content-length: 11                  decided by framing
//! date: Sun, 06 Nov 1994 08:49:37 GMT handed in, unless the handler has its own
//! connection: close                   decided by keep_alive, the handler may ask for it
//! ```
//!
//! The fields of these that a handler may set:
//!
//! | field | |
//! |---|---|
//! | Date, Server | once; its own goes out instead of ours |
//! | Content-Length | what is so anyway; or, for a body of unknown length or none sent, what will be |
//! | Connection | `close`, `upgrade` |
//! | Upgrade | yes; Connection then names it by itself |
//! | Trailer | for a chunked body; dropped where the client cannot have one |
//! | Transfer-Encoding, Keep-Alive, Proxy-Connection | never |
//!
//! **Always**: all of a head or, after an error, not a byte of it. **Never**: a line end out
//! of a name or a value; two lengths; an allocation but for the buffer's growth.

use http::{Method, StatusCode};

use super::answer_cache::{AnswerCache, AnswerKey};
use super::fields::push_field;
use super::framing::AnswerFraming;
use super::keep_alive::Persistence;
use crate::error::InvalidAnswer;
use crate::headers::AnswerHeaders;
use crate::headers::white_space::members;

/// Tells the client to send its body (RFC 9110, 15.2.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The lines of every answer, unless its handler sets them: `server` (if the server has a name), `date`, and
/// the empty line. They are one piece, because most answers copy them as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnLines<'a> {
    pub(crate) lines: &'a [u8],
    /// The length of the server's line in `lines`.
    pub(crate) server_bytes: usize,
    /// The number of these lines. Other lines have another number.
    pub(crate) number: u64,
    /// Lines of this one answer, made by [`push_added`].
    pub(crate) added: &'a [u8],
}

impl<'a> OwnLines<'a> {
    fn server(self) -> &'a [u8] {
        &self.lines[..self.server_bytes]
    }

    fn date(self) -> &'a [u8] {
        &self.lines[self.server_bytes..self.lines.len() - EMPTY_LINE.len()]
    }
}

/// The end of a head.
pub(crate) const EMPTY_LINE: &[u8] = b"\r\n";

/// The decisions about an answer, which depend on the handler's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    /// As given, or with the length the handler announced.
    pub(crate) framing: AnswerFraming,
    /// As given, or `Close` because the handler or the framing wants it.
    pub(crate) persistence: Persistence,
}

/// Returns the key of a head in the cache, or `None` for a head that is not asked for often.
fn asked_for(status: StatusCode, decided: Decided, own: OwnLines<'_>) -> Option<AnswerKey> {
    let AnswerFraming::Sized(length) = decided.framing else {
        return None;
    };
    own.added.is_empty().then_some(AnswerKey {
        status,
        length,
        persistence: decided.persistence,
        own: own.number,
    })
}

/// Writes the head of an answer, and lets it be kept for the next one.
///
/// # Errors
///
/// If one of the handler's fields cannot be sent. Then no byte is written.
#[inline(never)]
pub(crate) fn push_head(
    out: &mut Vec<u8>,
    rendered: &mut AnswerCache,
    status: StatusCode,
    given: Decided,
    own: OwnLines<'_>,
    headers: &impl AnswerHeaders,
) -> Result<Decided, InvalidAnswer> {
    let start = out.len();
    push_status_line(out, status);
    let line_bytes = out.len() - start;
    if !own.added.is_empty() {
        push_added_beside(out, own.added, headers);
    }
    let mut head = Writer {
        out,
        start,
        decided: given,
        seen: Seen::default(),
        is_whole: false,
    };
    // An error leaves here, and the drop of the writer takes the begun head out of the buffer again.
    headers.try_for_each(|name, value| head.push(name, value))?;
    let (decided, seen) = head.finish_theirs();
    push_ours(out, decided, seen, own);
    // A head is kept only if the handler's fields changed no decision. Then the next answer with the same key and
    // fields has the same bytes (LOG 12).
    if (decided, seen) == (given, Seen::default())
        && let Some(asked) = asked_for(status, decided, own)
    {
        rendered.keep(&out[start..], line_bytes, asked, headers);
    }
    Ok(decided)
}

/// Writes the added lines, but for those in whose place a handler has a field of its own.
#[inline(never)]
fn push_added_beside(out: &mut Vec<u8>, added: &[u8], headers: &impl AnswerHeaders) {
    for line in added.split_inclusive(|byte| *byte == b'\n') {
        let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
        let has_one = || {
            let differs = |own: &[u8]| !own.eq_ignore_ascii_case(name);
            let look = |own: &[u8], _: &[u8]| differs(own).then_some(()).ok_or(());
            headers.try_for_each(look).is_err()
        };
        let is_once = |once: &&str| name.eq_ignore_ascii_case(once.as_bytes());
        if !ONCE.iter().any(is_once) || !has_one() {
            out.extend_from_slice(line);
        }
    }
}

/// Fields of which browsers take one value. Two lines of one name contradict each other.
const ONCE: &[&str] = &[
    "access-control-allow-credentials",
    "access-control-allow-origin",
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "permissions-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
];

/// Writes a whole answer of one line of text, after which the connection closes. `method` is
/// that of the request, as far as it is known: HEAD gets no text.
pub(crate) fn push_error(
    out: &mut Vec<u8>,
    status: StatusCode,
    text: &str,
    method: &Method,
    own: OwnLines<'_>,
) {
    push_status_line(out, status);
    out.extend_from_slice(b"content-type: text/plain; charset=utf-8\r\n");
    push_length(out, text.len() as u64 + 1);
    out.extend_from_slice(own.added);
    out.extend_from_slice(own.server());
    out.extend_from_slice(own.date());
    if let Some((name, value)) = retry_after(status) {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"connection: close\r\n\r\n");
    if *method != Method::HEAD {
        out.extend_from_slice(text.as_bytes());
        out.push(b'\n');
    }
}

/// Returns the field that tells the client when to try again (RFC 9110, 10.2.3).
pub(crate) fn retry_after(status: StatusCode) -> Option<(&'static str, &'static str)> {
    let is_for_now = matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
    );
    is_for_now.then_some(("retry-after", "1"))
}

/// Writes a field line for an answer that is yet to be made.
///
/// # Errors
///
/// If it is one that the server looks at, of which the answer's maker has the say; or none at all.
pub(crate) fn push_added(
    out: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
) -> Result<(), InvalidAnswer> {
    // The writer decides about these fields once for each answer. A line that is added before would repeat them.
    let is_decided = |decided: &&str| name.eq_ignore_ascii_case(decided.as_bytes());
    if DECIDED.iter().any(is_decided) {
        return Err(InvalidAnswer::Repeated);
    }
    push_field(out, name, value)
}

/// Removes the added lines for which `is_removed` returns true.
pub(crate) fn remove_added(lines: &mut Vec<u8>, is_removed: impl Fn(&[u8]) -> bool) {
    let all = lines.split_inclusive(|byte| *byte == b'\n');
    *lines = all
        .filter(|line| !is_removed(line))
        .collect::<Vec<_>>()
        .concat();
}

/// The fields in the table above.
const DECIDED: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "server",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Which of the fields that are looked at a handler has given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen(u8);

impl Seen {
    const DATE: u8 = 1;
    const SERVER: u8 = 1 << 1;
    const LENGTH: u8 = 1 << 2;
    const UPGRADE: u8 = 1 << 3;

    const fn has(self, field: u8) -> bool {
        self.0 & field != 0
    }

    fn once(&mut self, field: u8) -> Result<(), InvalidAnswer> {
        if self.has(field) {
            return Err(InvalidAnswer::Repeated);
        }
        self.0 |= field;
        Ok(())
    }
}

/// A head that is being written. If this drops before the head is whole, it removes the bytes of the head. So no
/// part of a head stays if the handler's fields cannot be sent, or panic.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// The position at which the head begins.
    start: usize,
    decided: Decided,
    seen: Seen,
    is_whole: bool,
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        if !self.is_whole {
            self.out.truncate(self.start);
        }
    }
}

impl Writer<'_> {
    /// Adds one of the handler's fields.
    #[inline]
    fn push(&mut self, name: &[u8], value: &[u8]) -> Result<(), InvalidAnswer> {
        // The length goes first: most names differ in it, and then no byte is compared.
        let is = |lower: &[u8]| name.eq_ignore_ascii_case(lower);
        match name.len() {
            4 if is(b"date") => self.seen.once(Seen::DATE)?,
            6 if is(b"server") => self.seen.once(Seen::SERVER)?,
            7 if is(b"upgrade") => self.seen.0 |= Seen::UPGRADE,
            7 if is(b"trailer") => match self.decided.framing {
                AnswerFraming::Chunked => {}
                // The client cannot receive trailers, so the field that announces them is dropped.
                AnswerFraming::UntilClose | AnswerFraming::Withheld(_) => return Ok(()),
                _ => return Err(InvalidAnswer::Trailer),
            },
            10 if is(b"connection") => return self.connection(value),
            14 if is(b"content-length") => return self.length(value),
            17 if is(b"transfer-encoding") => return Err(InvalidAnswer::Coding),
            10 if is(b"keep-alive") => return Err(InvalidAnswer::Connection),
            16 if is(b"proxy-connection") => return Err(InvalidAnswer::Connection),
            _ => {}
        }
        push_field(self.out, name, value)
    }

    fn length(&mut self, value: &[u8]) -> Result<(), InvalidAnswer> {
        // The line itself is written with the framing, so that the head has one length and no contradiction.
        self.seen.once(Seen::LENGTH)?;
        self.decided.framing = self.decided.framing.with_length(value)?;
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) -> Result<(), InvalidAnswer> {
        for member in members(value) {
            // The members are not copied: one line at the end of the head has all of them, with ours.
            if member.eq_ignore_ascii_case(b"close") {
                self.decided.persistence = Persistence::Close;
            } else if member.eq_ignore_ascii_case(b"upgrade") {
                self.seen.0 |= Seen::UPGRADE;
            } else {
                return Err(InvalidAnswer::Connection);
            }
        }
        Ok(())
    }

    /// Adds how the body is framed: the last that depends on the handler.
    #[inline]
    fn finish_theirs(mut self) -> (Decided, Seen) {
        // Such a body ends with the connection, so no other answer may follow it (RFC 9112, 6.3).
        if self.decided.framing == AnswerFraming::UntilClose {
            self.decided.persistence = Persistence::Close;
        }
        push_framing(self.out, self.decided.framing);
        self.is_whole = true;
        (self.decided, self.seen)
    }
}

/// Adds what is ours and has not been said, and the empty line.
#[inline]
fn push_ours(out: &mut Vec<u8>, decided: Decided, seen: Seen, own: OwnLines<'_>) {
    // Server, date and the empty line are one piece in the usual case: one copy instead of three (LOG 2).
    if (decided.persistence, seen) == (Persistence::Persist, Seen::default()) {
        out.extend_from_slice(own.lines); // mostly so: in one piece
        return;
    }
    if !seen.has(Seen::SERVER) {
        out.extend_from_slice(own.server());
    }
    if !seen.has(Seen::DATE) {
        out.extend_from_slice(own.date());
    }
    out.extend_from_slice(last_lines(decided.persistence, seen.has(Seen::UPGRADE)));
}

/// The Connection line, if there is one, and the empty line.
fn last_lines(persistence: Persistence, upgrades: bool) -> &'static [u8] {
    match (persistence, upgrades) {
        (Persistence::Persist, false) => b"\r\n",
        (Persistence::Persist, true) => b"connection: upgrade\r\n\r\n",
        (Persistence::PersistConfirmed, false) => b"connection: keep-alive\r\n\r\n",
        (Persistence::PersistConfirmed, true) => b"connection: keep-alive, upgrade\r\n\r\n",
        (Persistence::Close, false) => b"connection: close\r\n\r\n",
        (Persistence::Close, true) => b"connection: close, upgrade\r\n\r\n",
    }
}

#[inline]
fn push_framing(out: &mut Vec<u8>, framing: AnswerFraming) {
    match framing {
        AnswerFraming::Sized(length) | AnswerFraming::Withheld(Some(length)) => {
            push_length(out, length);
        }
        AnswerFraming::Empty => push_length(out, 0),
        AnswerFraming::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        AnswerFraming::UntilClose | AnswerFraming::Withheld(None) | AnswerFraming::Bare => {}
    }
}

#[inline]
fn push_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[inline]
fn push_status_line(out: &mut Vec<u8>, status: StatusCode) {
    // A ready line is one copy. The formatter of a rare one is out of line (LOG 20).
    match ready_status_line(status) {
        [] => push_rare_status_line(out, status),
        line => out.extend_from_slice(line),
    }
}

/// The status lines most answers have, and those whose reason phrase has changed since they
/// were first registered (RFC 9110, 15).
#[inline]
fn ready_status_line(status: StatusCode) -> &'static [u8] {
    match status.as_u16() {
        200 => b"HTTP/1.1 200 OK\r\n",
        201 => b"HTTP/1.1 201 Created\r\n",
        204 => b"HTTP/1.1 204 No Content\r\n",
        206 => b"HTTP/1.1 206 Partial Content\r\n",
        301 => b"HTTP/1.1 301 Moved Permanently\r\n",
        302 => b"HTTP/1.1 302 Found\r\n",
        303 => b"HTTP/1.1 303 See Other\r\n",
        304 => b"HTTP/1.1 304 Not Modified\r\n",
        400 => b"HTTP/1.1 400 Bad Request\r\n",
        404 => b"HTTP/1.1 404 Not Found\r\n",
        413 => b"HTTP/1.1 413 Content Too Large\r\n",
        422 => b"HTTP/1.1 422 Unprocessable Content\r\n",
        500 => b"HTTP/1.1 500 Internal Server Error\r\n",
        _ => b"",
    }
}

/// The space behind the status stays where there is no reason phrase (RFC 9112, 4).
#[cold]
fn push_rare_status_line(out: &mut Vec<u8>, status: StatusCode) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
