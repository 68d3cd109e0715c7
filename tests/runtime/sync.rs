//! Claims about the channels, the locks and the notifications between tasks. Several are bugs that other
//! runtimes had; the number of the report stands beside them.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use crate::support::runtime::{Log, OnDrop, panic_text, run};
use futures_lite::future::poll_once;
use futures_lite::{StreamExt, stream};
use waterwheel::runtime::sync::broadcast::RecvError;
use waterwheel::runtime::sync::{
    CancellationToken, Closed, Mutex, Notify, Semaphore, SendError, TryRecvError, TrySendError,
    broadcast, mpsc, oneshot, watch,
};
use waterwheel::runtime::{join, join_all, race, spawn, time, yield_now};

/// Polls a future once, outside any task.
fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// Makes a boxed future that has begun to wait.
fn waiting<'a, F: Future + 'a>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    assert!(poll(future.as_mut()).is_none(), "it does not wait");
    future
}

/// Returns the value of a future. Fails if the future waits too long, so that a test never hangs.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        time::sleep(Duration::from_secs(5)).await;
        None
    };
    let value = race(async { Some(future.await) }, late).await;
    value.expect("it is not woken")
}

async fn a_few_turns() {
    for _ in 0..5 {
        yield_now().await;
    }
}

/// A waker whose clones can be counted.
struct Bell;

impl Wake for Bell {
    fn wake(self: Arc<Self>) {}
}

/// A waker that panics when it is woken.
struct Bad;

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        panic!("on purpose");
    }
}

// ---- Notify ----

#[test]
fn a_notification_of_one_is_kept_for_the_next_waiter_and_counts_once() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    assert!(poll(pin!(notify.notified())).is_some());
    assert!(poll(pin!(notify.notified())).is_none());
}

/// tokio 5305.
#[test]
fn a_second_notification_of_one_is_kept_although_the_first_went_to_a_waiter() {
    let notify = Notify::new();
    let mut first = waiting(notify.notified());
    notify.notify_one();
    notify.notify_one();
    assert!(poll(first.as_mut()).is_some());
    assert!(poll(pin!(notify.notified())).is_some());
    assert!(poll(pin!(notify.notified())).is_none());
}

#[test]
fn notifications_of_one_go_to_the_waiters_in_the_order_in_which_they_came() {
    let notify = Notify::new();
    let mut waiters: Vec<_> = (0..4).map(|_| waiting(notify.notified())).collect();
    drop(waiters.remove(1));
    for _ in 0..3 {
        notify.notify_one();
        let ready: Vec<_> = waiters
            .iter_mut()
            .map(|waiter| poll(waiter.as_mut()))
            .collect();
        assert!(ready[0].is_some() && ready[1..].iter().all(Option::is_none));
        drop(waiters.remove(0));
    }
}

/// tokio 4618.
#[test]
fn a_notification_of_one_that_its_waiter_has_not_seen_goes_to_the_next_one() {
    let notify = Notify::new();
    let first = waiting(notify.notified());
    let mut second = waiting(notify.notified());
    notify.notify_one();
    drop(first);
    assert!(poll(second.as_mut()).is_some());
    // Without a further waiter it becomes the permit.
    let third = waiting(notify.notified());
    notify.notify_one();
    drop(third);
    assert!(poll(pin!(notify.notified())).is_some());
}

/// tokio 3652.
#[test]
fn the_drop_of_a_waiter_after_a_notification_of_all_takes_no_permit() {
    let notify = Notify::new();
    let waiter = waiting(notify.notified());
    notify.notify_all();
    notify.notify_one();
    drop(waiter);
    assert!(poll(pin!(notify.notified())).is_some());
}

#[test]
fn a_served_waiter_hands_its_notification_on_even_after_a_notification_of_all() {
    let notify = Notify::new();
    let first = waiting(notify.notified());
    notify.notify_one();
    notify.notify_all();
    notify.notify_all();
    let mut later = waiting(notify.notified());
    drop(first);
    assert!(poll(later.as_mut()).is_some());
}

/// tokio 7965.
#[test]
fn a_waiter_that_was_notified_with_all_leaves_the_permit_of_one() {
    let notify = Notify::new();
    let first = notify.notified();
    notify.notify_all();
    notify.notify_one();
    assert!(poll(pin!(first)).is_some());
    assert!(poll(pin!(notify.notified())).is_some());
}

/// tokio 5404, 5458.
#[test]
fn a_notification_of_all_completes_one_of_two_waits_in_a_row() {
    let notify = Notify::new();
    let mut both = waiting(async {
        notify.notified().await;
        notify.notified().await;
    });
    notify.notify_all();
    assert!(poll(both.as_mut()).is_none());
    notify.notify_all();
    assert!(poll(both.as_mut()).is_some());
}

// ---- Semaphore and Mutex ----

#[test]
fn permits_are_granted_in_the_order_of_the_waits() {
    let semaphore = Semaphore::new(1);
    let first = semaphore.try_acquire().unwrap();
    let mut second = waiting(semaphore.acquire());
    let mut third = waiting(semaphore.acquire());
    drop(first);
    // The permit belongs to the second, so a later caller cannot take it.
    assert!(semaphore.try_acquire().is_none());
    assert!(poll(third.as_mut()).is_none());
    let second = poll(second.as_mut()).unwrap();
    drop(second);
    assert!(poll(third.as_mut()).is_some());
}

