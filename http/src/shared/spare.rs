//! What has been used and will be used again, instead of allocated.
//!
//! # Invariants
//!
//! - Always: what is put here holds nothing of a user's; its destructor may run at any time.

use std::any::Any;
use std::cell::{Cell, RefCell};

/// Spares, mostly of one type: a server mostly has one handler, so one type of burst.
#[derive(Default)]
pub(crate) struct Spares {
    /// The one that was kept last, at hand: mostly it is taken again before another is kept.
    last: Cell<Option<Box<dyn Any>>>,
    others: RefCell<Vec<Box<dyn Any>>>,
}

/// No more are kept.
const SPARES_MAX: usize = 32;

impl Spares {
    /// The spare that was kept last, if it is of this type; one of another type is dropped.
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
    fn what_was_put_last_is_taken_first_and_another_type_is_let_go() {
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
