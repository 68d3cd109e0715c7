//! Resident memory at start and per idle connection.

use crate::bounded;
use crate::figures::Memory;
use crate::generator;
use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long it may take to open all connections.
const HOLD_TIME_MAX: Duration = Duration::from_secs(120);

/// Reads what a server holds after a few requests, and with many idle connections that have each made one.
///
/// # Errors
/// If it cannot hold them.
pub(crate) fn measure(server: &Server, options: &Options) -> Result<Memory, Box<dyn Error>> {
    let running = Running::start(server, &[], options.server_core)?;
    let few = ["--connections", "1", "--requests", "10"];
    generator::run(
        &running,
        &[&few, &["--path", server.path][..]].concat(),
        options,
    )?;
    let start_bytes = resident_bytes(running.pid)?;
    let connections = options.idle.to_string();
    let many = ["--connections", &connections, "--hold"];
    let path = ["--path", server.path];
    let mut holder = generator::start(&running, &[&many, &path[..]].concat(), options)?;
    let is_held = says_a_line(&mut holder)?;
    thread::sleep(Duration::from_secs_f64(options.settle));
    let held = resident_bytes(running.pid);
    if !is_held {
        holder.kill().ok(); // it may have ended by itself, and then says why
    }
    let output = bounded::wait(holder, Duration::from_secs(30))?; // it ends with its standard input
    if !is_held {
        return Err(bounded::complaint(&output).into());
    }
    Ok(Memory {
        start_bytes,
        connections: options.idle,
        per_connection_bytes: difference(held?, start_bytes, options),
    })
}

/// Whether the program says something in time.
fn says_a_line(child: &mut Child) -> Result<bool, Box<dyn Error>> {
    let output = child.stdout.take().ok_or("no standard output")?;
    let (said, hears) = mpsc::channel();
    thread::spawn(move || {
        let line = BufReader::new(output).lines().next();
        said.send(matches!(line, Some(Ok(_)))).ok(); // nobody listens any more: it is too late
    });
    Ok(hears.recv_timeout(HOLD_TIME_MAX).unwrap_or(false))
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
