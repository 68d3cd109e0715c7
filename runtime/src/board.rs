//! The state of one runtime that other threads can read: its tasks, and the reasons for which they wait.
//!
//! # How it works
//!
//! ```text
//!  a poll ──► running: the reasons of this poll, as they are entered ──┐ at the end of the poll
//!             tasks: each task with the reasons of its last poll  ◄────┘
//!                         └── a dump copies all of it, on any thread
//! ```
//!
//! There are two locks. A thread holds one of them at a time, and only to copy or to store. So a lock is never held
//! while code of the user runs, and a reader cannot wait for itself.
//!
//! # Invariants
//!
//! - Never: both locks held by one thread.
//! - Never: a future, a waker or a closure of the user called or dropped while a lock is held.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant as Real};

use crate::instant::Instant;
use crate::local_queue::{RuntimeId, TaskId};
use crate::nodes::subject::{Site, address};
use crate::reasons::{RunningPoll, WaitNode, merged};

/// A function that takes the report of a long poll.
pub(crate) type LongPollHook = Box<dyn Fn(&LongPoll) + Send + Sync>;

/// The value of [`Board::paused`] while the clock runs.
const RUNS: u64 = u64::MAX;

/// A dump waits for a lock for at most this long. No thread holds one for longer than a copy takes.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(1);

/// The questions that a dump asks a task's waker. `TaskWaker` answers them, and it stands later in the reading order.
pub(crate) trait WakeState: Send + Sync {
    /// Returns true if the task is queued.
    fn is_queued(&self) -> bool;
}

/// A task, as the board knows it.
#[derive(Clone)]
pub(crate) struct Tracked {
    pub(crate) task: TaskId,
    pub(crate) name: Option<Arc<str>>,
    /// The place in the program that has spawned it.
    pub(crate) site: Site,
    /// The number of references to its waker that the runtime itself has.
    pub(crate) own_wakers: usize,
    pub(crate) future_bytes: usize,
    pub(crate) spawned_at: u64,
    /// The end of its last poll, or the spawn.
    pub(crate) since: u64,
    pub(crate) polls: u64,
    /// True during a poll. It is set before the poll clears the mark that the task is queued, so a reader sees one of
    /// the two.
    pub(crate) is_polled: bool,
    /// The number of tasks that it has spawned.
    pub(crate) spawns: u32,
    /// The number of its last polls that have each ended with a plain wake of the task by itself.
    pub(crate) self_wakes: u64,
    /// The time since which it was seen in the queue without a poll in between.
    pub(crate) queued_since: Option<u64>,
    pub(crate) waker: Weak<dyn WakeState>,
    pub(crate) reasons: Vec<WaitNode>,
}

impl Tracked {
    /// Returns true if the task is in the queue, or about to be.
    pub(crate) fn is_queued(&self) -> bool {
        self.waker.upgrade().is_some_and(|waker| waker.is_queued())
    }

    /// Returns the number of clones of the task's waker, apart from the runtime's own.
    pub(crate) fn clones(&self) -> usize {
        self.waker.strong_count().saturating_sub(self.own_wakers)
    }

    /// Notes that the task was seen in the queue, or not.
    pub(crate) fn note_queued(&mut self, is_queued: bool, run_time: u64) {
        self.queued_since = is_queued.then(|| self.queued_since.unwrap_or(run_time));
    }
}

/// The mark that a task has a thing for which others may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HolderMark {
    pub(crate) task: TaskId,
    /// For a thing that can move to another task: the number of tasks that this one had spawned at its last use of the
    /// thing. `None` for a guard, which stays.
    pub(crate) spawns: Option<u32>,
}

/// The numbers of the tasks that one place in the program has spawned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Population {
    pub(crate) alive: u64,
    pub(crate) spawned: u64,
    pub(crate) peak: u64,
    /// The time of the newest peak.
    pub(crate) peak_at: u64,
    /// The numbers at the time at which each power of two was first reached: alive, spawned, time.
    pub(crate) marks: Vec<(u64, u64, u64)>,
}

impl Population {
    fn add(&mut self, now: u64) {
        self.alive += 1;
        self.spawned += 1;
        if self.alive > self.peak {
            self.peak = self.alive;
            self.peak_at = now;
            if self.peak.is_power_of_two() {
                self.marks.push((self.alive, self.spawned, now));
            }
        }
    }
}

