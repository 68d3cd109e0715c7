//! The tools of the other tests.

#![allow(dead_code, reason = "these tests use a part of them")]

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};

use programs::Owned;

#[path = "../../../support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../../support/process.rs"]
pub(crate) mod process;
#[path = "../../../support/programs.rs"]
pub(crate) mod programs;
#[path = "../../../support/runtime.rs"]
pub(crate) mod runtime;
#[path = "../../../support/skip.rs"]
pub(crate) mod skip;

/// Starts an example. Returns it with the rest of its output, and the address that it prints.
pub(crate) fn start_example(
    name: &str,
    arguments: &[&str],
) -> (Owned, BufReader<ChildStdout>, String) {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().join("examples");
    let mut command = Command::new(folder.join(name));
    let mut example = command
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(example.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap();
    let address = address.to_owned();
    (Owned(example), output, address)
}