#[test]
fn small_requests_do_not_overtake_a_large_one() {
    let semaphore = Semaphore::new(3);
    let one = semaphore.try_acquire().unwrap();
    let mut large = waiting(semaphore.acquire_many(3));
    assert!(semaphore.try_acquire().is_none());
    let mut small = waiting(semaphore.acquire());
    drop(one);
    let large = poll(large.as_mut()).unwrap();
    assert!(poll(small.as_mut()).is_none());
    drop(large);
    assert!(poll(small.as_mut()).is_some());
}

#[test]
fn a_large_request_that_leaves_lets_the_small_ones_behind_it_in() {
    let semaphore = Semaphore::new(2);
    let _one = semaphore.try_acquire().unwrap();
    let large = waiting(semaphore.acquire_many(2));
    let mut small = waiting(semaphore.acquire());
    drop(large);
    assert!(poll(small.as_mut()).is_some());
}

#[test]
fn a_permit_that_was_granted_to_a_dropped_future_goes_on() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire().unwrap();
    let first = waiting(semaphore.acquire());
    let second = waiting(semaphore.acquire());
    let mut third = waiting(semaphore.acquire());
    drop(held);
    drop(first);
    drop(second);
    drop(poll(third.as_mut()).unwrap());
    assert_eq!(semaphore.available_permits(), 1);
}

#[test]
fn forgotten_permits_are_gone_and_added_ones_are_there() {
    let semaphore = Rc::new(Semaphore::new(2));
    semaphore.try_acquire().unwrap().forget();
    assert_eq!(semaphore.available_permits(), 1);
    let owned = poll(pin!(semaphore.clone().acquire_owned())).unwrap();
    let mut waiter = waiting(semaphore.acquire());
    semaphore.add_permits(1);
    assert!(poll(waiter.as_mut()).is_some());
    drop(waiter);
    drop(owned);
    assert_eq!(semaphore.available_permits(), 2);
    let zero = poll(pin!(semaphore.acquire_many(0)));
    assert!(zero.is_some());
}

#[test]
fn a_mutex_lets_one_task_in_at_a_time_and_a_panic_unlocks_it() {
    run(async {
        let mutex = Rc::new(Mutex::new(0));
        let inside = Rc::new(Cell::new(false));
        let task = |panics: bool| {
            let (mutex, inside) = (mutex.clone(), inside.clone());
            spawn(async move {
                let mut value = mutex.lock().await;
                assert!(!inside.replace(true), "two tasks are inside");
                let _left = OnDrop(|| inside.set(false));
                yield_now().await;
                assert!(!panics, "on purpose");
                *value += 1;
            })
        };
        let tasks: Vec<_> = (0..6).map(|number| task(number % 3 == 0)).collect();
        let ended = soon(join_all(tasks)).await;
        assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 2);
        assert_eq!(*mutex.try_lock().unwrap(), 4);
    });
}

#[test]
fn a_locked_mutex_prints_without_its_value() {
    let mut mutex = Mutex::new(7);
    assert_eq!(format!("{mutex:?}"), "Mutex(RefCell { value: 7 })");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(
        format!("{guard:?} {mutex:?}"),
        "7 Mutex(RefCell { value: <borrowed> })"
    );
    drop(guard);
    *mutex.get_mut() = 8;
    assert_eq!(mutex.into_inner(), 8);
}

// ---- oneshot ----

#[test]
fn a_oneshot_delivers_its_value_or_its_end() {
    let (sender, mut receiver) = oneshot::channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(!sender.is_closed());
    sender.send(1).unwrap();
    assert_eq!(poll(Pin::new(&mut receiver)), Some(Ok(1)));
    // tokio 3674: a second poll returns an error and does not panic.
    assert_eq!(poll(Pin::new(&mut receiver)), Some(Err(Closed)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));

    let (sender, mut receiver) = oneshot::channel::<u8>();
    drop(sender);
    assert_eq!(poll(Pin::new(&mut receiver)), Some(Err(Closed)));

    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2), Err(2));

    // tokio 3552: `close` is allowed at any time, and keeps a value that was sent before.
    let (sender, mut receiver) = oneshot::channel();
    sender.send(3).unwrap();
    assert_eq!(receiver.close(), Some(3));
    assert_eq!(receiver.close(), None);
}

#[test]
fn each_half_of_a_oneshot_wakes_the_other_one() {
    run(async {
        let (sender, receiver) = oneshot::channel();
        let task = spawn(receiver);
        yield_now().await;
        sender.send("sent").unwrap();
        assert_eq!(soon(task).await.unwrap(), Ok("sent"));

        let (mut sender, receiver) = oneshot::channel::<u8>();
        let task = spawn(async move { sender.closed().await });
        yield_now().await;
        drop(receiver);
        soon(task).await.unwrap();

        let (sender, receiver) = oneshot::channel::<u8>();
        let task = spawn(receiver);
        yield_now().await;
        drop(sender);
        assert_eq!(soon(task).await.unwrap(), Err(Closed));
    });
}

