//! The runtime's reading order: no file imports one that stands later.

use std::fs;

use crate::imports::imports;
use crate::source;

/// Returns the names between back-ticks in the lists of a section of a text.
fn listed(text: &str, heading: &str) -> Vec<String> {
    let section = text.split_once(heading).unwrap().1;
    let mut names = Vec::new();
    let mut in_list = false;
    for line in section.lines() {
        let line = line.trim_start_matches("//!").trim();
        if line.starts_with('#') {
            break;
        }
        in_list = line.starts_with("- ") || in_list && !line.is_empty();
        if in_list {
            names.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    names
}

fn reading_order() -> Vec<String> {
    let text = fs::read_to_string(source::root().join("runtime/src/lib.rs")).unwrap();
    listed(&text, "# Reading order")
}

/// Returns the file that a path leads to: `time::sleep` for `time::sleep::Sleep`.
fn file_of<'a>(path: &[String], order: &'a [String]) -> Option<(usize, &'a str)> {
    (1..=path.len()).rev().find_map(|len| {
        let name = path[..len].join("::");
        let position = order.iter().position(|file| *file == name)?;
        Some((position, order[position].as_str()))
    })
}

#[test]
fn the_reading_order_names_each_file_of_the_runtime_once() {
    let order = reading_order();
    let mut listed = order.clone();
    listed.sort();
    let mut files: Vec<_> = source::of_crate("runtime")
        .into_iter()
        .filter(|file| !file.module.is_empty())
        .map(|file| file.module.join("::"))
        .collect();
    files.sort();
    assert_eq!(listed, files, "runtime/src/lib.rs, section Reading order");
}

/// No file imports a later one, so there is no cycle either.
#[test]
fn a_file_of_the_runtime_imports_only_files_that_stand_before_it() {
    let order = reading_order();
    let mut wrong = Vec::new();
    for file in source::of_crate("runtime") {
        let name = file.module.join("::");
        let Some(own) = order.iter().position(|file| *file == name) else {
            continue;
        };
        for import in imports(&file) {
            match file_of(&import, &order) {
                Some((position, _)) if position <= own => {}
                Some((_, later)) => wrong.push(format!("{} imports {later}", file.path)),
                None => wrong.push(format!(
                    "{} imports {} from the root, not from its file",
                    file.path,
                    import.join("::")
                )),
            }
        }
    }
    wrong.dedup();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_architecture_prints_the_same_reading_order() {
    let text = fs::read_to_string(source::root().join("ARCHITECTURE.md")).unwrap();
    let heading = "## A guided tour of the runtime";
    assert_eq!(listed(&text, heading), reading_order());
}

/// The tour of ARCHITECTURE.md describes each file, in the reading order.
#[test]
fn the_tour_of_the_architecture_follows_the_reading_order() {
    let text = fs::read_to_string(source::root().join("ARCHITECTURE.md")).unwrap();
    let tour = text
        .split_once("## A guided tour of the runtime")
        .unwrap()
        .1;
    let tour = tour.split_once("### The server").unwrap().0;
    let mut files: Vec<String> = Vec::new();
    for name in tour.split('`').skip(1).step_by(2) {
        if let Some(name) = name.strip_suffix(".rs") {
            let name = name.trim_end_matches("/mod").replace('/', "::");
            if !files.contains(&name) {
                files.push(name);
            }
        }
    }
    assert_eq!(files, reading_order());
}

/// The core can be read in an evening. Docs do not count, and neither do blank lines and tests.
#[test]
fn the_core_of_the_runtime_has_fewer_than_6000_lines() {
    let text = fs::read_to_string(source::root().join("runtime/src/lib.rs")).unwrap();
    let (core, _) = text.split_once("//! This is the core").unwrap();
    let mut core = listed(core, "# Reading order");
    let skipped = [
        // These have code only with the feature `inspect`. In all other builds a call of them is an empty function.
        "reasons",
        "board",
        "nodes",
        "points",
        // It is not compiled on Linux. It has the same functions as `sys::linux`, for other systems.
        "sys::other",
    ];
    core.retain(|file| {
        let is_in = |folder: &str| file.starts_with(&format!("{folder}::"));
        !skipped.iter().any(|name| file == name || is_in(name))
    });
    assert!(core.len() > 30, "{core:?}");
    let lines = |file: &source::Source| {
        let before_tests = file.text.split("\n#[cfg(test)]\n").next().unwrap();
        let is_counted = |line: &&str| {
            let line = line.trim();
            !(line.is_empty() || line.starts_with("///") || line.starts_with("//!"))
        };
        before_tests.lines().filter(is_counted).count()
    };
    let files = source::of_crate("runtime");
    let in_core = files
        .iter()
        .filter(|file| core.contains(&file.module.join("::")));
    let sum: usize = in_core.map(lines).sum();
    println!(
        "the core of the runtime: {sum} lines in {} files",
        core.len()
    );
    assert!(sum < 6000, "{sum} lines");
}
