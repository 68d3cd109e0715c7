//! The tasks of a runtime with the reasons for which they wait.
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
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::findings::{self, Evidence, Finding};
use super::json::{JsonText, Shown, place};
use super::tree::{Forest, IDS_MAX, Short, Snapshot, Tree, TreeNames, counted, trees};
use crate::board::{Board, Census, LongPoll};
use crate::local_queue::TaskId;
use crate::nodes::Subject;
use crate::reasons::{RunningPoll, WaitNode};

/// The tasks of a runtime at one moment. `Display` shows it as text.
///
/// Tasks with the same name, place, state and tree of reasons are one [`Group`].
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Runtime, inspect::{self, Dump}, spawn, time, yield_now};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// runtime.block_on(async {
///     for _ in 0..10_000 {
///         spawn(time::sleep(std::time::Duration::from_secs(5))).detach();
///     }
///     yield_now().await;
///     let dump: Dump = inspect::dump();
///     assert_eq!(dump.tasks(), 10_001); // with the future of `block_on`
///     assert_eq!(dump.groups().len(), 2);
///     assert_eq!(dump.findings()[0].kind(), "growth"); // so many, and all of them are alive
///     assert!(dump.to_string().lines().count() < 12);
///     assert!(dump.to_json().starts_with(r#"{"format":"waterwheel-dump","version":1,"#));
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Dump {
    runtime: u32,
    /// The time since the runtime was opened.
    at: Duration,
    running: Option<RunningTask>,
    groups: Vec<Group>,
    findings: Vec<Finding>,
    /// The reason why the dump has no tasks.
    refused: Option<&'static str>,
}

/// The task whose poll runs.
#[derive(Clone, Debug)]
struct RunningTask {
    id: String,
    text: String,
    since: Duration,
    label: Option<&'static str>,
    place: Option<&'static Location<'static>>,
}

/// Equal tasks of a [`Dump`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect::{self, Group}, spawn, sync::Notify, yield_now};
/// # use waterwheel::runtime::task;
/// use std::rc::Rc;
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// runtime.block_on(async {
///     let bell = Rc::new(Notify::new());
///     for _ in 0..3 {
///         let bell = bell.clone();
///         task::Builder::new().name("ringer").spawn(async move { bell.notified().await }).detach();
///     }
///     yield_now().await;
///     let dump = inspect::dump();
///     let ringers: &Group = dump.groups().iter().find(|group| group.name() == Some("ringer")).unwrap();
///     assert_eq!((ringers.count(), ringers.state()), (3, "waiting"));
///     assert_eq!(ringers.tasks().len(), 3);
///     assert_eq!(ringers.tree()[0].label(), "notified");
///     assert!(ringers.place().is_some() && ringers.future_bytes() > 0);
///     assert!(ringers.waits().start() <= ringers.waits().end());
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Group {
    count: usize,
    tasks: Vec<String>,
    name: Option<Arc<str>>,
    place: Option<&'static Location<'static>>,
    state: &'static str,
    waits: RangeInclusive<Duration>,
    future_bytes: usize,
    tree: Vec<Tree>,
}

impl Group {
    /// Returns the number of tasks.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the ids of the tasks, at most ten.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Returns the name that [`Builder::name`](crate::task::Builder::name) has set.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the place in the program that has spawned the tasks.
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        self.place
    }

    /// Returns the state: `waiting`, `queued` or `running`.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state
    }

    /// Returns the time since the last poll: the shortest and the longest.
    #[must_use]
    pub fn waits(&self) -> RangeInclusive<Duration> {
        self.waits.clone()
    }

    /// Returns the bytes of the future of one task.
    #[must_use]
    pub fn future_bytes(&self) -> usize {
        self.future_bytes
    }

    /// Returns the futures for which the tasks wait. Details are those of the first task.
    #[must_use]
    pub fn tree(&self) -> &[Tree] {
        &self.tree
    }
}

impl Dump {
    /// Makes a dump that has no tasks.
    pub(super) fn refused(why: &'static str) -> Self {
        Self {
            refused: Some(why),
            ..Self::default()
        }
    }

    /// Copies what a board has.
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

