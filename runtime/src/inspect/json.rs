//! Writes texts of the program: as strings of JSON with their escapes (RFC 8259, section 7), and within texts for a
//! terminal. Writes ids of tasks as JSON.

use std::fmt::{self, Write as _};

use crate::task_names::Id;

/// A string in JSON.
pub(crate) struct JsonText<'a>(pub(crate) &'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                // The page has its trace inside a script element, which this would end.
                '<' => f.write_str("\\u003c")?,
                // All of them are in the first 65,536 letters, so each is one escape.
                letter if acts(letter) => write!(f, "\\u{:04x}", u32::from(letter))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// Returns true if a letter acts on the terminal or on the page that shows it. A name or a path may come from a client.
/// An escape sequence would act on the terminal, a line feed would begin a line of its own, and a mark of direction would
/// turn the rest of the line around.
fn acts(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text of the user within a text for a terminal or a log: on one line, and not longer than a line should be.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A name may be a whole document.
        const LETTERS_MAX: usize = 200;
        let mut letters = self.0.chars();
        for letter in letters.by_ref().take(LETTERS_MAX) {
            if acts(letter) {
                write!(f, "{}", letter.escape_default())?;
            } else {
                f.write_char(letter)?;
            }
        }
        f.write_str(if letters.next().is_some() { "…" } else { "" })
    }
}

/// A value of JSON, or `null`.
pub(crate) struct OrNull<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// The id of a task in JSON: `"1.4.7"`, or `"root"` for the future of `block_on`.
pub(crate) struct JsonId(pub(crate) Id);

impl fmt::Display for JsonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_root() {
            f.write_str("\"root\"")
        } else {
            write!(f, "\"{}\"", self.0)
        }
    }
}

/// A place in the program in JSON.
pub(crate) fn place(place: Option<&std::panic::Location<'_>>) -> OrNull<String> {
    OrNull(place.map(|place| JsonText(&place.to_string()).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped() {
        let rows = [
            ("worker", r#""worker""#),
            ("a \"b\" \\ c", r#""a \"b\" \\ c""#),
            ("tab\tnul\0", r#""tab\u0009nul\u0000""#),
            ("</script>", r#""\u003c/script>""#),
            ("ü\u{2028}", "\"ü\\u2028\""),
            // A terminal takes U+009B for the begin of an escape sequence.
            ("\u{7f}\u{9b}2J", r#""\u007f\u009b2J""#),
            ("a\u{202e}b\u{2066}", r#""a\u202eb\u2066""#),
        ];
        for (text, expected) in rows {
            assert_eq!(JsonText(text).to_string(), expected);
        }
    }
}
