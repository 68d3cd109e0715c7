//! The reasons for which a task waits: a list for each poll, and the merge of two such lists.
//!
//! # How it works
//!
//! A *reason* is a future within a task: a combinator, a wait for a socket, a sleep. The reasons of a task are a
//! tree. It is a list in the order in which the futures were polled, each with its depth.
//!
//! A poll makes the list anew. [`merged`] then compares it with the list before: a reason that was there before keeps
//! its time. A foreign combinator (`FuturesUnordered`) polls only the futures that were woken, with wakers of its
//! own. So a reason whose waker is not the task's own stays in the list if its future was not polled.
//!
//! # Invariants
//!
//! - Always: at most [`REASONS_MAX`] reasons outside of all combinators, so that a poll that never ends fills no memory.

use crate::local_queue::TaskId;
use crate::nodes::subject::{Site, Subject, address};

/// The reasons of one poll outside of all combinators are forgotten at this number.
const REASONS_MAX: usize = 1 << 16;

/// A future within a task, and why it waits.
#[derive(Clone, Debug)]
pub(crate) struct WaitNode {
    /// The number of reasons around it.
    pub(crate) depth: u32,
    pub(crate) label: &'static str,
    /// The place in the program that made the future.
    pub(crate) site: Site,
    pub(crate) detail: Subject,
    /// The time of its first poll, in nanoseconds of the runtime's clock.
    pub(crate) since: u64,
    /// The address of the waker, if it is not the task's own. Otherwise zero.
    pub(crate) foreign_waker: usize,
    /// True if a future like this one has completed earlier in the same poll. So this one is new.
    pub(crate) is_new: bool,
    /// True for a part that is over unless it was left as one that waits.
    pub(crate) ends_by_itself: bool,
}

impl WaitNode {
    /// Takes over the time of the same future in the poll before.
    fn keep_time_of(&mut self, old: &Self) {
        if !self.is_new {
            self.since = old.since;
        }
    }

    /// Returns true if both are probably the same future, in two polls of a task.
    fn is_same(&self, other: &Self) -> bool {
        let same_site = match (self.site, other.site) {
            (Some(site), Some(other)) => std::ptr::eq(site, other),
            (site, other) => site.is_none() && other.is_none(),
        };
        self.label == other.label
            && same_site
            && self.foreign_waker == other.foreign_waker
            && self.detail.is_same(&other.detail)
    }
}

/// The poll that runs now, and its reasons so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunningPoll {
    pub(crate) task: Option<TaskId>,
    /// The time of its begin, by the real clock without the stops.
    pub(crate) began: u64,
    pub(crate) reasons: Vec<WaitNode>,
    /// The index of the innermost reason that is entered and not left.
    pub(crate) entered: Option<usize>,
    /// The indices of the reasons around that one, the outermost first.
    around: Vec<usize>,
    /// The labels and the addresses of the places of the futures that have completed in this poll.
    completed: Vec<(&'static str, usize)>,
}

impl RunningPoll {
    /// Begins a poll at this time.
    pub(crate) fn begin(&mut self, task: TaskId, began: u64) {
        self.task = Some(task);
        self.began = began;
        self.reasons.clear();
        self.completed.clear();
        self.leave_all();
    }

    /// Ends the poll. Returns its reasons.
    pub(crate) fn end(&mut self) -> Vec<WaitNode> {
        self.task = None;
        self.end_parts(None);
        self.leave_all();
        std::mem::take(&mut self.reasons)
    }

    /// Forgets the reasons that are entered.
    fn leave_all(&mut self) {
        self.entered = None;
        self.around.clear();
    }

    /// Enters the reason at this index.
    pub(crate) fn enter(&mut self, index: usize) {
        self.around.extend(self.entered.replace(index));
    }

    /// Ends the innermost parts that end by themselves, up to the one with this label. Futures that were recorded inside
    /// them since are now beside them: they came after the part.
    fn end_parts(&mut self, up_to: Option<&str>) {
        while let Some(index) = self.entered {
            let part = &self.reasons[index];
            if !part.ends_by_itself || up_to == Some(part.label) {
                return;
            }
            let (label, site) = (part.label, part.site);
            self.complete(label, site);
            self.entered = self.around.pop();
            self.reasons.remove(index);
            for later in &mut self.reasons[index..] {
                later.depth = later.depth.saturating_sub(1);
            }
        }
    }

    /// Ends the innermost part if it has this label, for the next one of the kind. Returns its depth.
    pub(crate) fn replace_part(&mut self, label: &str) -> Option<u32> {
        let innermost = &self.reasons[self.entered?];
        let is_it = innermost.ends_by_itself && innermost.label == label;
        if is_it {
            self.leave(Some(label), false)
        } else {
            None
        }
    }

    /// Sets the subject of the reason that was entered last.
    pub(crate) fn describe(&mut self, subject: Subject) {
        self.end_parts(None);
        if let Some(reason) = self.entered.and_then(|index| self.reasons.get_mut(index)) {
            reason.detail = subject;
        }
    }

