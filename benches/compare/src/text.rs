//! Text in lines that fit, and numbers that are easy to read.

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

/// A number with commas between its thousands.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < -0.5 {
        format!("-{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{grouped, wrapped};

    #[test]
    fn a_line_is_as_long_as_it_may_be_and_no_longer() {
        assert_eq!(
            wrapped("one two  three µµµ four", 9),
            ["one two", "three µµµ", "four"]
        );
        assert!(wrapped("", 9).is_empty());
    }

    #[test]
    fn thousands_are_set_apart() {
        let all = [0.0, 999.0, 1000.4, 1_234_567.0, -4321.0].map(grouped);
        assert_eq!(all, ["0", "999", "1,000", "1,234,567", "-4,321"]);
    }
}
