//! Answers a second by wrk, to see whether the load generator of this folder counts right.

use crate::bounded;
use crate::figures::CrossCheck;
use crate::options::Options;
use crate::pin;
use crate::rounds::load;
use crate::running::Running;
use crate::servers::Server;
use crate::works;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long wrk may take beyond what it was told.
const SLACK: Duration = Duration::from_secs(30);

/// Loads a server with 64 keep-alive connections by both generators, one after the other.
///
/// # Errors
/// If wrk is not there, or the server fails.
pub(crate) fn cross_check(
    server: &Server,
    options: &Options,
) -> Result<CrossCheck, Box<dyn Error>> {
    let work = works::find("single").ok_or("no such work")?;
    let own_per_second = load(server, work, &[], options)?.requests_per_second;
    let seconds = options.seconds.ceil().max(1.0);
    let running = Running::start(server, &[], options.server_core)?;
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--connections", "64"])
        .args(["--duration", &seconds.to_string()])
        .arg(format!("http://{}/plaintext", running.address))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child =
        pin::spawn_on(options.load_core, &mut command).map_err(|error| format!("wrk: {error}"))?;
    let output = bounded::wait(child, Duration::from_secs_f64(seconds) + SLACK)?;
    if !output.status.success() {
        return Err(bounded::complaint(&output).into());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err("wrk saw errors".into());
    }
    let said = text
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .ok_or("wrk counted nothing")?;
    Ok(CrossCheck {
        wrk_per_second: said.trim().parse()?,
        own_per_second,
    })
}
