//! What this server makes of a request's head, held against what another server makes of it.
//!
//! Strictness is where servers differ, and where they differ somebody smuggles. So each difference
//! is one of those listed here, with the words of the RFC that allow or demand it; `differences.md`
//! says more. Any other is a finding.

use std::cell::RefCell;
use std::fmt;
use std::net::Ipv6Addr;
use std::rc::Rc;

use waterwheel::http::{Limits, Method, Refusal, Request, StatusCode, Version};

use super::answers;
use super::play::{self, Client, SENT_BYTES_MAX};

/// What a server makes of the first request in some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A handler has seen it.
    Accepted(Box<Message>),
    /// It was refused, with those words.
    Refused(String),
    /// It is not whole.
    Incomplete,
}

/// In a line, for the record.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(message) => {
                let Message {
                    method, version, ..
                } = &**message;
                let length = message.length.map(|length| format!("{length} bytes"));
                let body = length.as_deref().unwrap_or("chunks");
                write!(f, "accepted {method} in {version:?} with {body}")
            }
            Self::Refused(words) => write!(f, "refused {}", words.trim_end()),
            Self::Incomplete => f.write_str("incomplete"),
        }
    }
}

/// A request's head as it was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub method: Method,
    pub version: Version,
    pub path: String,
    pub query: Option<String>,
    /// Of the target, not of Host.
    pub authority: Option<String>,
    /// Names in lower case.
    pub fields: Vec<(String, Vec<u8>)>,
    /// Of the body; `None` if it is chunked.
    pub length: Option<u64>,
}

/// Where each difference is explained.
const EXPLAINED: &str = include_str!("../differences.md");

/// A known difference.
struct Difference {
    /// The RFC's words for it.
    words: &'static str,
    /// Whether this is one.
    holds: fn(&Lines<'_>) -> bool,
}

/// What we accept and hyper refuses.
const WIDER: &[Difference] = &[
    Difference {
        words: "RFC 9110, 2.5: a higher minor version is processed as the highest one known",
        holds: |lines| {
            matches!(
                lines.part(2),
                [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'2'..=b'9']
            )
        },
    },
    Difference {
        words: "RFC 9110, 5.6.1.2: empty list elements are ignored",
        holds: |lines| {
            let mut values = lines.values(b"transfer-encoding");
            values.any(|value| {
                value
                    .split(|byte| *byte == b',')
                    .any(|one| one.trim_ascii().is_empty())
            })
        },
    },
    Difference {
        words: "RFC 3986, 3.2.2: a registered name may have percent-encoded bytes",
        holds: |lines| authority(lines.method(), lines.target()).contains(&b'%'),
    },
];

/// What we refuse and hyper accepts.
const STRICTER: &[(Refusal, Difference)] = &[
    (
        Refusal::BareLineFeed,
        Difference {
            words: "RFC 9112, 2.2: a lone LF may be recognized as a line end, and is not",
            holds: |lines| lines.bare_line_feed,
        },
    ),
    (
        Refusal::EmptyLines,
        Difference {
            words: "RFC 9112, 2.2: at least one empty line should be ignored; two are",
            holds: |lines| lines.empty > 2,
        },
    ),
    (
        Refusal::MethodTooLong,
        Difference {
            words: "RFC 9112, 3: a method longer than any implemented one should be a 501",
            holds: |lines| lines.method().len() > 64,
        },
    ),
    (
        Refusal::Target,
        Difference {
            words: "RFC 9112, 3.2: an invalid request line should be a 400",
            holds: |lines| lines.target().iter().any(|byte| !is_of_target(*byte)),
        },
    ),
    (
        Refusal::TargetForm,
        Difference {
            words: "RFC 9112, 3.2.1 to 3.2.4: which method takes which form of target",
            holds: |lines| !is_form(lines.method(), lines.target()),
        },
    ),
    (
        Refusal::HostMissing,
        Difference {
            words: "RFC 9112, 3.2: no Host must be a 400",
            holds: |lines| lines.values(b"host").count() == 0,
        },
    ),
    (
        Refusal::HostRepeated,
        Difference {
            words: "RFC 9112, 3.2: more than one Host must be a 400",
            holds: |lines| lines.values(b"host").count() > 1,
        },
    ),
    (
        Refusal::HostInvalid,
        Difference {
            words: "RFC 9112, 3.2: an invalid Host must be a 400",
            holds: |lines| !lines.values(b"host").all(is_host_field),
        },
    ),
    (
        Refusal::ContentLengthRepeated,
        Difference {
            words: "RFC 9110, 8.6: repeated equal lengths may be refused",
            holds: |lines| lines.values(b"content-length").count() > 1,
        },
    ),
    (
        Refusal::ContentLength,
        Difference {
            words: "RFC 9112, 6.1: a coding and a length, an invalid one at that, may be refused",
            holds: |lines| lines.values(b"transfer-encoding").next().is_some(),
        },
    ),
    (
        Refusal::LengthAndCoding,
        Difference {
            words: "RFC 9112, 6.1: a coding and a length may be refused",
            holds: |lines| {
                let coded = lines.values(b"transfer-encoding").next().is_some();
                coded && lines.values(b"content-length").next().is_some()
            },
        },
    ),
    (
        Refusal::CodingUnknown,
        Difference {
            words: "RFC 9112, 6.1: an unknown coding should be a 501",
            holds: |lines| {
                lines
                    .codings()
                    .any(|coding| !coding.eq_ignore_ascii_case(b"chunked"))
            },
        },
    ),
    (
        Refusal::CodingNotChunked,
        Difference {
            words: "RFC 9112, 6.1: chunked must not be applied more than once",
            holds: |lines| lines.codings().count() > 1,
        },
    ),
    (
        Refusal::ConnectContent,
        Difference {
            words: "RFC 9110, 9.3.6: a CONNECT does not have content",
            holds: |lines| lines.method() == b"CONNECT",
        },
    ),
    (
        Refusal::Expectation,
        Difference {
            words: "RFC 9110, 10.1.1: an unknown expectation may be a 417",
            holds: |lines| {
                let mut members = lines.members(b"expect");
                members.any(|member| !member.eq_ignore_ascii_case(b"100-continue"))
            },
        },
    ),
    (
        Refusal::BodyTooLarge,
        Difference {
            words: "RFC 9110, 15.5.14: content larger than the server will take is a 413",
            holds: |lines| {
                let mut lengths = lines.values(b"content-length");
                lengths.any(|length| is_above(length, Limits::DEFAULT.body_bytes_max))
            },
        },
    ),
];

/// Holds one verdict against the other; gives the words that explain the difference, if there is one.
///
/// # Panics
///
/// When there is one that is not known.
pub fn compare(bytes: &[u8], ours: &Verdict, theirs: &Verdict) -> Option<&'static str> {
    let bytes = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
    let lines = Lines::of(bytes);
    let context = || format!("{}\n{ours:#?}\n{theirs:#?}", bytes.escape_ascii());
    let known = match (ours, theirs) {
        (Verdict::Accepted(our), Verdict::Accepted(their)) => {
            assert!(is_form(lines.method(), lines.target()), "{}", context());
            assert!(lines.values(b"host").all(is_host_field), "{}", context());
            assert_eq!(our, their, "{}", context());
            return None;
        }
        (Verdict::Accepted(_), _) => WIDER.iter().find(|known| (known.holds)(&lines)),
        (Verdict::Refused(words), Verdict::Accepted(_)) => {
            let mut said = STRICTER.iter().filter(|known| is_said(words, known.0));
            said.find(|known| (known.1.holds)(&lines))
                .map(|known| &known.1)
        }
        (Verdict::Incomplete, Verdict::Accepted(_)) => None,
        (Verdict::Refused(_) | Verdict::Incomplete, _) => return None,
    };
    let Some(known) = known else {
        panic!("they differ, and nobody knows why: {}", context());
    };
    assert!(EXPLAINED.contains(known.words), "{}", known.words);
    Some(known.words)
}

