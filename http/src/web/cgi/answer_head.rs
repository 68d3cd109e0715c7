//! The fields that a program writes before its body (RFC 3875, 6).

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::headers::white_space::{trim, trim_start};
use crate::proto::framing::digits;
use crate::web::gateway::{remove_hop_by_hop, remove_needless_length};

/// The status and the fields of an answer.
#[derive(Debug, PartialEq)]
pub(super) struct CgiHead {
    pub(super) status: StatusCode,
    pub(super) fields: HeaderMap,
}

/// The largest head, with its empty line.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Parses the head at the start of the output. Returns it with its length, or `None` if it is not whole yet.
///
/// # Errors
///
/// A text for the log if the head is malformed.
pub(super) fn parse(output: &[u8]) -> Result<Option<(CgiHead, usize)>, &'static str> {
    let mut head = CgiFields::default();
    let mut at = 0;
    let is_whole = loop {
        let rest = &output[at..];
        let Some(end) = rest
            .iter()
            .take(HEAD_BYTES_MAX)
            .position(|byte| *byte == b'\n')
        else {
            break false;
        };
        at += end + 1;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        if line.is_empty() {
            break true;
        }
        head.add(line)?;
    };
    if at > HEAD_BYTES_MAX || (!is_whole && output.len() > HEAD_BYTES_MAX) {
        return Err("the fields of the program exceed 32 KiB");
    }
    if !is_whole {
        return Ok(None);
    }
    Ok(Some((head.finish()?, at)))
}

/// The fields so far.
#[derive(Default)]
struct CgiFields {
    status: Option<StatusCode>,
    fields: HeaderMap,
}

impl CgiFields {
    fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            // Also the status line of a program that writes a whole answer of HTTP ("nph").
            return Err("a line of the program's fields has no colon");
        };
        let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
        let name =
            HeaderName::from_bytes(name).map_err(|_| "the program's field has no valid name")?;
        let field =
            HeaderValue::from_bytes(value).map_err(|_| "the program's field has a control byte")?;
        if name == "status" {
            let status = status(value).ok_or("the program's status is malformed")?;
            if self.status.replace(status).is_some() {
                return Err("the program has two statuses");
            }
            return Ok(());
        }
        let is_single = [CONTENT_TYPE, LOCATION, CONTENT_LENGTH].contains(&name);
        if is_single && self.fields.contains_key(&name) {
            return Err("the program has a field twice");
        }
        if name == TRANSFER_ENCODING {
            return Err("the program decides about transfer-encoding");
        }
        if name == LOCATION && value.is_empty() {
            return Err("the program's location is empty");
        }
        if name == CONTENT_LENGTH && digits(value).is_none() {
            return Err("the program's content-length is malformed");
        }
        self.fields.append(name, field);
        Ok(())
    }

    fn finish(mut self) -> Result<CgiHead, &'static str> {
        let has_location = self.fields.contains_key(LOCATION);
        let status = match self.status {
            Some(status) => status,
            None if has_location => StatusCode::FOUND,
            None if self.fields.contains_key(CONTENT_TYPE) => StatusCode::OK,
            None => return Err("the program has no content-type, status or location"),
        };
        remove_hop_by_hop(&mut self.fields);
        remove_needless_length(status, &mut self.fields);
        let fields = self.fields;
        Ok(CgiHead { status, fields })
    }
}