// ---- mpsc ----

#[test]
fn a_full_channel_holds_its_senders_back_in_order() {
    let (sender, mut receiver) = mpsc::channel(1);
    assert_eq!((sender.capacity(), sender.max_capacity()), (1, 1));
    sender.try_send(0).unwrap();
    let mut first = waiting(sender.send(1));
    let mut second = waiting(sender.send(2));
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    assert_eq!(receiver.try_recv(), Ok(0));
    // The room belongs to the first sender, although it has not been polled.
    assert_eq!(sender.try_send(9), Err(TrySendError::Full(9)));
    assert!(poll(second.as_mut()).is_none());
    assert_eq!(poll(first.as_mut()), Some(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(poll(second.as_mut()), Some(Ok(())));
    assert_eq!((receiver.len(), receiver.is_empty()), (1, false));
}

#[test]
fn the_receiver_returns_all_messages_before_the_end() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(4);
        let other = sender.clone();
        sender.send(1).await.unwrap();
        drop(sender);
        other.send(2).await.unwrap();
        drop(other);
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, None);
        assert_eq!(receiver.recv().await, None);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
        // A receiver that waits is woken by the end.
        let (sender, mut receiver) = mpsc::channel::<u8>(1);
        let task = spawn(async move { receiver.recv().await });
        yield_now().await;
        drop(sender);
        assert_eq!(soon(task).await.unwrap(), None);
    });
}

/// tokio 7631, 8074: `recv` and `try_recv` agree about a closed channel.
#[test]
fn a_closed_channel_returns_the_rest_and_refuses_more() {
    let (sender, mut receiver) = mpsc::channel(4);
    sender.try_send(1).unwrap();
    let permit = sender.try_reserve().unwrap();
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(permit.send(3), Err(SendError(3)));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(poll(pin!(receiver.recv())), Some(None));
}

/// tokio 2854, 8260.
#[test]
fn a_closed_channel_does_not_wait_for_room_that_a_sender_has_reserved() {
    let (sender, mut receiver) = mpsc::channel::<u8>(2);
    let permit = sender.try_reserve().unwrap();
    let mut wait = waiting(receiver.recv());
    assert!(poll(wait.as_mut()).is_none());
    drop(wait);
    receiver.close();
    assert_eq!(poll(pin!(receiver.recv())), Some(None));
    drop(permit);
}

/// tokio 7714: the value does not stay in a channel that no task reads.
#[test]
fn a_permit_returns_the_message_if_the_receiver_is_gone() {
    let (sender, receiver) = mpsc::channel(1);
    let permit = sender.try_reserve().unwrap();
    drop(receiver);
    assert_eq!(permit.send("kept"), Err(SendError("kept")));
}

/// tokio 7709.
#[test]
fn room_that_a_sender_has_reserved_leaves_the_other_room_to_others() {
    let (sender, mut receiver) = mpsc::channel(2);
    let permit = sender.try_reserve().unwrap();
    for number in 0..3 {
        assert_eq!(poll(pin!(sender.send(number))), Some(Ok(())));
        let mut next = waiting(sender.send(9));
        assert_eq!(receiver.try_recv(), Ok(number));
        assert_eq!(poll(next.as_mut()), Some(Ok(())));
        assert_eq!(receiver.try_recv(), Ok(9));
    }
    drop(permit);
    assert_eq!(sender.capacity(), 2);
}

#[test]
fn a_receiver_that_is_dropped_drops_the_messages_and_wakes_all_senders() {
    run(async {
        let (sender, receiver) = mpsc::channel(1);
        let message = Rc::new(());
        sender.send(message.clone()).await.unwrap();
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let (sender, message) = (sender.clone(), message.clone());
                spawn(async move { sender.send(message).await.is_err() })
            })
            .collect();
        let told = spawn(async move { sender.closed().await });
        a_few_turns().await;
        drop(receiver);
        for failed in soon(join_all(senders)).await {
            assert!(failed.unwrap());
        }
        soon(told).await.unwrap();
        assert_eq!(Rc::strong_count(&message), 1);
    });
}

/// tokio 1886: the destructor of a message used the channel.
#[test]
fn the_destructor_of_a_message_may_use_its_channel() {
    let (sender, receiver) = mpsc::channel(2);
    let used = Rc::new(Cell::new(0));
    for _ in 0..2 {
        let (own, used) = (sender.clone(), used.clone());
        let message = OnDrop(move || {
            used.set(used.get() + 1);
            assert!(own.is_closed() && own.try_reserve().is_err());
        });
        assert!(
            sender
                .try_send(Box::new(message) as Box<dyn std::any::Any>)
                .is_ok()
        );
    }
    drop(receiver);
    assert_eq!(used.get(), 2);
}

#[test]
fn a_receiver_is_a_stream() {
    run(async {
        let (sender, receiver) = mpsc::channel(2);
        spawn(async move {
            for number in 0..10 {
                sender.send(number).await.unwrap();
            }
        })
        .detach();
        let even = receiver.filter(|number| number % 2 == 0);
        assert_eq!(soon(even.collect::<Vec<_>>()).await, [0, 2, 4, 6, 8]);
    });
}

