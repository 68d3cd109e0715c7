//! Faults that a dump can prove, or at least suspect.
//!
//! # How it works
//!
//! | finding | is reported if |
//! |---|---|
//! | lost waker | a task waits, and its waker has no clone; no socket, timer, lock or other task knows it |
//! | self-wake storm | each of the last 1,000 polls has ended with a wake of the task by itself, not by `yield_now` |
//! | long poll | a poll takes, or has taken, longer than the limit of [`Explain`](super::Explain) |
//! | starved task | a task is ready for longer than that limit, and is not polled |
//! | wait cycle | tasks wait for each other only: for ends, locks, or channels |
//! | growth | a place has spawned ever more tasks, 256 at least, and nearly all of them are alive |
//! | shutdown waits | the runtime or a server ends, and something keeps it |
//!
//! A wait cycle is found in two steps. A task is *free* if something outside can wake it: a timer, a socket, a job, a
//! future of another library, or a free task. All other tasks wait for each other. A chain of them ends in a cycle.
//!
//! # Invariants
//!
//! - Never: a wait cycle if one of its tasks waits for something that is not known.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use super::json::Shown;
use super::tree::{IDS_MAX, Short, Snapshot, TreeNames, counted, futures_of};
use crate::board::{LongPoll, Population, TrackedJob};
use crate::instant::Instant;
use crate::nodes::subject::{Site, Subject};
use crate::reasons::WaitNode;

/// A task that has woken itself in this many polls, one after the other, spins.
const STORM_MIN: u64 = 1_000;

/// Fewer tasks of one place are no leak.
const GROWTH_MIN: u64 = 256;

/// A place whose number of tasks has not risen for this long does not grow.
const GROWTH_AGE_MAX: u64 = 60_000_000_000;

/// The name of the part of a server that awaits the end of its connections.
pub(super) const SHUTDOWN: &str = "shutdown";

/// A fault that a dump has found.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use waterwheel::runtime::{Runtime, inspect::{self, Finding}, spawn, yield_now};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// runtime.block_on(async {
///     let lost = spawn(pending::<()>());
///     yield_now().await;
///     let dump = inspect::dump();
///     let finding: &Finding = &dump.findings()[0];
///     assert_eq!(finding.kind(), "lost waker");
///     assert_eq!(finding.tasks(), [lost.id().to_string()]);
///     assert!(finding.place().is_some() && finding.text().contains("no waker"));
///     println!("{finding}"); // lost waker: task 1.0.1 waits, and no waker of it exists …
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Finding {
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) tasks: Vec<String>,
    pub(super) place: Option<&'static Location<'static>>,
}

impl Finding {
    /// Returns the kind: `lost waker`, `self-wake storm`, `long poll`, `starved task`, `wait cycle`, `growth` or
    /// `shutdown waits`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// Returns the explanation.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the ids of the tasks, at most ten.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Returns the place in the program, if it is known.
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        self.place
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.text)
    }
}

/// The copies from which the findings are made.
pub(super) struct Evidence<'a> {
    pub(super) tasks: &'a [Snapshot],
    pub(super) names: &'a TreeNames<'a>,
    pub(super) populations: &'a [(Site, Population)],
    pub(super) long_polls: &'a [LongPoll],
    pub(super) poll_max: Duration,
    /// The begin of the poll that runs.
    pub(super) present: Option<u64>,
    /// The time of the real clock without the stops of the step mode.
    pub(super) run_time: u64,
    pub(super) is_closing: bool,
}

/// Returns all findings.
pub(super) fn all(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if evidence.is_closing {
        long_polls(evidence, &mut findings);
        // No task is polled any more, so each of them looks starved or lost.
        end_of_runtime(evidence, &mut findings);
        return findings;
    }
    lost_wakers(evidence, &mut findings);
    storms(evidence, &mut findings);
    long_polls(evidence, &mut findings);
    starved_tasks(evidence, &mut findings);
    wait_cycles(evidence, &mut findings);
    growth(evidence, &mut findings);
    shutdowns(evidence, &mut findings);
    findings
}

