//! Claims about the channel of one value.

use std::pin::Pin;

use super::poll;
use crate::support::runtime::soon;
use crate::support::seeds::in_any_order;
use waterwheel::runtime::sync::{Closed, TryRecvError, oneshot};
use waterwheel::runtime::{spawn, yield_now};

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
    in_any_order(|| async {
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
