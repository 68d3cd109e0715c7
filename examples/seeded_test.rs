//! A mistake that only some orders of the tasks show, and the seed that shows it each time.
//!
//! ```text
//! cargo run --release --example seeded_test
//! ```
//!
//! You should see that the usual order is right, and the panic of another order.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use waterwheel::runtime::sync::Notify;
use waterwheel::runtime::time::timeout;
use waterwheel::runtime::{join, seeded, spawn};

/// A guest waits for the bell, and another task rings it once.
async fn hears_the_bell(ring: impl Fn(&Notify) + 'static) {
    let bell = Rc::new(Notify::new());
    let guest = spawn({
        let bell = bell.clone();
        // The clock is paused, so this takes no time, also if the bell never rings.
        async move { timeout(Duration::from_secs(60), bell.notified()).await }
    });
    let ringer = spawn(async move { ring(&bell) });
    let (heard, _) = join(guest, ringer).await;
    assert_eq!(heard.ok(), Some(Ok(())), "the guest has not heard the bell");
}

fn main() {
    // The usual order is that of the spawns: the guest waits before the bell rings. Nothing looks wrong.
    waterwheel::runtime::block_on(hears_the_bell(Notify::notify_all));
    println!("the usual order is right");

    // `notify_all` reaches only a guest who waits already. In some orders the bell rings first. The check tries
    // orders until one fails, prints its seed, and continues its panic.
    let check = || seeded::check(1000, || hears_the_bell(Notify::notify_all));
    let found = catch_unwind(AssertUnwindSafe(check)).is_err();
    println!("another order is wrong: {found}");

    // `notify_one` leaves a permit if the bell rings first. So each order is right.
    seeded::check(1000, || hears_the_bell(Notify::notify_one));
    println!("with notify_one, a thousand orders are right");
}
