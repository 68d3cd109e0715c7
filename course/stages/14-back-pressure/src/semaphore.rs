//! A number of permits, and a line of tasks that wait for one.
//!
//! - Always: the task that has waited longest is served first.
//! - Always: if a permit is free and a task waits, the first task in line has been woken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Permits for the tasks of one thread.
pub struct Semaphore {
    state: RefCell<State>,
}

struct State {
    /// The free permits.
    permits: usize,
    /// The waiting tasks, the longest wait first.
    line: VecDeque<Waiting>,
    /// The number of the next waiter.
    next_ticket: u64,
}

struct Waiting {
    ticket: u64,
    waker: Waker,
}

impl Semaphore {
    /// Makes a semaphore with this many free permits.
    pub fn new(permits: usize) -> Self {
        Self {
            state: RefCell::new(State {
                permits,
                line: VecDeque::new(),
                next_ticket: 0,
            }),
        }
    }

    /// Takes a permit. Waits for one if none is free, or if other tasks wait already.
    ///
    /// The caller owns the permit then, and must [`release`](Self::release) it.
    pub fn acquire(&self) -> Acquire<'_> {
        Acquire {
            semaphore: self,
            ticket: None,
        }
    }

    /// Returns a permit, and wakes the first task in line.
    pub fn release(&self) {
        // TODO 1: Add one to the free permits. Then wake the first task in line, if there is one: call `wake_first`.
        // TODO 1 is here. A destructor calls this, so a `todo!()` would end the whole process.
    }

    /// Returns the number of free permits.
    pub fn permits(&self) -> usize {
        self.state.borrow().permits
    }

    /// Returns the number of tasks in line.
    pub fn waiting(&self) -> usize {
        self.state.borrow().line.len()
    }

    /// Wakes the first task in line if a permit is free. The task stays in line until it is polled.
    fn wake_first(&self) {
        let first = {
            let state = self.state.borrow();
            let first = state.line.front().filter(|_| state.permits > 0);
            first.map(|first| first.waker.clone())
        };
        // The state is not borrowed, because the waker may be foreign code.
        if let Some(first) = first {
            first.wake();
        }
    }
}

impl State {
    /// Returns true if the waiter with this ticket is first in line. A waiter without a ticket is behind all others.
    fn is_first(&self, ticket: Option<u64>) -> bool {
        match (self.line.front(), ticket) {
            (None, _) => true,
            (Some(first), Some(ticket)) => first.ticket == ticket,
            (Some(_), None) => false,
        }
    }

    /// Removes a waiter from the line.
    fn leave(&mut self, ticket: Option<u64>) -> Option<Waiting> {
        let position = self
            .line
            .iter()
            .position(|waiting| Some(waiting.ticket) == ticket)?;
        self.line.remove(position)
    }

    /// Stores the waker of a waiter: at its place in line, or at the end. Returns its ticket, and the waker before.
    fn wait(&mut self, ticket: Option<u64>, waker: Waker) -> (u64, Option<Waker>) {
        let mut line = self.line.iter_mut();
        if let Some(own) = line.find(|waiting| Some(waiting.ticket) == ticket) {
            return (own.ticket, Some(std::mem::replace(&mut own.waker, waker)));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.line.push_back(Waiting { ticket, waker });
        (ticket, None)
    }
}

/// The future of [`Semaphore::acquire`].
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
    /// The place in line, from the first wait on.
    ticket: Option<u64>,
}

impl Future for Acquire<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let semaphore = self.semaphore;
        let ticket = self.ticket;
        let waker = cx.waker().clone();
        let mut state = semaphore.state.borrow_mut();
        // TODO 2: If a permit is free, and this waiter is first in line (`state.is_first(ticket)`):
        // 1. Take the permit, and leave the line: `let left = state.leave(ticket);`.
        // 2. Set `self.ticket` to `None`. Drop `state`, and then `left`.
        // 3. Call `semaphore.wake_first()`, because a second permit may be free. Return `Poll::Ready(())`.
        //
        // Otherwise wait: `state.wait(ticket, waker)` returns the ticket and the waker before. Store the ticket, drop `state`
        // before the waker, and return `Poll::Pending`.
        todo!("TODO 2")
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        // TODO 3: If this waiter is in line (it has a ticket), leave the line. It may have been woken for a permit that it will not
        // take now. So call `wake_first`, which wakes the next task if a permit is free.
        // TODO 3 is here. A `todo!()` in a destructor would end the whole process.
    }
}
