//! Claims about notifications of one waiter and of all.

use std::pin::pin;

use super::{poll, waiting};
use waterwheel::runtime::sync::Notify;

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
