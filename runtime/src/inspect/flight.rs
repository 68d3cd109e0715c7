//! The flight recorder: writes the ring out when something happens.
//!
//! # How it works
//!
//! A trigger copies the newest events at once, on the thread that calls it. A thread of its own then writes the file or
//! calls the user's function. So a trigger costs the runtime the time of the copy: about 20 ns for each event.
//!
//! # Invariants
//!
//! - Always: the size of a copy, the number of files and the rate of triggers are bounded.
//! - Never: a call of the user's function on the runtime's thread.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGUSR1;
use signal_hook::{flag, low_level};

use super::json::Shown;
use super::shared::{Inspected, Trigger};
use super::trace::Trace;

/// A thread that waits for a signal looks at its flag this often.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Each copy that is being delivered has a thread and megabytes of memory.
const DELIVERIES_MAX: usize = 4;

/// The end of a runtime waits this long for its last copies. The user's function may hang.
const FINISH_MAX: Duration = Duration::from_secs(2);

/// The place to which the flight recorder writes, and its limits. It is a part of the
/// [`Options`](super::Options::flight) of a runtime.
///
/// It writes when something [triggers](super::trigger) it: a task that panics, SIGUSR1 if it was
/// [asked for](Self::on_sigusr1), or the program itself, for example after a slow request.
///
/// # Examples
///
/// ```
/// use std::sync::mpsc;
/// use waterwheel::runtime::{Runtime, inspect::{self, Flight}};
///
/// let (sender, receiver) = mpsc::channel();
/// let flight = Flight::call(move |trace| drop(sender.send(trace.reason().map(str::to_owned))));
/// let options = inspect::Options::default().flight(flight);
/// let runtime = Runtime::builder().inspect(options).build()?;
/// runtime.block_on(async {
///     // A handler that has seen a slow request:
///     assert!(inspect::trigger("slow request"));
///     assert!(!inspect::trigger("slow request")); // not twice within ten seconds
/// });
/// assert_eq!(receiver.recv().unwrap().as_deref(), Some("slow request"));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
#[must_use = "pass it to Options::flight"]
pub struct Flight {
    target: FlightTarget,
    events_max: usize,
    every: Duration,
    files_max: u32,
    on_panic: bool,
    on_sigusr1: bool,
}

#[derive(Clone)]
enum FlightTarget {
    Folder(PathBuf),
    Call(Arc<dyn Fn(Trace) + Send + Sync>),
}

impl Flight {
    fn new(target: FlightTarget) -> Self {
        Self {
            target,
            events_max: 16_384,
            every: Duration::from_secs(10),
            files_max: 8,
            on_panic: true,
            on_sigusr1: false,
        }
    }

    /// Writes files into this folder: `flight-<process>-<runtime>-<number>.json`, each a
    /// [trace](Trace#json) with a field `reason`. Makes the folder if it is missing.
    ///
    /// The process has its id within its container. So containers that share a disk need a folder each.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::runtime::inspect::{Flight, Options};
    ///
    /// let flight = Flight::to_folder("/var/lib/mill/flights")
    ///     .events_max(4096)
    ///     .every(Duration::from_secs(60))
    ///     .files_max(3)
    ///     .on_panic(false)
    ///     .on_sigusr1(true);
    /// let options = Options::default().flight(flight);
    /// # drop(options);
    /// ```
    pub fn to_folder(folder: impl Into<PathBuf>) -> Self {
        Self::new(FlightTarget::Folder(folder.into()))
    }

    /// Calls this function with each copy, on a thread of its own.
    pub fn call(function: impl Fn(Trace) + Send + Sync + 'static) -> Self {
        Self::new(FlightTarget::Call(Arc::new(function)))
    }

    /// Sets the number of events of a copy. The newest ones are copied. The default is 16,384, which are about 1.6 MB
    /// of JSON.
    pub fn events_max(mut self, events: usize) -> Self {
        self.events_max = events;
        self
    }

    /// Sets the shortest time between two copies. A trigger that comes earlier has no effect. The default is 10
    /// seconds.
    pub fn every(mut self, duration: Duration) -> Self {
        self.every = duration;
        self
    }

    /// Sets the number of files. A further one replaces the oldest. The default is 8.
    ///
    /// The limit is that of the folder: it includes the files of other runtimes of this process, and those that ended
    /// processes have left. So a program that panics at each start does not fill the disk.
    pub fn files_max(mut self, files: u32) -> Self {
        self.files_max = files.max(1);
        self
    }