#[test]
fn a_channel_without_room_is_refused() {
    assert!(panic_text(|| drop(mpsc::channel::<u8>(0))).contains("room for one message"));
    assert!(panic_text(|| drop(broadcast::channel::<u8>(0))).contains("room for one message"));
}

// ---- watch ----

#[test]
fn a_watch_reports_the_latest_value_once() {
    let (sender, mut receiver) = watch::channel(0);
    assert!(!receiver.has_changed());
    let mut changed = waiting(receiver.changed());
    sender.send(1);
    sender.send(2);
    assert_eq!(poll(changed.as_mut()), Some(Ok(())));
    drop(changed);
    assert_eq!(*receiver.borrow(), 2);
    assert!(poll(pin!(receiver.changed())).is_none());
    // A value that comes between the look and the wait is not missed.
    receiver.borrow_and_update();
    sender.send(3);
    assert!(receiver.has_changed() && *receiver.borrow() == 3 && receiver.has_changed());
    assert_eq!(poll(pin!(receiver.changed())), Some(Ok(())));
}

/// tokio 7281.
#[test]
fn a_watch_reports_the_last_value_before_the_end() {
    let (sender, mut receiver) = watch::channel("first");
    let mut clone = receiver.clone();
    sender.send("last");
    let more = sender.clone();
    drop(sender);
    assert_eq!(poll(pin!(receiver.changed())), Some(Ok(())));
    let mut end = waiting(receiver.changed());
    drop(more);
    assert_eq!(poll(end.as_mut()), Some(Err(Closed)));
    assert_eq!(poll(pin!(clone.changed())), Some(Ok(())));
    assert_eq!(*clone.borrow(), "last");
    assert_eq!(poll(pin!(clone.changed())), Some(Err(Closed)));
}

#[test]
fn a_watch_keeps_its_value_without_receivers_and_its_snapshots_without_a_borrow() {
    let (sender, receiver) = watch::channel(vec![1]);
    let snapshot = receiver.borrow();
    let mut closed = waiting(sender.closed());
    sender.send_modify(|values| values.push(2));
    drop(receiver);
    assert!(poll(closed.as_mut()).is_some());
    assert_eq!(sender.receiver_count(), 0);
    sender.send_modify(|values| values.push(3));
    assert!(!sender.send_if_modified(|values| {
        values.clear();
        false
    }));
    assert_eq!(
        (&*snapshot, &*sender.subscribe().borrow()),
        (&vec![1], &vec![1, 2, 3])
    );
}

#[test]
fn a_wait_for_a_value_checks_the_present_one_and_ends_with_the_channel() {
    run(async {
        let (sender, mut receiver) = watch::channel(0);
        assert_eq!(
            receiver.wait_for(|value| *value == 0).await.as_deref(),
            Ok(&0)
        );
        let send = async {
            for value in 1..=5 {
                sender.send(value);
                yield_now().await;
            }
            drop(sender);
        };
        let wait = async {
            let three = receiver.wait_for(|value| *value >= 3).await;
            let three = three.map(|value| *value);
            (three, receiver.wait_for(|value| *value == 9).await.is_err())
        };
        let (waited, ()) = soon(join(wait, send)).await;
        assert_eq!(waited, (Ok(3), true));
    });
}

// ---- broadcast ----

#[test]
fn each_receiver_gets_each_message() {
    run(async {
        let (sender, receiver) = broadcast::channel(8);
        let mut receivers: Vec<_> = (0..3).map(|_| sender.subscribe()).collect();
        receivers.push(receiver);
        let tasks: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| {
                spawn(async move {
                    let mut seen = Vec::new();
                    while let Ok(message) = receiver.recv().await {
                        seen.push(message);
                    }
                    seen
                })
            })
            .collect();
        for message in 0..5 {
            assert_eq!(sender.send(message).unwrap(), 4);
            yield_now().await;
        }
        drop(sender);
        for task in tasks {
            assert_eq!(soon(task).await.unwrap(), [0, 1, 2, 3, 4]);
        }
    });
}

/// tokio 2425, 4542, 8239: the capacity is exact, and the end takes no place.
#[test]
fn a_receiver_lags_only_beyond_the_capacity_and_then_goes_on() {
    let (sender, mut receiver) = broadcast::channel(3);
    for message in 0..3 {
        sender.send(message).unwrap();
    }
    assert_eq!((receiver.len(), receiver.try_recv()), (3, Some(Ok(0))));
    for message in 3..6 {
        sender.send(message).unwrap();
    }
    assert_eq!(receiver.len(), 5);
    assert_eq!(receiver.try_recv(), Some(Err(RecvError::Lagged(2))));
    // Lagging again before the rest is read counts only the further loss.
    sender.send(6).unwrap();
    assert_eq!(receiver.try_recv(), Some(Err(RecvError::Lagged(1))));
    drop(sender);
    let rest: Vec<_> = std::iter::from_fn(|| receiver.try_recv()).take(4).collect();
    assert_eq!(rest, [Ok(4), Ok(5), Ok(6), Err(RecvError::Closed)]);
}

