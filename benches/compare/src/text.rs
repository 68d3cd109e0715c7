//! Text in lines that fit.

/// Characters of a line of text.
const LINE_CHARACTERS: usize = 104;

/// A paragraph, in lines as long as README's others.
pub(crate) fn paragraph(text: &str) -> String {
    wrapped(text, LINE_CHARACTERS).join("\n") + "\n"
}

/// Breaks text at its spaces into lines of at most so many characters, where words are not longer.
pub(crate) fn wrapped(text: &str, characters_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= characters_max => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn a_line_is_as_long_as_it_may_be_and_no_longer() {
        assert_eq!(
            wrapped("one two  three µµµ four", 9),
            ["one two", "three µµµ", "four"]
        );
        assert!(wrapped("", 9).is_empty());
    }
}
