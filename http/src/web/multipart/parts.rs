//! The parser of a form (RFC 2046, 5.1.1; RFC 7578, 4).
//!
//! Without I/O: it takes pieces of a body, and returns heads and data.
//!
//! ```text
//!  Preamble ──► Delimiter ──┬── CR LF ──► Head ──► DataStart ──► Data ──► Delimiter …
//!                           │                         └── no data ──► Delimiter …
//!                           └── "--" ──► End: the rest is ignored
//! ```
//!
//! A delimiter and the head behind it stay in the buffer until the head is complete, so that their exact
//! length is known. Data leaves the buffer at once, except bytes that may be the beginning of a delimiter.
//!
//! # Invariants
//!
//! - Always: the same result for a form in any pieces, in time proportional to its length.
//! - Never: more in the buffer than one piece and [`HEAD_BYTES_MAX`].

use std::task::{Poll, ready};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::fault::{bad, malformed_head};
use super::head::{PartHead, PartHeadBuilder};
use crate::error::ClientError;
use crate::headers::white_space::is_white;
use crate::proto::fields::{FieldSection, Line};
use crate::proto::scan::Stop;

/// The highest number of bytes between the data of two parts: a delimiter, which begins with the line end
/// before it, and a head with its empty line.
pub(super) const HEAD_BYTES_MAX: usize = 16 * 1024;

const LINE_END: &[u8] = b"\r\n";

/// A line of a head is never longer than a head.
const LINE_BYTES_MAX: u16 = u16::MAX;

/// The state of the parser.
pub(super) struct FormParser {
    /// CR LF, two hyphens, and the boundary.
    delimiter: Finder<'static>,
    /// Bytes that have arrived and are still needed.
    buffer: BytesMut,
    /// The number of bytes in the buffer that have been examined.
    position: usize,
    stage: FormStage,
}

enum FormStage {
    /// Before the first delimiter.
    Preamble,
    /// Behind a delimiter's boundary.
    Delimiter,
    /// Behind the white space that may follow it.
    DelimiterLineEnd,
    Head {
        start: usize,
        section: FieldSection,
        head: PartHeadBuilder,
    },
    /// At the line end of the empty line, which is buffered: a delimiter may begin with it.
    DataStart,
    Data,
    End,
}

/// A result, or pending if more bytes are needed first.
type FormStep<T> = Poll<Result<T, ClientError>>;

impl FormParser {
    pub(super) fn new(boundary: &[u8]) -> Self {
        let delimiter = [b"\r\n--", boundary].concat();
        Self {
            delimiter: Finder::new(&delimiter).into_owned(),
            // The first delimiter may have no line end before it.
            buffer: BytesMut::from(LINE_END),
            position: 0,
            stage: FormStage::Preamble,
        }
    }

