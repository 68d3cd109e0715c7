//! A job runner: at most two jobs at once, a deadline for each, and a clean end.
//!
//! ```text
//! cargo run --release --example job_runner
//! ```
//!
//! You should see the jobs that are done, one that panics, and those that are stopped.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::rc::Rc;
use std::time::Duration;

use waterwheel::runtime::sync::{CancellationToken, Semaphore};
use waterwheel::runtime::task::JoinSet;
use waterwheel::runtime::time::{sleep, timeout};
use waterwheel::runtime::{block_on, spawn};

/// A job takes this long. The third one is stuck, and the fourth one is broken.
async fn job(number: u32) -> String {
    match number {
        3 => sleep(Duration::from_secs(3600)).await,
        4 => panic!("job 4 is broken"),
        _ => sleep(Duration::from_millis(20)).await,
    }
    format!("job {number} is done")
}

fn main() {
    block_on(async {
        let places = Rc::new(Semaphore::new(2));
        let stop = CancellationToken::new();
        let mut jobs = JoinSet::new();
        for number in 1..=8 {
            let (places, stop) = (places.clone(), stop.clone());
            jobs.spawn(async move {
                // Waits in line for a place. The permit goes back when the job ends, however it ends.
                let _place = places.acquire().await;
                let limited = timeout(Duration::from_millis(50), job(number));
                match stop.run_until_cancelled(limited).await {
                    Some(Ok(text)) => text,
                    Some(Err(elapsed)) => format!("job {number}: {elapsed}"),
                    None => format!("job {number} was stopped"),
                }
            });
        }
        spawn(async move {
            sleep(Duration::from_millis(90)).await;
            stop.cancel(); // for example on Ctrl-C: see the example `graceful`
        })
        .detach();
        // The jobs are joined as they end. A panic ends one job.
        while let Some(ended) = jobs.join_next().await {
            match ended {
                Ok(text) => println!("{text}"),
                Err(error) => println!("{error}"),
            }
        }
        println!("{} places are free again", places.available_permits());
    });
}
