//! The part of the inspection of one runtime that its thread and all readers share.
//!
//! # How it works
//!
//! The runtime's thread writes events into the ring. Other threads (those of blocking jobs, the watchdog) put theirs
//! into a list behind a lock, and the runtime's thread moves them into the ring. A place in the program and a name
//! have a number, so that an event has a fixed size.
//!
//! # Invariants
//!
//! - Always: all memory has a limit. The number of the places is that of the calls in the program's source, and that of
//!   the names follows the tasks that are alive.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};

use super::facts::{Facts, FactsTable, halves};
use super::gate::Gate;
use super::ring::{EventRing, RawEvent};
use crate::board::Board;
use crate::points::UnparkFn;

/// Other threads may leave at most this many events. Further ones are lost, and counted.
const LEFT_MAX: usize = 4096;

/// The number of different names that are kept of tasks that have ended.
const NAMES_MAX: usize = 4096;

/// A longer name is cut.
const NAME_BYTES_MAX: usize = 256;

/// A flight recorder. It stands above this module, because it copies and writes events.
pub(crate) trait Trigger: Send + Sync {
    /// Returns true if a panic of a task is a trigger.
    fn is_for_panics(&self) -> bool;
    /// Writes the newest events. Returns false if it has done so a short time ago.
    fn trigger(&self, inspected: &Arc<Inspected>, reason: &str) -> bool;
    /// Waits for a limited time until all copies are written.
    fn finish(&self);
}

/// The function that a runtime calls at its end.
type AtEndFn = Box<dyn Fn(&Arc<Inspected>) + Send + Sync>;

/// All that the inspection of one runtime knows.
pub(crate) struct Inspected {
    /// The number of the runtime.
    pub(crate) runtime: u32,
    /// The time of the opening, in milliseconds since 1970.
    pub(crate) started_unix_ms: u64,
    pub(crate) ring: EventRing,
    pub(crate) facts: FactsTable,
    /// Stops the executor for the step mode. It has the clock of the events.
    pub(crate) gate: Gate,
    /// Ends the runtime's wait.
    pub(crate) unpark: UnparkFn,
    /// The tasks and their reasons, for dumps.
    pub(crate) board: OnceLock<Arc<Board>>,
    /// The flight recorder, if there is one.
    trigger: OnceLock<Box<dyn Trigger>>,
    /// Called when the runtime ends.
    at_end: OnceLock<AtEndFn>,
    /// The number of the place that has called `block_on`.
    pub(crate) root_place: AtomicU32,
    /// The events that other threads have lost.
    pub(crate) lost: AtomicU64,
    /// True while the list of other threads is not empty.
    has_left: AtomicBool,
    left: Mutex<LeftBehind>,
    places: Mutex<Places>,
    names: Mutex<Names>,
}

/// The news of other threads.
#[derive(Default)]
struct LeftBehind {
    events: Vec<RawEvent>,
    /// The time of the last one.
    last_at: u64,
    /// The wakes that blocking jobs have sent: the task as a word, and the job.
    job_wakes: Vec<(u64, u32)>,
}

#[derive(Default)]
struct Places {
    list: Vec<&'static Location<'static>>,
    /// The number of a place, by its address.
    numbers: HashMap<usize, u32>,
}

/// The names of tasks. A number is never given twice, so that an old event has no wrong name.
#[derive(Default)]
struct Names {
    last: u32,
    by_number: BTreeMap<u32, Name>,
    numbers: HashMap<Arc<str>, u32>,
    /// The number of names at which those of tasks that have ended are removed.
    full_at: usize,
}

struct Name {
    text: Arc<str>,
    /// The name as the task has it, which shows if that task is alive.
    of_task: Weak<str>,
}

impl Names {
    fn number(&mut self, name: &Arc<str>) -> u32 {
        let cut = (0..=NAME_BYTES_MAX.min(name.len())).rev();
        let text = &name[..cut
            .into_iter()
            .find(|at| name.is_char_boundary(*at))
            .unwrap_or(0)];
        if let Some(number) = self.numbers.get(text) {
            // The newest task of a name probably lives longest.
            if let Some(known) = self.by_number.get_mut(number) {
                known.of_task = Arc::downgrade(name);
            }
            return *number;
        }
        if self.by_number.len() >= self.full_at.max(NAMES_MAX) {
            self.forget_old();
        }
        self.last = self.last.wrapping_add(1);
        let text: Arc<str> = text.into();
        let of_task = Arc::downgrade(name);
        self.numbers.insert(text.clone(), self.last);
        self.by_number.insert(self.last, Name { text, of_task });
        self.last
    }

