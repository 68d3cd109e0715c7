//! Judges answers: the status line, the length of the body, and its bytes where they are known.
//!
//! A server's answers differ in their date only, so the first answer is parsed in full and tells
//! where the length stands and where the head ends; the next ones need only be compared in those
//! places. Whatever does not compare equal is parsed in full again.

use memchr::memmem;

/// The only status line that passes, up to the reason, which is free.
const STATUS: &[u8] = b"HTTP/1.1 200";

/// The end of a head.
const END: &[u8] = b"\r\n\r\n";

/// Bytes after which a head is no head.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// Where things stood in the last answer that was parsed in full.
struct Layout {
    head_bytes: usize,
    length_line: Vec<u8>,
    length_at: usize,
    body_bytes: usize,
}

/// Judges one answer after the other.
pub(crate) struct Judge {
    expected: Option<Vec<u8>>,
    layout: Option<Layout>,
}

impl Judge {
    /// Expects this body in every answer, or the body of the first.
    pub(crate) fn new(expected: Option<Vec<u8>>) -> Self {
        Self {
            expected,
            layout: None,
        }
    }

    /// Takes one answer from the front of `data` and says how many bytes it has, or `None` if it is not complete.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(crate) fn take(&mut self, data: &[u8]) -> Result<Option<usize>, String> {
        let known = self.layout.as_ref().filter(|layout| layout.matches(data));
        let (head_bytes, body_bytes) = match known {
            Some(layout) => (layout.head_bytes, layout.body_bytes),
            None => match Layout::parse(data)? {
                Some(layout) => {
                    let bytes = (layout.head_bytes, layout.body_bytes);
                    self.layout = Some(layout);
                    bytes
                }
                None => return Ok(None),
            },
        };
        let Some(body) = data.get(head_bytes..head_bytes + body_bytes) else {
            return Ok(None);
        };
        match &self.expected {
            Some(expected) if expected != body => {
                Err(format!("another body than expected: {}", show(body)))
            }
            Some(_) => Ok(Some(head_bytes + body_bytes)),
            None => {
                self.expected = Some(body.to_vec());
                Ok(Some(head_bytes + body_bytes))
            }
        }
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
            return if data.len() > HEAD_BYTES_MAX {
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
        let length_at = (0..head.len())
            .find(|&at| {
                head[at..]
                    .get(..name.len())
                    .is_some_and(|bytes| bytes.eq_ignore_ascii_case(name))
            })
            .ok_or_else(|| format!("an answer without content-length: {}", show(head)))?;
        let line_end = memmem::find(&head[length_at + 2..], b"\r\n")
            .map_or(head.len(), |at| length_at + 2 + at);
        let digits = String::from_utf8_lossy(&head[length_at + name.len()..line_end]);
        let body_bytes = digits
            .trim()
            .parse()
            .map_err(|_| format!("no length: {}", show(head)))?;
        let length_line = head[length_at..line_end + 2].to_vec();
        Ok(Some(Self {
            head_bytes: head.len(),
            length_line,
            length_at,
            body_bytes,
        }))
    }
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(200)])
        .escape_debug()
        .to_string()
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
