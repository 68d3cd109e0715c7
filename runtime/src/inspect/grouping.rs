//! Makes a dump of a board: copies its tasks, and groups those that are equal.
//!
//! # How it works
//!
//! 1. Copy what the board has, under its locks, one after the other.
//! 2. Group the tasks that have the same name, place, state and tree of reasons.
//! 3. Write the texts, and look for [findings](super::Finding).
//!
//! # Invariants
//!
//! - Never: a future polled, or a waker woken.
//! - Never: a wait without a limit. If a lock is not free in time, the dump is empty and says so.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use super::dump::{Dump, Group, RunningTask};
use super::findings::{self, Evidence};
use super::tree::{IDS_MAX, Snapshot, TreeNames, trees};
use crate::board::{Board, Census, LongPoll, Tracked};
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::{Subject, address};
use crate::reasons::{RunningPoll, WaitNode};

impl Dump {
    /// Makes a dump of what a board has.
    pub(super) fn of(board: &Board) -> Self {
        // Each lock is held for its copy only. With two at once, this thread and the runtime's could block each other.
        let Some(running) = board.read_running().map(|running| running.clone()) else {
            return Self::refused("the thread of the runtime keeps its lock");
        };
        let Some(mut census) = board.read_census() else {
            return Self::refused("the thread of the runtime keeps its lock");
        };
        // Only copies are made under the lock, because the runtime's thread waits for it at the end of each poll.
        let run_time = board.run_time();
        let copy = Copied::of(&mut census, &running, run_time);
        drop(census);
        copy.into_dump(board, &running, run_time)
    }
}

/// The copies that are made while the census is locked.
struct Copied {
    tasks: Vec<Snapshot>,
    /// The rest of the census, without the tasks.
    rest: Census,
}

impl Copied {
    fn of(census: &mut Census, running: &RunningPoll, run_time: u64) -> Self {
        let tracked = census
            .root
            .iter_mut()
            .chain(census.tasks.iter_mut().flatten());
        let snapshot = |tracked: &mut Tracked| {
            let is_copied = running.task == Some(tracked.task);
            // A poll may have begun after the copy of the poll that runs.
            let is_running = is_copied || tracked.is_polled;
            // In this order: a wake marks the task as queued before its waker is dropped.
            let clones = tracked.clones();
            let is_queued = tracked.is_queued() && !is_running;
            tracked.note_queued(is_queued, run_time);
            let mut tracked = tracked.clone();
            // While a task runs, the census still has the reasons of its poll before.
            if is_copied {
                tracked.reasons.clone_from(&running.reasons);
            }
            Snapshot {
                tracked,
                is_queued,
                is_running,
                clones,
            }
        };
        Self {
            tasks: tracked.map(snapshot).collect(),
            rest: census.without_tasks(),
        }
    }

    fn into_dump(self, board: &Board, running: &RunningPoll, run_time: u64) -> Dump {
        let Self { tasks, rest } = self;
        let names = TreeNames {
            runtime: board.runtime(),
            tasks: &tasks,
            holders: &rest.holders,
            jobs: &rest.jobs,
            now: board.now(),
        };
        let mut long_polls = rest.long_polls;
        let present = present_poll(&tasks, running, run_time);
        if let Some(poll) = present.clone()
            && Duration::from_nanos(poll.nanos) >= board.poll_max()
        {
            // The watchdog may have reported this poll already, with a shorter time.
            long_polls.retain(|other| other.began != poll.began);
            long_polls.push(poll);
        }
        let evidence = Evidence {
            tasks: &tasks,
            names: &names,
            populations: &rest.populations.into_values().collect::<Vec<_>>(),
            long_polls: &long_polls,
            poll_max: board.poll_max(),
            present: present.as_ref().map(|poll| poll.began),
            run_time,
            is_closing: rest.is_closing,
        };
        Dump {
            runtime: names.runtime.map_or(0, RuntimeId::number),
            at: Duration::from_nanos(run_time.saturating_sub(board.opened)),
            running: present.map(|poll| RunningTask {
                id: names.id(poll.task),
                text: names.task(poll.task),
                since: Duration::from_nanos(poll.nanos),
                label: poll.label,
                place: poll.site.or(poll.task_site),
            }),
            findings: findings::all(&evidence),
            groups: groups(&tasks, &names),
            refused: None,
        }
    }
}

/// Returns the poll that runs, with its innermost reason.
fn present_poll(tasks: &[Snapshot], running: &RunningPoll, run_time: u64) -> Option<LongPoll> {
    let task = running.task?;
    let tracked = tasks.iter().find(|snapshot| snapshot.tracked.task == task);
    let innermost = running.entered.and_then(|index| running.reasons.get(index));
    Some(LongPoll {
        task,
        name: tracked.and_then(|task| task.tracked.name.clone()),
        task_site: tracked.and_then(|task| task.tracked.site),
        label: innermost.map(|reason| reason.label),
        site: innermost.and_then(|reason| reason.site),
        began: running.began,
        nanos: run_time.saturating_sub(running.began),
    })
}

