//! The reasons of a task as a tree, with texts.
//!
//! # Invariants
//!
//! - Always: made from copies, so that no lock is held.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::ops::{Range, RangeInclusive};
use std::panic::Location;
use std::time::Duration;

use super::json::Shown;
use crate::board::{HolderMark, Tracked, TrackedJob};
use crate::instant::Instant;
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::{SocketEnd, Subject};
use crate::reasons::WaitNode;
use crate::signal::signals_of;

/// A group and a finding have at most this many ids.
pub(super) const IDS_MAX: usize = 10;

/// A future within a task, and why it waits. `Display` shows it on one line, with all that is inside.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, inspect::{self, Tree}, spawn, time, yield_now};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// runtime.block_on(async {
///     spawn(time::timeout(Duration::from_secs(5), time::sleep(Duration::from_secs(9)))).detach();
///     yield_now().await;
///     let dump = inspect::dump();
///     let group = dump.groups().iter().find(|group| group.state() == "waiting").unwrap();
///     let timeout: &Tree = &group.tree()[0];
///     assert_eq!(timeout.label(), "timeout");
///     assert_eq!(timeout.children()[0].label(), "sleep");
///     assert!(timeout.place().is_some() && timeout.detail().contains("left"));
///     assert!(*timeout.waits().start() < Duration::from_secs(1));
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Tree {
    pub(super) label: &'static str,
    pub(super) detail: String,
    pub(super) place: Option<&'static Location<'static>>,
    pub(super) waits: RangeInclusive<Duration>,
    pub(super) children: Vec<Self>,
    /// The position of its reason in the list of the task. `None` for a future of another library.
    pub(super) reason: Option<usize>,
}

impl Tree {
    /// Returns the kind of the future, such as `timeout` or `read`, or the name that [`named`](super::named()) has
    /// given it.
    #[must_use]
    pub fn label(&self) -> &str {
        self.label
    }

    /// Returns the subject of the wait, for example the time that is left.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns the place in the program that made the future, if it is known.
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        self.place
    }

    /// Returns the time for which it has waited: the shortest and the longest within the group.
    #[must_use]
    pub fn waits(&self) -> RangeInclusive<Duration> {
        self.waits.clone()
    }

    /// Returns the futures inside.
    #[must_use]
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// Stores the times of a group's members. `range` returns those of a reason.
    pub(super) fn set_ranges(&mut self, range: &impl Fn(usize) -> RangeInclusive<Duration>) {
        if let Some(reason) = self.reason {
            self.waits = range(reason);
        }
        for child in &mut self.children {
            child.set_ranges(range);
        }
    }

    /// Calls `visit` with this future and all that are inside.
    pub(super) fn each<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        for child in &self.children {
            child.each(visit);
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self.label).fmt(f)?;
        match self.detail.as_str() {
            "" => {}
            detail if detail.starts_with("fd ") => write!(f, " {}", Shown(detail))?,
            detail => write!(f, "({})", Shown(detail))?,
        }
        if !self.children.is_empty() {
            write!(f, " > {}", Forest(&self.children))?;
        }
        Ok(())
    }
}

/// The trees of one task, on one line.
pub(super) struct Forest<'a>(pub(super) &'a [Tree]);

impl fmt::Display for Forest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// A future can have thousands of others inside.
        const SHOWN_MAX: usize = 8;
        if let [only] = self.0 {
            return only.fmt(f);
        }
        for (index, tree) in self.0.iter().take(SHOWN_MAX).enumerate() {
            f.write_str(if index == 0 { "[" } else { ", " })?;
            tree.fmt(f)?;
        }
        if self.0.len() > SHOWN_MAX {
            write!(f, ", and {} more", self.0.len() - SHOWN_MAX)?;
        }
        f.write_str("]")
    }
}