#[test]
fn a_message_is_freed_when_the_last_receiver_has_read_it_or_is_gone() {
    let (sender, mut first) = broadcast::channel(4);
    let mut second = sender.subscribe();
    let message = Rc::new(());
    for _ in 0..3 {
        sender.send(message.clone()).unwrap();
    }
    first.try_recv().unwrap().unwrap();
    assert_eq!(Rc::strong_count(&message), 4);
    second.try_recv().unwrap().unwrap();
    assert_eq!(Rc::strong_count(&message), 3);
    let mut late = first.resubscribe();
    drop(first);
    drop(second);
    assert_eq!(Rc::strong_count(&message), 1);
    assert_eq!(sender.receiver_count(), 1);
    assert!(late.try_recv().is_none());
    drop(late);
    assert_eq!(sender.send(message), Err(SendError(Rc::default())));
}

/// A message whose clone uses the channel.
struct Reentrant(broadcast::Sender<Reentrant>, u32);

impl Clone for Reentrant {
    fn clone(&self) -> Self {
        if self.1 > 0 {
            let next = Self(self.0.clone(), self.1 - 1);
            assert!(self.0.send(next).is_ok());
        }
        Self(self.0.clone(), self.1)
    }
}

#[test]
fn the_clone_of_a_message_may_use_its_channel() {
    let (sender, mut first) = broadcast::channel(8);
    let mut second = sender.subscribe();
    assert!(sender.send(Reentrant(sender.clone(), 1)).is_ok());
    let levels = |receiver: &mut broadcast::Receiver<Reentrant>| {
        let messages = std::iter::from_fn(|| receiver.try_recv());
        messages
            .map(|message| message.unwrap().1)
            .collect::<Vec<_>>()
    };
    assert_eq!(levels(&mut first), [1, 0]);
    assert_eq!(levels(&mut second), [1, 0]);
}

// ---- CancellationToken ----

#[test]
fn a_cancellation_reaches_the_tokens_below_and_none_above() {
    run(async {
        let root = CancellationToken::new();
        let (left, right) = (root.child_token(), root.child_token());
        let leaf = left.child_token();
        let task = spawn({
            let leaf = leaf.clone();
            async move { leaf.cancelled().await }
        });
        yield_now().await;
        left.cancel();
        soon(task).await.unwrap();
        assert!(left.is_cancelled() && leaf.is_cancelled());
        assert!(!root.is_cancelled() && !right.is_cancelled());
        assert!(left.child_token().is_cancelled());
        root.cancel();
        root.cancel();
        assert!(right.is_cancelled());
        soon(right.cancelled()).await;
    });
}

/// tokio 4639, 7026.
#[test]
fn a_token_that_is_dropped_is_forgotten_and_a_deep_tree_needs_no_stack() {
    let root = CancellationToken::new();
    for _ in 0..100 {
        drop(root.child_token());
    }
    let mut leaf = root.child_token();
    for _ in 0..100_000 {
        leaf = leaf.child_token();
    }
    root.cancel();
    assert!(leaf.is_cancelled());
    drop(leaf);
    // The same without a cancellation.
    let mut leaf = CancellationToken::new();
    for _ in 0..100_000 {
        leaf = leaf.child_token();
    }
    drop(leaf);
}

#[test]
fn a_guard_cancels_at_its_end_unless_it_is_disarmed() {
    run(async {
        let token = CancellationToken::new();
        let guard = token.clone().drop_guard();
        let task = spawn(async move {
            let _guard = guard;
            panic!("on purpose");
        });
        assert!(task.await.is_err() && token.is_cancelled());
        let token = CancellationToken::new();
        drop(token.clone().drop_guard().disarm());
        assert!(!token.is_cancelled());
        assert_eq!(token.run_until_cancelled(async { 1 }).await, Some(1));
        token.cancel();
        assert_eq!(token.run_until_cancelled(pending::<u8>()).await, None);
        assert_eq!(token.run_until_cancelled(async { 1 }).await, Some(1));
    });
}

// ---- all of them ----

