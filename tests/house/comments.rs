//! The share of plain comments, which say why.
//!
//! The lines of a crate's files are counted as a reader sees them:
//!
//! | line | counts as a line | counts as a comment |
//! |---|---|---|
//! | code | yes | no, also if a comment follows it |
//! | a plain comment on a line of its own | yes | yes |
//! | docs | yes | no |
//! | a code example inside docs | no | no |
//! | an empty line | no | no |
//! | the tests at the end of a file, and a file of tests | no | no |

use crate::source;

/// The least and the largest share of plain comments, in percent.
const PERCENT: std::ops::RangeInclusive<f64> = 3.0..=8.0;

/// Returns the text of a line of docs.
fn doc(line: &str) -> Option<&str> {
    let text = line.strip_prefix("///").or(line.strip_prefix("//!"))?;
    Some(text.trim())
}

/// Returns the number of plain comments and of all lines of a file; see the table of the module.
fn count(text: &str) -> (usize, usize) {
    let code = text.split("\n#[cfg(test)]\n").next().unwrap();
    let (mut comments, mut all) = (0, 0);
    let mut in_example = false;
    for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match doc(line) {
            Some(text) if text.starts_with("```") => in_example = !in_example,
            Some(_) if in_example => {}
            Some(_) => all += 1,
            None => {
                all += 1;
                comments += usize::from(line.starts_with("//"));
            }
        }
    }
    (comments, all)
}

fn check(folder: &str, without: &str) {
    let (mut comments, mut all) = (0, 0);
    for file in source::of_crate(folder) {
        if without.is_empty() || !file.path.starts_with(without) {
            let (more, lines) = count(&file.text);
            comments += more;
            all += lines;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a tree has few lines")]
    let percent = comments as f64 * 100.0 / all as f64;
    println!("{folder}: {comments} plain comments in {all} lines, {percent:.2} %");
    assert!(
        PERCENT.contains(&percent),
        "{folder}: {percent:.2} % of the lines are plain comments, not {PERCENT:?} %"
    );
}

#[test]
fn the_runtime_says_why_in_its_functions() {
    check("runtime", "");
}

#[test]
fn the_core_of_http_says_why_in_its_functions() {
    check("http", "http/src/web");
}

#[test]
fn docs_count_as_lines_and_their_examples_do_not() {
    let text = "//! Docs.\n\n/// More docs.\n///\n/// ```\n/// // an example\n/// ```\nfn f() {\n    // why\n    g(); // here\n}\n\
                \n#[cfg(test)]\nmod tests {\n    // a test\n}\n";
    assert_eq!(count(text), (1, 7));
}