/// A duration with three digits.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u64::from(self.0.subsec_nanos());
        // Below half a millisecond less than a second, or the rounding would show 1000 ms.
        let (unit, divisor) = match (self.0.as_secs(), nanos) {
            (0, 0..1_000) => ("ns", 1),
            (0, 1_000..1_000_000) => ("µs", 1_000),
            (0, 1_000_000..999_500_000) => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        // Whole numbers of 64 bits: a dump writes ten thousands of them, and a division of 128 bits is a call.
        let hundredths =
            (nanos * 100 + divisor / 2) / divisor + self.0.as_secs().saturating_mul(100);
        // Rounded to three digits. A reader compares waits, and more digits would hide the first ones.
        let rounded = match hundredths {
            0..1_000 => hundredths,
            1_000..10_000 => (hundredths + 5) / 10 * 10,
            _ => (hundredths + 50) / 100 * 100,
        };
        let (whole, rest) = (rounded / 100, rounded % 100);
        match rest {
            0 => write!(f, "{whole} {unit}"),
            rest if rest % 10 == 0 => write!(f, "{whole}.{} {unit}", rest / 10),
            rest => write!(f, "{whole}.{rest:02} {unit}"),
        }
    }
}

/// A task, and its state at the time of the dump.
pub(super) struct Snapshot {
    pub(super) tracked: Tracked,
    pub(super) is_queued: bool,
    pub(super) is_running: bool,
    /// The number of clones of its waker, apart from the runtime's own.
    pub(super) clones: usize,
}

impl Snapshot {
    pub(super) fn is_waiting(&self) -> bool {
        !(self.is_queued || self.is_running)
    }

    /// Returns true if no event can end the wait of this task.
    pub(super) fn is_lost(&self) -> bool {
        let is_root = self.tracked.task == TaskId::ROOT;
        let is_known = |reason: &WaitNode| {
            // A socket and a task keep the id of a waiting task, and no clone of its waker. The future of `block_on`
            // has no id that they could keep.
            let has_id = matches!(reason.detail, Subject::Socket { .. } | Subject::Task(_));
            // A combinator with wakers of its own may keep the task's waker in a way that the count does not show.
            has_id && !is_root || reason.foreign_waker != 0
        };
        let has_run = self.tracked.polls > 0;
        self.is_waiting()
            && has_run
            && self.clones == 0
            && !self.tracked.reasons.iter().any(is_known)
    }
}

/// The things that the texts of a tree name.
pub(super) struct TreeNames<'a> {
    pub(super) runtime: Option<RuntimeId>,
    /// The future of `block_on`, and then the tasks by their slots.
    pub(super) tasks: &'a [Snapshot],
    pub(super) holders: &'a HashMap<usize, Vec<HolderMark>>,
    pub(super) jobs: &'a HashMap<usize, TrackedJob>,
    /// The time of the runtime's clock.
    pub(super) now: u64,
}

