//! Stores of sessions, and the one in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use waterwheel_runtime::time::Instant;

use crate::error::Result;

/// The values of a session, by their names.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::session::Values;
///
/// let values = Values::from([("visits".to_owned(), 7.into())]);
/// assert_eq!(values["visits"], 7);
/// ```
pub type Values = BTreeMap<String, Value>;

/// Changes of a session: new values by their names, and `None` for a value that was removed.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::session::Changes;
///
/// let changes = Changes::from([("visits".to_owned(), Some(8.into())), ("user".to_owned(), None)]);
/// assert!(changes["user"].is_none());
/// ```
pub type Changes = BTreeMap<String, Option<Value>>;

/// Keeps sessions by their ids, which have 64 hexadecimal digits.
///
/// A store of a database implements this. Its futures need not be `Send`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::web::session::{MemoryStore, SessionStore, Values};
/// use waterwheel::runtime::block_on;
///
/// block_on(async {
///     let (store, hour) = (MemoryStore::new(10), Duration::from_secs(3600));
///     store.create("4f", &Values::new(), hour).await?;
///     assert!(store.load("4f", hour).await?.is_some());
///     assert!(store.remove("4f").await?);
///     assert!(store.load("4f", hour).await?.is_none());
///     Ok::<_, waterwheel::http::Error>(())
/// })
/// # .unwrap();
/// ```
pub trait SessionStore: 'static {
    /// Returns the values of a session, and lets it live for `timeout` from now. Returns `None` if there is no such
    /// session, or its time is over.
    fn load(&self, id: &str, timeout: Duration) -> impl Future<Output = Result<Option<Values>>>;

    /// Keeps a new session for `timeout`.
    fn create(
        &self,
        id: &str,
        values: &Values,
        timeout: Duration,
    ) -> impl Future<Output = Result<()>>;

    /// Changes some values of a session, and leaves the others. Returns false, and has no effect, if there is no such
    /// session: another request may have destroyed it.
    fn update(
        &self,
        id: &str,
        changes: &Changes,
        timeout: Duration,
    ) -> impl Future<Output = Result<bool>>;

    /// Removes a session. Returns false if there was none.
    fn remove(&self, id: &str) -> impl Future<Output = Result<bool>>;
}

/// Sessions in the memory of this process, which end with it. Clones share them.
///
/// If there are as many as allowed, a new session takes the place of the one that would expire first.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::session::{MemoryStore, Sessions};
///
/// let store = MemoryStore::new(10_000);
/// let sessions = Sessions::in_store(store.clone());
/// assert_eq!(store.len(), 0);
/// # drop(sessions);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    table: Rc<RefCell<MemoryTable>>,
    sessions_max: usize,
}

#[derive(Default)]
struct MemoryTable {
    sessions: HashMap<Rc<str>, (Instant, Values)>,
    /// The ids in the order of their ends, so that expired ones are found without a look at the others.
    ends: BTreeSet<(Instant, Rc<str>)>,
}

impl MemoryTable {
    fn remove(&mut self, id: &str) -> Option<(Rc<str>, Values)> {
        let (id, (end, values)) = self.sessions.remove_entry(id)?;
        self.ends.remove(&(end, id.clone()));
        Some((id, values))
    }

    fn insert(&mut self, id: Rc<str>, values: Values, timeout: Duration) {
        let end = Instant::now() + timeout;
        self.ends.insert((end, id.clone()));
        self.sessions.insert(id, (end, values));
    }

    /// Removes the sessions whose time is over, and then the first to end until there are less than `below`.
    fn purge(&mut self, below: usize) {
        let now = Instant::now();
        while let Some((end, id)) = self.ends.first().cloned() {
            if end > now && self.sessions.len() < below {
                break;
            }
            self.remove(&id);
        }
    }
}

impl MemoryStore {
    /// Makes a store of at most `sessions_max` sessions.
    ///
    /// # Panics
    ///
    /// If `sessions_max` is 0.
    #[must_use]
    pub fn new(sessions_max: usize) -> Self {
        assert!(sessions_max > 0, "a store needs room for a session");
        Self {
            table: Rc::default(),
            sessions_max,
        }
    }

    /// Returns the number of sessions, with those that have expired and were not looked at since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.borrow().sessions.len()
    }

    /// Returns true if there is no session.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::session::MemoryStore;
    ///
    /// assert!(MemoryStore::new(10).is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl SessionStore for MemoryStore {
    async fn load(&self, id: &str, timeout: Duration) -> Result<Option<Values>> {
        let mut table = self.table.borrow_mut();
        table.purge(usize::MAX);
        let Some((id, values)) = table.remove(id) else {
            return Ok(None);
        };
        table.insert(id, values.clone(), timeout);
        Ok(Some(values))
    }

    async fn create(&self, id: &str, values: &Values, timeout: Duration) -> Result<()> {
        let mut table = self.table.borrow_mut();
        table.purge(self.sessions_max);
        table.insert(id.into(), values.clone(), timeout);
        Ok(())
    }

    async fn update(&self, id: &str, changes: &Changes, timeout: Duration) -> Result<bool> {
        let mut table = self.table.borrow_mut();
        table.purge(usize::MAX);
        let Some((id, mut values)) = table.remove(id) else {
            return Ok(false);
        };
        for (name, value) in changes {
            match value {
                Some(value) => drop(values.insert(name.clone(), value.clone())),
                None => drop(values.remove(name)),
            }
        }
        table.insert(id, values, timeout);
        Ok(true)
    }

    async fn remove(&self, id: &str) -> Result<bool> {
        Ok(self.table.borrow_mut().remove(id).is_some())
    }
}

/// Leaves ids and values out, because they must not appear in a log.
impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("MemoryStore");
        shown.field("len", &self.len()).finish_non_exhaustive()
    }
}