/// Whether an answer's status and words are those of a refusal; in answer to HEAD there are no words.
fn is_said(words: &str, refusal: Refusal) -> bool {
    let (status, reason) = words.split_once(' ').unwrap_or_default();
    status == refusal.status().as_str()
        && (reason.is_empty() || reason.trim_end() == refusal.reason())
}

/// What this server makes of the first request in `bytes`, behind which the connection ends.
pub fn ours(bytes: &[u8]) -> Verdict {
    let bytes = &bytes[..bytes.len().min(SENT_BYTES_MAX)];
    let seen = Rc::<RefCell<Option<Message>>>::default();
    let output = play::run(async {
        let handler = {
            let seen = seen.clone();
            async move |request: Request<'_>| {
                seen.borrow_mut().get_or_insert_with(|| message(&request));
                request
                    .respond(StatusCode::NO_CONTENT, "", [("connection", "close")])
                    .await
            }
        };
        let mut client = Client::new(Limits::DEFAULT, handler);
        client.send(bytes).await;
        client.end();
        client.read_to_end().await;
        client.leave().await
    });
    if let Some(message) = seen.take() {
        return Verdict::Accepted(Box::new(message));
    }
    match &answers::read(&output, &[]).last[..] {
        [] => Verdict::Incomplete,
        [refusal, ..] => {
            let words = String::from_utf8_lossy(&refusal.body);
            Verdict::Refused(format!("{} {words}", refusal.status))
        }
    }
}

fn message(request: &Request<'_>) -> Message {
    let target = request.target();
    let has_authority =
        *request.method() == Method::CONNECT || target.contains("://") && !target.starts_with('/');
    let fields = request.headers().iter();
    Message {
        method: request.method().clone(),
        version: request.version(),
        path: request.path().to_owned(),
        query: request.query().map(str::to_owned),
        authority: request.host().filter(|_| has_authority).map(str::to_owned),
        fields: fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec()))
            .collect(),
        length: request.body().left(),
    }
    .in_order()
}