impl TreeNames<'_> {
    /// Returns the position of a task in the list.
    pub(super) fn find(&self, task: TaskId) -> Option<usize> {
        // The index of the root is the largest one, but it stands first.
        let slot = |task: TaskId| (task != TaskId::ROOT, task.index);
        let found = self
            .tasks
            .binary_search_by_key(&slot(task), |snapshot| slot(snapshot.tracked.task));
        found.ok().filter(|at| self.tasks[*at].tracked.task == task)
    }

    /// Returns true if a thing is still in the hands of the task that is marked.
    fn is_certain(&self, mark: &HolderMark) -> bool {
        let spawns = |at: usize| self.tasks[at].tracked.spawns;
        // The future of a task that was spawned later may have it.
        mark.spawns
            .is_none_or(|marked| self.find(mark.task).map(spawns) == Some(marked))
    }

    /// Returns the tasks that certainly have a thing.
    fn certain_holders(&self, thing: usize) -> impl Iterator<Item = TaskId> {
        let marks = self.holders.get(&thing).into_iter().flatten();
        marks
            .filter(|mark| self.is_certain(mark))
            .map(|mark| mark.task)
    }

    /// Returns the tasks that have a thing. Returns `None` if another one may have it, too.
    pub(super) fn holders_of(&self, thing: usize) -> Option<Vec<TaskId>> {
        let marks = self.holders.get(&thing)?;
        let all = marks.iter().all(|mark| self.is_certain(mark));
        all.then(|| marks.iter().map(|mark| mark.task).collect())
    }

    /// Returns the identity of a task as the JSON has it.
    pub(super) fn id(&self, task: TaskId) -> String {
        if task == TaskId::ROOT {
            return "root".to_owned();
        }
        let runtime = self.runtime.map_or(0, RuntimeId::number);
        format!("{runtime}.{}.{}", task.index, task.generation)
    }

    /// Returns a task for a text: its id, and its name if it has one.
    pub(super) fn task(&self, task: TaskId) -> String {
        let id = self.id(task);
        let found = self.find(task).map(|index| &self.tasks[index].tracked);
        match found.and_then(|tracked| tracked.name.as_ref()) {
            Some(name) => format!("task {id} `{}`", Shown(name)),
            None => format!("task {id}"),
        }
    }

    /// Returns the text of the subject of a reason.
    pub(super) fn detail(&self, reason: &WaitNode) -> String {
        match &reason.detail {
            Subject::None | Subject::Among(_) => String::new(),
            Subject::Named(text) => text.as_deref().unwrap_or_default().to_owned(),
            Subject::Phase(phase) => (*phase).to_owned(),
            Subject::Until(deadline) => self.until(reason, deadline.as_nanos()),
            Subject::Socket { fd, end } => match end {
                SocketEnd::Peer(peer) => format!("fd {fd} of {peer}"),
                SocketEnd::Local(local) => format!("fd {fd} on {local}"),
                SocketEnd::Unknown => format!("fd {fd}"),
            },
            Subject::Task(task) => self.task(*task),
            Subject::Permits(at) => match &*self.certain_holders(*at).collect::<Vec<_>>() {
                [] => String::new(),
                holders if holders.len() > 3 => format!("held by {} tasks", holders.len()),
                holders => format!("held by {}", self.tasks(holders)),
            },
            Subject::Senders(_, number) => counted(*number, "sender"),
            Subject::Futures(number) => counted(*number, "future"),
            // The board forgets a job when it ends, and its future is then about to be polled.
            Subject::Job(at) => match self.jobs.get(at) {
                Some(job) if job.began > 0 => {
                    let runs = Instant::real().as_nanos().saturating_sub(job.began);
                    format!("running for {}", Short(Duration::from_nanos(runs)))
                }
                Some(_) => "no thread is free".to_owned(),
                None => "has ended".to_owned(),
            },
            Subject::Process(id) => format!("process {id}"),
            Subject::Signals(mask) => {
                let names: Vec<_> = signals_of(*mask).map(|signal| signal.to_string()).collect();
                names.join(", ")
            }
        }
    }

    /// Returns the texts of several tasks.
    pub(super) fn tasks(&self, tasks: &[TaskId]) -> String {
        let texts: Vec<_> = tasks.iter().map(|task| self.task(*task)).collect();
        texts.join(" and ")
    }

    fn until(&self, reason: &WaitNode, deadline: u64) -> String {
        // Room for both times, so that the text does not move while it grows.
        let mut text = String::with_capacity(32);
        // A deadline beyond the clock is that of a sleep without an end.
        if deadline == u64::MAX {
            return "never".to_owned();
        }
        if reason.label == "timeout" {
            let whole = Duration::from_nanos(deadline.saturating_sub(reason.since));
            // Writing to a string does not fail.
            _ = write!(text, "{}, ", Short(whole));
        }
        // A deadline that has passed shows zero: the timer is due, and the wheel has not moved yet.
        let left = Duration::from_nanos(deadline.saturating_sub(self.now));
        _ = write!(text, "{} left", Short(left));
        text
    }
}

/// Returns a number with a noun.
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The label of a future that has recorded no reason, and whose task has a waker in other hands.
const FOREIGN: &str = "a waker of another library";

/// The label of a future that has recorded no reason, and that has kept no waker.
const UNWAKEABLE: &str = "no waker";

/// The label of the futures that lie too deep for a dump.
const DEEPER: &str = "…";