/// The words for the place of a task.
fn spawned_at(site: Site) -> String {
    site.map_or_else(String::new, |site| format!(", spawned at {site}"))
}

/// The tasks of a finding, as the subject of a sentence. A verb follows.
fn subject(site: Site, tasks: &[&Snapshot], names: &TreeNames<'_>) -> String {
    let mut text = names.task(tasks[0].tracked.task);
    text.push_str(&spawned_at(site));
    match tasks.len() - 1 {
        0 => {}
        others => _ = write!(text, " and {} of the same place", counted(others, "other")),
    }
    // Closes the words about the place.
    text.push_str(if site.is_some() { "," } else { "" });
    text
}

/// Tasks with one fault, by the places that have spawned them. Each place is one finding.
fn by_site<'a>(
    tasks: impl Iterator<Item = &'a Snapshot>,
) -> impl Iterator<Item = (Site, Vec<&'a Snapshot>)> {
    let mut sites: Vec<(Site, Vec<&Snapshot>)> = Vec::new();
    let mut indices = HashMap::new();
    for task in tasks {
        let site = task.tracked.site;
        // An address and not the text: ten thousand tasks would hash ten thousand paths.
        let key = site.map_or(0, |site| std::ptr::from_ref(site) as usize);
        let index = *indices.entry(key).or_insert_with(|| {
            sites.push((site, Vec::new()));
            sites.len() - 1
        });
        sites[index].1.push(task);
    }
    // In the order of the first task of each place, so that two dumps of one state are equal.
    sites.into_iter()
}

fn ids(tasks: &[&Snapshot], names: &TreeNames<'_>) -> Vec<String> {
    let ids = tasks.iter().take(IDS_MAX);
    ids.map(|task| names.id(task.tracked.task)).collect()
}

fn lost_wakers(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    for (site, tasks) in by_site(evidence.tasks.iter().filter(|task| task.is_lost())) {
        let subject = subject(site, &tasks, names);
        let verb = if tasks.len() == 1 { "waits" } else { "wait" };
        // The innermost name of the program is the closest hint.
        let mut reasons = tasks[0].tracked.reasons.iter();
        let part = reasons
            .rfind(|reason| matches!(reason.detail, Subject::Named(_)))
            .map_or_else(String::new, |reason| {
                format!(" in `{}`", Shown(reason.label))
            });
        // One finding for each place. A fault in a worker would otherwise fill the dump.
        findings.push(Finding {
            kind: "lost waker",
            text: format!(
                "{subject} {verb}{part}, and no waker exists: the last poll has returned `Pending` and kept \
                 none, or all clones were dropped without a wake. No event can end the wait"
            ),
            tasks: ids(&tasks, names),
            place: site,
        });
    }
}

fn storms(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    for task in evidence.tasks {
        let tracked = &task.tracked;
        // A few wakes by itself are normal: a task that was polled too early may try again.
        if tracked.self_wakes >= STORM_MIN {
            findings.push(Finding {
                kind: "self-wake storm",
                text: format!(
                    "{} has woken itself in each of its last {} polls: it polls instead of waiting. A task that \
                     only lets others run calls yield_now",
                    subject(tracked.site, &[task], names),
                    tracked.self_wakes
                ),
                tasks: vec![names.id(tracked.task)],
                place: tracked.site,
            });
        }
    }
}

/// Returns the text of a poll that has taken too long.
pub(super) fn long_poll_text(poll: &LongPoll, task: &str, is_running: bool) -> String {
    let verb = if is_running { "has held" } else { "held" };
    // Closes the words about the place.
    let comma = if poll.task_site.is_some() { "," } else { "" };
    // The innermost named future is the closest hint, because a poll has no stack that can be read.
    let part = match (poll.label, poll.site) {
        (Some(label), Some(site)) => format!(", in `{}` of {site}", Shown(label)),
        (Some(label), None) => format!(", in `{}`", Shown(label)),
        (None, _) => String::new(),
    };
    format!(
        "{task}{}{comma} {verb} the thread for {}{part}, and all other tasks wait: move long work to \
         spawn_blocking, or let others run with yield_now",
        spawned_at(poll.task_site),
        Short(Duration::from_nanos(poll.nanos)),
    )
}

