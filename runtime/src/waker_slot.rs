//! A place for the waker of one waiting task.
//!
//! # How it works
//!
//! The waker is taken out for each use, so no borrow is alive while foreign code runs. A future that must wait
//! first registers and then checks its condition again, because the clone of a foreign waker may change it.
//!
//! # Invariants
//!
//! - Always: a waker that panics when it is woken or dropped harms only its own task.

use std::cell::Cell;
use std::fmt;
use std::task::Waker;

use crate::panics;

/// The waker of the task that waits, if one does.
#[derive(Default)]
pub(crate) struct WakerSlot {
    waker: Cell<Option<Waker>>,
}

impl WakerSlot {
    /// Stores a clone of this waker, unless the slot has one that wakes the same task. After this call, the caller
    /// checks its condition again.
    pub(crate) fn register(&self, waker: &Waker) {
        // Taken out, because the clone of a foreign waker may use this slot.
        let old = self.waker.take();
        if old.as_ref().is_some_and(|old| old.will_wake(waker)) {
            self.waker.set(old);
            return;
        }
        let replaced = self.waker.replace(Some(waker.clone()));
        // The clone may have registered another waker, so there may be two to drop.
        panics::discard((old, replaced));
    }

    /// Wakes the task that waits.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            panics::wake(waker);
        }
    }

    /// Forgets the waker, because its task no longer waits.
    pub(crate) fn clear(&self) {
        if let Some(waker) = self.waker.take() {
            panics::discard(waker);
        }
    }
}

impl fmt::Debug for WakerSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakerSlot").finish_non_exhaustive()
    }
}
