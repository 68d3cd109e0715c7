//! The tasks that wait in line for one thing, first come, first served.
//!
//! # How it works
//!
//! A future that has to wait takes a [`Ticket`]. Tickets grow, so the line is sorted by ticket, and a binary
//! search finds a waiter. There is no allocation for a waiter once the line has grown.
//!
//! ```text
//!  push ──► waiting ── serve_first ──► served ── leave ──► (gone)
//!              └───────── leave, or take_all ─────────────────▲
//! ```
//!
//! A waiter that is *served* has left the line, and its task is woken. The list remembers its ticket until the
//! future has seen it. So if the future is dropped instead, [`WaitList::leave`] returns [`Leaving::Served`], and
//! the caller can serve the next waiter. Otherwise a permit would be lost.
//!
//! The place of a waiter that leaves from the middle stays empty for a while. The empty places are removed when
//! they are more than half of the line.
//!
//! # Invariants
//!
//! - Always: the first place in the line has a waiter.
//! - Always: a ticket is in at most one of the two lists.
//! - Never: a waker woken, cloned or dropped here. The list returns the wakers that it removes.

use std::collections::VecDeque;
use std::task::Waker;

/// The name of one waiter. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The waiters of one thing. Each has a request, for example a number of permits.
#[derive(Debug)]
pub(crate) struct WaitList<R> {
    line: VecDeque<InLine<R>>,
    /// The number of places in the line that have no waiter.
    vacant: usize,
    /// The waiters that were served and have not seen it, in the order of their tickets.
    served: VecDeque<Ticket>,
    next: u64,
}

#[derive(Debug)]
struct InLine<R> {
    ticket: Ticket,
    /// `None` if the waiter has left.
    waiter: Option<(R, Waker)>,
}

/// The result of [`WaitList::leave`].
#[must_use]
pub(crate) enum Leaving {
    /// The waiter was in line. The caller must drop its waker.
    Waiting(Waker),
    /// The waiter was served.
    Served,
    /// The list was emptied by [`WaitList::take_all`].
    Gone,
}

impl<R> Default for WaitList<R> {
    fn default() -> Self {
        Self {
            line: VecDeque::new(),
            vacant: 0,
            served: VecDeque::new(),
            next: 0,
        }
    }
}

impl<R> WaitList<R> {
    /// Returns true if no waiter is in line.
    pub(crate) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Puts a waiter at the end of the line.
    pub(crate) fn push(&mut self, request: R, waker: Waker) -> Ticket {
        // One ticket in each nanosecond would use up the 64 bits in 584 years, so no ticket comes twice.
        let ticket = Ticket(self.next);
        self.next += 1;
        let waiter = Some((request, waker));
        self.line.push_back(InLine { ticket, waiter });
        ticket
    }

    /// Returns the request of the first waiter.
    pub(crate) fn first(&self) -> Option<&R> {
        let (request, _) = self.line.front()?.waiter.as_ref()?;
        Some(request)
    }

    /// Serves the first waiter. Returns its waker, which the caller must wake.
    pub(crate) fn serve_first(&mut self) -> Option<Waker> {
        let first = self.line.pop_front()?;
        // Waiters behind the first one may have left. `first` and `is_empty` look only at the front.
        self.trim();
        self.served.push_back(first.ticket);
        first.waiter.map(|(_, waker)| waker)
    }

