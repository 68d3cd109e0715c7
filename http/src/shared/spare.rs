//! Values that were used, and are kept to be used again without an allocation.
//!
//! # Invariants
//!
//! - Always: a spare value contains no value of a user. Its destructor may run at any time.

use std::any::Any;
use std::cell::{Cell, RefCell};

/// Spare values. A server usually has one handler, so most are bursts of one type.
#[derive(Default)]
pub(crate) struct Spares {
    /// The value that was put last. In most cases it is taken before another is put.
    last: Cell<Option<Box<dyn Any>>>,
    others: RefCell<Vec<Box<dyn Any>>>,
}

/// The most values that are kept.
const SPARES_MAX: usize = 32;

impl Spares {
    /// Returns the spare that was put last, if it has this type. Drops a spare of another type.
    #[inline]
    pub(crate) fn take<S: 'static>(&self) -> Option<Box<S>> {
        let spare = match self.last.take() {
            Some(spare) => spare,
            None => self.take_other()?,
        };
        spare.downcast().ok()
    }

    #[inline]
    pub(crate) fn put<S: 'static>(&self, spare: Box<S>) {
        // A swap of one cell needs no borrow flag and no bounds check on the path of each request.
        if let Some(before) = self.last.replace(Some(spare)) {
            self.put_other(before);
        }
    }

    #[cold]
    fn take_other(&self) -> Option<Box<dyn Any>> {
        self.others.borrow_mut().pop()
    }

    #[cold]
    fn put_other(&self, spare: Box<dyn Any>) {
        let mut others = self.others.borrow_mut();
        if others.len() < SPARES_MAX - 1 {
            others.push(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SPARES_MAX, Spares};

    #[test]
    fn the_last_spare_is_taken_first_and_another_type_is_dropped() {
        let spares = Spares::default();
        assert_eq!(spares.take::<u8>(), None);
        (1..=4_u8).for_each(|spare| spares.put(Box::new(spare)));
        assert_eq!(spares.take(), Some(Box::new(4_u8)));
        assert_eq!(spares.take::<&str>(), None);
        assert_eq!(spares.take(), Some(Box::new(2_u8)));
        spares.put(Box::new("other"));
        assert_eq!(spares.take(), Some(Box::new("other")));
        assert_eq!(spares.take(), Some(Box::new(1_u8)));
    }

    #[test]
    fn only_so_many_are_kept() {
        let spares = Spares::default();
        (0..=SPARES_MAX).for_each(|spare| spares.put(Box::new(spare)));
        let taken = std::iter::from_fn(|| spares.take::<usize>());
        assert_eq!(taken.count(), SPARES_MAX);
    }
}
