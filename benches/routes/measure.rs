//! How long something takes, in nanoseconds for each path: the median of some rounds.

use std::time::{Duration, Instant};

/// Many and short, so that others on the same core stay out of most of them.
const ROUNDS: usize = 501;

/// How often a round goes over all paths.
const TIMES: u32 = 10;

/// Takes the time of rounds, each of which asks `TIMES` times for `paths` paths.
pub(crate) async fn nanos(paths: usize, mut all_paths: impl AsyncFnMut()) -> f64 {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..TIMES {
            all_paths().await;
        }
        times.push(start.elapsed());
    }
    median_nanos(times, paths)
}

#[expect(clippy::cast_precision_loss, reason = "there are some hundred paths")]
fn median_nanos(mut times: Vec<Duration>, paths: usize) -> f64 {
    times.sort_unstable();
    times[ROUNDS / 2].as_secs_f64() * 1e9 / f64::from(TIMES) / paths as f64
}
