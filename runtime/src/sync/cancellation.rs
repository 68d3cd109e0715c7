//! A request to stop, which reaches any number of tasks, and the tasks below them.
//!
//! # How it works
//!
//! Tokens form a tree. A child has a strong reference to its parent, and the parent a weak one to the child. So a
//! child that is dropped is forgotten by its parent, and a tree that no token names is freed. To cancel a token
//! cancels all tokens below it, and none above it.
//!
//! The walk through the tree is a loop and not a recursion, so a deep tree cannot use up the stack.
//!
//! # Invariants
//!
//! - Always: a token is cancelled if one above it is.
//! - Never: a borrow of the children while a waker is woken.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::{Rc, Weak};

use slab::Slab;

use crate::nodes::Origin;
use crate::notify::Notify;
use crate::race::race;

/// A request to stop, for tasks of one thread. Clones are the same token.
///
/// A token does not end a task by itself. The task awaits [`cancelled`](Self::cancelled), or has a part of its
/// work inside [`run_until_cancelled`](Self::run_until_cancelled), and cleans up in its own time. To drop a
/// task's future instead, use [`JoinHandle::abort`](crate::JoinHandle::abort). For tasks of several threads, use
/// the token of the crate `tokio-util`, which works here, too.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::CancellationToken;
/// use waterwheel::runtime::{block_on, spawn, yield_now};
///
/// block_on(async {
///     let server = CancellationToken::new();
///     let connection = server.child_token();
///     let task = spawn(async move {
///         connection.cancelled().await;
///         "cleaned up"
///     });
///     yield_now().await;
///     server.cancel();
///     assert_eq!(task.await.unwrap(), "cleaned up");
/// });
/// ```
#[derive(Clone, Default)]
pub struct CancellationToken {
    node: Rc<Node>,
}

#[derive(Default)]
struct Node {
    /// Notified once, by the cancellation. So its count tells if the token is cancelled.
    cancelled: Notify,
    children: RefCell<Slab<Weak<Node>>>,
    /// The parent, and the key of this node among its children. `None` for the root, and for a node that was made
    /// by a cancelled parent.
    parent: Option<(Rc<Node>, usize)>,
}

impl CancellationToken {
    /// Makes a token without a parent.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a token that is cancelled together with this one. It can also be cancelled alone.
    #[must_use]
    pub fn child_token(&self) -> Self {
        // The walk of `cancel` has passed this token, so a child in the list would never be cancelled.
        if self.is_cancelled() {
            let child = Self::new();
            child.cancel();
            return child;
        }
        let mut children = self.node.children.borrow_mut();
        let entry = children.vacant_entry();
        let node = Rc::new(Node {
            cancelled: Notify::new(),
            children: RefCell::default(),
            parent: Some((self.node.clone(), entry.key())),
        });
        entry.insert(Rc::downgrade(&node));
        Self { node }
    }

    /// Cancels this token and all tokens below it, and wakes the tasks that wait for them. A second call has no
    /// effect.
    pub fn cancel(&self) {
        let mut nodes = vec![self.node.clone()];
        while let Some(node) = nodes.pop() {
            // The walk that has cancelled this token visits the tokens below it, too.
            if node.is_cancelled() {
                continue;
            }
            // The list is copied, because a waker may drop a child or make one. A child that is made after the
            // notification is cancelled from the start.
            let children = node.children.borrow();
            nodes.extend(children.iter().filter_map(|(_, child)| child.upgrade()));
            drop(children);
            node.cancelled.notify_all();
        }
    }

    /// Returns true if this token or one above it was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled. Completes at once if it is.
    ///
    /// # Cancel safety
    ///
    /// Safe: a dropped future removes its waker.
    #[track_caller]
    pub fn cancelled(&self) -> impl Future<Output = ()> {
        self.cancelled_for(Origin::here("cancellation"))
    }

    fn cancelled_for(&self, origin: Origin) -> impl Future<Output = ()> {
        self.node.cancelled.changed_for(0, origin)
    }

    /// Runs `future` until the token is cancelled. Returns `None` if it was cancelled before `future` was ready.
    ///
    /// If both happen at once, the value of `future` is returned, so that finished work is not lost.
    ///
    /// # Cancel safety
    ///
    /// Dropping it, and a cancellation, drops `future`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::future::pending;
    /// use waterwheel::runtime::sync::CancellationToken;
    /// use waterwheel::runtime::block_on;
    ///
    /// let token = CancellationToken::new();
    /// assert_eq!(block_on(token.run_until_cancelled(async { 1 })), Some(1));
    /// token.cancel();
    /// assert_eq!(block_on(token.run_until_cancelled(pending::<u8>())), None);
    /// ```
    #[track_caller]
    pub fn run_until_cancelled<F: Future>(
        &self,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> {
        let origin = Origin::here("cancellation");
        let value = async { Some(future.await) };
        let cancelled = async move {
            self.cancelled_for(origin).await;
            None
        };
        // If the two took turns, each second tie would lose the value of a future that is ready.
        race(value, cancelled).biased()
    }

    /// Returns a guard that cancels the token when it is dropped, unless it is
    /// [disarmed](CancelOnDrop::disarm).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::sync::CancellationToken;
    ///
    /// let token = CancellationToken::new();
    /// let guard = token.clone().drop_guard();
    /// drop(guard); // also at the end of a scope, by `?`, or by a panic
    /// assert!(token.is_cancelled());
    /// ```
    #[must_use = "dropping it cancels the token at once"]
    pub fn drop_guard(self) -> CancelOnDrop {
        CancelOnDrop { token: Some(self) }
    }
}

impl Node {
    fn is_cancelled(&self) -> bool {
        self.cancelled.times() > 0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A chain of tokens is dropped link by link. A recursion could use up the stack.
        let mut parent = self.parent.take();
        while let Some((node, key)) = parent {
            node.children.borrow_mut().remove(key);
            // Only the last reference returns the node. So the loop ends at the first token that is still in use.
            parent = Rc::into_inner(node).and_then(|mut node| node.parent.take());
        }
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Cancels a token when it is dropped; see [`CancellationToken::drop_guard`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::sync::CancellationToken;
///
/// /// Cancels the token unless all goes well.
/// fn start(token: &CancellationToken, grain: Option<u32>) -> Option<u32> {
///     let guard = token.clone().drop_guard();
///     let grain = grain?;
///     guard.disarm();
///     Some(grain)
/// }
///
/// let token = CancellationToken::new();
/// assert!(start(&token, Some(7)).is_some() && !token.is_cancelled());
/// assert!(start(&token, None).is_none() && token.is_cancelled());
/// ```
#[doc(alias = "DropGuard")]
#[derive(Debug)]
pub struct CancelOnDrop {
    token: Option<CancellationToken>,
}

impl CancelOnDrop {
    /// Returns the token without cancelling it.
    ///
    /// # Panics
    ///
    /// Never panics: the token is there until the drop.
    pub fn disarm(mut self) -> CancellationToken {
        self.token
            .take()
            .expect("the token is there until the drop")
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            token.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_forgets_the_children_that_are_dropped() {
        let parent = CancellationToken::new();
        let kept = parent.child_token();
        for _ in 0..100 {
            drop(parent.child_token().child_token());
        }
        assert_eq!(parent.node.children.borrow().len(), 1);
        drop(kept);
        assert!(parent.node.children.borrow().is_empty());
    }
}
