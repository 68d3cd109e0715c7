//! Resident memory at start and per idle connection.

use crate::generator;
use crate::options::Options;
use crate::results::Memory;
use crate::running::Running;
use crate::servers::Server;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::thread;
use std::time::Duration;

/// Reads what a server holds after one request, and with many idle connections that have each made one.
///
/// # Errors
/// If it cannot hold them.
pub(crate) fn measure(server: &Server, options: &Options) -> Result<Memory, Box<dyn Error>> {
    let running = Running::start(server, &[], options.server_core)?;
    generator::run(
        &running,
        &["--connections", "1", "--requests", "10"],
        options,
    )?;
    let start_bytes = resident_bytes(running.pid)?;
    let connections = options.idle.to_string();
    let mut holder = generator::start(
        &running,
        &["--connections", &connections, "--hold"],
        options,
    )?;
    let mut line = String::new();
    BufReader::new(holder.stdout.take().ok_or("no standard output")?).read_line(&mut line)?;
    thread::sleep(Duration::from_secs_f64(options.settle));
    let held = resident_bytes(running.pid);
    let output = holder.wait_with_output()?; // closes its standard input, at which it ends
    if line.is_empty() {
        return Err(String::from_utf8_lossy(&output.stderr)
            .trim()
            .to_owned()
            .into());
    }
    Ok(Memory {
        start_bytes,
        connections: options.idle,
        per_connection_bytes: difference(held?, start_bytes, options),
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "bytes and connections stay far below 2^52"
)]
fn difference(held: u64, start: u64, options: &Options) -> f64 {
    (held as f64 - start as f64) / options.idle as f64
}

fn resident_bytes(pid: i32) -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or("no VmRSS")?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024)
}