/// Each leaf future of the module, as a wait that does not end.
fn all_waits() -> Vec<(&'static str, Wait)> {
    let notify = Rc::new(Notify::new());
    let semaphore = Rc::new(Semaphore::new(0));
    let mutex = Rc::new(Mutex::new(()));
    let token = CancellationToken::new();
    let (mut question, mut answer) = oneshot::channel::<u8>();
    let (jobs, mut queue) = mpsc::channel::<u8>(1);
    let (level, mut gauge) = watch::channel(0);
    let (news, mut reader) = broadcast::channel::<u8>(1);
    // Each future owns what it waits for, so that the wait does not end.
    let (full, kept_queue) = mpsc::channel::<u8>(1);
    full.try_send(1).unwrap();
    let full = Rc::new((full, kept_queue));
    let (reserve, idle) = (full.clone(), full.clone());
    let (asked, held_answer) = oneshot::channel::<u8>();
    let watched = level.clone();
    let held_gauge = gauge.clone();
    vec![
        ("Notify::notified", {
            let notify = notify.clone();
            Box::pin(async move { notify.notified().await })
        }),
        (
            "Notify::changed_since",
            Box::pin(async move { notify.changed_since(0).await }),
        ),
        ("Semaphore::acquire", {
            let semaphore = semaphore.clone();
            Box::pin(async move { drop(semaphore.acquire().await) })
        }),
        (
            "Semaphore::acquire_owned",
            Box::pin(async move {
                drop(semaphore.acquire_owned().await);
            }),
        ),
        (
            "Mutex::lock",
            Box::pin(async move {
                let _held = mutex.lock().await;
                drop(mutex.lock().await);
            }),
        ),
        (
            "CancellationToken::cancelled",
            Box::pin(async move { token.cancelled().await }),
        ),
        (
            "oneshot::Receiver",
            Box::pin(async move {
                let _asked = asked;
                _ = held_answer.await;
            }),
        ),
        (
            "oneshot::Sender::closed",
            Box::pin(async move {
                question.closed().await;
                _ = answer.try_recv();
            }),
        ),
        (
            "mpsc::Receiver::recv",
            Box::pin(async move {
                let _jobs = jobs;
                queue.recv().await;
            }),
        ),
        (
            "mpsc::Sender::send",
            Box::pin(async move { _ = full.0.send(2).await }),
        ),
        (
            "mpsc::Sender::reserve",
            Box::pin(async move { drop(reserve.0.reserve().await) }),
        ),
        (
            "mpsc::Sender::closed",
            Box::pin(async move { idle.0.closed().await }),
        ),
        (
            "watch::Receiver::changed",
            Box::pin(async move {
                let _level = level;
                _ = gauge.changed().await;
            }),
        ),
        (
            "watch::Sender::closed",
            Box::pin(async move {
                let _gauge = held_gauge;
                watched.closed().await;
            }),
        ),
        (
            "broadcast::Receiver::recv",
            Box::pin(async move {
                let _news = news;
                _ = reader.recv().await;
            }),
        ),
    ]
}

#[test]
fn a_wait_that_is_dropped_leaves_no_waker_behind() {
    // The waits share their channels, so all of them stay alive until the last one was checked.
    let mut waits: Vec<_> = all_waits()
        .into_iter()
        .map(|(name, wait)| (name, Some(wait)))
        .collect();
    for (name, wait) in &mut waits {
        let bell = Arc::new(Bell);
        let waker = Waker::from(bell.clone());
        let mut wait = wait.take().unwrap();
        for _ in 0..2 {
            let poll = wait.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending(), "{name} does not wait");
        }
        assert_eq!(Arc::strong_count(&bell), 3, "{name} is stored once");
        drop(wait);
        drop(waker);
        assert_eq!(Arc::strong_count(&bell), 1, "{name} leaves a waker");
    }
}

/// Polls a future twice with a waker, drops it, and returns the number of wakers that are left.
fn wakers_left_by<F: Future>(future: F) -> usize {
    let bell = Arc::new(Bell);
    let waker = Waker::from(bell.clone());
    {
        let mut future = pin!(future);
        for _ in 0..2 {
            let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending(), "it does not wait");
        }
    }
    drop(waker);
    Arc::strong_count(&bell) - 1
}

#[test]
fn a_wait_that_is_dropped_leaves_no_waker_in_a_half_that_lives_on() {
    let (_jobs, mut queue) = mpsc::channel::<u8>(1);
    assert_eq!(wakers_left_by(queue.recv()), 0);
    let (mut question, _answer) = oneshot::channel::<u8>();
    assert_eq!(wakers_left_by(question.closed()), 0);
    let (_level, mut gauge) = watch::channel(0);
    assert_eq!(wakers_left_by(gauge.changed()), 0);
    let (_news, mut reader) = broadcast::channel::<u8>(1);
    assert_eq!(wakers_left_by(reader.recv()), 0);
}

#[test]
fn a_wait_wakes_the_task_that_has_polled_it_last() {
    run(async {
        let notify = Rc::new(Notify::new());
        let semaphore = Rc::new(Semaphore::new(0));
        let (sender, mut receiver) = mpsc::channel(1);
        let waits: Vec<Wait> = vec![
            {
                let notify = notify.clone();
                Box::pin(async move { notify.notified().await })
            },
            {
                let semaphore = semaphore.clone();
                Box::pin(async move { drop(semaphore.acquire().await) })
            },
            Box::pin(async move { assert_eq!(receiver.recv().await, Some(1)) }),
        ];
        let mut tasks = Vec::new();
        for mut wait in waits {
            // First polled here, and then by a task of its own.
            assert!(poll_once(wait.as_mut()).await.is_none());
            tasks.push(spawn(wait));
        }
        a_few_turns().await;
        notify.notify_one();
        semaphore.add_permits(1);
        sender.try_send(1).unwrap();
        for task in tasks {
            soon(task).await.unwrap();
        }
    });
}

