//! Runs the tests of a crate of the course, and reads their output.

use std::env;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::stages;

/// The outcome of the tests of one crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The code does not compile. The compiler has said why.
    DoesNotCompile,
    /// The tests have run.
    Ran {
        passed: Vec<String>,
        failed: Vec<Failed>,
    },
}

/// A test that has failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    pub name: String,
    /// The output of the test.
    pub output: String,
}

impl Failed {
    /// Returns the part that the test has come to and that is not written, if this is not the first part in its name.
    pub fn also_needs(&self) -> Option<u32> {
        let number = |text: &str| {
            let digits = text.split(|letter: char| !letter.is_ascii_digit()).next();
            digits?.parse().ok()
        };
        let (_, after) = self.output.split_once("not yet implemented: TODO ")?;
        let first: u32 = number(self.name.strip_prefix("todo_")?)?;
        number(after).filter(|part| *part != first)
    }
}

impl Outcome {
    /// Returns true if all tests have passed.
    pub fn is_pass(&self) -> bool {
        matches!(self, Self::Ran { passed, failed } if failed.is_empty() && !passed.is_empty())
    }
}

/// Builds and runs the tests of a crate.
///
/// # Errors
///
/// Fails if cargo cannot be started.
pub fn test(package: &str) -> io::Result<Outcome> {
    let build = cargo(&[
        "test",
        "--quiet",
        "--tests",
        "--no-run",
        "--package",
        package,
    ])
    .status()?;
    if !build.success() {
        return Ok(Outcome::DoesNotCompile);
    }
    let run = cargo(&["test", "--tests", "--no-fail-fast", "--package", package])
        .stderr(Stdio::null())
        .output()?;
    Ok(read(&String::from_utf8_lossy(&run.stdout)))
}

/// Builds the tests of many crates at once, which is faster than one after the other.
///
/// # Errors
///
/// Fails if cargo cannot be started, or if a crate does not compile.
pub fn build(packages: &[String]) -> io::Result<()> {
    let mut build = cargo(&["test", "--quiet", "--tests", "--no-run"]);
    for package in packages {
        build.args(["--package", package]);
    }
    if build.status()?.success() {
        Ok(())
    } else {
        Err(io::Error::other("a crate does not compile"))
    }
}

/// Builds an example of a crate. Returns false if it does not compile.
///
/// # Errors
///
/// Fails if cargo cannot be started.
pub fn build_example(package: &str, example: &str) -> io::Result<bool> {
    let mut build = cargo(&[
        "build",
        "--quiet",
        "--package",
        package,
        "--example",
        example,
    ]);
    Ok(build.status()?.success())
}

/// Runs an example of a crate, with a path as its argument.
///
/// # Errors
///
/// Fails if cargo cannot be started.
pub fn example(package: &str, example: &str, path: &Path) -> io::Result<Output> {
    cargo(&[
        "run",
        "--quiet",
        "--package",
        package,
        "--example",
        example,
        "--",
    ])
    .arg(path)
    .output()
}

fn cargo(arguments: &[&str]) -> Command {
    // The cargo that runs this program.
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(arguments)
        .current_dir(stages::root())
        // A backtrace would hide the message.
        .env("RUST_BACKTRACE", "0");
    cargo
}

/// Reads the output of the test harness.
fn read(output: &str) -> Outcome {
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for line in output.lines() {
        // A test that prints can stand on the same line as its result.
        let Some(rest) = line.strip_prefix("test ") else {
            continue;
        };
        let Some((name, result)) = rest.split_once(" ... ") else {
            continue;
        };
        if result.ends_with("FAILED") {
            failed.push(Failed {
                name: name.to_owned(),
                output: output_of(output, name),
            });
        } else if result.ends_with("ok") {
            passed.push(name.to_owned());
        }
    }
    failed.sort_by(|one, other| one.name.cmp(&other.name));
    Outcome::Ran { passed, failed }
}

/// Returns the lines that a failed test has printed.
fn output_of(output: &str, name: &str) -> String {
    let begin = format!("---- {name} stdout ----");
    let lines = output.lines().skip_while(|line| *line != begin).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("---- ") && *line != "failures:");
    let without_note = lines.filter(|line| !line.starts_with("note: run with"));
    let text: Vec<_> = without_note.collect();
    text.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_of_the_harness_are_read() {
        let output = "
running 3 tests
test todo_2_b ... FAILED
test todo_1_a ... ok
test todo_1_c ... FAILED

failures:

---- todo_2_b stdout ----

thread 'todo_2_b' panicked at src/lib.rs:3:5:
not yet implemented: TODO 2
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace

---- todo_1_c stdout ----
assertion failed


failures:
    todo_1_c
    todo_2_b
";
        let Outcome::Ran { passed, failed } = read(output) else {
            panic!("the tests have run");
        };
        assert_eq!(passed, ["todo_1_a"]);
        assert_eq!(failed[0].name, "todo_1_c");
        assert_eq!(failed[0].output, "assertion failed");
        assert!(failed[1].output.ends_with("not yet implemented: TODO 2"));
    }

    #[test]
    fn a_claim_that_comes_to_another_part_needs_it_too() {
        let rows = [
            ("todo_1_a_wake_ends_the_wait", "TODO 3", Some(3)),
            ("todo_1_a_wake_ends_the_wait", "TODO 1", None),
            ("todo_1_and_3_a_read_waits", "TODO 3", Some(3)),
            ("todo_1_to_4_a_job_runs", "TODO 1", None),
            ("todo_1_to_4_a_job_runs", "TODO 15", Some(15)),
            ("epoll_reports_an_edge_once", "TODO 1", None),
        ];
        for (name, part, expected) in rows {
            let failed = Failed {
                name: name.to_owned(),
                output: format!("thread 'a' panicked\nnot yet implemented: {part}\n"),
            };
            assert_eq!(failed.also_needs(), expected, "{name} {part}");
        }
        let other = Failed {
            name: "todo_1_a".to_owned(),
            output: "assertion failed".to_owned(),
        };
        assert_eq!(other.also_needs(), None);
    }

    #[test]
    fn a_crate_without_tests_does_not_pass() {
        assert!(!read("").is_pass());
    }
}
