//! The gate in front of accept: it is open while the process has descriptors for another connection.
//!
//! # How it works
//!
//! ```text
//!  asked ──► shut? ──yes, and no descriptor freed, and not over yet──► closed
//!              │ no
//!              ▼
//!            measured within 10 ms, and at most half of that headroom granted since?
//!              │ yes                             │ no
//!              │                                 ▼
//!              │                    measure: headroom = limit − open
//!              ▼                                 │
//!            headroom − granted ≥ assumed  ◄─────┘
//! ```
//!
//! A measurement costs 600 ns, about a tenth of an accept. So the gate remembers it for a short time, and for
//! a shorter one if there is less room. The gate never denies without a measurement. The clock of the turn
//! tells the age, because a reading of the other clock would cost more than the rest of the gate.
//!
//! The rest of the process may open descriptors meanwhile. If `accept` itself fails for want of descriptors,
//! the gate is *shut*, and the count does not matter. It stays shut until a descriptor is freed, or for 50
//! ms, then for 100, up to a second, with jitter.
//!
//! # Invariants
//!
//! - Always: a grant has a measurement that was at most 10 ms old when the turn began.
//! - Never: more than one attempt for each back-off while attempts fail.

use std::cell::Cell;
use std::time::Duration;

use waterwheel_runtime::descriptors;
use waterwheel_runtime::time::Instant;

const MEASUREMENT_AGE_MAX: Duration = Duration::from_millis(10);
const BACK_OFF_MIN: Duration = Duration::from_millis(50);
const BACK_OFF_MAX: Duration = Duration::from_secs(1);

/// The number of connections in a row that may be lost in the queue before the gate counts that as a fault.
const LOSSES_MAX: u32 = 16;

pub(crate) struct Gate {
    assumed: usize,
    measured: Cell<Option<Measurement>>,
    shut: Cell<Option<Shut>>,
    back_off: Cell<Duration>,
    losses: Cell<u32>,
}

#[derive(Clone, Copy)]
struct Measurement {
    at: Instant,
    headroom: usize,
    granted: usize,
}

#[derive(Clone, Copy)]
struct Shut {
    until: Instant,
    /// The number of open descriptors. A smaller number later means that one has been freed.
    open: Option<usize>,
}

impl Gate {
    pub(crate) fn new(assumed: usize) -> Self {
        Self {
            assumed,
            measured: Cell::new(None),
            shut: Cell::new(None),
            back_off: Cell::new(BACK_OFF_MIN),
            losses: Cell::new(0),
        }
    }

    /// Returns how many descriptors a connection and its requests are assumed to need.
    pub(crate) fn assumed(&self) -> usize {
        self.assumed
    }

    /// Returns true if a connection may be accepted.
    pub(crate) fn is_open(&self) -> bool {
        let is_in_force = |shut: Shut| {
            // If the number is unknown, no smaller one can be seen, and only the time ends the back-off.
            let before = shut.open.unwrap_or(0);
            let is_freed = || descriptors::open().is_ok_and(|open| open < before);
            // The clock itself: a sleep until the end of the back-off may end within the turn.
            shut.until > Instant::now() && !is_freed()
        };
        if self.shut.get().is_some_and(is_in_force) {
            return false;
        }
        // The back-off is over, or another part of the process has closed a descriptor.
        self.shut.set(None);
        let now = Instant::of_turn();
        self.remembers_room(now) || self.measure(now)
    }

    fn remembers_room(&self, now: Instant) -> bool {
        // Half of the headroom only: the rest of the process opens descriptors between two measurements.
        self.measured.get().is_some_and(|measured| {
            let fresh = now - measured.at <= MEASUREMENT_AGE_MAX
                && measured.granted <= measured.headroom / 2;
            fresh && has_room(measured, self.assumed)
        })
    }

    fn measure(&self, now: Instant) -> bool {
        let headroom = Descriptors::new().headroom();
        let measured = Measurement {
            at: now,
            headroom,
            granted: 0,
        };
        self.measured.set(Some(measured));
        has_room(measured, self.assumed)
    }

    /// Returns the end of the back-off if the gate is shut.
    pub(crate) fn shut_until(&self) -> Option<Instant> {
        self.shut.get().map(|shut| shut.until)
    }

    /// Notes that a connection has been accepted.
    pub(crate) fn granted(&self) {
        // A success ends the row of failures, so the next failure begins with a short back-off.
        self.back_off.set(BACK_OFF_MIN);
        self.losses.set(0);
        // The grant counts against the remembered headroom, because the descriptor is not in that
        // measurement.
        if let Some(measured) = self.measured.get() {
            self.measured.set(Some(Measurement {
                granted: measured.granted + 1,
                ..measured
            }));
        }
    }

