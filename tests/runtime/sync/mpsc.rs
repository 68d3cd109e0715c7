//! Claims about the channel with many senders.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use super::{poll, waiting};
use crate::support::runtime::{OnDrop, panic_text, soon, turns};
use crate::support::seeds::in_any_order;
use futures_lite::{StreamExt, stream};
use waterwheel::runtime::sync::{SendError, TryRecvError, TrySendError, broadcast, mpsc};
use waterwheel::runtime::{join, join_all, spawn, yield_now};

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
    in_any_order(|| async {
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
    in_any_order(|| async {
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
        turns(5).await;
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
    in_any_order(|| async {
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

#[test]
fn channels_carry_values_that_are_not_send_between_tasks_of_one_thread() {
    in_any_order(|| async {
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
