//! Claims about requests to stop.

use std::future::pending;

use crate::support::runtime::soon;
use crate::support::seeds::in_any_order;
use waterwheel::runtime::sync::CancellationToken;
use waterwheel::runtime::{spawn, yield_now};

#[test]
fn a_cancellation_reaches_the_tokens_below_and_none_above() {
    in_any_order(|| async {
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
    in_any_order(|| async {
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
