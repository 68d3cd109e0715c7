//! The share of plain comments, which say why.

use crate::source;

/// Returns the plain comments and the lines that are neither blank nor docs, without the tests at the end of a
/// file. Docs do not count, because a public face has many of them and little to explain inside.
fn count(folder: &str, without: &str) -> (usize, usize) {
    let (mut comments, mut all) = (0, 0);
    for file in source::of_crate(folder) {
        if !without.is_empty() && file.path.starts_with(without) {
            continue;
        }
        let code = file.text.split("\n#[cfg(test)]\n").next().unwrap();
        for line in code.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if line.starts_with("///") || line.starts_with("//!") {
                continue;
            }
            all += 1;
            comments += usize::from(line.starts_with("//"));
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

#[test]
fn the_core_of_http_says_why_in_its_functions() {
    check("http", "http/src/web", 3.0);
}
