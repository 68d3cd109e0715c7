//! Each feature has a row for readers, because the pages of an item show its feature on docs.rs only.

use std::fs;

use crate::source::root;

/// The features of a manifest, in its order.
fn features_of(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let (_, section) = text.split_once("[features]\n").unwrap();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.split_once(" = [").map(|(name, _)| name.to_owned()));
    names.collect()
}

#[test]
fn each_feature_has_a_row_in_the_tables_of_features() {
    let features = features_of("Cargo.toml");
    assert!(features.len() > 20, "the manifest is read: {features:?}");
    let mut wrong = Vec::new();
    for table in ["README.md", "src/lib.rs"] {
        let text = fs::read_to_string(root().join(table)).unwrap();
        let rows: Vec<&str> = text
            .lines()
            .filter(|line| line.trim_start_matches("//! ").starts_with("| `"))
            .collect();
        for feature in &features {
            let name = format!("`{feature}`");
            if !rows.iter().any(|row| row.contains(&name)) {
                wrong.push(format!("{table}: no row for {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_crate_has_all_features_of_the_two_crates_below() {
    let own = features_of("Cargo.toml");
    for manifest in ["http/Cargo.toml", "runtime/Cargo.toml"] {
        for feature in features_of(manifest) {
            assert!(
                own.contains(&feature),
                "{manifest}: `{feature}` is missing above"
            );
        }
    }
}