fn long_polls(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    for poll in evidence.long_polls {
        // The watchdog has seen the poll while it ran, and it may have ended since.
        let is_running = evidence.present == Some(poll.began);
        let name = poll
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!(" `{}`", Shown(name)));
        let task = format!("task {}{name}", names.id(poll.task));
        findings.push(Finding {
            kind: "long poll",
            text: long_poll_text(poll, &task, is_running),
            tasks: vec![names.id(poll.task)],
            // A named part without a place still has the place of its task.
            place: poll.site.or(poll.task_site),
        });
    }
}

fn starved_tasks(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    let queued_for = |task: &Snapshot| {
        let since = task.tracked.queued_since.filter(|_| task.is_queued)?;
        let nanos = evidence.run_time.saturating_sub(since);
        Some(Duration::from_nanos(nanos)).filter(|waits| *waits >= evidence.poll_max)
    };
    let starved = evidence
        .tasks
        .iter()
        .filter(|task| queued_for(task).is_some());
    for (site, tasks) in by_site(starved) {
        let longest = tasks.iter().filter_map(|task| queued_for(task)).max();
        // The running task is named, because it is probably the one that keeps the others waiting.
        let by = evidence.tasks.iter().find(|task| task.is_running);
        let by = by.map_or_else(String::new, |by| {
            format!(", while {} runs", names.task(by.tracked.task))
        });
        findings.push(Finding {
            kind: "starved task",
            text: format!(
                "{} {} been in the queue for {} and not polled{by}",
                subject(site, &tasks, names),
                if tasks.len() == 1 { "has" } else { "have" },
                Short(longest.unwrap_or_default()),
            ),
            tasks: ids(&tasks, names),
            place: site,
        });
    }
}

/// A wait of one task for others.
struct WaitEdge<'a> {
    reason: &'a WaitNode,
    targets: Vec<usize>,
}

/// Returns the waits of a task for other tasks. Returns `None` if anything else can end its wait.
fn edges<'a>(task: &'a Snapshot, names: &TreeNames<'_>) -> Option<Vec<WaitEdge<'a>>> {
    let reasons = &task.tracked.reasons;
    // A queued or running task goes on. One without a reason waits for a future of another library, which may wake it.
    if !task.is_waiting() || reasons.is_empty() {
        return None;
    }
    let mut edges = Vec::new();
    for (index, reason) in reasons.iter().enumerate() {
        let inside = reasons[index + 1..]
            .iter()
            .take_while(|other| other.depth > reason.depth);
        let children = inside
            .filter(|other| other.depth == reason.depth + 1)
            .count();
        // A future of another library is inside, and anything may wake it.
        if children < futures_of(reason) {
            return None;
        }
        let targets = match &reason.detail {
            // Only a task can end these three kinds of wait.
            Subject::Task(task) => vec![*task],
            Subject::Permits(at) => names.holders_of(*at)?,
            Subject::Senders(at, number) => {
                let users = names.holders_of(*at)?;
                // A sender that no task has used yet may be anywhere.
                (users.len() >= *number).then_some(users)?
            }
            Subject::None
            | Subject::Named(_)
            | Subject::Phase(_)
            | Subject::Among(_)
            | Subject::Futures(_)
                // A combinator waits for its futures, and each of them has an edge of its own.
                if children > 0 =>
            {
                continue;
            }
            _ => return None,
        };
        let targets: Option<Vec<_>> = targets.iter().map(|task| names.find(*task)).collect();
        edges.push(WaitEdge {
            reason,
            // A target that is not on the board has ended or belongs to another runtime, so it may wake.
            targets: targets?,
        });
    }
    Some(edges)
}

