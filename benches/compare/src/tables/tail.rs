//! The tail of latencies: ours, the best of the others' and the floor's, and whether they differ at all.

use crate::figures::{Latency, Measured};
use crate::peers::OURS;
use crate::results::Results;
use crate::stats::Quartiles;
use crate::text::{grouped, paragraph};

/// A median with the middle half of the rounds; of results without it, the median alone.
pub(crate) fn cell(latency: &Latency) -> String {
    let known = latency.p999_quartiles.as_ref();
    known.map_or_else(|| grouped(latency.p999.median), shown)
}

/// Whether ours is less than another's, more, or not to be told apart; `None` without quartiles.
pub(crate) fn verdict(ours: &Measured, other: &Measured) -> Option<&'static str> {
    let (ours, other) = (quartiles(ours)?, quartiles(other)?);
    Some(if ours.overlaps(other) {
        "within noise"
    } else if ours.median < other.median {
        "less"
    } else {
        "more"
    })
}

/// What the rounds say of ours, the best of the others and the floor; empty without any of them.
pub(crate) fn compared(results: &Results) -> String {
    text(results).map_or(String::new(), |text| paragraph(&text))
}

fn text(results: &Results) -> Option<String> {
    let ours = results.servers.iter().find(|server| server.name == OURS)?;
    let latency = ours.latency.as_ref()?;
    let by_median = |a: &&Measured, b: &&Measured| median(a).total_cmp(&median(b));
    let (floors, others): (Vec<_>, Vec<_>) = results
        .servers
        .iter()
        .filter(|server| server.name != OURS && quartiles(server).is_some())
        .partition(|server| server.name.starts_with("floor"));
    let against = [others, floors].map(|of| of.into_iter().min_by(by_median));
    let against = against.iter().flatten().map(|other| {
        let (name, shown) = (&other.name, shown(quartiles(other)?));
        Some(format!("{name} {shown}: {}", verdict(ours, other)?))
    });
    let against: Vec<String> = against.collect::<Option<_>>()?;
    Some(format!(
        "p99.9 is the median of {} interleaved rounds of {} s, with the middle half of them: one stall of \
         the machine is the p99.9 of its round. Ours is {} µs{}; {}. Where the middle halves overlap, the \
         difference is within noise: neither is faster as far as this can tell.",
        latency.rounds,
        latency.seconds,
        shown(quartiles(ours)?),
        disturbed(latency),
        against.join("; ")
    ))
}

/// Says so where the machine was not quiet.
fn disturbed(latency: &Latency) -> String {
    match latency.disturbed {
        0 => String::new(),
        rounds => format!(" (in {rounds} of the rounds, something else ran on its core)"),
    }
}

fn quartiles(server: &Measured) -> Option<&Quartiles> {
    server.latency.as_ref()?.p999_quartiles.as_ref()
}

fn median(server: &Measured) -> f64 {
    quartiles(server).map_or(f64::MAX, |quartiles| quartiles.median)
}

fn shown(quartiles: &Quartiles) -> String {
    let [lower, median, upper] = [quartiles.lower, quartiles.median, quartiles.upper].map(grouped);
    format!("{median} ({lower}–{upper})")
}
