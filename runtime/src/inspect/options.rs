//! The settings of the recording of a runtime.
//!
//! # Invariants
//!
//! - Always: each setting has a default that is fit for production.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::flight::Flight;

/// The settings of [`RuntimeBuilder::inspect`](crate::RuntimeBuilder::inspect).
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{Runtime, inspect};
///
/// let options = inspect::Options::default().events(1024);
/// let runtime = Runtime::builder().inspect(options).build()?;
/// # drop(runtime);
/// # std::io::Result::Ok(())
/// ```
///
/// # The environment
///
/// A program with the feature `inspect` can be traced without a change. If `WATERWHEEL_TRACE` is the name of a file,
/// each of the first 16 runtimes records, and [writes](Self::write_at_end) its newest 1,500 events there when it ends:
///
/// ```text
/// WATERWHEEL_TRACE=trace.html cargo run --features inspect
/// ```
///
/// Open `trace.html` in a browser, and `trace.perfetto.json` in Perfetto.
#[derive(Clone, Debug)]
#[must_use = "pass it to RuntimeBuilder::inspect"]
pub struct Options {
    pub(crate) events: usize,
    pub(crate) flight: Option<Flight>,
    /// The file that is written at the end, and the number of its events.
    pub(crate) at_end: Option<(PathBuf, usize)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            events: 65_536,
            flight: None,
            at_end: None,
        }
    }
}

impl Options {
    /// Sets the number of events that the ring holds. The default is 65,536, which take 2.6 MB. The ring has the next
    /// power of two, and at least 64. When it is full, each new event overwrites the oldest one.
    pub fn events(mut self, events: usize) -> Self {
        self.events = events.clamp(64, 1 << 24);
        self
    }

    /// Adds a flight recorder, which writes the ring out when something happens.
    pub fn flight(mut self, flight: Flight) -> Self {
        self.flight = Some(flight);
        self
    }

    /// Writes the newest events when the runtime ends: as [JSON](super::Trace#json) into this file, and for Perfetto
    /// into one beside it (`trace.json` and `trace.perfetto.json`). If the extension is `html`, a
    /// [page](super::Trace::to_html) that plays the trace is the third file (`trace.html`). The files of further runtimes of the process have
    /// the number of their runtime before the extension.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect::{Flight, Options}};
    ///
    /// # let folder = std::env::temp_dir();
    /// let options = Options::default()
    ///     .flight(Flight::to_folder(&folder))
    ///     .write_at_end(folder.join("trace.json"), 1000);
    /// let runtime = Runtime::builder().inspect(options).build()?;
    /// runtime.block_on(async {});
    /// # std::io::Result::Ok(())
    /// ```
    pub fn write_at_end(mut self, file: impl Into<PathBuf>, events_max: usize) -> Self {
        self.at_end = Some((file.into(), events_max));
        self
    }
}

/// The number of events in a file that the environment asks for: about 150 kB of JSON.
const EVENTS_OF_ENVIRONMENT: usize = 1500;

/// The environment lets at most this many runtimes write files. A seeded test opens a thousand.
const RUNTIMES_OF_ENVIRONMENT: u32 = 16;

/// Returns the settings that the environment asks for.
pub(crate) fn from_environment() -> Option<Options> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let file = env::var_os("WATERWHEEL_TRACE").filter(|file| !file.is_empty())?;
    if ASKED.fetch_add(1, Ordering::Relaxed) >= RUNTIMES_OF_ENVIRONMENT {
        return None;
    }
    Some(Options::default().write_at_end(file, EVENTS_OF_ENVIRONMENT))
}