/// A blocking job that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct TrackedJob {
    pub(crate) site: Site,
    pub(crate) task: Option<TaskId>,
    /// The time at which a thread has begun it, by the real clock. Zero for a job in the queue.
    pub(crate) began: u64,
}

/// A poll that has held the thread for too long.
#[derive(Clone, Debug)]
pub(crate) struct LongPoll {
    pub(crate) task: TaskId,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) task_site: Site,
    /// The innermost reason that was entered.
    pub(crate) label: Option<&'static str>,
    pub(crate) site: Site,
    /// The begin of the poll, as [`RunningPoll`] has it. It tells the polls of a task apart.
    pub(crate) began: u64,
    pub(crate) nanos: u64,
}

/// All that is known while no poll runs.
#[derive(Default)]
pub(crate) struct Census {
    /// The tasks, each at the index of its slot.
    pub(crate) tasks: Vec<Option<Tracked>>,
    /// The future of `block_on`.
    pub(crate) root: Option<Tracked>,
    /// By the address of the place.
    pub(crate) populations: HashMap<usize, (Site, Population)>,
    /// The tasks that have permits of a semaphore, or have used an end of a channel last, by its address.
    pub(crate) holders: HashMap<usize, Vec<HolderMark>>,
    pub(crate) jobs: HashMap<usize, TrackedJob>,
    pub(crate) long_polls: Vec<LongPoll>,
    /// True once the runtime ends.
    pub(crate) is_closing: bool,
}

impl Census {
    pub(crate) fn tracked(&mut self, task: TaskId) -> Option<&mut Tracked> {
        let found = match task {
            TaskId::ROOT => self.root.as_mut(),
            task => self.tasks.get_mut(task.index as usize)?.as_mut(),
        };
        found.filter(|tracked| tracked.task == task)
    }

    /// Copies all but the tasks.
    pub(crate) fn without_tasks(&self) -> Self {
        Self {
            tasks: Vec::new(),
            root: None,
            populations: self.populations.clone(),
            holders: self.holders.clone(),
            jobs: self.jobs.clone(),
            long_polls: self.long_polls.clone(),
            is_closing: self.is_closing,
        }
    }

    fn add(&mut self, tracked: Tracked) {
        let now = tracked.spawned_at;
        if let Some(site) = tracked.site {
            let place = address(site);
            let entry = self.populations.entry(place);
            let (_, population) = entry.or_insert_with(|| (Some(site), Population::default()));
            population.add(now);
        }
        let index = tracked.task.index as usize;
        // Indexed like the table of tasks, so a poll finds its entry without a hash.
        if self.tasks.len() <= index {
            self.tasks.resize_with(index + 1, || None);
        }
        self.tasks[index] = Some(tracked);
    }

    fn remove(&mut self, task: TaskId) -> Option<Tracked> {
        self.tracked(task)?;
        if task == TaskId::ROOT {
            return self.root.take();
        }
        let removed = self.tasks.get_mut(task.index as usize)?.take()?;
        if let Some(site) = removed.site {
            let place = address(site);
            if let Some((_, population)) = self.populations.get_mut(&place) {
                population.alive -= 1;
            }
        }
        Some(removed)
    }
}

/// A function that is called when a runtime is open.
pub(crate) type OpenHook = Box<dyn FnOnce(&Arc<Board>) + Send>;

/// The board of one runtime.
pub(crate) struct Board {
    /// Zero until the runtime has its id.
    runtime: AtomicU32,
    /// The time of a clock that is paused, or [`RUNS`].
    paused: AtomicU64,
    /// The nanoseconds by which a clock that runs is behind the real one.
    behind: AtomicU64,
    /// The time of the real clock at which the step mode has stopped the runtime, or [`RUNS`].
    stands_at: AtomicU64,
    /// The nanoseconds of all earlier stops.
    stood: AtomicU64,
    /// The nanoseconds for which the process did not run, because it was stopped by a signal or had no processor.
    absent: AtomicU64,
    running: Mutex<RunningPoll>,
    census: Mutex<Census>,
    /// The time at which the board was made, by the real clock.
    pub(crate) opened: u64,
    /// A poll that takes longer, in nanoseconds, is a finding.
    poll_max: AtomicU64,
    /// Called when the runtime is open.
    on_open: Mutex<Option<OpenHook>>,
    /// Called by the watchdog for each long poll, to write an event.
    pub(crate) on_long_poll: OnceLock<LongPollHook>,
}