    /// Returns the number of tasks, with the future of `block_on`.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.groups.iter().map(Group::count).sum()
    }

    /// Returns the groups, the largest first.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the faults that the dump has found.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the dump as JSON: the format `waterwheel-dump`, version 1.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = String::new();
        // Writing to a string does not fail.
        _ = self.write_json(&mut json);
        json
    }

    fn write_json(&self, to: &mut String) -> fmt::Result {
        write!(
            to,
            "{{\"format\":\"waterwheel-dump\",\"version\":1,\"runtime\":{},\"at_ns\":{},\"running\":",
            self.runtime,
            self.at.as_nanos()
        )?;
        match &self.running {
            None => to.push_str("null"),
            Some(running) => {
                write!(
                    to,
                    "{{\"task\":{},\"since_ns\":{}",
                    JsonText(&running.id),
                    running.since.as_nanos()
                )?;
                write!(to, ",\"place\":{}", place(running.place))?;
                if let Some(label) = running.label {
                    write!(to, ",\"label\":{}", JsonText(label))?;
                }
                to.push('}');
            }
        }
        // Groups and not tasks, so that the size follows the program and not its load.
        to.push_str(",\"groups\":[");
        for (index, group) in self.groups.iter().enumerate() {
            to.push_str(if index == 0 { "" } else { "," });
            group.write_json(to)?;
        }
        to.push_str("],\"findings\":[");
        for (index, finding) in self.findings.iter().enumerate() {
            to.push_str(if index == 0 { "" } else { "," });
            write!(
                to,
                "{{\"kind\":{},\"text\":{}",
                JsonText(finding.kind),
                JsonText(&finding.text)
            )?;
            write!(
                to,
                ",\"tasks\":{},\"place\":{}}}",
                QuotedList(&finding.tasks),
                place(finding.place)
            )?;
        }
        to.push_str("]}");
        Ok(())
    }
}

impl Group {
    fn write_json(&self, to: &mut String) -> fmt::Result {
        write!(
            to,
            "{{\"count\":{},\"tasks\":{},\"name\":",
            self.count,
            QuotedList(&self.tasks)
        )?;
        match &self.name {
            None => to.push_str("null"),
            Some(name) => write!(to, "{}", JsonText(name))?,
        }
        write!(
            to,
            ",\"place\":{},\"state\":{}",
            place(self.place),
            JsonText(self.state)
        )?;
        write!(
            to,
            ",\"waits_ns\":{},\"future_bytes\":{}",
            NanosRange(&self.waits),
            self.future_bytes
        )?;
        to.push_str(",\"tree\":");
        write_trees(&self.tree, to)?;
        to.push('}');
        Ok(())
    }
}

fn write_trees(trees: &[Tree], to: &mut String) -> fmt::Result {
    to.push('[');
    for (index, tree) in trees.iter().enumerate() {
        to.push_str(if index == 0 { "" } else { "," });
        write!(
            to,
            "{{\"label\":{},\"detail\":{}",
            JsonText(tree.label),
            JsonText(&tree.detail)
        )?;
        write!(
            to,
            ",\"place\":{},\"waits_ns\":{},\"children\":",
            place(tree.place),
            NanosRange(&tree.waits)
        )?;
        write_trees(&tree.children, to)?;
        to.push('}');
    }
    to.push(']');
    Ok(())
}

struct QuotedList<'a>(&'a [String]);

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, text) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            JsonText(text).fmt(f)?;
        }
        f.write_str("]")
    }
}

struct NanosRange<'a>(&'a RangeInclusive<Duration>);

impl fmt::Display for NanosRange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{},{}]",
            self.0.start().as_nanos(),
            self.0.end().as_nanos()
        )
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
        let snapshot = |tracked: &mut crate::board::Tracked| {
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
            runtime: names
                .runtime
                .map_or(0, crate::local_queue::RuntimeId::number),
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

/// The tasks of a group, while the groups are made.
struct Members<'a> {
    tasks: Vec<&'a Snapshot>,
}

