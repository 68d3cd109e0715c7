//! The share of plain comments, which say why.

use crate::source;

/// Returns the plain comments and the lines that are not blank, without the tests at the end of a file and
/// without the examples in the documentation.
fn count(folder: &str, without: &str) -> (usize, usize) {
    let (mut comments, mut all) = (0, 0);
    for file in source::of_crate(folder) {
        if !without.is_empty() && file.path.starts_with(without) {
            continue;
        }
        let code = file.text.split("\n#[cfg(test)]\n").next().unwrap();
        let mut in_example = false;
        for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let is_doc = line.starts_with("///") || line.starts_with("//!");
            in_example ^= is_doc && line.contains("```");
            if is_doc && in_example {
                continue;
            }
            all += 1;
            comments += usize::from(line.starts_with("//") && !is_doc);
        }
    }
    (comments, all)
}

fn check(folder: &str, without: &str, percent_min: f64) {
    let (comments, all) = count(folder, without);
    #[expect(clippy::cast_precision_loss, reason = "a tree has few lines")]
    let percent = comments as f64 * 100.0 / all as f64;
    println!("{folder}: {comments} plain comments in {all} lines, {percent:.2} %");
    assert!(
        (percent_min..=12.0).contains(&percent),
        "{folder}: {percent:.2} % of the lines are plain comments, not {percent_min} to 12 %"
    );
}

#[test]
fn the_runtime_says_why_in_its_functions() {
    check("runtime", "", 3.5);
}

/// The lower bound is to rise to 4 %: `connection`, `buffers` and `proto` have few comments yet.
#[test]
fn the_core_of_http_says_no_less_why_than_it_did() {
    check("http", "http/src/web", 2.5);
}