/// Returns the status of `404 Not Found`, or `None` if it is malformed or not final.
fn status(value: &[u8]) -> Option<StatusCode> {
    let (digits, phrase) = value.split_at_checked(3)?;
    if !phrase.is_empty() && trim_start(phrase).len() == phrase.len() {
        return None;
    }
    let status = StatusCode::from_bytes(digits).ok()?;
    (!status.is_informational()).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: Result<(u16, &str, &str), &str>) {
        let parsed = parse(output.as_bytes()).map(|head| {
            let (head, length) = head.expect("it is whole");
            let fields = head.fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{name}: {}", value.as_bytes().escape_ascii()))
                .collect();
            (
                head.status.as_u16(),
                fields.join("|"),
                output[length..].to_owned(),
            )
        });
        let parsed = parsed
            .as_ref()
            .map(|(status, fields, rest)| (*status, &**fields, &**rest));
        assert_eq!(parsed.map_err(|text| *text), expected, "{output:?}");
    }

    #[test]
    fn each_form_of_an_answer_has_its_status() {
        // RFC 3875, 6.2
        check(
            "Content-Type: text/plain\n\nhi",
            Ok((200, "content-type: text/plain", "hi")),
        );
        check(
            "Content-Type: text/plain\r\n\r\n\n",
            Ok((200, "content-type: text/plain", "\n")),
        );
        check("Status: 404 Not Found\n\n", Ok((404, "", "")));
        check("status:404\n\n", Ok((404, "", "")));
        // RFC 9110, 15.3.5 and 15.3.6: a status without a body has no length.
        check("Status: 204\nContent-Length: 0\n\n", Ok((204, "", "")));
        check(
            "Status: 205\nContent-Length: 3\n\nrye",
            Ok((205, "", "rye")),
        );
        check(
            "Status: 599\tOdd\nX-A: 1\nX-A: 2\n\n",
            Ok((599, "x-a: 1|x-a: 2", "")),
        );
        check("Location: /there\n\n", Ok((302, "location: /there", "")));
        check(
            "Location: http://a/\n\n",
            Ok((302, "location: http://a/", "")),
        );
        check(
            "Status: 301\nLocation: http://a/\nContent-Type: a/b\n\nx",
            Ok((301, "location: http://a/|content-type: a/b", "x")),
        );
        // RFC 9110, 7.6.1
        check(
            "Content-Type: a/b\nConnection: x-gone, close\nX-Gone: 1\nKeep-Alive: 5\nUpgrade: h2c\n\n",
            Ok((200, "content-type: a/b", "")),
        );
    }

    #[test]
    fn a_malformed_head_is_an_error() {
        for (output, text) in [
            ("\n", "the program has no content-type, status or location"),
            (
                "X-A: 1\n\n",
                "the program has no content-type, status or location",
            ),
            (
                "HTTP/1.1 200 OK\nA: b\n\n",
                "a line of the program's fields has no colon",
            ),
            ("hello\n", "a line of the program's fields has no colon"),
            (
                "Content-Type : a/b\n\n",
                "the program's field has no valid name",
            ),
            (
                " Content-Type: a/b\n\n",
                "the program's field has no valid name",
            ),
            (
                "Content-Type: a/b\n folded: c\n\n",
                "the program's field has no valid name",
            ),
            (": a\n\n", "the program's field has no valid name"),
            ("X: a\rb\n\n", "the program's field has a control byte"),
            ("X: a\0b\n\n", "the program's field has a control byte"),
            ("Status: 20\n\n", "the program's status is malformed"),
            ("Status: 2000\n\n", "the program's status is malformed"),
            ("Status: 200OK\n\n", "the program's status is malformed"),
            ("Status: OK\n\n", "the program's status is malformed"),
            ("Status:\n\n", "the program's status is malformed"),
            (
                "Status: 100 Continue\n\n",
                "the program's status is malformed",
            ),
            ("Status: 101\n\n", "the program's status is malformed"),
            (
                "Status: 200\nStatus: 200\n\n",
                "the program has two statuses",
            ),
            (
                "Content-Type: a/b\nContent-Type: a/b\n\n",
                "the program has a field twice",
            ),
            (
                "Location: /\nlocation: /\n\n",
                "the program has a field twice",
            ),
            (
                "Content-Length: 1\nContent-Length: 1\n\n",
                "the program has a field twice",
            ),
            (
                "Content-Length: +1\n\n",
                "the program's content-length is malformed",
            ),
            (
                "Content-Length:\n\n",
                "the program's content-length is malformed",
            ),
            ("Location:\n\n", "the program's location is empty"),
            (
                "Transfer-Encoding: chunked\n\n",
                "the program decides about transfer-encoding",
            ),
        ] {
            check(output, Err(text));
        }
    }

    #[test]
    fn a_head_is_whole_with_its_empty_line_and_has_a_limit() {
        for begun in [
            "",
            "Content",
            "Content-Type: a/b",
            "Content-Type: a/b\n",
            "Content-Type: a/b\n\r",
        ] {
            assert_eq!(parse(begun.as_bytes()), Ok(None), "{begun:?}");
        }
        let line = "x-a: 1\n".repeat(HEAD_BYTES_MAX / 7);
        let long = format!("{}{line}", " ".repeat(0));
        assert_eq!(parse(long.as_bytes()).map(|_| ()), Ok(()));
        assert!(parse(format!("{long}{line}").as_bytes()).is_err());
        let endless = "x".repeat(HEAD_BYTES_MAX + 1);
        assert!(parse(endless.as_bytes()).is_err());
    }
}