    /// Leaves the reason that was entered last, and returns its depth. Removes it, and all inside, if its future is not
    /// pending. `part` is its label, if it is a part that ends by itself.
    pub(crate) fn leave(&mut self, part: Option<&str>, is_pending: bool) -> Option<u32> {
        self.end_parts(part);
        let index = self.entered?;
        let reason = self.reasons.get(index)?;
        if part.is_some_and(|part| !reason.ends_by_itself || reason.label != part) {
            return None;
        }
        let (depth, label, site) = (reason.depth, reason.label, reason.site);
        self.entered = self.around.pop();
        if !is_pending {
            self.complete(label, site);
            self.reasons.truncate(index);
        }
        Some(depth)
    }

    /// Removes the last reason of this label at this depth, and all inside.
    pub(crate) fn remove_last(&mut self, label: &'static str, depth: u32) {
        let reasons = &self.reasons;
        let at = reasons.iter().rposition(|reason| reason.depth <= depth);
        if let Some(at) = at.filter(|at| (reasons[*at].label, reasons[*at].depth) == (label, depth))
        {
            self.complete(label, self.reasons[at].site);
            self.reasons.truncate(at);
        }
    }

    /// Notes that a future has completed.
    pub(crate) fn complete(&mut self, label: &'static str, site: Site) {
        let future = (label, address_of(site));
        if !self.completed.contains(&future) {
            self.completed.push(future);
        }
    }

    /// Adds a reason. Returns its index.
    pub(crate) fn push(&mut self, mut reason: WaitNode) -> usize {
        // The next turn of a loop waits with a future of the same place. Its wait begins now.
        let future = (reason.label, address_of(reason.site));
        reason.is_new |= self.completed.contains(&future);
        // A poll that never ends may poll futures in a loop and drop them.
        if self.entered.is_none() && self.reasons.len() >= REASONS_MAX {
            self.reasons.clear();
        }
        self.reasons.push(reason);
        self.reasons.len() - 1
    }
}

/// Returns the address of a place as its name.
fn address_of(site: Site) -> usize {
    site.map_or(0, address)
}

/// Merges the reasons of the last two polls of a task: the times of the old ones, and the futures of foreign
/// combinators that the new poll has not polled. Returns the result, and a list that is no longer needed.
pub(crate) fn merged(
    old: Vec<WaitNode>,
    mut new: Vec<WaitNode>,
    keeps: bool,
) -> (Vec<WaitNode>, Vec<WaitNode>) {
    let is_same = |(old, new): (&WaitNode, &WaitNode)| old.depth == new.depth && old.is_same(new);
    // The usual case: the task waits again for what it has waited for.
    if old.len() == new.len() && old.iter().zip(&new).all(is_same) {
        for (new, old) in new.iter_mut().zip(&old) {
            new.keep_time_of(old);
        }
        return (new, old);
    }
    let mut polled: Vec<usize> = new.iter().map(|reason| reason.foreign_waker).collect();
    polled.sort_unstable();
    let mut all = Vec::with_capacity(old.len().max(new.len()));
    merge_level(&old, &new, &polled, keeps, &mut all);
    (all, new)
}

/// Merges two lists of siblings, with all that is below them.
fn merge_level(
    old: &[WaitNode],
    new: &[WaitNode],
    polled: &[usize],
    keeps: bool,
    all: &mut Vec<WaitNode>,
) {
    /// A sibling is looked for in this many places. So a long list costs no more than its length.
    const AHEAD_MAX: usize = 8;
    let old = siblings(old);
    let mut used = vec![false; old.len()];
    let mut next = 0;
    for family in siblings(new) {
        let reason = &family[0];
        // Futures that were there before keep their order, so the one that is looked for is usually the next.
        let found = (next..old.len().min(next + AHEAD_MAX))
            .find(|at| !used[*at] && old[*at][0].is_same(reason));
        let mut reason = reason.clone();
        if let Some(at) = found {
            used[at] = true;
            next = at + 1;
            reason.keep_time_of(&old[at][0]);
            all.push(reason);
            merge_level(&old[at][1..], &family[1..], polled, keeps, all);
        } else {
            all.push(reason);
            all.extend_from_slice(&family[1..]);
        }
    }
    let is_left = |at: usize| {
        let waker = old[at][0].foreign_waker;
        keeps && !used[at] && waker != 0 && polled.binary_search(&waker).is_err()
    };
    for at in (0..old.len()).filter(|at| is_left(*at)) {
        all.extend_from_slice(old[at]);
    }
}

/// Splits a list into the trees of its roots.
fn siblings(mut list: &[WaitNode]) -> Vec<&[WaitNode]> {
    let mut found = Vec::new();
    while let Some(first) = list.first() {
        let below = list[1..]
            .iter()
            .take_while(|reason| reason.depth > first.depth);
        let (family, rest) = list.split_at(1 + below.count());
        found.push(family);
        list = rest;
    }
    found
}
