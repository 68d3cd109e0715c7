//! A future by hand: what `poll` returns, and the waker that asks for the next poll.
//!
//! ```text
//! cargo run --example future
//! ```
//!
//! You should see two polls that return `Pending`: one by hand, one by `block_on`. After half a second, the
//! thread wakes the task, and the third poll returns `Ready`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use waterwheel::runtime::block_on;

/// Ready when the water boils. The thread that boils it has the other `Arc`.
struct Kettle(Arc<Mutex<Water>>);

#[derive(Default)]
struct Water {
    boils: bool,
    waker: Option<Waker>,
}

impl Future for Kettle {
    type Output = &'static str;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<&'static str> {
        let mut water = self.0.lock().expect("no thread panics with this lock");
        if water.boils {
            println!("poll: ready");
            return Poll::Ready("hot water");
        }
        println!("poll: pending");
        // Pending is a promise that something calls this waker later. Else the task sleeps forever.
        water.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn main() {
    let water = Arc::new(Mutex::new(Water::default()));
    let mut kettle = Kettle(water.clone());

    // A future is a value with one method. Any code can call it, but this waker has no effect.
    let polled = Pin::new(&mut kettle).poll(&mut Context::from_waker(Waker::noop()));
    println!("by hand: {polled:?}");

    thread::spawn(move || {
        thread::sleep(Duration::from_millis(500));
        let mut water = water.lock().expect("no thread panics with this lock");
        water.boils = true;
        println!("thread: the water boils");
        if let Some(waker) = water.waker.take() {
            waker.wake();
        }
    });

    // block_on polls, sleeps until the waker is called, and polls again.
    println!("block_on: {}", block_on(kettle));
}