    /// Removes the older half of the names whose tasks have ended.
    fn forget_old(&mut self) {
        let mut left = NAMES_MAX / 2;
        let numbers = &mut self.numbers;
        self.by_number.retain(|_, name| {
            let stays = name.of_task.strong_count() > 0 || left == 0;
            if !stays {
                left -= 1;
                numbers.remove(&name.text);
            }
            stays
        });
        // Twice the rest, so that many living names do not make each new one a search.
        self.full_at = self.by_number.len() * 2;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inspected {
    pub(crate) fn new(runtime: u32, events: usize, unpark: UnparkFn) -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let milliseconds = since_1970.unwrap_or_default().as_millis();
        Self {
            runtime,
            started_unix_ms: u64::try_from(milliseconds).unwrap_or(u64::MAX),
            ring: EventRing::new(events),
            facts: FactsTable::default(),
            gate: Gate::new(),
            unpark,
            board: OnceLock::new(),
            trigger: OnceLock::new(),
            at_end: OnceLock::new(),
            root_place: AtomicU32::new(0),
            lost: AtomicU64::new(0),
            has_left: AtomicBool::new(false),
            left: Mutex::default(),
            places: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// Returns the number of a place in the program. Zero is no place.
    pub(crate) fn place_number(&self, place: &'static Location<'static>) -> u32 {
        let places = &mut *lock(&self.places);
        let address = std::ptr::from_ref(place).addr();
        *places.numbers.entry(address).or_insert_with(|| {
            // Zero stays free for "no place".
            places.list.push(place);
            u32::try_from(places.list.len()).unwrap_or_default()
        })
    }

    /// Returns the place with this number.
    pub(crate) fn place(&self, number: u32) -> Option<&'static Location<'static>> {
        let index = number.checked_sub(1)?;
        lock(&self.places).list.get(index as usize).copied()
    }

    /// Returns the facts about a task, which is given as a word.
    pub(crate) fn facts_of(&self, task: u64) -> Option<Facts> {
        let [generation, index] = halves(task);
        if index == u32::MAX {
            return Some(Facts {
                place: self.root_place.load(Ordering::Relaxed),
                ..Facts::default()
            });
        }
        self.facts.load(index, generation)
    }

    /// Returns the number of a name.
    pub(crate) fn name_number(&self, name: &Arc<str>) -> u32 {
        lock(&self.names).number(name)
    }

    /// Returns the name with this number. Returns `None` for zero, and for a name that many others have followed.
    pub(crate) fn name(&self, number: u32) -> Option<Arc<str>> {
        let names = lock(&self.names);
        names.by_number.get(&number).map(|name| name.text.clone())
    }
}

/// The flight recorder, and the end.
impl Inspected {
    pub(crate) fn set_trigger(&self, trigger: Box<dyn Trigger>) {
        _ = self.trigger.set(trigger);
    }

    pub(crate) fn set_at_end(&self, at_end: AtEndFn) {
        _ = self.at_end.set(at_end);
    }

    pub(crate) fn trigger(self: &Arc<Self>, reason: &str) -> bool {
        let trigger = self.trigger.get();
        trigger.is_some_and(|trigger| trigger.trigger(self, reason))
    }

    /// A task, or the future of `block_on`, has panicked.
    #[cold]
    pub(crate) fn has_panicked(self: &Arc<Self>) {
        if self
            .trigger
            .get()
            .is_some_and(|trigger| trigger.is_for_panics())
        {
            self.trigger("panic");
        }
    }

    /// The runtime has ended.
    pub(crate) fn end(self: &Arc<Self>) {
        // The program may end right after, and would take the thread that writes with it.
        if let Some(trigger) = self.trigger.get() {
            trigger.finish();
        }
        if let Some(at_end) = self.at_end.get() {
            at_end(self);
        }
    }
}

/// The events of other threads.
impl Inspected {
    /// Leaves an event for the runtime's thread, with the present time.
    pub(crate) fn leave(&self, mut event: RawEvent) {
        let left = &mut *lock(&self.left);
        // Read under the lock, and never less than before, so that the events of this list are in order.
        left.last_at = left.last_at.max(self.gate.read_now());
        event.at = left.last_at;
        if left.events.len() < LEFT_MAX {
            left.events.push(event);
            self.has_left.store(true, Ordering::Release);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a blocking job has sent a wake, for [`waking_job`](Self::waking_job).
    pub(crate) fn leave_wake(&self, task: u64, job: u32) {
        let wakes = &mut lock(&self.left).job_wakes;
        if wakes.len() < LEFT_MAX {
            wakes.push((task, job));
        }
    }

    /// Returns the job that has sent the wake of this task, if one has.
    pub(crate) fn waking_job(&self, task: u64) -> Option<u32> {
        let wakes = &mut lock(&self.left).job_wakes;
        // The oldest one: messages are read in the order in which they were sent.
        let position = wakes.iter().position(|(woken, _)| *woken == task)?;
        Some(wakes.remove(position).1)
    }

    /// Moves the events of other threads into the ring. Only the runtime's thread may call this.
    #[inline]
    pub(crate) fn collect_left(&self) {
        if self.has_left.load(Ordering::Acquire) {
            self.collect_left_now();
        }
    }

    #[cold]
    fn collect_left_now(&self) {
        let mut left = lock(&self.left);
        // Relaxed: the lock orders this with the next `leave`.
        self.has_left.store(false, Ordering::Relaxed);
        let events = mem::take(&mut left.events);
        drop(left);
        events.into_iter().for_each(|event| self.ring.write(event));
    }

    /// Returns the events that no call of [`collect_left`](Self::collect_left) has moved.
    pub(crate) fn left(&self) -> Vec<RawEvent> {
        lock(&self.left).events.clone()
    }
}

/// The recorded runtimes of the process, for threads that know only a number.
static ALL: Mutex<Vec<Weak<Inspected>>> = Mutex::new(Vec::new());

/// Lists a runtime.
pub(crate) fn list(inspected: &Arc<Inspected>) {
    let mut all = lock(&ALL);
    // The ended ones are removed here, so the list does not grow.
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(inspected));
}

/// Returns all recorded runtimes, the oldest first.
pub(crate) fn all() -> Vec<Arc<Inspected>> {
    lock(&ALL).iter().filter_map(Weak::upgrade).collect()
}
