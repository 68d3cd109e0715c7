//! The tasks of a runtime with the reasons for which they wait: a value, its text and its JSON.
//!
//! # Invariants
//!
//! - Always: copies and texts, so that no lock is held while a dump is read.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use super::findings::Finding;
use super::json::{JsonText, Shown, place};
use super::tree::{Forest, Short, Tree, counted};

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
    pub(super) runtime: u32,
    /// The time since the runtime was opened.
    pub(super) at: Duration,
    pub(super) running: Option<RunningTask>,
    pub(super) groups: Vec<Group>,
    pub(super) findings: Vec<Finding>,
    /// The reason why the dump has no tasks.
    pub(super) refused: Option<&'static str>,
}

/// The task whose poll runs.
#[derive(Clone, Debug)]
pub(super) struct RunningTask {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) since: Duration,
    pub(super) label: Option<&'static str>,
    pub(super) place: Option<&'static Location<'static>>,
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
    pub(super) count: usize,
    pub(super) tasks: Vec<String>,
    pub(super) name: Option<Arc<str>>,
    pub(super) place: Option<&'static Location<'static>>,
    pub(super) state: &'static str,
    pub(super) waits: RangeInclusive<Duration>,
    pub(super) future_bytes: usize,
    pub(super) tree: Vec<Tree>,
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
                    "{} has been running for {}",
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
            (state, 1) => write!(f, ", {state} for {least}")?,
            (state, _) => write!(f, ", {state} for {least} to {most}")?,
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