fn wait_cycles(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let tasks = evidence.tasks;
    let mut waits: Vec<_> = tasks
        .iter()
        .map(|task| edges(task, evidence.names))
        .collect();
    // Step 1: a task that waits for a free one is free, too.
    let mut waiters: Vec<Vec<usize>> = vec![Vec::new(); tasks.len()];
    for (index, edges) in waits.iter().enumerate() {
        for target in edges.iter().flatten().flat_map(|edge| &edge.targets) {
            waiters[*target].push(index);
        }
    }
    let mut free: Vec<_> = (0..tasks.len())
        .filter(|index| waits[*index].is_none())
        .collect();
    while let Some(index) = free.pop() {
        for waiter in &waiters[index] {
            // `take` marks the task, so each one is visited once and the walk is linear.
            if waits[*waiter].take().is_some() {
                free.push(*waiter);
            }
        }
    }
    // Step 2: each of the other tasks waits for one of them. So a walk from one to the next ends in a cycle.
    let mut seen = HashSet::new();
    for start in 0..tasks.len() {
        let mut way: Vec<(usize, &WaitNode)> = Vec::new();
        let mut at = start;
        while let Some(edge) = waits[at].as_ref().and_then(|edges| edges.first()) {
            if let Some(begin) = way.iter().position(|(index, _)| *index == at) {
                findings.push(cycle(&way[begin..], evidence));
                break;
            }
            // An earlier walk came here, so this cycle is reported already.
            if !seen.insert(at) {
                break;
            }
            way.push((at, edge.reason));
            // The first target is as good as any other, because none of them is free.
            at = edge.targets[0];
        }
    }
}

fn cycle(way: &[(usize, &WaitNode)], evidence: &Evidence<'_>) -> Finding {
    let names = evidence.names;
    let task = |index: usize| evidence.tasks[index].tracked.task;
    let mut text = String::new();
    for (position, (index, reason)) in way.iter().enumerate() {
        let next = way[(position + 1) % way.len()].0;
        let place = reason
            .site
            .map_or_else(String::new, |site| format!(" at {site}"));
        let thing = match &reason.detail {
            Subject::Task(_) => format!("the end of {}", names.task(task(next))),
            Subject::Senders(..) => {
                format!(
                    "a message{place} of {}, which has the sender",
                    names.task(task(next))
                )
            }
            // A full channel is a wait for permits, too, and only its label tells it from a lock.
            _ if reason.label == "send" => {
                format!(
                    "room in a channel{place}, whose receiver {} has",
                    names.task(task(next))
                )
            }
            _ => format!(
                "a {}{place} that {} has",
                reason.label,
                names.task(task(next))
            ),
        };
        if position > 0 {
            text.push_str("; ");
        }
        let waiter = names.task(task(*index));
        // Writing to a string does not fail.
        _ = write!(text, "{waiter} waits for {thing}");
    }
    let ids = way.iter().take(IDS_MAX);
    Finding {
        kind: "wait cycle",
        text,
        tasks: ids.map(|(index, _)| names.id(task(*index))).collect(),
        place: way.iter().find_map(|(_, reason)| reason.site),
    }
}

fn growth(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    for (site, population) in evidence.populations {
        let Some(spawned) = grown(population, evidence.names.now) else {
            continue;
        };
        // Tasks from before the mark may be alive, so the difference may be negative.
        let ended = spawned.saturating_sub(population.alive);
        let place = site.map_or_else(String::new, ToString::to_string);
        findings.push(Finding {
            kind: "growth",
            text: format!(
                "{} tasks spawned at {place} are alive, and their number rises: of the last {spawned} tasks of this \
                 place, {ended} have ended",
                population.alive,
            ),
            tasks: Vec::new(),
            place: *site,
        });
    }
}

/// Returns the number of tasks that the place has spawned since its population was a quarter of the present one, if
/// nearly all of them are alive.
fn grown(population: &Population, now: u64) -> Option<u64> {
    // A number that was high an hour ago is the size of the program, and no growth.
    let is_recent = now.saturating_sub(population.peak_at) <= GROWTH_AGE_MAX;
    if population.alive < GROWTH_MIN || !is_recent || population.alive < population.peak {
        return None;
    }
    // Compared with a quarter, and not with zero: tasks that ended in the first minutes do not hide a later leak.
    let quarter = population.alive / 4;
    let (alive, spawned, _) = population
        .marks
        .iter()
        .rfind(|(alive, ..)| *alive <= quarter)?;
    let spawned_since = population.spawned - spawned;
    let grown = population.alive - alive;
    // Some tasks always end. It is growth if nine in ten of the new ones are alive.
    (grown * 10 >= spawned_since * 9).then_some(spawned_since)
}