/// A tree has at most this many levels. A future may call itself for each level of a tree of the user's, and many
/// readers of JSON refuse more than 128 levels, of which each future takes two.
const LEVELS_MAX: u32 = 48;

/// The futures of one task, while their trees are made.
struct Grower<'a> {
    names: &'a TreeNames<'a>,
    all: &'a [WaitNode],
    /// The number of wakers that no reason accounts for.
    foreign: usize,
    /// False for a task that is queued or running: then a future without a reason is about to be polled.
    is_waiting: bool,
}

/// Makes the trees of a task. `foreign` is the number of its wakers that no reason accounts for. `is_waiting` is false
/// for a task that is queued or running.
pub(super) fn trees(
    reasons: &[WaitNode],
    names: &TreeNames<'_>,
    foreign: usize,
    is_waiting: bool,
) -> Vec<Tree> {
    let mut grower = Grower {
        names,
        all: reasons,
        foreign,
        is_waiting,
    };
    let mut trees = grower.below(0..reasons.len(), 0);
    if is_waiting && trees.is_empty() {
        trees.push(unknown(&mut grower.foreign, Duration::ZERO));
    }
    trees
}

impl Grower<'_> {
    /// Makes the trees of the reasons in this range.
    fn below(&mut self, range: Range<usize>, level: u32) -> Vec<Tree> {
        let mut trees = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let first = &self.all[at];
            let rest = &self.all[at + 1..range.end];
            let inside = rest.iter().take_while(|reason| reason.depth > first.depth);
            let inside = at + 1..at + 1 + inside.count();
            let mut tree = self.tree(at);
            at = inside.end;
            if level + 2 >= LEVELS_MAX && inside.len() > 1 {
                tree.children = self.deep(inside);
            } else {
                tree.children = self.below(inside, level + 1);
                if self.is_waiting {
                    // A combinator knows how many futures it has. Those that recorded no reason are shown, too.
                    for _ in tree.children.len()..futures_of(first) {
                        tree.children
                            .push(unknown(&mut self.foreign, *tree.waits.start()));
                    }
                }
            }
            trees.push(tree);
        }
        trees
    }

    /// Makes one tree of all futures in this range. It has only those that have no others inside: they tell what the
    /// task waits for.
    fn deep(&self, range: Range<usize>) -> Vec<Tree> {
        const SHOWN_MAX: usize = 8;
        let depth = |at: usize| self.all[at].depth;
        let is_leaf = |at: &usize| at + 1 == range.end || depth(at + 1) <= depth(*at);
        let leaves = range.clone().filter(is_leaf).take(SHOWN_MAX);
        vec![Tree {
            label: DEEPER,
            detail: counted(range.len(), "future"),
            place: None,
            children: leaves.map(|at| self.tree(at)).collect(),
            ..self.tree(range.start)
        }]
    }

    /// Makes the tree of the reason at this position.
    fn tree(&self, at: usize) -> Tree {
        let reason = &self.all[at];
        let waited = Duration::from_nanos(self.names.now.saturating_sub(reason.since));
        Tree {
            label: reason.label,
            detail: self.names.detail(reason),
            place: reason.site,
            waits: waited..=waited,
            children: Vec::new(),
            reason: Some(at),
        }
    }
}

/// Returns the number of futures that must be inside a reason, at least.
pub(super) fn futures_of(reason: &WaitNode) -> usize {
    match &reason.detail {
        Subject::Among(number) => *number,
        Subject::Until(_) if reason.label == "timeout" => 1,
        Subject::Named(_) | Subject::Phase(_) => 1,
        _ => 0,
    }
}

/// Makes the tree of a future that has recorded no reason.
fn unknown(foreign: &mut usize, waited: Duration) -> Tree {
    // The count of clones bounds how many futures can have kept a waker.
    let label = if *foreign > 0 { FOREIGN } else { UNWAKEABLE };
    *foreign = foreign.saturating_sub(1);
    Tree {
        label,
        detail: String::new(),
        place: None,
        waits: waited..=waited,
        children: Vec::new(),
        reason: None,
    }
}
