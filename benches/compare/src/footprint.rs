//! What it takes to have a server: size, dependencies, time of a clean build.

use crate::bounded;
use crate::calls::scratch;
use crate::figures::Footprint;
use crate::servers::{self, Server, Source};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The project's example as a package, like its peers.
const ALONE: Source = Source::Package("server-waterwheel");

/// Builds a server from nothing, and weighs it; `None` for those that cargo does not build.
///
/// # Errors
/// If it cannot be built or weighed.
pub(crate) fn measure(server: &Server) -> Result<Option<Footprint>, Box<dyn Error>> {
    let mut server = server.clone();
    if matches!(server.source, Source::Project) {
        server.source = ALONE; // an example is built with all that tests depend on
    }
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

/// Bytes of a binary without its symbols.
///
/// # Errors
/// If `strip` is not there, or cannot.
pub(crate) fn stripped_bytes(binary: &Path) -> Result<u64, Box<dyn Error>> {
    let stripped = scratch("stripped");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(binary);
    bounded::text(&mut strip, Duration::from_secs(60))?;
    let bytes = stripped.metadata()?.len();
    std::fs::remove_file(&stripped)?;
    Ok(bytes)
}

/// Counts the crates of the normal build, without the server itself, those that only run while building,
/// and this folder's `listener` with what only it needs.
fn dependencies(arguments: &[String]) -> Result<usize, Box<dyn Error>> {
    let mut text = tree(arguments, &[])?;
    if text.lines().any(|line| line.starts_with("listener ")) {
        text = tree(arguments, &["--prune", "listener"])?;
    }
    let names: BTreeSet<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    Ok(names.len().saturating_sub(1))
}

fn tree(arguments: &[String], more: &[&str]) -> Result<String, Box<dyn Error>> {
    let mut tree = Command::new("cargo");
    tree.args(["tree", "--edges", "normal,no-proc-macro"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}"])
        .args(more)
        .args(arguments);
    bounded::text(&mut tree, Duration::from_secs(60))
}
