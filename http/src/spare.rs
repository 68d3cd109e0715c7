//! What has been used and will be used again, instead of allocated.
//!
//! # Invariants
//!
//! - Always: what is put here holds nothing of a user's; its destructor may run at any time.

use std::any::Any;
use std::cell::RefCell;

/// Spares of one type, whichever was kept last: a server mostly has one handler, so one type of
/// burst.
pub(crate) struct Spares(RefCell<Box<dyn Any>>);

/// No more are kept.
const SPARES_MAX: usize = 32;

impl Spares {
    pub(crate) fn new() -> Self {
        Self(RefCell::new(Box::new(())))
    }

    #[inline]
    pub(crate) fn take<S: 'static>(&self) -> Option<S> {
        self.0.borrow_mut().downcast_mut::<Vec<S>>()?.pop()
    }

    #[inline]
    pub(crate) fn put<S: 'static>(&self, spare: S) {
        if let Some(spares) = self.0.borrow_mut().downcast_mut::<Vec<S>>() {
            if spares.len() < SPARES_MAX {
                spares.push(spare);
            }
            return;
        }
        drop(self.0.replace(Box::new(vec![spare])));
    }
}
