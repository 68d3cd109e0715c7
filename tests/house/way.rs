//! The way of a request in ARCHITECTURE.md: short, and true.

use std::collections::BTreeSet;
use std::fs;

use crate::source::root;

const FILES_MAX: usize = 22;
const TYPES_MAX: usize = 25;

/// Returns the words of a cell that stand between backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns the path of a file from the root of the repository. The first steps are the runtime's.
fn path_of(name: &str, step: usize) -> String {
    match name.strip_prefix("runtime/") {
        Some(name) => format!("runtime/src/{name}"),
        None if step <= 3 => format!("runtime/src/{name}"),
        None => format!("http/src/{name}"),
    }
}

fn defines(text: &str, name: &str) -> bool {
    ["struct", "enum", "trait"].iter().any(|kind| {
        let definition = format!("{kind} {name}");
        text.match_indices(&definition).any(|(at, _)| {
            let behind = text[at + definition.len()..].chars().next();
            behind.is_some_and(|letter| !letter.is_alphanumeric())
        })
    })
}

#[test]
fn the_way_of_a_request_is_short_and_names_what_exists() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, way) = text.split_once("## The way of a request").unwrap();
    let (way, _) = way.split_once("\n## ").unwrap();
    let (mut files, mut types) = (BTreeSet::new(), BTreeSet::new());
    for row in way.lines() {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, step, _, row_files, row_types, _, _] = cells[..] else {
            continue;
        };
        let Ok(step) = step.parse() else { continue };
        let paths: Vec<_> = quoted(row_files).map(|name| path_of(name, step)).collect();
        let texts = paths.iter().map(|path| {
            fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
        });
        let texts: Vec<_> = texts.collect();
        for name in quoted(row_types) {
            let is_here = texts.iter().any(|text| defines(text, name));
            assert!(is_here, "{name} is not in {paths:?}");
            assert!(types.insert(name), "{name} is listed twice");
        }
        for path in paths {
            assert!(files.insert(path.clone()), "{path} is listed twice");
        }
    }
    println!("{} files and {} types", files.len(), types.len());
    assert!((15..=FILES_MAX).contains(&files.len()), "{files:#?}");
    assert!((15..=TYPES_MAX).contains(&types.len()), "{types:#?}");
}