fn groups(tasks: &[Snapshot], names: &TreeNames<'_>) -> Vec<Group> {
    let mut members: Vec<Vec<&Snapshot>> = Vec::new();
    let mut index_of: HashMap<u64, usize> = HashMap::with_capacity(tasks.len());
    for task in tasks {
        let index = *index_of.entry(shape(task)).or_insert_with(|| {
            members.push(Vec::new());
            members.len() - 1
        });
        members[index].push(task);
    }
    let mut groups: Vec<_> = members
        .iter()
        .map(|members| group(members, names))
        .collect();
    // The largest group comes first, because most questions about a full server are about it.
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    groups
}

fn state(task: &Snapshot) -> &'static str {
    match (task.is_running, task.is_queued) {
        (true, _) => "running",
        (false, true) => "queued",
        (false, false) => "waiting",
    }
}

/// Returns a number that is the same for tasks of one group.
fn shape(task: &Snapshot) -> u64 {
    // A hash, because a list of the parts would be an allocation for each task. Two shapes of one program do not
    // collide within 64 bits.
    let mut hasher = DefaultHasher::new();
    let tracked = &task.tracked;
    (tracked.task == TaskId::ROOT).hash(&mut hasher);
    tracked.name.hash(&mut hasher);
    tracked.site.map(address).hash(&mut hasher);
    tracked.future_bytes.hash(&mut hasher);
    state(task).hash(&mut hasher);
    foreign_wakers(task).hash(&mut hasher);
    for reason in &tracked.reasons {
        reason.depth.hash(&mut hasher);
        reason.label.hash(&mut hasher);
        // Other details differ for each task, such as a descriptor. A phase is a state that many tasks share.
        match reason.detail {
            Subject::Phase(phase) => phase.hash(&mut hasher),
            Subject::Signals(mask) => mask.hash(&mut hasher),
            _ => {}
        }
        reason.site.map(address).hash(&mut hasher);
    }
    hasher.finish()
}

/// Returns the number of a task's wakers that no reason accounts for.
fn foreign_wakers(task: &Snapshot) -> usize {
    let is_root = task.tracked.task == TaskId::ROOT;
    let keeps_clone = |reason: &&WaitNode| match &reason.detail {
        // A socket and a join keep the id of a task.
        Subject::Socket { .. } | Subject::Task(_) => is_root,
        Subject::Named(_)
        | Subject::Phase(_)
        | Subject::Among(_)
        | Subject::Process(_)
        | Subject::Signals(_) => false,
        Subject::Futures(_) => reason.label == "join_next" || reason.label == "end of scope",
        Subject::None => matches!(
            reason.label,
            "notified"
                | "receive"
                | "new value"
                | "cancellation"
                | "end of channel"
                | "free descriptor"
        ),
        Subject::Until(_) | Subject::Permits(_) | Subject::Senders(..) | Subject::Job(_) => true,
    };
    let own = task.tracked.reasons.iter().filter(keeps_clone);
    task.clones.saturating_sub(own.count())
}

fn group(members: &[&Snapshot], names: &TreeNames<'_>) -> Group {
    let first = members[0];
    let waits =
        |task: &&Snapshot| Duration::from_nanos(names.now.saturating_sub(task.tracked.since));
    let least = members.iter().map(waits).min().unwrap_or_default();
    let most = members.iter().map(waits).max().unwrap_or_default();
    let example = &first.tracked;
    let mut forest = trees(
        &example.reasons,
        names,
        foreign_wakers(first),
        first.is_waiting(),
    );
    // The members have the same reasons, in the same order.
    let range = |index: usize| {
        let since = members
            .iter()
            .map(|member| member.tracked.reasons[index].since);
        let (oldest, newest) = since.fold((u64::MAX, 0), |(oldest, newest), since| {
            (oldest.min(since), newest.max(since))
        });
        let ago = |since: u64| Duration::from_nanos(names.now.saturating_sub(since));
        ago(newest)..=ago(oldest)
    };
    for tree in &mut forest {
        tree.set_ranges(&range);
    }
    let ids = members.iter().take(IDS_MAX);
    Group {
        count: members.len(),
        tasks: ids.map(|task| names.id(task.tracked.task)).collect(),
        name: example.name.clone(),
        place: example.site,
        state: state(first),
        waits: least..=most,
        future_bytes: example.future_bytes,
        tree: forest,
    }
}