    /// Adds the next piece of the body.
    pub(super) fn feed(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// Returns the head of the next part, `None` at the end of the form. Skips the unread data of the part
    /// before.
    pub(super) fn next_head(&mut self) -> FormStep<Option<PartHead>> {
        while ready!(self.next_data()).is_some() {}
        let is_full = self.buffer.len() >= HEAD_BYTES_MAX;
        match self.read_head() {
            Poll::Pending if is_full => Poll::Ready(Err(bad("the head of a part is too long"))),
            found => found,
        }
    }

    /// Reads the bytes in front of the data of a part.
    fn read_head(&mut self) -> FormStep<Option<PartHead>> {
        // A large piece may hold more than the limit. Without the cut, it would allow a longer head.
        let buffer = &self.buffer[..self.buffer.len().min(HEAD_BYTES_MAX)];
        loop {
            match &mut self.stage {
                FormStage::Preamble => {
                    let Some(found) = self.delimiter.find(&buffer[self.position..]) else {
                        // The next search starts where a delimiter may have begun, so the time stays linear.
                        let kept = self.delimiter.needle().len() - 1;
                        self.position = buffer.len().saturating_sub(kept).max(self.position);
                        return Poll::Pending;
                    };
                    self.position += found + self.delimiter.needle().len();
                    self.stage = FormStage::Delimiter;
                }
                FormStage::Delimiter => match &buffer[self.position..] {
                    // One hyphen may be the first of the two that end the form.
                    [] | [b'-'] => return Poll::Pending,
                    [b'-', b'-', ..] => {
                        self.stage = FormStage::End;
                        self.buffer.clear();
                        return Poll::Ready(Ok(None));
                    }
                    _ => self.stage = FormStage::DelimiterLineEnd,
                },
                FormStage::DelimiterLineEnd => match &buffer[self.position..] {
                    [] | [b'\r'] => return Poll::Pending,
                    [byte, ..] if is_white(*byte) => self.position += 1,
                    [b'\r', b'\n', ..] => {
                        self.stage = FormStage::Head {
                            start: self.position + 2,
                            section: FieldSection::default(),
                            head: PartHeadBuilder::default(),
                        };
                    }
                    // Some servers read this as data, others as a boundary.
                    _ => return Poll::Ready(Err(bad("a boundary of the form is malformed"))),
                },
                FormStage::Head {
                    start,
                    section,
                    head,
                } => match section.next_in_pieces(&buffer[*start..], LINE_BYTES_MAX) {
                    Ok(Line::Field(field)) => head.add(field.name, field.value)?,
                    Ok(Line::End(end)) => {
                        let (end, head) = (*start + end, std::mem::take(head).build()?);
                        // The line end of the empty line may belong to the next delimiter.
                        drop(self.buffer.split_to(end - LINE_END.len()));
                        self.position = 0;
                        self.stage = FormStage::DataStart;
                        return Poll::Ready(Ok(Some(head)));
                    }
                    Err(Stop::Incomplete) => return Poll::Pending,
                    Err(Stop::Refused(_)) => return Poll::Ready(Err(malformed_head())),
                },
                FormStage::DataStart | FormStage::Data | FormStage::End => {
                    return Poll::Ready(Ok(None));
                }
            }
        }
    }

    /// Returns the next piece of the present part's data, or `None` at its end.
    pub(super) fn next_data(&mut self) -> Poll<Option<Bytes>> {
        let needle = self.delimiter.needle();
        match self.stage {
            FormStage::DataStart if self.buffer.starts_with(needle) => {}
            FormStage::DataStart if needle.starts_with(&self.buffer) => return Poll::Pending,
            FormStage::DataStart => {
                drop(self.buffer.split_to(LINE_END.len()));
                self.stage = FormStage::Data;
            }
            FormStage::Data => {}
            _ => return Poll::Ready(None),
        }
        let end = match self.delimiter.find(&self.buffer) {
            Some(0) => {
                self.position = needle.len();
                self.stage = FormStage::Delimiter;
                return Poll::Ready(None);
            }
            Some(at) => at,
            // The last bytes may be the beginning of a delimiter, so they wait for the next piece.
            None => self.buffer.len() - beginning_at_end(&self.buffer, needle),
        };
        if end == 0 {
            return Poll::Pending;
        }
        Poll::Ready(Some(self.buffer.split_to(end).freeze()))
    }
}

/// Returns how many bytes at the end of `bytes` are the beginning of `needle`.
fn beginning_at_end(bytes: &[u8], needle: &[u8]) -> usize {
    let longest = bytes.len().min(needle.len() - 1);
    let lengths = (1..=longest).rev();
    let mut fitting = lengths.filter(|length| bytes.ends_with(&needle[..*length]));
    fitting.next().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    const BOUNDARY: &[u8] = b"x-y";

    /// Reads a form in pieces that end at each of `stops`. Returns its parts, each as its name, its file name
    /// and its data, and then `end`, or the reason why there is no end.
    fn read(bytes: &[u8], stops: &[usize]) -> String {
        let mut parts = FormParser::new(BOUNDARY);
        let mut pieces = Vec::new();
        let mut start = 0;
        for stop in stops.iter().copied().chain([bytes.len()]) {
            pieces.push(&bytes[start..stop]);
            start = stop;
        }
        let mut pieces = pieces.into_iter();
        let mut seen = String::new();
        loop {
            let Some(head) = fed(&mut parts, &mut pieces, FormParser::next_head) else {
                return seen + "cut short";
            };
            match head {
                Ok(Some(head)) => write!(seen, "{} {:?} ", head.name, head.file_name),
                Ok(None) => return seen + "end",
                Err(fault) => return seen + fault.text(),
            }
            .expect("it is a String");
            let mut data = Vec::new();
            loop {
                match fed(&mut parts, &mut pieces, FormParser::next_data) {
                    Some(Some(piece)) => data.extend_from_slice(&piece),
                    Some(None) => break,
                    None => return seen + "cut short",
                }
            }
            write!(seen, "{data:?}; ").expect("it is a String");
        }
    }

    /// Feeds pieces until `find` returns a result.
    fn fed<'p, T>(
        parts: &mut FormParser,
        pieces: &mut impl Iterator<Item = &'p [u8]>,
        mut find: impl FnMut(&mut FormParser) -> Poll<T>,
    ) -> Option<T> {
        loop {
            if let Poll::Ready(found) = find(parts) {
                return Some(found);
            }
            parts.feed(pieces.next()?);
        }
    }

    #[track_caller]
    fn check(bytes: &str, expected: &str) {
        let bytes = bytes.as_bytes();
        assert_eq!(read(bytes, &[]), expected);
        let every: Vec<usize> = (0..bytes.len()).collect();
        assert_eq!(read(bytes, &every), expected, "dribbled");
        for stop in every {
            assert_eq!(read(bytes, &[stop]), expected, "split at {stop}");
        }
    }

    const HEAD: &str = "Content-Disposition: form-data; name=a\r\n\r\n";

    #[test]
    fn a_form_is_parts_between_delimiters() {
        // RFC 2046, 5.1.1
        check("--x-y--", "end");
        check("--x-y--and what follows", "end");
        check("before\r\nit\r\n--x-y--", "end");
        check(&format!("--x-y\r\n{HEAD}\r\n--x-y--"), "a None []; end");
        check(
            &format!("--x-y \t \r\n{HEAD}1\r\n--x-y--"),
            "a None [49]; end",
        );
        let two = format!("--x-y\r\n{HEAD}1\r\n--x-y\r\n{HEAD}\r\n\r\n--x-y--");
        check(&two, "a None [49]; a None [13, 10]; end");
    }