impl Default for Board {
    fn default() -> Self {
        Self {
            runtime: AtomicU32::new(0),
            paused: AtomicU64::new(RUNS),
            behind: AtomicU64::new(0),
            stands_at: AtomicU64::new(RUNS),
            stood: AtomicU64::new(0),
            absent: AtomicU64::new(0),
            running: Mutex::default(),
            census: Mutex::default(),
            opened: Instant::real().as_nanos(),
            poll_max: AtomicU64::new(1_000_000_000),
            on_open: Mutex::default(),
            on_long_poll: OnceLock::new(),
        }
    }
}

impl Board {
    pub(crate) fn set_poll_max(&self, poll_max: Duration) {
        let nanos = u64::try_from(poll_max.as_nanos()).unwrap_or(u64::MAX);
        self.poll_max.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn poll_max(&self) -> Duration {
        Duration::from_nanos(self.poll_max.load(Ordering::Relaxed))
    }

    /// Sets the function that is called when the runtime is open.
    pub(crate) fn set_on_open(&self, hook: OpenHook) {
        let mut place = self.on_open.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some(hook);
    }

    /// Notes the id of the runtime, which is now open.
    pub(crate) fn open(self: &Arc<Self>, runtime: RuntimeId) {
        self.runtime.store(runtime.number(), Ordering::Relaxed);
        let mut place = self.on_open.lock().unwrap_or_else(PoisonError::into_inner);
        let hook = place.take();
        // The hook starts a thread that reads the board, so the lock is released before.
        drop(place);
        if let Some(hook) = hook {
            hook(self);
        }
    }

    /// Returns the runtime. `None` before it is open.
    pub(crate) fn runtime(&self) -> Option<RuntimeId> {
        RuntimeId::from_raw(self.runtime.load(Ordering::Relaxed))
    }

    /// Returns the time of the runtime's clock, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.at(self.real())
    }

    /// Returns the time of the real clock, or the time of the present stop.
    fn real(&self) -> u64 {
        let stands_at = self.stands_at.load(Ordering::Acquire);
        Instant::real().as_nanos().min(stands_at)
    }

    /// Returns the time of the real clock without the stops and the absences, in nanoseconds.
    pub(crate) fn run_time(&self) -> u64 {
        let stood = self.stood.load(Ordering::Relaxed);
        let absent = self.absent.load(Ordering::Relaxed);
        self.real().saturating_sub(stood).saturating_sub(absent)
    }

    /// Notes that the process did not run for this time.
    pub(crate) fn was_absent(&self, nanos: u64) {
        self.absent.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Notes that the step mode stops the runtime. Its clock stands until [`runs_on`](Self::runs_on).
    pub(crate) fn stands(&self) {
        let now = Instant::real().as_nanos();
        self.stands_at.store(now, Ordering::Release);
    }

    /// Notes the end of a stop.
    pub(crate) fn runs_on(&self, stood: Duration) {
        let nanos = u64::try_from(stood.as_nanos()).unwrap_or(u64::MAX);
        // First the sums and then the mark, so no reader sees the clock ahead.
        self.stood.fetch_add(nanos, Ordering::Relaxed);
        self.behind.fetch_add(nanos, Ordering::Relaxed);
        self.stands_at.store(RUNS, Ordering::Release);
    }

    /// Returns the time of the runtime's clock at a time of the real one.
    fn at(&self, real: u64) -> u64 {
        match self.paused.load(Ordering::Relaxed) {
            // A clock that was stopped between two steps is behind.
            RUNS => real.saturating_sub(self.behind.load(Ordering::Relaxed)),
            paused => paused,
        }
    }

    /// Stores the relation of the runtime's clock to the real one.
    pub(crate) fn set_clock(&self, (paused, behind): (Option<Instant>, u64)) {
        let paused = paused.map_or(RUNS, Instant::as_nanos);
        self.paused.store(paused, Ordering::Relaxed);
        self.behind.store(behind, Ordering::Relaxed);
    }

    /// Locks the poll that runs, for the runtime's thread.
    pub(crate) fn running(&self) -> MutexGuard<'_, RunningPoll> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the tasks, for the runtime's thread.
    pub(crate) fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the poll that runs, for a reader. Returns `None` if the lock is not free in time.
    pub(crate) fn read_running(&self) -> Option<MutexGuard<'_, RunningPoll>> {
        lock_in_time(&self.running)
    }

