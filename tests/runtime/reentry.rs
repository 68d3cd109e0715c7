//! Claims about wakers that call back: a wake or a drop of a waker may use the same value, in any order.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use crate::support::runtime::within_deadline;
use waterwheel::runtime::Notify;
use waterwheel::runtime::sync::{Semaphore, mpsc, oneshot, watch};

/// A wait with a value of one type, so that all of them stand in one list.
type Wait<T> = Pin<Box<dyn Future<Output = T>>>;

/// The steps of a test that can be done at any time.
trait Steps {
    fn step(&self, roll: u64);
}

thread_local! {
    static STEPS: RefCell<Option<Rc<dyn Steps>>> = const { RefCell::new(None) };
    static ROLL: Cell<u64> = const { Cell::new(1) };
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Does one random step, unless too many steps are further up the stack.
fn step() {
    let steps = STEPS.with(|steps| steps.borrow().clone());
    let depth = DEPTH.get();
    let Some(steps) = steps.filter(|_| depth < 5) else {
        return;
    };
    DEPTH.set(depth + 1);
    steps.step(roll());
    DEPTH.set(depth);
}

fn roll() -> u64 {
    let mut roll = ROLL.get();
    roll ^= roll << 13;
    roll ^= roll >> 7;
    roll ^= roll << 17;
    ROLL.set(roll);
    roll >> 16
}

/// A waker that does a step when it is woken, and another one when it is dropped.
struct CallsBack;

impl Wake for CallsBack {
    fn wake(self: Arc<Self>) {
        step();
    }
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        step();
    }
}

/// Waits that are polled and dropped in any order, also while one of them is polled.
struct Waits<T>(RefCell<Vec<Wait<T>>>);

impl<T> Waits<T> {
    fn take(&self, roll: u64) -> Option<Wait<T>> {
        let mut waits = self.0.borrow_mut();
        let index = usize::try_from(roll).unwrap().checked_rem(waits.len())?;
        Some(waits.swap_remove(index))
    }

    /// Polls a wait with a waker that calls back. Keeps it if it is pending.
    fn poll(&self, mut wait: Wait<T>) -> Option<T> {
        let waker = Waker::from(Arc::new(CallsBack));
        match wait.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => {
                self.0.borrow_mut().push(wait);
                None
            }
        }
    }

    /// Polls all waits until no more of them becomes ready. Returns the values.
    fn finish(&self) -> Vec<T> {
        let mut values = Vec::new();
        loop {
            let waits = self.0.take();
            let before = values.len();
            values.extend(waits.into_iter().filter_map(|wait| self.poll(wait)));
            if values.len() == before {
                return values;
            }
        }
    }
}

/// Runs a test under many seeds: 300 steps from outside, each of which may cause others.
fn under_seeds<S: Steps + 'static>(make: impl Fn() -> Rc<S>, check: impl Fn(&S)) {
    within_deadline(|| {
        for seed in 1..100 {
            ROLL.set(seed * 0x9E37_79B9);
            let steps = make();
            STEPS.set(Some(steps.clone()));
            for _ in 0..300 {
                step();
            }
            STEPS.set(None);
            check(&steps);
        }
    });
}

struct Permits {
    semaphore: Rc<Semaphore>,
    waits: Waits<usize>,
    held: RefCell<Vec<usize>>,
}

impl Steps for Permits {
    fn step(&self, now: u64) {
        match now % 5 {
            0 | 1 => {
                let (semaphore, permits) = (self.semaphore.clone(), 1 + (now / 5 % 3) as usize);
                let wait = Box::pin(async move {
                    semaphore.acquire_many(permits).await.forget();
                    permits
                });
                let ready = self.waits.poll(wait);
                self.held.borrow_mut().extend(ready);
            }
            2 => drop(self.waits.take(now / 5)),
            3 => {
                let ready = self
                    .waits
                    .take(now / 5)
                    .and_then(|wait| self.waits.poll(wait));
                self.held.borrow_mut().extend(ready);
            }
            _ => {
                let held = self.held.borrow_mut().pop();
                self.semaphore.add_permits(held.unwrap_or(0));
            }
        }
    }
}

#[test]
fn wakers_that_call_back_lose_no_permit() {
    let make = || {
        Rc::new(Permits {
            semaphore: Rc::new(Semaphore::new(4)),
            waits: Waits(RefCell::default()),
            held: RefCell::default(),
        })
    };
    under_seeds(make, |permits| {
        let held = permits.held.take().into_iter().sum();
        permits.semaphore.add_permits(held);
        // Each of them returns its permits, so all of them have their turn.
        loop {
            let ready = permits.waits.finish();
            if ready.is_empty() {
                break;
            }
            permits.semaphore.add_permits(ready.into_iter().sum());
        }
        assert!(permits.waits.0.borrow().is_empty(), "a wait was forgotten");
        assert_eq!(permits.semaphore.available_permits(), 4);
    });
}

struct Messages {
    sender: mpsc::Sender<u64>,
    receiver: RefCell<Option<mpsc::Receiver<u64>>>,
    sends: Waits<u64>,
    sent: Cell<u64>,
    received: Cell<u64>,
}

impl Messages {
    fn add_sent(&self, sent: impl IntoIterator<Item = u64>) {
        self.sent.update(|all| all + sent.into_iter().sum::<u64>());
    }

