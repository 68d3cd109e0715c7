//! The handshakes of a server's connections: the hook that makes them, and those that are under way.
//!
//! # Invariants
//!
//! - Never: a handshake is polled, dropped or woken while the table is borrowed.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use crate::error::panics::drop_contained;
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
pub(crate) struct TransportHook(Arc<dyn Fn(Stream, TransportInfo) -> Handshake + Send + Sync>);

impl TransportHook {
    pub(crate) fn new<T: Io>(
        hook: impl AsyncFn(Stream, &mut TransportInfo) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        let hook = Arc::new(hook);
        Self(Arc::new(move |stream, mut info| {
            // The future must own its hook: it may outlive the server.
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

impl fmt::Debug for TransportHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportHook").finish_non_exhaustive()
    }
}

/// A function that reads the first bytes of each accepted stream, and notes facts about its connection.
#[derive(Clone)]
pub(crate) struct Preamble(Arc<dyn Fn(Stream, TransportInfo) -> PreambleReading + Send + Sync>);

type PreambleReading = Pin<Box<dyn Future<Output = io::Result<(Stream, TransportInfo)>>>>;

impl Preamble {
    #[cfg_attr(
        not(feature = "client-address"),
        expect(dead_code, reason = "the PROXY protocol makes the only one")
    )]
    pub(crate) fn new(
        read: impl AsyncFn(&Stream, &mut TransportInfo) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let read = Arc::new(read);
        Self(Arc::new(move |stream, mut info| {
            let read = read.clone();
            Box::pin(async move {
                read(&stream, &mut info).await?;
                Ok((stream, info))
            })
        }))
    }

    /// Makes a hook that reads the preamble, and then calls `hook` for the rest. Without `hook`, the rest is HTTP.
    pub(crate) fn before(self, hook: Option<TransportHook>) -> TransportHook {
        TransportHook(Arc::new(move |stream, info| {
            let (preamble, hook) = (self.clone(), hook.clone());
            Box::pin(async move {
                let (stream, info) = (preamble.0)(stream, info).await?;
                match hook {
                    Some(hook) => hook.begin(stream, info).await,
                    None => Ok(Opened {
                        io: Box::new(stream),
                        info,
                    }),
                }
            })
        }))
    }
}

impl fmt::Debug for Preamble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preamble").finish_non_exhaustive()
    }
}

/// A handshake that is under way, or its empty place.
#[derive(Default)]
pub(crate) struct HandshakeSlot {
    pub(crate) handshake: Cell<Option<Handshake>>,
    /// The waker of the task that drives it.
    pub(crate) waker: Cell<Option<Waker>>,
}

/// The use of a connection that shakes hands. In this order handshakes give way to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// The client is only told that it is turned away. Its handshake displaces no other.
    Refusal,
    Service,
}

/// Names a handshake of a server. The lowest gives way first.
pub(crate) type HandshakeId = (Purpose, u64);

/// All handshakes of a server that are under way.
#[derive(Default)]
pub(crate) struct Handshakes {
    slots: RefCell<BTreeMap<HandshakeId, Rc<HandshakeSlot>>>,
    next: Cell<u64>,
}

impl Handshakes {
    pub(crate) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Enters one more, and returns its id.
    pub(crate) fn add(&self, slot: Rc<HandshakeSlot>, purpose: Purpose) -> HandshakeId {
        // The number grows with each handshake, so the first entry of each purpose is the oldest.
        let id = (purpose, self.next.get());
        self.next.set(id.1 + 1);
        // An ordered map, because the first entry is always the one that gives way.
        self.slots.borrow_mut().insert(id, slot);
        id
    }

    /// Returns true if this handshake has not been displaced.
    pub(crate) fn has(&self, id: HandshakeId) -> bool {
        self.slots.borrow().contains_key(&id)
    }

    pub(crate) fn remove(&self, id: HandshakeId) {
        let slot = self.slots.borrow_mut().remove(&id);
        // The borrow has ended: the drop may run the user's code.
        drop(slot);
    }

    /// Ends the oldest one, or the oldest of a refusal if there is any.
    pub(crate) fn displace(&self) {
        let oldest = self.slots.borrow_mut().pop_first();
        if let Some((_, slot)) = oldest {
            // The slot stays with its task, which then sees that its handshake is gone.
            drop_contained(slot.handshake.take());
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_gives_way_and_a_refusal_before_all_others() {
        let handshakes = Handshakes::default();
        let add = |purpose| handshakes.add(Rc::default(), purpose);
        let (first, second) = (add(Purpose::Service), add(Purpose::Service));
        let refusal = add(Purpose::Refusal);
        for gone in [refusal, first, second] {
            assert!(handshakes.has(gone));
            handshakes.displace();
            assert!(!handshakes.has(gone));
        }
        assert_eq!(handshakes.len(), 0);
    }
}
