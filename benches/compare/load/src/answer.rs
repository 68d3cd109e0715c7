//! Checks answers: the status line, the length of the body, and its bytes.
//!
//! The answers of a server differ only in their date. So the first answer is parsed in full, which shows
//! where the length stands and where the head ends. The next answers are compared in those places. An answer
//! that differs there is parsed in full again.

use memchr::memmem;

/// The start of a right answer. The reason is free.
const STATUS: &[u8] = b"HTTP/1.1 200";

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// A head has at most this many bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The places of the last answer that was parsed in full.
struct Layout {
    head_bytes: usize,
    length_line: Vec<u8>,
    length_at: usize,
    body_bytes: usize,
}

/// Checks one answer after the other.
pub(crate) struct Judge {
    expected: Option<Vec<u8>>,
    layout: Option<Layout>,
}

impl Judge {
    /// Expects this body in every answer, or else the body of the first answer.
    pub(crate) fn new(expected: Option<Vec<u8>>) -> Self {
        Self {
            expected,
            layout: None,
        }
    }

    /// Checks the answer at the start of `data`. Returns its bytes, or `None` if it is not complete.
    ///
    /// # Errors
    /// Returns a description of what is wrong with the answer.
    pub(crate) fn take(&mut self, data: &[u8]) -> Result<Option<usize>, String> {
        if !self
            .layout
            .as_ref()
            .is_some_and(|layout| layout.matches(data))
        {
            match Layout::parse(data)? {
                Some(layout) => self.layout = Some(layout),
                None => return Ok(None),
            }
        }
        let Some(layout) = &self.layout else {
            return Ok(None);
        };
        let end = layout.head_bytes + layout.body_bytes;
        let Some(body) = data.get(layout.head_bytes..end) else {
            return Ok(None);
        };
        let expected = self.expected.get_or_insert_with(|| body.to_vec());
        if expected != body {
            return Err(format!("an unexpected body: {}", show(body)));
        }
        Ok(Some(end))
    }
}

impl Layout {
    fn matches(&self, data: &[u8]) -> bool {
        data.len() >= self.head_bytes
            && data.starts_with(STATUS)
            && data[self.length_at..].starts_with(&self.length_line)
            && data[..self.head_bytes].ends_with(END)
    }

    fn parse(data: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = memmem::find(data, END) else {
            let is_too_long = data.len() > HEAD_BYTES_MAX;
            return if is_too_long {
                Err("a head without an end".to_owned())
            } else {
                Ok(None)
            };
        };
        let head = &data[..end + END.len()];
        if !head.starts_with(STATUS) {
            return Err(format!("not a 200: {}", show(head)));
        }
        let name = b"\r\ncontent-length:";
        let length_at = head
            .windows(name.len())
            .position(|bytes| bytes.eq_ignore_ascii_case(name));
        let length_at = length_at.ok_or_else(|| format!("no content-length: {}", show(head)))?;
        let line_end = memmem::find(&head[length_at + 2..], b"\r\n");
        let line_end = line_end.map_or(head.len(), |at| length_at + 2 + at);
        let digits = String::from_utf8_lossy(&head[length_at + name.len()..line_end]);
        let body_bytes = digits.trim().parse();
        Ok(Some(Self {
            head_bytes: head.len(),
            length_line: head[length_at..line_end + 2].to_vec(),
            length_at,
            body_bytes: body_bytes.map_err(|_| format!("no length: {}", show(head)))?,
        }))
    }
}

fn show(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]);
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::Judge;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: a\r\n\r\nhi";

    #[test]
    fn a_whole_answer_is_taken_and_a_part_is_not() {
        let mut judge = Judge::new(Some(b"hi".to_vec()));
        for bytes in 0..ANSWER.len() {
            assert_eq!(judge.take(&ANSWER[..bytes]), Ok(None));
        }
        let twice = [ANSWER, ANSWER].concat();
        assert_eq!(judge.take(&twice), Ok(Some(ANSWER.len())));
        assert_eq!(judge.take(&twice[ANSWER.len()..]), Ok(Some(ANSWER.len())));
    }

    #[test]
    fn a_wrong_status_body_or_length_is_refused_also_after_a_right_one() {
        let text = String::from_utf8_lossy(ANSWER).into_owned();
        for (from, to) in [
            ("200", "500"),
            ("hi", "ho"),
            ("Length: 2", "Length: 1"),
            ("Content", "Contend"),
        ] {
            let mut judge = Judge::new(Some(b"hi".to_vec()));
            assert_eq!(judge.take(ANSWER), Ok(Some(ANSWER.len())));
            assert!(
                judge.take(text.replace(from, to).as_bytes()).is_err(),
                "{from} to {to}"
            );
        }
    }
}
