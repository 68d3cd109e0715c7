//! Counts the rows that are done.

use std::collections::BTreeSet;

use super::rows::{ROWS, SUITES};

/// The smallest number of rows, and of the suites' tests, that are done. It only grows.
const DONE_MIN: (usize, usize) = (186, 35);

/// The files that hold the rows' tests.
const SOURCES: &[&str] = &[
    include_str!("mini_async_http.rs"),
    include_str!("gateways.rs"),
    include_str!("life.rs"),
    include_str!("nim_answers.rs"),
    include_str!("nim_gate.rs"),
    include_str!("nim_loop.rs"),
    include_str!("nim_requests.rs"),
    include_str!("nim_suite.rs"),
    include_str!("nim_types.rs"),
    include_str!("rouille.rs"),
    include_str!("runtime.rs"),
    include_str!("secure.rs"),
    include_str!("tiny_http.rs"),
    include_str!("web_input.rs"),
    include_str!("web_response.rs"),
    include_str!("web_routes.rs"),
    include_str!("web_middleware.rs"),
    include_str!("web_files.rs"),
];

/// Returns the names of all tests in a source.
fn tests(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("#[test]")
        .skip(1)
        .map(|rest| rest.split_once("fn ").unwrap().1.split_once('(').unwrap().0)
}

/// Returns the start of a test's name for an id: `N-58b` is `n_58b_`, `T-R4` is `t_r04_`.
fn prefix(id: &str) -> String {
    let id = id.to_lowercase().replace('-', "_");
    let digits = id.find(|c: char| c.is_ascii_digit()).unwrap();
    let number_end = id[digits..]
        .find(|c: char| !c.is_ascii_digit())
        .map_or(id.len(), |length| digits + length);
    let (letters, number, suffix) = (&id[..digits], &id[digits..number_end], &id[number_end..]);
    format!("{letters}{number:0>2}{suffix}_")
}

/// Counts the ids that are done, and prints the others.
fn tally(what: &str, ids: &[&'static str], done: &BTreeSet<&str>) -> usize {
    let left: Vec<_> = ids
        .iter()
        .copied()
        .filter(|id| !done.contains(id))
        .collect();
    let count = ids.len() - left.len();
    println!(
        "{what}: {count} of {} done; left: {}",
        ids.len(),
        left.join(" ")
    );
    count
}

#[test]
fn every_row_done_so_far_is_known_and_the_rest_is_listed() {
    assert_eq!((ROWS.len(), SUITES.len()), (186, 35));
    let mut done = BTreeSet::new();
    for name in SOURCES.iter().copied().flat_map(tests) {
        if name == "child" {
            continue; // a process for another test
        }
        let id = ROWS
            .iter()
            .chain(SUITES)
            .find(|id| name.starts_with(&prefix(id)));
        let id = id.unwrap_or_else(|| panic!("{name} is the test of no row"));
        assert!(done.insert(*id), "{id} is done twice");
    }
    let counts = (tally("rows", ROWS, &done), tally("suites", SUITES, &done));
    assert!(
        counts.0 >= DONE_MIN.0 && counts.1 >= DONE_MIN.1,
        "{counts:?} < {DONE_MIN:?}"
    );
}

#[test]
fn each_note_is_about_a_row() {
    let notes = include_str!("../parity.md");
    let ids: Vec<_> = notes
        .lines()
        .filter_map(|line| line.strip_prefix("- **")?.split("**").next())
        .collect();
    assert!(!ids.is_empty());
    for id in ids {
        assert!(ROWS.contains(&id) || SUITES.contains(&id), "{id}");
    }
}
