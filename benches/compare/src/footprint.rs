//! What it takes to have a server: size, dependencies, time of a clean build.

use crate::calls::scratch;
use crate::results::Footprint;
use crate::servers::{self, Server};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Builds a server from nothing, and weighs it; `None` for those that cargo does not build.
///
/// # Errors
/// If it cannot be built or weighed.
pub(crate) fn measure(server: &Server) -> Result<Option<Footprint>, Box<dyn Error>> {
    let Some(arguments) = server.cargo_arguments() else {
        return Ok(None);
    };
    let target = scratch("build");
    let begun = Instant::now();
    servers::cargo("build", &arguments, &target)?;
    let build_seconds = begun.elapsed().as_secs_f64();
    let binary = server.binary_in(&target).ok_or("no binary")?;
    let binary_bytes = stripped_bytes(&binary)?;
    std::fs::remove_dir_all(&target)?;
    Ok(Some(Footprint {
        binary_bytes,
        dependencies: dependencies(&arguments)?,
        build_seconds,
    }))
}

/// Bytes of a binary without symbols, of which it is stripped.
///
/// # Errors
/// If `strip` is not there, or cannot.
pub(crate) fn stripped_bytes(binary: &Path) -> Result<u64, Box<dyn Error>> {
    if !Command::new("strip").arg(binary).status()?.success() {
        return Err("strip failed".into());
    }
    Ok(binary.metadata()?.len())
}

/// Counts the crates of the normal build, without the server itself and those that only run while building.
fn dependencies(arguments: &[String]) -> Result<usize, Box<dyn Error>> {
    let of_tree: Vec<&String> = arguments
        .iter()
        .filter(|word| !["--example", "plaintext"].contains(&word.as_str()))
        .collect();
    let output = Command::new("cargo")
        .args([
            "tree",
            "--edges",
            "normal,no-proc-macro",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}",
        ])
        .args(of_tree)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let names: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(names.len().saturating_sub(1))
}
