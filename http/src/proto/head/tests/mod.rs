//! Heads, and the nearest bytes that are not one, row by row.
//!
//! [`read`] parses each row as a whole, byte by byte, and split at each position. All results
//! are the same.

use super::*;

mod any_bytes;
mod fields;
mod framing;
mod limits;
mod request_line;
mod reuse;
mod target;
mod wishes;

/// The rule of a row, its bytes, and the expected result.
type Row<'a> = (&'a str, &'a [u8], Result<&'a str, Refusal>);

/// Formats the parts of a head that a test compares.
type Describe = fn(&Head, &[u8]) -> String;

const WAITING: Result<&str, Refusal> = Ok("incomplete");

fn check(rows: &[Row<'_>], describe: Describe) {
    check_within(&Limits::DEFAULT, rows, describe);
}

fn check_within(limits: &Limits, rows: &[Row<'_>], describe: Describe) {
    for (rule, bytes, expected) in rows {
        let shown = String::from_utf8_lossy(bytes);
        let shown = &shown[..shown.len().min(200)];
        let whole = read(bytes, &[], limits, describe);
        assert_eq!(
            whole.as_deref(),
            expected.as_ref().map(|text| *text),
            "{rule}: {shown:?}"
        );
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(
            read(bytes, &every, limits, describe),
            whole,
            "{rule}, dribbled: {shown:?}"
        );
        for split in splits(bytes) {
            let parts = read(bytes, &[split], limits, describe);
            assert_eq!(parts, whole, "{rule}, split at {split}: {shown:?}");
        }
    }
}

/// The positions at which a head is split: each one. Of a long head, each one near the ends of its lines, and some
/// within the lines.
///
/// A split costs a debug build 0.1 µs for each byte of the head. Within a line, all splits are alike but for the
/// sixteen bytes that `scan` compares at once.
fn splits(bytes: &[u8]) -> Vec<usize> {
    const LONG: usize = 1000;
    const NEAR: usize = 17;
    if bytes.len() < LONG {
        return (0..bytes.len()).collect();
    }
    let mut near: Vec<_> = (0..bytes.len())
        .filter(|at| {
            let around = &bytes[at.saturating_sub(NEAR)..bytes.len().min(at + NEAR)];
            around.contains(&b'\n') || *at < NEAR || bytes.len() - at <= NEAR
        })
        .collect();
    // An odd step, so that the splits have all places within sixteen bytes.
    near.extend((0..bytes.len()).step_by(bytes.len() / 16 | 1));
    near
}

/// Parses the first bytes up to each of `stops`, then all of them.
fn read(
    bytes: &[u8],
    stops: &[usize],
    limits: &Limits,
    describe: Describe,
) -> Result<String, Refusal> {
    let (mut parser, mut head) = (HeadParser::default(), Head::default());
    for end in stops.iter().copied().chain([bytes.len()]) {
        if let Parsed::Complete(length) = parser.parse(&bytes[..end], &mut head, limits)? {
            assert!(length <= end && bytes[..length].ends_with(b"\r\n\r\n"));
            return Ok(describe(&head, &bytes[..length]));
        }
    }
    Ok("incomplete".to_owned())
}

/// Rows of field lines only, put behind `GET / HTTP/1.1` and before the empty line.
fn check_fields(rows: &[Row<'_>], describe: Describe) {
    for (rule, fields, expected) in rows {
        let bytes = [b"GET / HTTP/1.1\r\n", *fields, b"\r\n"].concat();
        check(&[(rule, &bytes, *expected)], describe);
    }
}

fn line(head: &Head, _: &[u8]) -> String {
    format!("{} {} {:?}", head.method(), head.target(), head.version())
}

fn parts(head: &Head, bytes: &[u8]) -> String {
    let query = head
        .query()
        .map_or("-".to_owned(), |query| format!("?{query}"));
    let host = head.host(bytes).unwrap_or("-");
    format!("{:?} {} {query} {host}", head.form(), head.path())
}

fn fields(head: &Head, bytes: &[u8]) -> String {
    let pair = |(name, value)| format!("{name}={}", String::from_utf8_lossy(value));
    let pairs: Vec<_> = head.headers(bytes).iter().skip(1).map(pair).collect();
    pairs.join("|")
}

fn host(head: &Head, bytes: &[u8]) -> String {
    head.host(bytes).unwrap_or("-").to_owned()
}

fn framing(head: &Head, _: &[u8]) -> String {
    format!("{:?}", head.framing())
}

fn persistence(head: &Head, _: &[u8]) -> String {
    format!("{:?}", head.persistence())
}

fn waiting(head: &Head, _: &[u8]) -> String {
    format!("{}", head.awaits_continue())
}

fn upgrade(head: &Head, bytes: &[u8]) -> String {
    let offered = head
        .headers(bytes)
        .get("upgrade")
        .filter(|_| head.allows_upgrade());
    offered.unwrap_or("-").to_owned()
}