    /// Locks the tasks, for a reader. Returns `None` if the lock is not free in time.
    pub(crate) fn read_census(&self) -> Option<MutexGuard<'_, Census>> {
        lock_in_time(&self.census)
    }

    /// Adds a task. `parent` is the task that is polled.
    pub(crate) fn spawned(&self, tracked: Tracked, parent: Option<TaskId>) {
        let mut census = self.census();
        if let Some(parent) = parent.and_then(|parent| census.tracked(parent)) {
            parent.spawns = parent.spawns.wrapping_add(1);
        }
        census.add(tracked);
    }

    pub(crate) fn ended(&self, task: TaskId) {
        // Freed after the lock is released, so that a reader waits for the removal only.
        let removed = self.census().remove(task);
        drop(removed);
    }

    /// Removes the mark that a task has a thing.
    pub(crate) fn release(&self, thing: usize, mark: HolderMark) {
        let holders = &mut self.census().holders;
        if let Some(marks) = holders.get_mut(&thing) {
            if let Some(at) = marks.iter().position(|other| *other == mark) {
                marks.swap_remove(at);
            }
            if marks.is_empty() {
                holders.remove(&thing);
            }
        }
    }

    /// Looks at all tasks but the one that runs, and notes those that are in the queue.
    pub(crate) fn note_queued_tasks(&self, running: Option<TaskId>) {
        let run_time = self.run_time();
        let Some(mut census) = self.read_census() else {
            return;
        };
        for tracked in census.tasks.iter_mut().flatten() {
            let is_queued = running != Some(tracked.task) && tracked.is_queued();
            tracked.note_queued(is_queued, run_time);
        }
    }

    /// Notes the begin of a poll. Returns the address of the task's waker, the number of tasks that it has spawned, and
    /// the time of the runtime's clock.
    pub(crate) fn begin_poll(&self, task: TaskId) -> (usize, u32, u64) {
        let run_time = self.run_time();
        self.running().begin(task, run_time);
        let mut census = self.census();
        let (waker, spawns) = census.tracked(task).map_or((0, 0), |tracked| {
            tracked.queued_since = None;
            tracked.is_polled = true;
            let waker = tracked.waker.as_ptr().cast::<()>() as usize;
            (waker, tracked.spawns)
        });
        (waker, spawns, self.now())
    }

    /// Stores the reasons of a poll that has ended.
    pub(crate) fn publish(&self, task: TaskId, has_yielded: bool) {
        let now = self.now();
        // Before the census changes. A reader takes the locks in this order, too. So between the two it sees a task
        // that waits for the reasons of its poll before, and not one that runs and has none.
        let new = self.running().end();
        let mut spare = Vec::new();
        let mut census = self.census();
        if let Some(tracked) = census.tracked(task) {
            tracked.polls += 1;
            tracked.is_polled = false;
            tracked.since = now;
            let wakes_itself = !has_yielded && tracked.is_queued();
            tracked.self_wakes = if wakes_itself {
                tracked.self_wakes + 1
            } else {
                0
            };
            // Without a clone, no combinator with wakers of its own is left that could poll the old futures.
            let keeps = tracked.clones() > 0;
            let old = std::mem::take(&mut tracked.reasons);
            (tracked.reasons, spare) = merged(old, new, keeps);
        }
        drop(census);
        // The memory serves the next poll, so a steady task allocates no list.
        spare.clear();
        self.running().reasons = spare;
    }
}

/// Tries to lock for a limited time. A panic hook may run on a thread that holds the lock.
fn lock_in_time<T>(lock: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    // A dump must return even if the thread that has the lock does not run, as under a debugger.
    let began = Real::now();
    loop {
        match lock.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if began.elapsed() > LOCK_WAIT_MAX => return None,
            Err(TryLockError::WouldBlock) => thread::yield_now(),
        }
    }
}
