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

#[cfg(test)]
mod tests {
    use super::{SPARES_MAX, Spares};

    #[test]
    fn what_was_put_last_is_taken_first_and_another_type_takes_its_place() {
        let spares = Spares::new();
        assert_eq!(spares.take::<u8>(), None);
        spares.put(1_u8);
        spares.put(2_u8);
        assert_eq!(spares.take::<&str>(), None);
        assert_eq!(spares.take(), Some(2_u8));
        spares.put("other");
        assert_eq!(spares.take::<u8>(), None);
        assert_eq!(spares.take(), Some("other"));
    }

    #[test]
    fn only_so_many_are_kept() {
        let spares = Spares::new();
        (0..=SPARES_MAX).for_each(|spare| spares.put(spare));
        let taken = std::iter::from_fn(|| spares.take::<usize>());
        assert_eq!(taken.count(), SPARES_MAX);
    }
}