    /// Decides if a task that panics is a trigger. The default is true.
    pub fn on_panic(mut self, is_trigger: bool) -> Self {
        self.on_panic = is_trigger;
        self
    }

    /// Decides if SIGUSR1 is a trigger. The default is false, and the signal is then not touched. It works while a task
    /// holds the runtime's thread. A line on stderr says where the copy is.
    pub fn on_sigusr1(mut self, is_trigger: bool) -> Self {
        self.on_sigusr1 = is_trigger;
        self
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flight")
            .field("events_max", &self.events_max)
            .field("every", &self.every)
            .field("files_max", &self.files_max)
            .finish_non_exhaustive()
    }
}

/// The flight recorder of one runtime.
struct FlightRecorder {
    flight: Flight,
    last: Mutex<Option<Instant>>,
    written: AtomicU32,
    /// The copies that are being delivered.
    deliveries: Arc<Deliveries>,
}

#[derive(Default)]
struct Deliveries {
    number: Mutex<usize>,
    ended: Condvar,
    /// The number of the first file. An earlier process may have had the same id, and its files stay until their turn.
    first_file: OnceLock<u32>,
}

/// A copy that is being delivered, until this drops.
struct Delivery(Arc<Deliveries>);

impl Delivery {
    /// Begins a delivery. Returns `None` if there are too many, for example because the disk hangs.
    fn begin(deliveries: &Arc<Deliveries>) -> Option<Self> {
        let mut number = deliveries.lock();
        (*number < DELIVERIES_MAX).then(|| {
            *number += 1;
            Self(deliveries.clone())
        })
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
        self.0.ended.notify_all();
    }
}

impl Deliveries {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.number.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trigger for FlightRecorder {
    fn is_for_panics(&self) -> bool {
        self.flight.on_panic
    }

    fn trigger(&self, inspected: &Arc<Inspected>, reason: &str) -> bool {
        let flight = &self.flight;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A fault that repeats would otherwise copy the ring each time, and slow the program down.
        if last.is_some_and(|last| last.elapsed() < flight.every) {
            return false;
        }
        let Some(delivery) = Delivery::begin(&self.deliveries) else {
            return false;
        };
        *last = Some(Instant::now());
        drop(last);
        // The copy is made here, because the ring goes on. All else is for another thread.
        let trace = Trace::newest(inspected, flight.events_max).with_reason(reason);
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let flight = flight.clone();
        let write = move || flight.deliver(trace, count, &delivery);
        let thread = thread::Builder::new().name("ww-flight".to_owned());
        let started = thread.spawn(write);
        if let Err(error) = &started {
            tracing::warn!("the flight recorder has no thread: {error}");
        }
        started.is_ok()
    }

