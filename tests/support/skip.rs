//! Tests that cannot run on this machine. Each one is shown, so that none passes silently.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::{env, thread};

/// Reports that the running test ends here, and why: one line on the standard error, which the test harness
/// does not capture, and the same line in the file that `WATERWHEEL_SKIPPED` names. `.ci/run` counts the lines
/// of the file.
///
/// # Panics
///
/// If `WATERWHEEL_NO_SKIPS` is 1.
pub(crate) fn skip(reason: impl Display) {
    assert!(
        env::var_os("WATERWHEEL_NO_SKIPS").is_none_or(|value| value != "1"),
        "{reason}"
    );
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let line = format!("skipped: {test}: {reason}\n");
    // `eprint!` would be captured. One write is one whole line, beside the lines of other tests.
    io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(path) = env::var_os("WATERWHEEL_SKIPPED") {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.unwrap().write_all(line.as_bytes()).unwrap();
    }
}