    #[test]
    fn a_delimiter_may_follow_the_empty_line_of_a_head() {
        // RFC 2046, 5.1.1: the body of a part is optional, and so is the line end before its delimiter.
        check(&format!("--x-y\r\n{HEAD}--x-y--"), "a None []; end");
        check(
            &format!("--x-y\r\n{HEAD}--x-y\r\n{HEAD}1\r\n--x-y--"),
            "a None []; a None [49]; end",
        );
        for data in ["-", "--x-", "--x-z", "-\r\n--x-", "\n--x-y", "\r--x-y"] {
            let form = format!("--x-y\r\n{HEAD}{data}\r\n--x-y--");
            check(&form, &format!("a None {:?}; end", data.as_bytes()));
        }
        check(&format!("--x-y\r\n{HEAD}--x-"), "a None cut short");
        check(
            &format!("--x-y\r\n{HEAD}--x-yz"),
            "a None []; a boundary of the form is malformed",
        );
    }

    #[test]
    fn text_that_only_begins_like_a_delimiter_is_data() {
        for data in [
            "\r",
            "\r\n",
            "\r\n-",
            "\r\n--x-",
            "\n--x-y",
            "\r--x-y",
            "-\n--x-y\r\n",
        ] {
            let form = format!("--x-y\r\n{HEAD}{data}\r\n--x-y--");
            check(&form, &format!("a None {:?}; end", data.as_bytes()));
        }
    }

    #[test]
    fn an_unfinished_form_waits_and_a_malformed_one_is_refused() {
        check("", "cut short");
        check("--x-", "cut short");
        check("--x-y", "cut short");
        check("--x-y-", "cut short");
        check("--x-y\r", "cut short");
        check(
            &format!("--x-y\r\n{HEAD}1\r\n--x-y"),
            "a None [49]; cut short",
        );
        check("before--x-y--", "cut short"); // a delimiter begins a line
        for line in ["--x-yz\r\n", "--x-y-z\r\n", "--x-y \n", "--x-y\rz"] {
            check(line, "a boundary of the form is malformed");
        }
        check(
            "--x-y\r\nno colon\r\n\r\n",
            "the head of a part is malformed",
        );
        check("--x-y\r\n\r\n", "a part of the form has no name");
    }

    #[test]
    fn a_preamble_counts_with_the_head_behind_it() {
        let long = "y".repeat(HEAD_BYTES_MAX);
        assert_eq!(read(long.as_bytes(), &[]), "the head of a part is too long");
        let fixed = "\r\n".len() + "\r\n--x-y\r\n".len() + HEAD.len();
        let fits = "y".repeat(HEAD_BYTES_MAX - fixed);
        for (filler, expected) in [
            (fits.clone(), "a None []; end"),
            (fits + "y", "the head of a part is too long"),
        ] {
            let form = format!("{filler}\r\n--x-y\r\n{HEAD}\r\n--x-y--");
            assert_eq!(read(form.as_bytes(), &[]), expected);
            assert_eq!(read(form.as_bytes(), &[1, 9_000, 16_370]), expected);
        }
    }

    proptest! {
        #[test]
        fn a_form_is_the_same_in_any_pieces(
            form in "((\r\n)?--x-y(--|\r\n|-| |z)?|Content-Disposition: form-data; name=a\r\n\r\n|\r\n|[\r\nab:\\- ]){0,12}",
            stops in proptest::collection::vec(0..400_usize, 0..6),
        ) {
            let mut stops: Vec<_> = stops.into_iter().filter(|stop| *stop < form.len()).collect();
            stops.sort_unstable();
            let whole = read(form.as_bytes(), &[]);
            prop_assert_eq!(&read(form.as_bytes(), &stops), &whole);
            let every: Vec<usize> = (0..form.len()).collect();
            prop_assert_eq!(&read(form.as_bytes(), &every), &whole);
        }

        #[test]
        fn parts_that_are_written_are_the_parts_that_are_read(
            parts in proptest::collection::vec(("[a-z]{1,5}", "(\r|\n|-|x|y|(\r\n--x-)|\u{0}|é){0,20}"), 0..5),
            size in 1..50_usize,
        ) {
            let (mut form, mut expected) = (String::new(), String::new());
            for (name, data) in &parts {
                prop_assume!(!format!("\r\n{data}\r\n").contains("\r\n--x-y"));
                let head = format!("Content-Disposition: form-data; name={name}\r\n\r\n");
                form.extend(["--x-y\r\n", &head, data, "\r\n"]);
                write!(expected, "{name} None {:?}; ", data.as_bytes()).expect("it is a String");
            }
            form += "--x-y--\r\n";
            let stops: Vec<usize> = (0..form.len()).step_by(size).collect();
            prop_assert_eq!(read(form.as_bytes(), &stops), expected + "end");
        }
    }
}