    /// Notes that a connection was lost in the queue. One has no effect. Many in a row are a fault of the
    /// system, and a loop without a pause would use the whole thread.
    pub(crate) fn lost(&self) {
        self.losses.set(self.losses.get().saturating_add(1));
        if self.losses.get() > LOSSES_MAX {
            self.shut();
        }
    }

    /// Shuts the gate, because `accept` has failed for want of descriptors.
    pub(crate) fn shut(&self) {
        let back_off = self.back_off.get();
        // Doubled for the next failure: a process without descriptors must not try in a loop.
        self.back_off.set((back_off * 2).min(BACK_OFF_MAX));
        // The measurement was wrong, so the next answer needs a new one.
        self.measured.set(None);
        // 75 to 100 % of it, so that many servers do not retry at the same times. The low bits of a clock are random
        // enough for this, and need no generator.
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let chance = nanos.map_or(0, |since| since.subsec_nanos() >> 4 & 0xff);
        let until = Instant::now() + back_off.mul_f64(1.0 - f64::from(chance) / 1024.0);
        self.shut.set(Some(Shut {
            until,
            open: descriptors::open().ok(),
        }));
    }
}

fn has_room(measured: Measurement, assumed: usize) -> bool {
    measured.headroom.saturating_sub(measured.granted) >= assumed
}

/// The descriptors of this process: how many are open, and how many may be. Each call measures.
///
/// # Examples
///
/// ```
/// use waterwheel::http::Descriptors;
///
/// let descriptors = Descriptors::new();
/// println!(
///     "{} of {} open, {} of them sockets of the runtime",
///     descriptors.open(),
///     descriptors.limit(),
///     descriptors.in_use_by_runtime(),
/// );
/// assert!(descriptors.headroom() < descriptors.limit());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Descriptors(());

impl Descriptors {
    /// Makes a view, without a measurement.
    pub fn new() -> Self {
        Self(())
    }

    /// Returns how many descriptors are open in this process. If the system does not report that, returns the
    /// number that the runtime holds.
    #[doc(alias = "activeDescriptors")]
    pub fn open(self) -> usize {
        descriptors::open().unwrap_or_else(|_| descriptors::held())
    }

    /// Returns how many may be open: the present soft limit.
    #[doc(alias = "maxDescriptors")]
    pub fn limit(self) -> usize {
        descriptors::limit()
    }

    /// Returns how many more may be opened.
    pub fn headroom(self) -> usize {
        self.limit().saturating_sub(self.open())
    }

    /// Returns how many of the open descriptors are sockets of the runtime.
    pub fn in_use_by_runtime(self) -> usize {
        descriptors::held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_if_what_is_open_and_what_is_assumed_fit_under_the_limit() {
        let at = Instant::now();
        for (headroom, granted, assumed, expected) in [
            (5, 0, 5, true),
            (4, 0, 5, false),
            (6, 1, 5, true),
            (6, 2, 5, false),
            (0, 0, 0, true),
            (1, 3, 1, false),
        ] {
            let measured = Measurement {
                at,
                headroom,
                granted,
            };
            assert_eq!(
                has_room(measured, assumed),
                expected,
                "{headroom} {granted} {assumed}"
            );
        }
    }

    #[test]
    fn a_memory_is_used_for_half_of_its_headroom_and_ten_milliseconds() {
        let gate = Gate::new(1);
        let at = Instant::now();
        let remembers = |granted, age: Duration| {
            gate.measured.set(Some(Measurement {
                at,
                headroom: 10,
                granted,
            }));
            gate.remembers_room(at + age)
        };
        assert!(remembers(5, Duration::from_millis(10)));
        assert!(!remembers(6, Duration::from_millis(10)));
        assert!(!remembers(5, Duration::from_millis(11)));
    }

    #[test]
    fn a_back_off_doubles_up_to_a_second_and_a_success_ends_it() {
        let gate = Gate::new(0);
        for milliseconds in [50, 100, 200, 400, 800, 1000, 1000] {
            assert_eq!(gate.back_off.get(), Duration::from_millis(milliseconds));
            gate.shut();
            let left = gate
                .shut_until()
                .map(|until| until - Instant::now())
                .unwrap_or_default();
            assert!(left <= Duration::from_millis(milliseconds));
            assert!(left > Duration::from_millis(milliseconds * 6 / 10));
        }
        gate.granted();
        assert_eq!(gate.back_off.get(), BACK_OFF_MIN);
    }

    #[test]
    fn a_row_of_lost_connections_shuts_it_and_a_few_do_not() {
        let gate = Gate::new(0);
        for _ in 0..LOSSES_MAX {
            gate.lost();
        }
        assert!(gate.is_open());
        gate.lost();
        assert!(gate.shut_until().is_some());
    }
}
