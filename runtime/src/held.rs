//! A task that holds the thread: one poll that takes so long that all others wait for it.
//!
//! # How it works
//!
//! In a debug build, and in any build with the feature `watch`, the executor reads the clock before and
//! after each poll. A poll of more than a second is reported once for each place in the program that
//! spawned such a task: by `tracing` as a warning, or on stderr if no subscriber is set. Otherwise
//! [`Place`] and [`Watch`] are empty, and cost neither time nor memory.
//!
//! # Invariants
//!
//! - Never: a report in a build that did not ask for it.

#[cfg(not(any(debug_assertions, feature = "watch")))]
pub(crate) use off::{Place, Watch};
#[cfg(any(debug_assertions, feature = "watch"))]
pub(crate) use on::{Place, Watch};

/// The watch in builds that have it.
#[cfg(any(debug_assertions, feature = "watch"))]
mod on {
    use std::panic::Location;
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// A poll may take this long before it is reported.
    const HELD_MAX: Duration = Duration::from_secs(1);

    /// The place in the program that spawned a task.
    #[derive(Clone, Copy)]
    pub(crate) struct Place(&'static Location<'static>);

    impl Place {
        #[track_caller]
        pub(crate) fn here() -> Self {
            Self(Location::caller())
        }
    }

    /// Measures one poll.
    pub(crate) struct Watch {
        started: Instant,
        place: Option<Place>,
    }

    impl Watch {
        /// Starts with a poll. `place` is asked now: the task may have ended afterwards.
        pub(crate) fn start(place: impl FnOnce() -> Option<Place>) -> Self {
            Self {
                place: place(),
                started: Instant::now(),
            }
        }

        /// Reports the poll if it was too long.
        pub(crate) fn stop(self) {
            let held = self.started.elapsed();
            if held > HELD_MAX
                && let Some(Place(place)) = self.place
            {
                report(held, place);
            }
        }
    }

    #[cold]
    fn report(held: Duration, place: &'static Location<'static>) {
        static REPORTED: Mutex<Vec<&'static Location<'static>>> = Mutex::new(Vec::new());
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.contains(&place) {
            return;
        }
        reported.push(place);
        drop(reported);
        let text = "a task has held the thread, and all other tasks of its runtime have waited: \
                    move long work to spawn_blocking, or let others run with yield_now";
        if tracing::dispatcher::has_been_set() {
            tracing::warn!(?held, spawned_at = %place, "{text}");
        } else {
            eprintln!("waterwheel: {text} (held for {held:.1?}, spawned at {place})");
        }
    }
}

/// The watch in builds that have none.
#[cfg(not(any(debug_assertions, feature = "watch")))]
mod off {
    #[derive(Clone, Copy)]
    pub(crate) struct Place;

    impl Place {
        pub(crate) fn here() -> Self {
            Self
        }
    }

    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn start(_: impl FnOnce() -> Option<Place>) -> Self {
            Self
        }

        pub(crate) fn stop(self) {}
    }
}
