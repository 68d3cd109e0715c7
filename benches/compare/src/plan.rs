//! What is measured, by whom and how often.

use crate::options::{Extent, Options};
use crate::parts::Part;
use crate::peers::{self, OURS};
use crate::results::Results;
use crate::servers::{Class, Server, folder};
use crate::works::Tier;
use std::error::Error;
use std::path::{Path, PathBuf};

/// One part, and what it is told.
pub(crate) struct Step {
    /// The part.
    pub(crate) part: Part,
    /// With its own servers, rounds and times.
    pub(crate) options: Options,
}

/// Whose clean build is measured when there is not time for everyone's.
const WEIGHED: [&str; 2] = [OURS, "hyper"];

/// The way of the floor that is shown where it is counted like a server.
const REFERENCE: &str = "floor-level";

/// Whose instructions are not counted: under callgrind they take minutes to start, or fall over.
const NOT_COUNTED: [&str; 3] = ["node", "python", "go"];

/// Whose answers a second wrk counts too.
const CROSS_CHECKED: [&str; 3] = [OURS, "hyper", "nginx"];

/// What the command line names, as it names it.
pub(crate) fn as_asked(options: &Options) -> Vec<Step> {
    let step = |&part: &Part| Step {
        part,
        options: options.clone(),
    };
    options.measures.iter().map(step).collect()
}

/// What README shows, so much of it as is asked for.
///
/// # Errors
/// None that are known.
pub(crate) fn of_readme(
    options: &Options,
    extent: &Extent,
    results: &Results,
) -> Result<Vec<Step>, Box<dyn Error>> {
    let mut everyone = peers::named("all")?;
    everyone.push(peers::floor(REFERENCE));
    let is_asked = |part: &Part| {
        let only = extent.only.as_ref();
        let named = only.is_none_or(|only| only.iter().any(|asked| asked.name() == part.name()));
        let is_done = results.parts.contains_key(part.name());
        named && !(extent.resume && is_done)
    };
    let parts = Part::all().into_iter().filter(is_asked);
    let step = |part: Part| {
        let mut options = options.clone();
        options.servers = everyone
            .iter()
            .filter(|server| takes_part(part, server, extent))
            .cloned()
            .collect();
        let is_short = matches!(part, Part::Latency); // many short rounds say more than a few long ones
        if is_short || !extent.thorough {
            shorten(part, &mut options);
        }
        Step { part, options }
    };
    Ok(parts.map(step).collect())
}

/// Whether a server takes part: the floor where it is not measured around everyone anyway, and not
/// everyone everywhere when there is not time for it.
fn takes_part(part: Part, server: &Server, extent: &Extent) -> bool {
    if server.is_floor() {
        return !matches!(part, Part::Cpu(_) | Part::Wrk | Part::Footprint);
    }
    if matches!(part, Part::Instructions) && NOT_COUNTED.contains(&server.name.as_str()) {
        return false;
    }
    if extent.thorough {
        return true;
    }
    match part {
        Part::Cpu(work) => work.tier == Tier::Main || server.class == Class::Contender,
        Part::Calls | Part::Instructions => server.class != Class::Slow,
        Part::Footprint => WEIGHED.contains(&server.name.as_str()),
        Part::Wrk => CROSS_CHECKED.contains(&server.name.as_str()),
        _ => true,
    }
}

/// Sets the rounds and times with which everything is done in three quarters of an hour.
fn shorten(part: Part, options: &mut Options) {
    options.warm_up = 0.2;
    (options.rounds, options.slow_rounds, options.seconds) = match part {
        Part::Cpu(work) if work.tier == Tier::Close => (7, 1, 0.6),
        Part::Cpu(work) if work.tier == Tier::Second => (3, 1, 0.6),
        Part::Cpu(work) if work.name == "many" || work.name == "close" => (5, 3, 1.0),
        Part::Latency => (36, 5, 0.5),
        Part::Fairness => (2, 1, 1.5),
        _ => (5, 2, 1.0),
    };
}

/// Where README's results are kept, from which tables and charts are made.
pub(crate) fn readme_json() -> PathBuf {
    project().join("benches/results/numbers.json")
}

/// Where all tables of these results are.
pub(crate) fn readme_tables() -> PathBuf {
    project().join("benches/results/NUMBERS.md")
}

/// Where README's charts are.
pub(crate) fn readme_charts() -> PathBuf {
    project().join("benches/charts")
}

/// README itself.
pub(crate) fn readme() -> PathBuf {
    project().join("README.md")
}

/// The folder of the project.
pub(crate) fn project() -> &'static Path {
    let benches = folder().parent();
    benches.and_then(Path::parent).unwrap_or(folder())
}
