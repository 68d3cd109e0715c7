//! A child process: writes to its input, reads its output line by line, and gives it a limit of time.
//!
//! ```text
//! cargo run --example child_process
//! ```
//!
//! You should see four words in their order, and that `sleep` was killed.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::io;
use std::process::Stdio;
use std::time::Duration;

use futures_lite::io::BufReader;
use futures_lite::{AsyncBufReadExt, AsyncWriteExt, StreamExt};
use waterwheel::runtime::process::Command;
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{block_on, join};

/// Sorts lines with the program `sort`.
async fn sorted(lines: &[&str]) -> io::Result<Vec<String>> {
    let mut command = Command::new("sort");
    // If this future is dropped, for example by a timeout, the program ends, too.
    command.kill_on_drop(true);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().expect("it is a pipe");
    let output = BufReader::new(child.stdout.take().expect("it is a pipe"));

    // Both at once: a child that waits for room in its output reads no input.
    let write = async move {
        for line in lines {
            input.write_all(line.as_bytes()).await?;
            input.write_all(b"\n").await?;
        }
        input.close().await // the end of the input, for which `sort` waits
    };
    let (written, sorted) = join(write, output.lines().try_collect()).await;
    written?;
    let status = child.wait().await?;
    if !status.success() {
        return Err(io::Error::other(format!("sort has failed: {status}")));
    }
    sorted
}

fn main() -> io::Result<()> {
    block_on(async {
        let lines = ["wheel", "axle", "water", "mill"];
        println!(
            "{:?}",
            timeout(Duration::from_secs(10), sorted(&lines)).await??
        );

        let mut sleep = Command::new("sleep");
        let ended = timeout(
            Duration::from_millis(50),
            sleep.arg("60").kill_on_drop(true).status(),
        );
        println!("sleep was killed: {}", ended.await.is_err());
        Ok(())
    })
}
