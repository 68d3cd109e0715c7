//! Tests in a process of their own, for claims about the whole process.
//!
//! That a socket is closed is such a claim: a program that another test starts has copies of all descriptors
//! until its `exec`, also of those with `FD_CLOEXEC`. For a moment, a listener that is dropped still answers.

use std::any::type_name;
use std::env;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use super::runtime::within_deadline;

/// Runs `test` in a child process. Fails if `test` fails there.
///
/// `test` is a closure of a test function, because the closure's type names the function.
pub(crate) fn alone<F: FnOnce()>(test: F) {
    let Some(output) = in_child(test) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs `test` in a child process, and returns the child's output. Returns `None` in the child.
pub(crate) fn in_child<F: FnOnce()>(test: F) -> Option<Output> {
    const VARIABLE: &str = "WATERWHEEL_CHILD";
    let name = test_name::<F>();
    within_deadline(|| {
        if env::var_os(VARIABLE).is_some_and(|child| child == name) {
            test();
            return None;
        }
        let mut child = again(name);
        Some(child.arg0("child").env(VARIABLE, name).output().unwrap())
    })
}

/// Returns a command that runs one test of this binary again.
pub(crate) fn again(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    command
}

/// Returns the name of the test that contains the closure `F`.
fn test_name<F>() -> &'static str {
    let path = type_name::<F>();
    let (_, path) = path.split_once("::").unwrap();
    path.split("::{{closure}}").next().unwrap()
}