    /// Removes all waiters from the line, without serving them. Returns their wakers.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waker> + use<R> {
        // `served` stays: the future of a served waiter must still find its ticket, to use or to return its
        // permit.
        self.vacant = 0;
        let line = std::mem::take(&mut self.line);
        line.into_iter().filter_map(|place| Some(place.waiter?.1))
    }

    /// Returns the waker of a waiter that is in line.
    pub(crate) fn waker(&mut self, ticket: Ticket) -> Option<&mut Waker> {
        let place = self.place(ticket)?;
        let (_, waker) = self.line[place].waiter.as_mut()?;
        Some(waker)
    }

    /// Returns true if this waiter was served, and has not left.
    pub(crate) fn is_served(&self, ticket: Ticket) -> bool {
        self.place_among_served(ticket).is_some()
    }

    /// Removes a waiter, because its future is ready or dropped.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Leaving {
        if let Some(position) = self.place_among_served(ticket) {
            self.served.remove(position);
            return Leaving::Served;
        }
        let place = self.place(ticket);
        let Some((_, waker)) = place.and_then(|place| self.line[place].waiter.take()) else {
            return Leaving::Gone;
        };
        self.vacant += 1;
        self.trim();
        // At half of the line, each removal of empty places is paid for by as many departures: a constant cost
        // for each. A removal at each departure would move the whole line.
        if self.vacant > self.line.len() / 2 {
            self.line.retain(|place| place.waiter.is_some());
            self.vacant = 0;
        }
        Leaving::Waiting(waker)
    }

    #[inline]
    fn place_among_served(&self, ticket: Ticket) -> Option<usize> {
        // Served waiters usually leave in the order of their tickets. So this is usually the first one. // LOG S2
        if self.served.front() == Some(&ticket) {
            return Some(0);
        }
        // Waiters are served in the order of the line, so this list is sorted by ticket, too.
        self.served.binary_search(&ticket).ok()
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        self.line
            .binary_search_by_key(&ticket, |place| place.ticket)
            .ok()
    }

    /// Removes the empty places at the front.
    fn trim(&mut self) {
        while self
            .line
            .front()
            .is_some_and(|place| place.waiter.is_none())
        {
            self.line.pop_front();
            self.vacant -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(waiters: u32) -> (WaitList<u32>, Vec<Ticket>) {
        let mut list = WaitList::default();
        let tickets = (0..waiters).map(|number| list.push(number, Waker::noop().clone()));
        let tickets = tickets.collect();
        (list, tickets)
    }

    #[test]
    fn waiters_are_served_in_the_order_in_which_they_came() {
        let (mut list, tickets) = list_of(3);
        for (number, ticket) in (0..).zip(&tickets) {
            assert_eq!(list.first(), Some(&number));
            assert!(list.serve_first().is_some());
            assert!(list.is_served(*ticket));
            assert!(matches!(list.leave(*ticket), Leaving::Served));
            assert!(matches!(list.leave(*ticket), Leaving::Gone));
        }
        assert!(list.is_empty() && list.serve_first().is_none());
    }

    #[test]
    fn a_waiter_that_leaves_from_anywhere_is_skipped() {
        for leaves in 0..4 {
            let (mut list, tickets) = list_of(4);
            assert!(matches!(list.leave(tickets[leaves]), Leaving::Waiting(_)));
            let mut served = Vec::new();
            while let Some(number) = list.first().copied() {
                served.push(number as usize);
                list.serve_first();
            }
            let expected: Vec<_> = (0..4).filter(|number| *number != leaves).collect();
            assert_eq!(served, expected);
        }
    }

    #[test]
    fn waiters_that_come_and_leave_behind_one_that_stays_take_no_memory() {
        let (mut list, _) = list_of(1);
        let mut newest = list.push(1, Waker::noop().clone());
        for _ in 0..10_000 {
            let next = list.push(1, Waker::noop().clone());
            assert!(matches!(list.leave(newest), Leaving::Waiting(_)));
            newest = next;
        }
        assert!(list.line.len() <= 8, "{} places", list.line.len());
    }

    #[test]
    fn waiters_that_are_taken_together_are_not_served() {
        let (mut list, tickets) = list_of(3);
        list.serve_first();
        assert_eq!(list.take_all().count(), 2);
        assert!(list.is_served(tickets[0]));
        assert!(!list.is_served(tickets[1]));
        assert!(matches!(list.leave(tickets[1]), Leaving::Gone));
        assert!(matches!(list.leave(tickets[0]), Leaving::Served));
    }
}
