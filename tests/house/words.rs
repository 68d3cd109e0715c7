//! The worst patterns of hard English, in docs, comments and names of tests.

use std::fs;

use crate::source::{files_in, from_root, root};

/// A clause as the subject of a sentence: the reader waits for the verb.
const STARTS: [&str; 3] = ["What ", "Whoever ", "Who "];

/// Words without a meaning of their own as actors and predicates.
const WORDS: [&str; 6] = [
    "is none",
    "is nothing",
    "are none",
    "nobody",
    "whoever",
    "mostly",
];

const TEST_NAMES: [&str; 4] = ["fn what_", "fn who_", "fn whoever_", "nobody"];

/// Returns the text of a line that a reader reads: all of Markdown, the comments of code.
fn prose(line: &str, is_markdown: bool) -> Option<&str> {
    let line = line.trim();
    if is_markdown {
        return Some(line);
    }
    let text = line.strip_prefix("//")?;
    Some(text.trim_start_matches(['/', '!']).trim())
}

fn is_bad(line: &str, is_markdown: bool) -> bool {
    let Some(text) = prose(line, is_markdown) else {
        return TEST_NAMES
            .iter()
            .any(|name| line.trim().starts_with("fn ") && line.contains(name));
    };
    // A question, and a heading of a question, is plain English.
    if text.ends_with('?') || text.starts_with('#') {
        return false;
    }
    let text = text.trim_start_matches(['-', '*', '|', ' ']);
    let starts = |sentence: &str| STARTS.iter().any(|start| sentence.starts_with(start));
    let lower = text.to_lowercase();
    text.split(". ").any(starts) || WORDS.iter().any(|word| has_word(&lower, word))
}

/// Returns true if the text has this word, and not only as a part of a longer one ("is nonetheless").
fn has_word(text: &str, word: &str) -> bool {
    let is_letter = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    text.match_indices(word).any(|(at, _)| {
        !is_letter(text[..at].chars().next_back())
            && !is_letter(text[at + word.len()..].chars().next())
    })
}

fn files() -> Vec<std::path::PathBuf> {
    let root = root();
    let mut files = Vec::new();
    // Not all of `course`, which may have a folder of build products.
    let course = [
        "course/answers",
        "course/solutions",
        "course/src",
        "course/stages",
    ];
    for folder in ["runtime", "http", "examples", "src", "tests"]
        .into_iter()
        .chain(course)
    {
        files.extend(files_in(&root.join(folder), "rs"));
        files.extend(files_in(&root.join(folder), "md"));
    }
    for name in [
        "README.md",
        "course/README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    ] {
        files.push(root.join(name));
    }
    files.retain(|file| !file.starts_with(root.join("tests/house")));
    files
}

#[test]
fn no_text_has_the_worst_patterns() {
    let mut wrong = Vec::new();
    for file in files() {
        let path = from_root(&file);
        let is_markdown = file.extension().is_some_and(|ending| ending == "md");
        let text = fs::read_to_string(&file).unwrap();
        let bad = (1..)
            .zip(text.lines())
            .filter(|(_, line)| is_bad(line, is_markdown))
            .map(|(number, line)| format!("{path}:{number}: {}", line.trim()));
        wrong.extend(bad);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_hard_line_is_found_and_a_plain_one_is_not() {
    for bad in [
        "/// What is unread is discarded.",
        "//! - Whoever waits is woken.",
        "// The list is empty. Who waits is woken.",
        "/// Again is nothing.",
        "/// If there is none, waits.",
        "    fn what_is_sticky_stays() {",
        "| a | nobody waits |",
    ] {
        assert!(is_bad(bad, bad.starts_with('|')), "{bad}");
    }
    for plain in [
        "/// Unread bytes are discarded.",
        "/// Returns `None` if the value is nonetheless gone.",
        "let what = 7;",
        "What does it cost?",
        "## What you get",
    ] {
        assert!(!is_bad(plain, !plain.contains("//")), "{plain}");
    }
}
