//! A skipped test is counted, so each one reports through `support::skip`.

use std::fs;

use crate::source::{files_in, from_root, root};

#[test]
fn a_test_reports_that_it_is_skipped_through_one_function() {
    let own = ["tests/support/skip.rs", "tests/house/skips.rs"];
    let mut wrong = Vec::new();
    for file in files_in(&root().join("tests"), "rs") {
        let path = from_root(&file);
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in (1..).zip(text.lines()) {
            if line.contains("\"skip") && !own.contains(&path.as_str()) {
                wrong.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
