//! A limit on the time of a future.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::race::race;
use crate::sleep::sleep;

/// Runs `future` for at most `duration`.
///
/// # Errors
///
/// Returns [`Elapsed`] if the time is over and the future is not ready. The future is dropped then.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let limited = async { Ok(future.await) };
    let limit = async {
        sleep(duration).await;
        Err(Elapsed)
    };
    race(limited, limit).await
}

/// The time of a [`timeout`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline has passed")
    }
}

impl std::error::Error for Elapsed {}
