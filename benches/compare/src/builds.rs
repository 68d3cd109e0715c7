//! Clean builds of Waterwheel itself, without its features and with all of them.

use crate::bounded;
use crate::calls::scratch;
use crate::figures::Build;
use crate::footprint::stripped_bytes;
use crate::plan::project;
use crate::servers;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long cargo may take to tell a tree.
const TREE_TIME_MAX: Duration = Duration::from_secs(120);

/// A kind of build: its name, what cargo is told, and the example whose binary is weighed.
const KINDS: [(&str, &[&str], &str); 2] = [
    ("default", &[], "hello"),
    ("all features", &["--all-features"], "site"),
];

/// Builds each kind from an empty target folder.
///
/// # Errors
/// If one cannot be built.
pub(crate) fn measure() -> Result<BTreeMap<String, Build>, Box<dyn Error>> {
    let one = |&(kind, features, example): &(&str, &[&str], &str)| {
        build(features, example).map(|build| (kind.to_owned(), build))
    };
    KINDS.iter().map(one).collect()
}

fn build(features: &[&str], example: &str) -> Result<Build, Box<dyn Error>> {
    let manifest = project().join("Cargo.toml").display().to_string();
    let words = [&["--manifest-path", &manifest], features].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let target = scratch("build");
    let begun = Instant::now();
    servers::cargo("build", &words, &target)?;
    let seconds = begun.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&target)?;
    let binary_bytes = example_bytes(&words, example)?;
    Ok(Build {
        crates: crates(&words)?,
        seconds,
        example: example.to_owned(),
        binary_bytes,
    })
}

/// Bytes of an example's binary; it is built where dependencies of tests are built already.
fn example_bytes(words: &[String], example: &str) -> Result<u64, Box<dyn Error>> {
    let target = servers::target_folder()?.join("project");
    let choice = ["--example", example].map(str::to_owned);
    servers::cargo("build", &[words, &choice].concat(), &target)?;
    stripped_bytes(&target.join("release/examples").join(example))
}

fn crates(words: &[String]) -> Result<usize, Box<dyn Error>> {
    let mut tree = Command::new("cargo");
    tree.args([
        "tree",
        "-e",
        "no-dev",
        "--prefix",
        "none",
        "--no-dedupe",
        "-f",
        "{p}",
    ])
    .args(words);
    let text = bounded::text(&mut tree, TREE_TIME_MAX)?;
    let names: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(names.len())
}