#[test]
fn a_waker_that_panics_harms_no_other_waiter() {
    let bad = Waker::from(Arc::new(Bad));
    let mut bad = Context::from_waker(&bad);
    run(async {
        let notify = Notify::new();
        let semaphore = Semaphore::new(0);
        let mut first = pin!(notify.notified());
        let mut second = pin!(semaphore.acquire());
        assert!(first.as_mut().poll(&mut bad).is_pending());
        assert!(second.as_mut().poll(&mut bad).is_pending());
        let (notified, acquired) = (notify.notified(), semaphore.acquire());
        let wake = async {
            notify.notify_all();
            semaphore.add_permits(2);
        };
        let ((), permit) = soon(join(join(notified, acquired), wake)).await.0;
        drop(permit);
    });
}

/// A task that uses a leaf which is always ready, and another task.
async fn lets_others_run(name: &str, mut next: impl AsyncFnMut()) {
    let stop = Rc::new(Cell::new(false));
    let other = spawn({
        let stop = stop.clone();
        async move { stop.set(true) }
    });
    let mut steps = 0;
    while !stop.get() {
        next().await;
        steps += 1;
        assert!(steps < 100_000, "{name}: the other task did not run");
    }
    other.await.unwrap();
}

#[test]
fn a_loop_over_a_channel_that_is_always_ready_lets_others_run() {
    run(async {
        let notify = Notify::new();
        lets_others_run("notify_one", async || {
            notify.notify_one();
            notify.notified().await;
        })
        .await;
        let semaphore = Semaphore::new(1);
        lets_others_run("Semaphore", async || drop(semaphore.acquire().await)).await;
        let mutex = Mutex::new(());
        lets_others_run("Mutex", async || drop(mutex.lock().await)).await;
        lets_others_run("oneshot", async || {
            let (sender, receiver) = oneshot::channel();
            sender.send(()).unwrap();
            receiver.await.unwrap();
        })
        .await;
        let (sender, mut receiver) = mpsc::channel(1);
        lets_others_run("mpsc", async || {
            sender.try_send(()).unwrap();
            receiver.recv().await.unwrap();
        })
        .await;
        lets_others_run("mpsc send", async || {
            sender.send(()).await.unwrap();
            receiver.try_recv().unwrap();
        })
        .await;
        drop(sender);
        lets_others_run("mpsc end", async || {
            assert!(receiver.recv().await.is_none());
        })
        .await;
        let (sender, mut receiver) = watch::channel(0);
        lets_others_run("watch", async || {
            sender.send(1);
            receiver.changed().await.unwrap();
        })
        .await;
        lets_others_run("wait_for", async || {
            assert!(receiver.wait_for(|_| true).await.is_ok());
        })
        .await;
        let (sender, mut receiver) = broadcast::channel(1);
        lets_others_run("broadcast", async || {
            sender.send(()).unwrap();
            receiver.recv().await.unwrap();
        })
        .await;
        let token = CancellationToken::new();
        token.cancel();
        lets_others_run("cancelled", async || token.cancelled().await).await;
    });
}

// ---- cancellation at every await ----

/// A future that is dropped after it was polled this many times, unless it is ready before.
async fn dropped_after<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    for _ in 0..polls {
        if let Some(value) = poll_once(future.as_mut()).await {
            return Some(value);
        }
        // Polls again only after it was woken, or after some turns.
        yield_now().await;
    }
    None
}

/// Numbers that look random, and are the same in each run.
fn dice(seed: u64) -> impl FnMut(u32) -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move |sides| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u32::try_from(state >> 33).unwrap() % sides
    }
}

const SEEDS: u64 = 200;

#[test]
fn permits_are_neither_lost_nor_doubled_when_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let semaphore = Rc::new(Semaphore::new(2));
            let inside = Rc::new(Cell::new(0));
            let tasks: Vec<_> = (0..8)
                .map(|_| {
                    let (semaphore, inside) = (semaphore.clone(), inside.clone());
                    let (wants, polls, stays) = (1 + dice(2), dice(6), dice(4));
                    spawn(async move {
                        let permit = semaphore.acquire_many(wants as usize);
                        let Some(permit) = dropped_after(polls, permit).await else {
                            return;
                        };
                        inside.set(inside.get() + wants);
                        assert!(inside.get() <= 2);
                        for _ in 0..stays {
                            yield_now().await;
                        }
                        inside.set(inside.get() - wants);
                        drop(permit);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(semaphore.available_permits(), 2, "seed {seed}");
            assert!(semaphore.try_acquire().is_some());
        });
    }
}

#[test]
fn messages_are_neither_lost_nor_doubled_when_sends_and_receives_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let (sender, mut receiver) = mpsc::channel(1 + dice(3) as usize);
            let sent = Rc::new(RefCell::new(Vec::new()));
            for task in 0..4_u32 {
                let (sender, sent) = (sender.clone(), sent.clone());
                let rolls: Vec<_> = (0..10).map(|_| 1 + dice(5)).collect();
                spawn(async move {
                    for (number, polls) in (0..).zip(rolls) {
                        let message = (task, number);
                        if let Some(Ok(())) = dropped_after(polls, sender.send(message)).await {
                            sent.borrow_mut().push(message);
                        }
                    }
                })
                .detach();
            }
            drop(sender);
            let mut arrived = Vec::new();
            let receive = async {
                loop {
                    match dropped_after(dice(4), receiver.recv()).await {
                        Some(Some(message)) => arrived.push(message),
                        Some(None) => break,
                        None => yield_now().await,
                    }
                }
            };
            soon(receive).await;
            // Each sender's messages come in its order.
            let mut sorted = arrived.clone();
            sorted.sort_by_key(|(task, _)| *task);
            arrived.sort_unstable();
            assert_eq!(sorted, arrived, "seed {seed}");
            sent.borrow_mut().sort_unstable();
            assert_eq!(arrived, *sent.borrow(), "seed {seed}");
        });
    }
}

