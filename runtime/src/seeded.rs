//! Runs a test under many orders of its tasks, and repeats the one that failed.
//!
//! # How it works
//!
//! Each run has a runtime of its own with a seed, and a paused clock. The seed determines the order in which ready
//! tasks run (see [`RuntimeBuilder::seed`](crate::RuntimeBuilder::seed)) and the turns of
//! [`select`](fn@crate::select). So a run without sockets, threads and the real clock is always the same for a
//! seed. If a run panics, its seed is printed on stderr.
//!
//! # Invariants
//!
//! - Always: the first run has the seed 0, and the seeds follow each other.

use std::future::Future;
use std::thread;

use crate::runtime::Runtime;
use crate::time;

/// The variable that holds a seed: [`check`] then runs only this one.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::seeded;
///
/// // In a script that repeats a failure:
/// println!("{}=17 cargo test the_order_does_not_matter", seeded::VARIABLE);
/// ```
pub const VARIABLE: &str = "WATERWHEEL_SEED";

/// Calls `test` for each seed from 0 to `runs`, and runs its future in a runtime with this seed and a paused clock.
///
/// If the environment variable `WATERWHEEL_SEED` has a number, runs only this seed. That repeats a failure:
///
/// ```text
/// waterwheel: failed with seed 17; to repeat this run, set WATERWHEEL_SEED=17
/// ```
///
/// A panic in a task fails the test only if the test awaits the task's handle and unwraps it.
///
/// Two habits of tests do not hold here:
///
/// - One [`yield_now`](fn@crate::yield_now) does not let all new tasks run. Await it twice.
/// - The clock is paused. So a [`timeout`](crate::time::timeout()) around a wait for another thread or another process
///   passes at once.
///
/// # Panics
///
/// Panics if a test panics, if the variable is not a number, or if no runtime can be made.
///
/// # Examples
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use waterwheel::runtime::{join_all, seeded, spawn};
///
/// let orders = RefCell::new(Vec::new());
/// seeded::check(100, || async {
///     let order = Rc::new(RefCell::new(Vec::new()));
///     join_all((0..3).map(|number| {
///         let order = order.clone();
///         spawn(async move { order.borrow_mut().push(number) })
///     }))
///     .await;
///     orders.borrow_mut().push(order.take());
/// });
/// let mut orders = orders.into_inner();
/// orders.sort();
/// orders.dedup();
/// assert_eq!(orders.len(), 6); // all of them
/// ```
pub fn check<F: Future<Output = ()>>(runs: u64, test: impl Fn() -> F) {
    match std::env::var(VARIABLE) {
        Ok(seed) => {
            let seed = seed.parse();
            run(seed.expect("WATERWHEEL_SEED is a number"), &test);
        }
        Err(_) => (0..runs).for_each(|seed| run(seed, &test)),
    }
}

/// Prints the seed if the thread panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        let Self(seed) = self;
        // A guard and not `catch_unwind`: the panic goes on as it is, with its own text and backtrace.
        if thread::panicking() {
            eprintln!(
                "waterwheel: failed with seed {seed}; to repeat this run, set {VARIABLE}={seed}"
            );
        }
    }
}

fn run<F: Future<Output = ()>>(seed: u64, test: &impl Fn() -> F) {
    // Made first, because it must outlive all parts of the run that may panic.
    let _seed = Seed(seed);
    // A runtime for each run: tasks that one run leaves behind would change the order of the next one.
    let runtime = Runtime::builder().seed(seed).build();
    let runtime = runtime.expect("a runtime needs three file descriptors, for epoll and eventfd");
    runtime.block_on(async {
        time::pause();
        test().await;
    });
}
