//! Waiting for other programs, but never for ever.

use std::error::Error;
use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often a program is asked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Runs a command to its end and gives what it said.
///
/// # Errors
/// If it cannot be started or takes too long.
pub(crate) fn output(command: &mut Command, limit: Duration) -> Result<Output, Box<dyn Error>> {
    let program = command.get_program().display().to_string();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    wait(child, limit).map_err(|error| format!("{program}: {error}").into())
}

/// Runs a command that has to succeed and gives its standard output.
///
/// # Errors
/// If it cannot be started, takes too long, or fails: then with what it complains of.
pub(crate) fn text(command: &mut Command, limit: Duration) -> Result<String, Box<dyn Error>> {
    let output = output(command, limit)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(complaint(&output).into())
}

/// What a program that failed says of it: its first line about an error, or else its last.
pub(crate) fn complaint(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let error = lines.clone().find(|line| line.starts_with("error"));
    let line = error.or_else(|| lines.next_back());
    let line = line.unwrap_or("failed without a word");
    line.trim_start_matches("Error: ")
        .trim_matches('"')
        .to_owned()
}

/// Closes a program's standard input, waits for its end, and gives what it said.
///
/// # Errors
/// If it takes too long: then it is killed.
pub(crate) fn wait(mut child: Child, limit: Duration) -> Result<Output, Box<dyn Error>> {
    drop(child.stdin.take());
    let stdout = child.stdout.take().map(gather);
    let stderr = child.stderr.take().map(gather);
    let deadline = Instant::now() + limit;
    // Its output ends when it does: until then nothing here wakes up and disturbs what is measured.
    let stdout = stdout.and_then(|all| all.recv_timeout(limit).ok());
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(format!("not done within {} s", limit.as_secs()).into());
        }
        thread::sleep(LOOK_EVERY);
    };
    let stderr = stderr.and_then(|all| all.recv().ok());
    Ok(Output {
        status,
        stdout: stdout.unwrap_or_default(),
        stderr: stderr.unwrap_or_default(),
    })
}

/// Reads to the end on a thread, so that the program never waits for a reader.
fn gather(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (gathered, all) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).ok(); // what has come until an error counts
        gathered.send(bytes).ok(); // nobody waits any more: it took too long
    });
    all
}

#[cfg(test)]
mod tests {
    use super::{output, text};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn what_takes_too_long_is_killed_and_what_fails_says_why() {
        let limit = Duration::from_millis(50);
        assert!(output(Command::new("sleep").arg("60"), limit).is_err());
        let mut failing = Command::new("sh");
        failing.args(["-c", "echo no such thing >&2; exit 1"]);
        let error = text(&mut failing, Duration::from_secs(10)).map_err(|error| error.to_string());
        assert_eq!(error, Err("no such thing".to_owned()));
    }
}
