//! The handshakes of a server's connections: who makes them, and how many are under way.
//!
//! # Invariants
//!
//! - Never: a handshake polled, dropped or woken while the table is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::error::drop_contained;
use crate::transport::io::Io;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// The result of a handshake.
pub(crate) struct Opened {
    pub(crate) io: Box<dyn Io>,
    pub(crate) info: TransportInfo,
}

pub(crate) type Handshake = Pin<Box<dyn Future<Output = io::Result<Opened>>>>;

/// The function that makes a handshake out of each accepted stream, on any thread.
#[derive(Clone)]
pub(crate) struct Hook(Arc<dyn Fn(Stream, TransportInfo) -> Handshake + Send + Sync>);

impl Hook {
    pub(crate) fn new<T: Io>(
        hook: impl AsyncFn(Stream, &mut TransportInfo) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        Self(Arc::new(move |stream, mut info| {
            let hook = hook.clone();
            Box::pin(async move {
                let io = Box::new(hook(stream, &mut info).await?);
                Ok(Opened { io, info })
            })
        }))
    }

    /// Begins a handshake. The user's code runs when the future is polled.
    pub(crate) fn begin(&self, stream: Stream, info: TransportInfo) -> Handshake {
        (self.0)(stream, info)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

/// A handshake that is under way, or its empty place.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) handshake: Cell<Option<Handshake>>,
    /// The waker of the task that drives it.
    pub(crate) waker: Cell<Option<Waker>>,
}

/// All handshakes of a server that are under way, oldest first.
#[derive(Default)]
pub(crate) struct Handshakes {
    slots: RefCell<BTreeMap<u64, Rc<Slot>>>,
    next: Cell<u64>,
}

impl Handshakes {
    pub(crate) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Enters one more, and returns its number.
    pub(crate) fn add(&self, slot: Rc<Slot>) -> u64 {
        let number = self.next.get();
        self.next.set(number + 1);
        self.slots.borrow_mut().insert(number, slot);
        number
    }

    /// Returns true if this handshake has not been displaced.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.slots.borrow().contains_key(&number)
    }

    pub(crate) fn remove(&self, number: u64) {
        let slot = self.slots.borrow_mut().remove(&number);
        drop(slot);
    }

    /// Ends the oldest one.
    pub(crate) fn displace(&self) {
        let oldest = self.slots.borrow_mut().pop_first();
        if let Some((_, slot)) = oldest {
            drop_contained(slot.handshake.take());
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }
}
