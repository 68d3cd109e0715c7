//! User instructions per request, counted by callgrind.

use crate::calls::scratch;
use crate::generator;
use crate::options::Options;
use crate::running::Running;
use crate::servers::Server;
use crate::works::Work;
use std::error::Error;
use std::path::Path;

/// Two counts of requests; their difference is what is counted, so that start and end drop out.
const REQUESTS: [u32; 2] = [1_600, 8_000];

/// Counts the instructions of one server at one work.
///
/// # Errors
/// If valgrind is not there, or the server fails under it.
pub(crate) fn count(
    server: &Server,
    work: &Work,
    options: &Options,
) -> Result<f64, Box<dyn Error>> {
    let total = |requests| {
        // Once more, since now and then valgrind's own output is cut short.
        total(server, work, requests, options).or_else(|_| total(server, work, requests, options))
    };
    let [few, many] = [total(REQUESTS[0])?, total(REQUESTS[1])?];
    Ok((many - few) / f64::from(REQUESTS[1] - REQUESTS[0]))
}

fn total(
    server: &Server,
    work: &Work,
    requests: u32,
    options: &Options,
) -> Result<f64, Box<dyn Error>> {
    let base = scratch("callgrind");
    let file = format!("--callgrind-out-file={}.%p", base.display());
    let wrapper = [
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--trace-children=yes",
        &file,
    ]
    .map(str::to_owned);
    let own = if server.is_floor() { work.floor } else { &[] };
    let mut running = Running::start_under(&wrapper, server, own, options.server_core)?;
    generator::run(
        &running,
        &[work.load, &["--requests", &requests.to_string()]].concat(),
        options,
    )?;
    running.end()?;
    let path = format!("{}.{}", base.display(), running.pid);
    let text = std::fs::read_to_string(&path);
    remove_all(&base)?;
    let text = text?;
    let totals = text.lines().rev().find_map(|line| {
        line.strip_prefix("totals:")
            .or(line.strip_prefix("summary:"))
    });
    Ok(totals.ok_or("callgrind counted nothing")?.trim().parse()?)
}

/// Removes what callgrind wrote, for the server and for whatever a script called before it was one.
fn remove_all(base: &Path) -> Result<(), Box<dyn Error>> {
    let begin = format!("{}.", base.display());
    for entry in std::fs::read_dir(std::env::temp_dir())? {
        let path = entry?.path();
        if path.display().to_string().starts_with(&begin) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}
