//! The names of tasks, and the report of the tasks that are alive.
//!
//! # How it works
//!
//! Few tasks have a name. So the names are in a table of their own, and not in the slots of the tasks. A slot only has
//! a mark that its task has a name. An entry is removed at the end of its task, after the error of the task got a copy.
//!
//! # Invariants
//!
//! - Always: the table has no entry for a task that has ended.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::local_queue::{RuntimeId, TaskId};
use crate::points;
use crate::watch::Place;

/// The identity of a task. Within a process, no two tasks have the same one, unless four thousand million tasks
/// of the runtime lie between them.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, spawn, task};
///
/// block_on(async {
///     let handle = spawn(async { task::id() });
///     let outside = handle.id();
///     assert_eq!(handle.await.unwrap(), Some(outside));
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    runtime: u32,
    index: u32,
    generation: u32,
}

impl Id {
    pub(crate) fn of(runtime: RuntimeId, task: TaskId) -> Self {
        Self {
            runtime: runtime.number(),
            index: task.index,
            generation: task.generation.get(),
        }
    }

    /// Returns true for the future of [`block_on`](fn@crate::block_on), which is not a task. Only
    /// `inspect` has ids of it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{block_on, spawn};
    ///
    /// assert!(!block_on(async { spawn(async {}).id().is_root() }));
    /// ```
    #[must_use]
    pub fn is_root(self) -> bool {
        self.index == TaskId::ROOT.index
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.runtime, self.index, self.generation)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

/// A task: its identity, its name if it has one, and the place in the program that has spawned it if that is known.
///
/// The place is known for tasks that have a name, and in debug builds and builds with the feature `watch` for all.
/// `Display` shows all of it.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, task::{self, Info}};
///
/// let runtime = Runtime::new()?;
/// let id = runtime.block_on(async {
///     let task = task::Builder::new().name("heartbeat").spawn(std::future::pending::<()>());
///     task.id()
/// });
/// let alive: Vec<Info> = runtime.alive_tasks();
/// assert_eq!((alive[0].id(), alive[0].name()), (id, Some("heartbeat")));
/// assert!(alive[0].location().is_some());
/// println!("{}", alive[0]); // task 1.0.1 ("heartbeat", src/main.rs:5:49)
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Info {
    id: Id,
    name: Option<Arc<str>>,
    location: Option<&'static Location<'static>>,
}

impl Info {
    pub(crate) fn new(id: Id, named: Option<&NamedTask>, place: Option<Place>) -> Self {
        Self {
            id,
            name: named.map(|named| named.name.clone()),
            // Release builds without the feature `watch` keep no place, so a named task has a location of its
            // own.
            location: named
                .map(|named| named.location)
                .or(place.and_then(Place::location)),
        }
    }

    /// Returns the identity of the task.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// Returns the name that [`Builder::name`](crate::task::Builder::name) has set.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the place in the program that has spawned the task.
    #[must_use]
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id;
        match (&self.name, self.location) {
            (Some(name), Some(place)) => write!(f, "task {id} ({name:?}, {place})"),
            (Some(name), None) => write!(f, "task {id} ({name:?})"),
            (None, Some(place)) => write!(f, "task {id} ({place})"),
            (None, None) => write!(f, "task {id}"),
        }
    }
}

/// The tasks of a runtime that have a name.
#[derive(Default)]
pub(crate) struct TaskNames {
    named: HashMap<TaskId, NamedTask>,
}

pub(crate) struct NamedTask {
    pub(crate) name: Arc<str>,
    pub(crate) location: &'static Location<'static>,
}

impl TaskNames {
    /// Names a task. The entry stays until [`TaskNames::remove`].
    pub(crate) fn insert(&mut self, task: TaskId, named: NamedTask) {
        points::named(task, &named.name);
        self.named.insert(task, named);
    }

    pub(crate) fn get(&self, task: TaskId) -> Option<&NamedTask> {
        self.named.get(&task)
    }

    #[cold]
    pub(crate) fn remove(&mut self, task: TaskId) {
        self.named.remove(&task);
    }
}
