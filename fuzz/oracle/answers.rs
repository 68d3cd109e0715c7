//! What a server has sent, read strictly: more strictly than any client would.

use waterwheel::http::Method;

/// An answer as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200, 404 …
    pub status: u16,
    /// All fields but Date, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body, out of its chunks.
    pub body: Vec<u8>,
    /// The fields behind the last chunk.
    pub trailers: Vec<(String, String)>,
    /// How its end was found.
    pub end: End,
}

/// How the end of an answer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has no body.
    Bare,
    /// By its length.
    Length,
    /// By its last chunk.
    Chunk,
    /// By the end of the connection.
    Close,
    /// The connection ended before it did.
    CutShort,
}

/// Everything a server has sent on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Interim answers (1xx, without 101), each with the number of final answers before it.
    pub interim: Vec<(usize, Answer)>,
    /// The final ones, in order; 101 among them.
    pub last: Vec<Answer>,
    /// What came behind the answer that handed the stream over.
    pub tunnelled: Option<Vec<u8>>,
    /// The connection ended within a head, of which this much had come.
    pub begun: Vec<u8>,
}

impl Answer {
    /// The value of a field that is there at most once.
    pub fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(has, _)| has == name);
        let value = values.next();
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value.map(|(_, value)| value.as_str())
    }

    /// Whether it says that the connection closes behind it.
    pub fn closes(&self) -> bool {
        let connection = self.field("connection").unwrap_or_default();
        connection.split(',').any(|member| member.trim() == "close")
    }

    /// Whether all of it has come.
    pub fn is_whole(&self) -> bool {
        self.end != End::CutShort
    }
}

/// Reads everything; `methods` are those of the requests that were answered. An answer beyond them
/// is to a request that could not be read.
///
/// # Panics
///
/// When it is not well-formed.
pub fn read(output: &[u8], methods: &[Method]) -> Answers {
    let mut answers = Answers::default();
    let mut rest = output;
    while !rest.is_empty() {
        let Some(end) = find(rest, b"\r\n\r\n") else {
            answers.begun = rest.to_vec();
            return answers;
        };
        let (head, behind) = rest.split_at(end + 4);
        let mut answer = read_head(head);
        if (100..200).contains(&answer.status) && answer.status != 101 {
            answers.interim.push((answers.last.len(), answer));
            rest = behind;
            continue;
        }
        let method = methods.get(answers.last.len());
        let hands_over =
            answer.status == 101 || method == Some(&Method::CONNECT) && answer.status / 100 == 2;
        rest = read_body(&mut answer, behind, method);
        let closes = answer.closes();
        answers.last.push(answer);
        if hands_over {
            answers.tunnelled = Some(rest.to_vec());
            return answers;
        }
        assert!(
            !closes || rest.is_empty(),
            "behind connection: close comes {:?}",
            rest.escape_ascii().to_string()
        );
    }
    answers
}

fn read_head(head: &[u8]) -> Answer {
    let shown = head.escape_ascii().to_string();
    let lines = head[..head.len() - 4].split(|byte| *byte == b'\n');
    let count = lines.clone().count();
    for (number, line) in lines.enumerate() {
        let line = match line {
            [line @ .., b'\r'] => line,
            line if number + 1 == count => line,
            _ => panic!("a line feed without carriage return: {shown}"),
        };
        assert!(
            line.iter().all(|byte| !byte.is_ascii_control()),
            "a control byte: {shown}"
        );
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Response::new(&mut fields);
    let end = parsed.parse(head).expect("a head that can be read");
    assert_eq!(end, httparse::Status::Complete(head.len()), "{shown}");
    assert_eq!(parsed.version, Some(1), "{shown}");
    let status = parsed.code.expect("a status");
    assert!((100..600).contains(&status), "{shown}");
    let mut answer = Answer {
        status,
        fields: Vec::new(),
        body: Vec::new(),
        trailers: Vec::new(),
        end: End::Bare,
    };
    let mut dates = 0;
    for field in parsed.headers {
        let name = field.name.to_ascii_lowercase();
        let value = String::from_utf8_lossy(field.value).into_owned();
        assert_eq!(value.trim(), value, "white space around a value: {shown}");
        if name == "date" {
            assert_eq!(value.len(), "Sun, 06 Nov 1994 08:49:37 GMT".len());
            dates += 1;
        } else {
            answer.fields.push((name, value));
        }
    }
    let interim = status / 100 == 1;
    assert!(dates <= 1 && (interim || dates == 1), "Date: {shown}");
    answer
}

/// Takes the body off the front of what came behind the head.
fn read_body<'a>(answer: &mut Answer, behind: &'a [u8], method: Option<&Method>) -> &'a [u8] {
    let length = answer.field("content-length").map(|digits| {
        assert!(digits.bytes().all(|digit| digit.is_ascii_digit()));
        digits.parse::<usize>().expect("a length")
    });
    let coding = answer.field("transfer-encoding").map(str::to_owned);
    assert!(length.is_none() || coding.is_none(), "two framings");
    assert!(matches!(coding.as_deref(), None | Some("chunked")));
    let tunnels = method == Some(&Method::CONNECT) && answer.status / 100 == 2;
    if matches!(answer.status, 101 | 204) || tunnels {
        assert!(length.is_none() && coding.is_none(), "it has no body");
        return behind;
    }
    if answer.status == 304 || method == Some(&Method::HEAD) {
        return behind;
    }
    // The refused request may have been a HEAD: then there is a length, and nothing after it.
    if method.is_none() && behind.is_empty() && answer.closes() {
        return behind;
    }
    if coding.is_some() {
        return read_chunks(answer, behind);
    }
    let Some(length) = length else {
        assert!(answer.closes(), "a body without an end");
        answer.body = behind.to_vec();
        answer.end = End::Close;
        return &[];
    };
    let has = length.min(behind.len());
    answer.end = if has < length {
        End::CutShort
    } else {
        End::Length
    };
    answer.body = behind[..has].to_vec();
    &behind[has..]
}

/// Chunks as this server writes them: no extensions, no leading zeros, lower case.
fn read_chunks<'a>(answer: &mut Answer, behind: &'a [u8]) -> &'a [u8] {
    let mut rest = behind;
    answer.end = End::CutShort;
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            assert!(rest.len() <= 17, "a size line without an end");
            return &[];
        };
        let digits = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(digits, 16).expect("a size");
        assert_eq!(format!("{size:x}"), digits);
        rest = &rest[end + 2..];
        if size == 0 {
            break;
        }
        if rest.len() < size + 2 {
            answer.body.extend_from_slice(&rest[..size.min(rest.len())]);
            return &[];
        }
        answer.body.extend_from_slice(&rest[..size]);
        assert_eq!(&rest[size..size + 2], b"\r\n", "a chunk's end");
        rest = &rest[size + 2..];
    }
    loop {
        let Some(end) = find(rest, b"\r\n") else {
            return &[];
        };
        let line = std::str::from_utf8(&rest[..end]).expect("a trailer");
        rest = &rest[end + 2..];
        if line.is_empty() {
            answer.end = End::Chunk;
            return rest;
        }
        let (name, value) = line.split_once(": ").expect("a trailer field");
        answer.trailers.push((name.to_owned(), value.to_owned()));
    }
}

/// Where `needle` first begins.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
