//! The settings of the dumps, and the ways to a dump.
//!
//! # Invariants
//!
//! - Always: a dump can be made from any thread, and at any time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::dump::Dump;
use super::watchdog;
use crate::board::Board;
use crate::context;
use crate::nodes::Tracker;
use crate::runtime_builder::RuntimeBuilder;

/// The settings for [`RuntimeBuilder::explain`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::runtime::{Runtime, inspect::Explain};
///
/// let explain = Explain::default()
///     .poll_max(Duration::from_millis(200))
///     .dump_on_sigusr1(true);
/// let runtime = Runtime::builder().explain(explain).build()?;
/// # drop(runtime);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Explain {
    poll_max: Duration,
    dumps_on_sigusr1: bool,
}

impl Default for Explain {
    fn default() -> Self {
        Self {
            poll_max: Duration::from_secs(1),
            dumps_on_sigusr1: false,
        }
    }
}

impl Explain {
    /// Sets the time after which a poll is reported as a long one, while it still runs. The default is a second.
    ///
    /// The report is a warning of `tracing`, or a line on stderr if no subscriber is set. Later dumps have it as a
    /// finding. It replaces the report of debug builds and of the feature `watch`, which comes at the end of the poll.
    #[must_use]
    pub fn poll_max(mut self, duration: Duration) -> Self {
        self.poll_max = duration;
        self
    }

    /// Writes a dump to stderr whenever the process receives SIGUSR1, also while a poll holds the runtime's thread.
    /// By default, the signal is not touched.
    #[must_use]
    pub fn dump_on_sigusr1(mut self, dumps: bool) -> Self {
        self.dumps_on_sigusr1 = dumps;
        self
    }
}

impl RuntimeBuilder {
    /// Lets the runtime record why its tasks wait, so that [`inspect::dump`](super::dump()) shows it.
    ///
    /// This starts a thread, the watchdog. It ends with the runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::runtime::{Runtime, inspect};
    ///
    /// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
    /// runtime.block_on(async { println!("{}", inspect::dump()) });
    /// # std::io::Result::Ok(())
    /// ```
    pub fn explain(mut self, settings: Explain) -> Self {
        // `inspect` may have made one already, and the recorder is linked to that board.
        let before = self.settings.tracker.board().cloned();
        let board = before.unwrap_or_default();
        board.set_poll_max(settings.poll_max);
        // The thread starts with the runtime, so a later call can change the settings.
        board.set_on_open(Box::new(move |board| {
            watchdog::start(board, settings.dumps_on_sigusr1);
        }));
        self.settings.tracker = Tracker::new(board);
        self
    }
}

/// Makes dumps of one runtime, from any thread.
///
/// # Examples
///
/// ```
/// use std::{thread, time::Duration};
/// use waterwheel::runtime::{Runtime, inspect::{self, Dumper}, task};
///
/// let runtime = Runtime::builder().explain(inspect::Explain::default()).build()?;
/// runtime.block_on(async {
///     let dumper: Dumper = inspect::dumper().unwrap();
///     let watcher = thread::spawn(move || {
///         thread::sleep(Duration::from_millis(20));
///         dumper.dump() // while the poll below holds the runtime's thread
///     });
///     thread::sleep(Duration::from_millis(100));
///     let dump = watcher.join().unwrap();
///     assert_eq!(dump.groups()[0].state(), "running");
/// });
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone)]
pub struct Dumper {
    board: Arc<Board>,
}

impl Dumper {
    /// Makes a dump. It polls no future, and waits for no task: it works while a poll holds the runtime's thread, within
    /// a poll, in a destructor and in a panic hook.
    #[must_use]
    pub fn dump(&self) -> Dump {
        Dump::of(&self.board)
    }
}

impl fmt::Debug for Dumper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dumper").finish_non_exhaustive()
    }
}

/// Returns the dumper of the runtime that this thread is inside. Returns `None` outside a runtime, and if the runtime
/// was made without [`RuntimeBuilder::explain`].
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, inspect};
///
/// assert!(block_on(async { inspect::dumper() }).is_none());
/// ```
#[must_use]
pub fn dumper() -> Option<Dumper> {
    // No panic outside a runtime, because a dump is asked for when something is wrong already.
    let board = context::try_with(|executor| executor.tracker().board().cloned());
    let board = board.flatten()?;
    Some(Dumper { board })
}

/// Makes a dump of the runtime that this thread is inside; see [`Dumper::dump`]. It has no tasks if
/// [`dumper`] returns `None`.
///
/// # Examples
///
/// ```
/// use waterwheel::runtime::{block_on, inspect};
///
/// assert_eq!(block_on(async { inspect::dump().tasks() }), 0); // this runtime records nothing
/// ```
#[must_use]
pub fn dump() -> Dump {
    match dumper() {
        Some(dumper) => dumper.dump(),
        None => Dump::refused(
            "this thread is not inside a runtime that was built with `inspect` or `explain`",
        ),
    }
}

const _: () = {
    const fn assert_send_sync<T: Send + Sync>() {}
    assert_send_sync::<Dumper>();
    assert_send_sync::<Dump>();
};