#[test]
fn no_notification_of_one_is_lost_when_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let notify = Rc::new(Notify::new());
            let seen = Rc::new(Cell::new(0_u32));
            // Workers that wait again and again, and workers that give up.
            for _ in 0..3 {
                let (notify, seen) = (notify.clone(), seen.clone());
                spawn(async move {
                    loop {
                        notify.notified().await;
                        seen.set(seen.get() + 1);
                    }
                })
                .detach();
            }
            for _ in 0..10 {
                let (notify, seen) = (notify.clone(), seen.clone());
                let (starts, polls) = (dice(6), dice(5));
                spawn(async move {
                    for _ in 0..starts {
                        yield_now().await;
                    }
                    if dropped_after(polls, notify.notified()).await.is_some() {
                        seen.set(seen.get() + 1);
                    }
                })
                .detach();
            }
            a_few_turns().await;
            for notified in 1..=20 {
                notify.notify_one();
                // One at a time, because two notifications without a waiter count as one.
                for _ in 0..30 {
                    yield_now().await;
                }
                assert_eq!(seen.get(), notified, "seed {seed}");
            }
        });
    }
}

#[test]
fn a_watch_and_a_broadcast_report_everything_although_waits_are_dropped_anywhere() {
    for seed in 0..SEEDS {
        run(async move {
            let mut dice = dice(seed);
            let (level, mut gauge) = watch::channel(0);
            let (news, mut reader) = broadcast::channel(4);
            let rolls: Vec<_> = (0..20).map(|_| dice(3)).collect();
            spawn(async move {
                for (number, pause) in (1..).zip(rolls) {
                    level.send(number);
                    news.send(number).unwrap();
                    for _ in 0..pause {
                        yield_now().await;
                    }
                }
            })
            .detach();
            let log = Log::new();
            let (mut end_of_watch, mut end_of_news) = (false, false);
            let mut expected = 1;
            while !(end_of_watch && end_of_news) {
                if let Some(changed) = dropped_after(dice(3), gauge.changed()).await {
                    end_of_watch = changed.is_err();
                    log.add(*gauge.borrow());
                }
                match dropped_after(dice(3), reader.recv()).await {
                    Some(Ok(number)) => {
                        assert_eq!(number, expected, "seed {seed}");
                        expected += 1;
                    }
                    Some(Err(RecvError::Lagged(missed))) => {
                        expected += u32::try_from(missed).unwrap();
                    }
                    Some(Err(RecvError::Closed)) => end_of_news = true,
                    None => {}
                }
            }
            let seen = log.take();
            assert!(seen.is_sorted(), "seed {seed}: {seen:?}");
            assert_eq!((seen.last(), expected), (Some(&20), 21), "seed {seed}");
        });
    }
}

#[test]
fn channels_carry_values_that_are_not_send_between_tasks_of_one_thread() {
    run(async {
        let (sender, receiver) = mpsc::channel(1);
        let numbers = stream::iter(0..3).then(|number| {
            let sender = sender.clone();
            async move { sender.send(Rc::new(number)).await.is_ok() }
        });
        let (all, arrived) = join(
            async { Box::pin(numbers).all(|sent| sent).await },
            receiver.take(3).map(|number| *number).collect::<Vec<_>>(),
        )
        .await;
        assert!(all);
        assert_eq!(arrived, [0, 1, 2]);
    });
}

#[test]
fn a_permit_that_comes_back_to_a_full_semaphore_does_not_panic() {
    let semaphore = Rc::new(Semaphore::new(usize::MAX));
    let permit = semaphore.try_acquire().unwrap();
    let owned = poll(pin!(semaphore.clone().acquire_owned())).unwrap();
    semaphore.add_permits(2);
    drop((permit, owned));
    assert_eq!(semaphore.available_permits(), usize::MAX);
    let all = poll(pin!(semaphore.acquire_many(usize::MAX))).unwrap();
    assert!(semaphore.try_acquire().is_none());
    drop(all);
}

#[test]
fn channels_of_any_capacity_allocate_only_what_they_hold() {
    let (sender, mut receiver) = mpsc::channel(usize::MAX);
    sender.try_send(1).unwrap();
    assert_eq!(
        (sender.capacity(), receiver.try_recv()),
        (usize::MAX - 1, Ok(1))
    );
    let (sender, mut receiver) = broadcast::channel(usize::MAX);
    sender.send(1).unwrap();
    assert_eq!(receiver.try_recv(), Some(Ok(1)));
}
