//! The names of tasks, and the report of the tasks that are alive.
//!
//! # How it works
//!
//! Few tasks have a name. So the names are in a table of their own, and not in the slots of the tasks. An entry is
//! removed when the future of its task is dropped.
//!
//! # Invariants
//!
//! - Always: the table has no entry for a task that has ended.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
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
/// println!("{}, spawned at {}", alive[0], alive[0].location().unwrap());
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct Info {
    pub(crate) id: Id,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) location: Option<&'static Location<'static>>,
}

impl Info {
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
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        if let Some(location) = self.location {
            write!(f, ", spawned at {location}")?;
        }
        Ok(())
    }
}

/// The tasks of a runtime that have a name.
#[derive(Clone, Default)]
pub(crate) struct TaskNames {
    named: Rc<RefCell<HashMap<TaskId, NamedTask>>>,
}

struct NamedTask {
    name: Arc<str>,
    location: &'static Location<'static>,
}

impl TaskNames {
    /// Names a task. The entry stays until [`TaskNames::remove`].
    pub(crate) fn insert(
        &self,
        task: TaskId,
        name: Arc<str>,
        location: &'static Location<'static>,
    ) {
        points::named(task, &name);
        let named = NamedTask { name, location };
        self.named.borrow_mut().insert(task, named);
    }

    pub(crate) fn remove(&self, task: TaskId) {
        self.named.borrow_mut().remove(&task);
    }

    /// Returns all that is known about a task.
    pub(crate) fn info(&self, runtime: RuntimeId, task: TaskId, place: Option<Place>) -> Info {
        let named = self.named.borrow();
        let named = named.get(&task);
        Info {
            id: Id::of(runtime, task),
            name: named.map(|named| named.name.clone()),
            // Release builds without the feature `watch` keep no place, so a named task has a location of its
            // own.
            location: named
                .map(|named| named.location)
                .or(place.and_then(Place::location)),
        }
    }
}