fn groups(tasks: &[Snapshot], names: &TreeNames<'_>) -> Vec<Group> {
    let mut members: Vec<Members<'_>> = Vec::new();
    let mut index_of: HashMap<u64, usize> = HashMap::with_capacity(tasks.len());
    for task in tasks {
        let index = *index_of.entry(shape(task)).or_insert_with(|| {
            members.push(Members { tasks: Vec::new() });
            members.len() - 1
        });
        members[index].tasks.push(task);
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
    let address = |site: Option<&'static Location<'static>>| {
        site.map(|site| std::ptr::from_ref(site) as usize)
    };
    (tracked.task == TaskId::ROOT).hash(&mut hasher);
    tracked.name.hash(&mut hasher);
    address(tracked.site).hash(&mut hasher);
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
        address(reason.site).hash(&mut hasher);
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

fn group(members: &Members<'_>, names: &TreeNames<'_>) -> Group {
    let first = members.tasks[0];
    let waits =
        |task: &&Snapshot| Duration::from_nanos(names.now.saturating_sub(task.tracked.since));
    let least = members.tasks.iter().map(waits).min().unwrap_or_default();
    let most = members.tasks.iter().map(waits).max().unwrap_or_default();
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
            .tasks
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
    let ids = members.tasks.iter().take(IDS_MAX);
    Group {
        count: members.tasks.len(),
        tasks: ids.map(|task| names.id(task.tracked.task)).collect(),
        name: example.name.clone(),
        place: example.site,
        state: state(first),
        waits: least..=most,
        future_bytes: example.future_bytes,
        tree: forest,
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = self.refused {
            return writeln!(f, "no dump: {why}");
        }
        let tasks = counted(self.tasks(), "task");
        let groups = counted(self.groups.len(), "group");
        writeln!(
            f,
            "runtime {} after {}: {tasks} in {groups}",
            self.runtime,
            Short(self.at)
        )?;
        match &self.running {
            None => writeln!(f, "no task is running")?,
            Some(running) => {
                write!(
                    f,
                    "{} is running since {}",
                    running.text,
                    Short(running.since)
                )?;
                if let Some(label) = running.label {
                    write!(f, ", in `{}`", Shown(label))?;
                }
                match running.place {
                    Some(place) => writeln!(f, " at {place}")?,
                    None => writeln!(f)?,
                }
            }
        }
        self.groups.iter().try_for_each(|group| group.fmt(f))?;
        if !self.findings.is_empty() {
            writeln!(f, "findings:")?;
        }
        self.findings
            .iter()
            .try_for_each(|finding| writeln!(f, "  {finding}"))
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => write!(f, "task {}", self.tasks[0])?,
            count => write!(f, "{count} tasks")?,
        }
        if let Some(name) = &self.name {
            write!(f, " `{}`", Shown(name))?;
        }
        if let Some(place) = self.place {
            write!(f, ", spawned at {place}")?;
        }
        let (least, most) = (Short(*self.waits.start()), Short(*self.waits.end()));
        match (self.state, self.count) {
            ("running", _) => f.write_str(", running")?,
            (state, 1) => write!(f, ", {state} since {least}")?,
            (state, _) => write!(f, ", {state} since {least} to {most}")?,
        }
        write!(f, ", {} bytes", self.future_bytes)?;
        if self.count > 1 {
            let more = if self.count > self.tasks.len() {
                ", …"
            } else {
                ""
            };
            write!(f, " each: {}{more}", self.tasks.join(", "))?;
        }
        writeln!(f)?;
        if self.tree.is_empty() {
            return Ok(());
        }
        writeln!(f, "    {}", Forest(&self.tree))?;
        self.write_places(f)
    }
}

impl Group {
    /// Writes the places of the futures, on one line.
    fn write_places(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PLACES_MAX: usize = 8;
        let mut places = Vec::new();
        for tree in &self.tree {
            tree.each(&mut |tree| {
                let known = tree
                    .place
                    .map(|place| format!("{} {place}", Shown(tree.label)));
                places.extend(known.filter(|known| !places.contains(known)));
            });
        }
        if places.is_empty() {
            return Ok(());
        }
        let more = if places.len() > PLACES_MAX {
            "; …"
        } else {
            ""
        };
        places.truncate(PLACES_MAX);
        writeln!(f, "    at: {}{more}", places.join("; "))
    }
}
