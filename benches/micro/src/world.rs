//! A runtime in which nothing differs from run to run.

use std::time::Duration;

use waterwheel::runtime::Runtime;
use waterwheel::runtime::time::{self, Instant};

/// Later than any run needs to come to this point.
const BEGINNING: Duration = Duration::from_secs(1000);

/// A runtime whose clock stands at the same tick in each run.
pub(crate) fn runtime() -> Runtime {
    let runtime = Runtime::new().expect("descriptors are left");
    runtime.block_on(async {
        time::pause();
        let origin = Instant::now() - Duration::MAX;
        let left = BEGINNING.checked_sub(origin.elapsed());
        time::advance(left.expect("the run has just begun")).await;
    });
    runtime
}
