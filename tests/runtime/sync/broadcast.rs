//! Claims about the channel of which each receiver gets each message.

use std::rc::Rc;

use crate::support::runtime::soon;
use crate::support::seeds::in_any_order;
use waterwheel::runtime::sync::broadcast::RecvError;
use waterwheel::runtime::sync::{SendError, broadcast};
use waterwheel::runtime::{spawn, yield_now};

#[test]
fn each_receiver_gets_each_message() {
    in_any_order(|| async {
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