/// Finds what keeps a runtime, which ends.
fn end_of_runtime(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    // A queued job is dropped at the end of the runtime. Only one that runs keeps it.
    let jobs: Vec<_> = names.jobs.values().filter(|job| job.began > 0).collect();
    let alive: Vec<_> = evidence.tasks.iter().collect();
    // A runtime that ends without a wait is not a fault.
    if jobs.is_empty() && alive.is_empty() {
        return;
    }
    let mut parts = Vec::new();
    parts.extend(jobs.iter().take(IDS_MAX).map(|job| job_text(job, evidence)));
    parts.extend(alive.iter().take(IDS_MAX).map(|task| {
        let task = &task.tracked;
        format!("{}{}", names.task(task.task), spawned_at(task.site))
    }));
    for (number, noun) in [(jobs.len(), "more job"), (alive.len(), "more task")] {
        if number > IDS_MAX {
            parts.push(format!("and {}", counted(number - IDS_MAX, noun)));
        }
    }
    findings.push(Finding {
        kind: "shutdown waits",
        text: format!("the runtime ends, and waits for {}", parts.join("; ")),
        tasks: ids(&alive, names),
        place: jobs.first().and_then(|job| job.site),
    });
}

/// Finds what keeps a server that ends.
fn shutdowns(evidence: &Evidence<'_>, findings: &mut Vec<Finding>) {
    let names = evidence.names;
    // A phase, because `named` makes names of the program that may be the same.
    let is_in = |task: &Snapshot, label: &str| {
        let mut reasons = task.tracked.reasons.iter();
        reasons.any(|reason| reason.label == label && matches!(reason.detail, Subject::Phase(_)))
    };
    // A server waits for its connections in a task of its own, so it is found by the names of the parts.
    let Some(waiter) = evidence.tasks.iter().find(|task| is_in(task, SHUTDOWN)) else {
        return;
    };
    let kept: Vec<_> = evidence
        .tasks
        .iter()
        .filter(|task| is_in(task, "connection"))
        .collect();
    // The end of the last connection is about to end the server.
    if kept.is_empty() {
        return;
    }
    let texts = kept.iter().take(IDS_MAX).map(|task| {
        let reasons = &task.tracked.reasons;
        // The part of the connection says more than the socket inside it.
        let innermost = reasons
            .iter()
            .rfind(|reason| matches!(reason.detail, Subject::Named(_)));
        let part = innermost.map_or_else(String::new, |reason| {
            let waits = Duration::from_nanos(names.now.saturating_sub(reason.since));
            let detail = names.detail(reason);
            let (label, detail) = (Shown(reason.label), Shown(&detail));
            let space = if detail.0.is_empty() { "" } else { " " };
            format!(" in {label}{space}{detail} for {}", Short(waits))
        });
        format!("{}{part}", names.task(task.tracked.task))
    });
    let texts: Vec<_> = texts.collect();
    findings.push(Finding {
        kind: "shutdown waits",
        text: format!(
            "the server of {} ends, and waits for {}: {}",
            names.task(waiter.tracked.task),
            counted(kept.len(), "connection"),
            texts.join("; ")
        ),
        tasks: ids(&kept, names),
        place: waiter.tracked.site,
    });
}

fn job_text(job: &TrackedJob, evidence: &Evidence<'_>) -> String {
    // A job runs in real time, also while the clock of its runtime is paused.
    let runs = Instant::real().as_nanos().saturating_sub(job.began);
    let place = job
        .site
        .map_or_else(String::new, |site| format!(" of {site}"));
    let task = job.task.map_or_else(String::new, |task| {
        format!(", started by {}", evidence.names.task(task))
    });
    format!(
        "a blocking job{place}{task}, which has run for {}",
        Short(Duration::from_nanos(runs))
    )
}
