//! One value from another thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Makes the two ends of a channel for one value.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let state = Arc::new(Mutex::new(State {
        value: None,
        waiter: None,
    }));
    let sender = Sender {
        state: state.clone(),
    };
    (sender, Receiver { state })
}

/// The part that both ends share.
struct State<T> {
    /// The value, once it was sent.
    value: Option<T>,
    /// The waker of the future that waits for the value.
    waiter: Option<Waker>,
}

/// The end that sends. It may be on any thread.
pub struct Sender<T> {
    state: Arc<Mutex<State<T>>>,
}

/// The end that receives: a future.
pub struct Receiver<T> {
    state: Arc<Mutex<State<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value, and wakes the receiver if it waits.
    pub fn send(self, value: T) {
        // TODO 3: Lock the state, store the value, and take the waker out. Release the lock (`drop` the guard). Then wake the
        // waker, if there is one.
        todo!("TODO 3")
    }
}

impl<T> Future for Receiver<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        // TODO 4: Lock the state. If the value is there, return it. Otherwise store a clone of `cx.waker()` as the waiter,
        // and return `Poll::Pending`. Hold the lock from the look at the value until the waker is stored.
        todo!("TODO 4")
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
