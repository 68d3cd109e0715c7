//! Claims about the channel of the latest value.

use std::pin::pin;

use super::{poll, waiting};
use crate::support::runtime::soon;
use crate::support::seeds::in_any_order;
use waterwheel::runtime::sync::{Closed, watch};
use waterwheel::runtime::{join, yield_now};

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
    in_any_order(|| async {
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
