//! Reports a poll that holds the thread while all other tasks wait.
//!
//! # How it works
//!
//! The executor reads the clock before and after each poll. If a poll takes more than a second, this module
//! reports it: as a warning of `tracing`, or on stderr if no subscriber is set. Each place in the program
//! that spawns such tasks is reported once. [`poll_named`] names a part of a task, and a report then has that
//! name. Debug builds always do this, and release builds with the feature `watch`. In other builds, this
//! module costs neither time nor memory.
//!
//! # Invariants
//!
//! - Never: a report in a release build without the feature `watch`.
//! - Never: two reports of one poll. In a runtime that explains, the watchdog reports the poll while it runs, so this
//!   module does not.

#[cfg(not(any(debug_assertions, feature = "watch")))]
pub(crate) use off::Watch;
#[cfg(any(debug_assertions, feature = "watch"))]
pub(crate) use on::Watch;
#[cfg(any(debug_assertions, feature = "watch", feature = "inspect"))]
pub(crate) use place::Place;
#[cfg(not(any(debug_assertions, feature = "watch", feature = "inspect")))]
pub(crate) use unknown_place::Place;

/// Runs one poll of a part of a task. If it holds the thread for more than a second, the report names this
/// part, and not the place that spawned the task.
///
/// Each name is reported once. In a release build without the feature `watch` this is a plain call.
///
/// # Examples
///
/// ```
/// use std::future::poll_fn;
/// use std::pin::pin;
/// use waterwheel::runtime::{block_on, watch};
///
/// block_on(async {
///     let mut resize = pin!(async { /* long work */ });
///     poll_fn(|cx| watch::poll_named("resize", || resize.as_mut().poll(cx))).await;
/// });
/// ```
#[inline]
pub fn poll_named<T>(name: &'static str, poll: impl FnOnce() -> T) -> T {
    let watch = Watch::start(|| Some(Place::named(name)));
    let result = poll();
    watch.stop();
    result
}

/// The places of builds that report them.
#[cfg(any(debug_assertions, feature = "watch", feature = "inspect"))]
mod place {
    use std::fmt;
    use std::panic::Location;

    /// The place in the program that spawned a task, or the name of a part of one.
    #[derive(Clone, Copy, PartialEq)]
    pub(crate) enum Place {
        SpawnedAt(&'static Location<'static>),
        Named(&'static str),
    }

    impl Place {
        #[track_caller]
        pub(crate) fn here() -> Self {
            Self::SpawnedAt(Location::caller())
        }

        pub(crate) fn named(name: &'static str) -> Self {
            Self::Named(name)
        }

        /// Returns the place in the program.
        pub(crate) fn location(self) -> Option<&'static Location<'static>> {
            match self {
                Self::SpawnedAt(location) => Some(location),
                Self::Named(_) => None,
            }
        }
    }

    impl fmt::Display for Place {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::SpawnedAt(place) => write!(f, "the task spawned at {place}"),
                Self::Named(name) => write!(f, "`{name}`"),
            }
        }
    }
}

/// The watch of debug builds and of builds with the feature `watch`.
#[cfg(any(debug_assertions, feature = "watch"))]
mod on {
    use std::cell::Cell;
    use std::io::{self, Write as _};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    use super::Place;
    use crate::nodes;

    /// A poll may take this long before it is reported.
    const HELD_MAX: Duration = Duration::from_secs(1);

    thread_local! {
        /// The end of the last reported poll. The poll around it must not report the same time again.
        static REPORTED_UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// Measures one poll.
    pub(crate) struct Watch {
        started: Instant,
        place: Option<Place>,
    }

    impl Watch {
        /// Starts with a poll. It calls `place` now, because the task may have ended when the poll ends.
        pub(crate) fn start(place: impl FnOnce() -> Option<Place>) -> Self {
            Self {
                place: place(),
                started: Instant::now(),
            }
        }

        /// Reports the poll if it was too long.
        pub(crate) fn stop(self) {
            // A named part inside this poll may have reported a part of the time. Only the rest counts here.
            let reported = REPORTED_UNTIL.get().filter(|until| *until > self.started);
            let held = reported.unwrap_or(self.started).elapsed();
            if held > HELD_MAX
                && !nodes::are_recorded()
                && let Some(place) = self.place
            {
                REPORTED_UNTIL.set(Some(Instant::now()));
                report(held, place);
            }
        }
    }

    /// Reports a poll, unless this place was reported before.
    #[cold]
    fn report(held: Duration, place: Place) {
        // A list, not a set: a program has few such places, and this runs at most once a second.
        static REPORTED: Mutex<Vec<Place>> = Mutex::new(Vec::new());
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.contains(&place) {
            return;
        }
        reported.push(place);
        // The lock is released first, because the subscriber of `tracing` is foreign code.
        drop(reported);
        let text = format!(
            "{place} has held the thread for {held:.1?}, and all other tasks have waited: \
             move long work to spawn_blocking, or let others run with yield_now"
        );
        if tracing::dispatcher::has_been_set() {
            tracing::warn!("{text}");
        } else {
            // `eprintln` panics if no process reads stderr.
            let line = format!("waterwheel: {text}\n");
            let _written = io::stderr().write_all(line.as_bytes());
        }
    }
}

/// The empty watch of all other builds.
#[cfg(not(any(debug_assertions, feature = "watch")))]
mod off {
    use super::Place;

    pub(crate) struct Watch;

    impl Watch {
        pub(crate) fn start(_: impl FnOnce() -> Option<Place>) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "the watch that is on needs it")]
        pub(crate) fn stop(self) {}
    }
}

/// The empty place of all other builds.
#[cfg(not(any(debug_assertions, feature = "watch", feature = "inspect")))]
mod unknown_place {
    use std::panic::Location;

    #[derive(Clone, Copy)]
    pub(crate) struct Place;

    impl Place {
        pub(crate) fn here() -> Self {
            Self
        }

        pub(crate) fn named(_: &'static str) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "a known place needs it")]
        pub(crate) fn location(self) -> Option<&'static Location<'static>> {
            None
        }
    }
}