    fn receive(&self, with_wait: bool) -> bool {
        // Taken out, because the poll may come back here.
        let Some(mut receiver) = self.receiver.take() else {
            return false;
        };
        let mut message = receiver.try_recv().ok();
        if message.is_none() && with_wait {
            let waker = Waker::from(Arc::new(CallsBack));
            if let Poll::Ready(polled) = receiver.poll_recv(&mut Context::from_waker(&waker)) {
                message = polled;
            }
        }
        self.receiver.replace(Some(receiver));
        self.received.update(|all| all + message.unwrap_or(0));
        message.is_some()
    }
}

impl Steps for Messages {
    fn step(&self, now: u64) {
        match now % 5 {
            0 | 1 => {
                let (sender, number) = (self.sender.clone(), 1 + now / 5 % 100);
                let wait = Box::pin(async move {
                    sender.send(number).await.unwrap();
                    number
                });
                let sent = self.sends.poll(wait);
                self.add_sent(sent);
            }
            2 => drop(self.sends.take(now / 5)),
            3 => {
                let sent = self
                    .sends
                    .take(now / 5)
                    .and_then(|wait| self.sends.poll(wait));
                self.add_sent(sent);
            }
            _ => _ = self.receive(true),
        }
    }
}

#[test]
fn wakers_that_call_back_lose_no_message() {
    let make = || {
        let (sender, receiver) = mpsc::channel(3);
        Rc::new(Messages {
            sender,
            receiver: RefCell::new(Some(receiver)),
            sends: Waits(RefCell::default()),
            sent: Cell::new(0),
            received: Cell::new(0),
        })
    };
    under_seeds(make, |messages| {
        loop {
            let sent = messages.sends.finish();
            messages.add_sent(sent);
            if !messages.receive(false) {
                break;
            }
        }
        assert!(messages.sends.0.borrow().is_empty(), "a send was forgotten");
        assert_eq!(messages.sent.get(), messages.received.get());
        assert_eq!(messages.sender.capacity(), 3);
    });
}

struct Bells {
    notify: Rc<Notify>,
    waits: Waits<()>,
}

impl Steps for Bells {
    fn step(&self, now: u64) {
        let notify = self.notify.clone();
        match now % 6 {
            0 | 1 => {
                let times = notify.times();
                let of_all = (now / 6).is_multiple_of(2);
                _ = self.waits.poll(Box::pin(async move {
                    if of_all {
                        notify.changed_since(times).await;
                    } else {
                        notify.notified().await;
                    }
                }));
            }
            2 => drop(self.waits.take(now / 6)),
            3 => {
                let wait = self.waits.take(now / 6);
                _ = wait.and_then(|wait| self.waits.poll(wait));
            }
            4 => notify.notify_one(),
            _ => notify.notify_all(),
        }
    }
}

#[test]
fn wakers_that_call_back_lose_no_notification() {
    let make = || {
        Rc::new(Bells {
            notify: Rc::default(),
            waits: Waits(RefCell::default()),
        })
    };
    under_seeds(make, |bells| {
        bells.waits.finish();
        bells.notify.notify_all();
        bells.waits.finish();
        assert!(bells.waits.0.borrow().is_empty(), "a wait was forgotten");
    });
}

struct Halves {
    senders: RefCell<Vec<(u64, oneshot::Sender<u64>)>>,
    receivers: Waits<Result<u64, u64>>,
    value: watch::Sender<u64>,
    watches: Waits<u64>,
}

impl Steps for Halves {
    fn step(&self, now: u64) {
        match now % 7 {
            0 | 1 => {
                let (sender, receiver) = oneshot::channel();
                let number = now / 7;
                self.senders.borrow_mut().push((number, sender));
                let wait = async move { receiver.await.map_err(|_| number) };
                _ = self.receivers.poll(Box::pin(wait));
                let mut watch = self.value.subscribe();
                let wait = async move {
                    watch.changed().await.ok();
                    *watch.borrow()
                };
                _ = self.watches.poll(Box::pin(wait));
            }
            2 => drop((self.receivers.take(now / 7), self.watches.take(now / 7))),
            3 => {
                let ready = self.receivers.take(now / 7);
                _ = ready.and_then(|wait| self.receivers.poll(wait));
                let ready = self.watches.take(now / 7);
                _ = ready.and_then(|wait| self.watches.poll(wait));
            }
            4 => {
                let last = self.senders.borrow_mut().pop();
                drop(last);
            }
            5 => {
                let last = self.senders.borrow_mut().pop();
                if let Some((number, sender)) = last {
                    _ = sender.send(number);
                }
            }
            _ => self.value.send(now),
        }
    }
}

#[test]
fn wakers_that_call_back_forget_no_half() {
    let make = || {
        Rc::new(Halves {
            senders: RefCell::default(),
            receivers: Waits(RefCell::default()),
            value: watch::channel(0).0,
            watches: Waits(RefCell::default()),
        })
    };
    under_seeds(make, |halves| {
        let senders = halves.senders.take();
        for (number, sender) in senders {
            _ = sender.send(number);
        }
        halves.receivers.finish();
        assert!(halves.receivers.0.borrow().is_empty(), "a receiver waits");
        halves.value.send(1);
        let last = halves.watches.finish();
        assert!(last.into_iter().all(|value| value == 1));
        assert!(halves.watches.0.borrow().is_empty(), "a watch waits");
    });
}
