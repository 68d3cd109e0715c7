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
        let mut state = lock(&self.state);
        state.value = Some(value);
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut state = lock(&self.state);
        if let Some(value) = state.value.take() {
            return Poll::Ready(value);
        }
        state.waiter = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
