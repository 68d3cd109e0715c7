//! The houses of tests/: few binaries link faster, and a reader finds a test by its folder.

use std::fs;
use std::path::PathBuf;

use crate::source::root;

#[test]
fn each_test_file_is_in_a_house() {
    let paths = fs::read_dir(root().join("tests")).unwrap();
    let paths = paths.map(|entry| entry.unwrap().path());
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "rs");
    let outside: Vec<_> = paths.filter(is_rust).collect();
    assert!(
        outside.is_empty(),
        "tests/README.md shows the houses: {outside:?}"
    );
}

#[test]
fn the_readme_of_the_tests_names_each_house() {
    let readme = fs::read_to_string(root().join("tests/README.md")).unwrap();
    for entry in fs::read_dir(root().join("tests")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_house = entry.path().join("main.rs").exists();
        assert!(
            !is_house || readme.contains(&format!("| `{name}/` |")),
            "{name}"
        );
    }
}