impl Message {
    /// Its fields by name, those of one name as they came.
    pub fn in_order(mut self) -> Self {
        self.fields.sort_by(|one, other| one.0.cmp(&other.0));
        self
    }
}

/// The lines of a head, split as generously as anyone may.
struct Lines<'a> {
    /// How many empty ones came first.
    empty: usize,
    request: &'a [u8],
    fields: Vec<(&'a [u8], &'a [u8])>,
    /// One of them, or the last empty one, has a line feed alone.
    bare_line_feed: bool,
}

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        let mut lines = Self {
            empty: 0,
            request: &[],
            fields: Vec::new(),
            bare_line_feed: false,
        };
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.bare_line_feed |= line.ends_with(b"\n") && !line.ends_with(b"\r\n");
            let line = line.trim_ascii_end();
            match (line, lines.request) {
                ([], []) => lines.empty += 1,
                ([], _) => break,
                (line, []) => lines.request = line,
                _ => lines.fields.push(field(line)),
            }
        }
        lines
    }

    fn values(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.fields.iter();
        fields
            .filter(move |(has, _)| has.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The elements of a list, without the empty ones.
    fn members(&self, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
        let values = self.values(name);
        let members = values.flat_map(|value| value.split(|byte| *byte == b','));
        members
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    fn codings(&self) -> impl Iterator<Item = &'a [u8]> {
        self.members(b"transfer-encoding")
    }

    fn method(&self) -> &'a [u8] {
        self.part(0)
    }

    fn target(&self) -> &'a [u8] {
        self.part(1)
    }

    fn part(&self, number: usize) -> &'a [u8] {
        let mut parts = self.request.split(|byte| *byte == b' ');
        parts.nth(number).unwrap_or_default()
    }
}

fn field(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    (
        name,
        value.strip_prefix(b":").unwrap_or_default().trim_ascii(),
    )
}

/// What a URI is made of (RFC 3986, 2), without the mark of a fragment, which no target has.
fn is_of_target(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte)
}

/// Whether a target has a form that its method takes (RFC 9112, 3.2.1 to 3.2.4).
fn is_form(method: &[u8], target: &[u8]) -> bool {
    match (method, target) {
        (b"CONNECT", _) => {
            let port = target.rsplit(|byte| *byte == b':').next();
            let goes_nowhere = port.is_none_or(|port| port.iter().all(|digit| *digit == b'0'));
            is_host(target) && target.contains(&b':') && !goes_nowhere
        }
        (b"OPTIONS", b"*") | (_, [b'/', ..]) => true,
        _ => is_host(authority(method, target)),
    }
}

/// What host and port of a target are, if it has any: all of what CONNECT asks for, and what is behind
/// `http://` or `https://`.
fn authority<'a>(method: &[u8], target: &'a [u8]) -> &'a [u8] {
    if method == b"CONNECT" {
        return target;
    }
    let behind = |scheme: &[u8]| {
        let (has, rest) = target.split_at_checked(scheme.len())?;
        has.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = behind(b"http://").or_else(|| behind(b"https://"));
    let mut parts = rest.unwrap_or_default().split(|byte| b"/?".contains(byte));
    parts.next().unwrap_or_default()
}

/// Whether this can be the value of Host, which may be empty (RFC 9112, 3.2).
fn is_host_field(value: &[u8]) -> bool {
    value.is_empty() || is_host(value)
}

/// `uri-host [ ":" port ]` (RFC 9110, 7.2; RFC 3986, 3.2.2), not empty, of a port that there is.
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else {
        return false;
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.bytes().all(|digit| digit.is_ascii_digit())
        && (port.is_empty() || port.len() < 6 && port.parse::<u16>().is_ok());
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    is_port && !host.is_empty() && inner.map_or_else(|| is_name(host), is_address)
}

/// `reg-name`
fn is_name(name: &str) -> bool {
    let pieces = name.split('%').enumerate();
    let mut pieces = pieces.map(|(number, piece)| match number {
        0 => Some(piece),
        _ => piece
            .get(2..)
            .filter(|_| piece.bytes().take(2).all(|digit| digit.is_ascii_hexdigit())),
    });
    pieces.all(|piece| piece.is_some_and(|piece| piece.bytes().all(is_of_name)))
}

/// `IPv6address / IPvFuture`
fn is_address(address: &str) -> bool {
    let Some(future) = address.strip_prefix(['v', 'V']) else {
        return address.parse::<Ipv6Addr>().is_ok();
    };
    future.split_once('.').is_some_and(|(version, rest)| {
        let hexadecimal = version.bytes().all(|digit| digit.is_ascii_hexdigit());
        let plain = rest.bytes().all(|byte| byte == b':' || is_of_name(byte));
        hexadecimal && plain && !version.is_empty() && !rest.is_empty()
    })
}

/// `unreserved / sub-delims`
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// Whether digits say more than that.
fn is_above(digits: &[u8], most: u64) -> bool {
    let number = str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse::<u128>().ok());
    number.is_some_and(|number| number > u128::from(most))
}