    fn finish(&self) {
        let number = self.deliveries.lock();
        let wait = &self.deliveries.ended;
        // Later copies are lost, because a program must be able to end.
        drop(wait.wait_timeout_while(number, FINISH_MAX, |number| *number > 0));
    }
}

impl Flight {
    /// Passes a copy to its target. `count` is the number of the copies before it.
    fn deliver(&self, trace: Trace, count: u32, delivery: &Delivery) {
        let folder = match &self.target {
            FlightTarget::Call(function) => return function(trace),
            FlightTarget::Folder(folder) => folder,
        };
        let (process, runtime) = (std::process::id(), trace.runtime);
        let first_file = &delivery.0.first_file;
        let first = *first_file.get_or_init(|| next_number(folder, [process, runtime]));
        // The numbers go around, so the disk holds a bounded number of files.
        let number = first.wrapping_add(count) % self.files_max;
        let file = folder.join(format!("flight-{process}-{runtime}-{number}.json"));
        let reason = Shown(trace.reason().unwrap_or_default());
        let written = fs::create_dir_all(folder)
            .and_then(|()| write_file(&file, &trace.to_json()))
            .and_then(|()| remove_old_files(folder, process, self.files_max));
        let text = match written {
            Ok(()) => format!("flight recorder: {reason}: {}", file.display()),
            Err(error) => format!("flight recorder: {}: {error}", file.display()),
        };
        tracing::warn!("{text}");
        if self.on_sigusr1 {
            // `eprintln` panics if no process reads it.
            let _written = io::stderr().write_all(format!("waterwheel: {text}\n").as_bytes());
        }
    }
}

/// Writes a file under another name first, so that a reader sees whole files only.
pub(crate) fn write_file(file: &Path, text: &str) -> io::Result<()> {
    static WRITTEN: AtomicU32 = AtomicU32::new(0);
    // Two threads may write the same file at once, and the last one wins.
    let (process, number) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let unfinished = file.with_extension(format!("{process}-{number}.unfinished"));
    fs::write(&unfinished, text)
        .and_then(|()| fs::rename(&unfinished, file))
        .inspect_err(|_| {
            // A full disk would otherwise stay full.
            _ = fs::remove_file(&unfinished);
        })
}

/// Returns the number after that of the newest file of this process and runtime, or zero.
fn next_number(folder: &Path, own: [u32; 2]) -> u32 {
    let flights = flights_of(folder).unwrap_or_default();
    let mut flights = flights
        .into_iter()
        .filter(|flight| flight.numbers[..2] == own);
    let newest = flights.next_back();
    newest.map_or(0, |flight| flight.numbers[2].wrapping_add(1))
}

/// A file of a flight recorder.
struct FlightFile {
    path: PathBuf,
    /// The process, the runtime, and the number of the file.
    numbers: [u32; 3],
}

/// Returns the files of all flight recorders in a folder, the oldest first.
fn flights_of(folder: &Path) -> io::Result<Vec<FlightFile>> {
    let mut flights = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(numbers) = numbers_of(&entry.file_name().to_string_lossy()) {
            let path = entry.path();
            flights.push((entry.metadata()?.modified()?, FlightFile { path, numbers }));
        }
    }
    flights.sort_by(|(one, first), (other, second)| (one, &first.path).cmp(&(other, &second.path)));
    Ok(flights.into_iter().map(|(_, flight)| flight).collect())
}

/// Removes the oldest flights, so that this process and those that have ended have at most `files_max` in the folder.
fn remove_old_files(folder: &Path, own: u32, files_max: u32) -> io::Result<()> {
    let mut flights = flights_of(folder)?;
    // A file of another process that is alive is not ours to remove.
    let is_ours = |process: u32| process == own || !Path::new(&format!("/proc/{process}")).exists();
    flights.retain(|flight| is_ours(flight.numbers[0]));
    let more = flights.len().saturating_sub(files_max as usize);
    // Another thread may have removed it before.
    flights
        .drain(..more)
        .for_each(|old| _ = fs::remove_file(old.path));
    Ok(())
}

/// Reads the numbers from the name of a flight.
fn numbers_of(name: &str) -> Option<[u32; 3]> {
    let numbers = name.strip_prefix("flight-")?.strip_suffix(".json")?;
    let numbers: Result<Vec<u32>, _> = numbers.split('-').map(str::parse).collect();
    numbers.ok()?.try_into().ok()
}

/// Gives a new runtime its flight recorder, and starts the thread that waits for SIGUSR1 if the settings ask for it.
pub(crate) fn start(flight: Flight, inspected: &Arc<Inspected>) {
    let on_sigusr1 = flight.on_sigusr1;
    let recorder = FlightRecorder {
        flight,
        last: Mutex::new(None),
        written: AtomicU32::new(0),
        deliveries: Arc::default(),
    };
    inspected.set_trigger(Box::new(recorder));
    if !on_sigusr1 {
        return;
    }
    let signal = Arc::new(AtomicBool::new(false));
    let registered = flag::register(SIGUSR1, signal.clone());
    // Weak, so that the thread ends soon after the runtime and its last reader.
    let inspected = Arc::downgrade(inspected);
    let watch = move || {
        while let Some(inspected) = inspected.upgrade() {
            if signal.swap(false, Ordering::Relaxed) {
                inspected.trigger("SIGUSR1");
            }
            // Not kept during the pause, or the runtime's memory would stay.
            drop(inspected);
            thread::sleep(LOOK_EVERY);
        }
        if let Ok(id) = registered {
            low_level::unregister(id);
        }
    };
    let thread = thread::Builder::new().name("ww-sigusr1".to_owned());
    if let Err(error) = thread.spawn(watch) {
        tracing::warn!("no thread waits for SIGUSR1: {error}");
    }
}
