//! What a server counts, and how it is read.
//!
//! # How it works
//!
//! Each server has one set of plain cells, which its connections add to; no atomics, no locks. A
//! reading ([`Numbers`]) is a copy. Durations are measured only if asked for
//! ([`Builder::measure_durations`](crate::Builder::measure_durations)): they cost two readings of the
//! clock a request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::error::Refusal;

/// One number that only grows.
#[derive(Default)]
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        self.0.set(self.0.get() + more as u64);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What the connections of a server add to.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) accepted: Count,
    pub(crate) accept_errors: Count,
    pub(crate) turned_away: Count,
    pub(crate) reclaimed: Count,
    pub(crate) requests: Count,
    pub(crate) bytes_read: Count,
    pub(crate) bytes_written: Count,
    pub(crate) handler_failures: Count,
    pub(crate) idle_timeouts: Count,
    pub(crate) write_timeouts: Count,
    pub(crate) cut: Count,
    pub(crate) handshakes_failed: Count,
    pub(crate) handshakes_timed_out: Count,
    pub(crate) handshakes_displaced: Count,
    /// Connections without a request that were closed because the server ends.
    pub(crate) dismissed: Count,
    refused: RefCell<HashMap<Refusal, u64>>,
    durations: Option<Box<Durations>>,
}

#[derive(Default)]
struct Durations {
    handler: Buckets,
    queue: Buckets,
}

impl Counters {
    pub(crate) fn new(measures_durations: bool) -> Self {
        Self {
            durations: measures_durations.then(Box::default),
            ..Self::default()
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        *self.refused.borrow_mut().entry(refusal).or_default() += 1;
    }

    pub(crate) fn measures_durations(&self) -> bool {
        self.durations.is_some()
    }

    /// A handler has ended, after `measure()`, which is asked only if durations are measured.
    pub(crate) fn handled(&self, measure: impl FnOnce() -> Option<Duration>) {
        if let Some(durations) = &self.durations
            && let Some(duration) = measure()
        {
            durations.handler.add(duration);
        }
    }

    pub(crate) fn queued(&self, duration: Duration) {
        if let Some(durations) = &self.durations {
            durations.queue.add(duration);
        }
    }

    /// The reading, without what the register knows.
    pub(crate) fn read(&self) -> Numbers {
        let refused = self.refused.borrow();
        let mut refused: Vec<_> = refused
            .iter()
            .map(|(what, times)| (*what, *times))
            .collect();
        refused.sort_by_key(|(refusal, _)| refusal.reason());
        let durations = self.durations.as_deref();
        Numbers {
            open: 0,
            idle: 0,
            in_flight: 0,
            lingering: 0,
            handshakes: 0,
            accepted: self.accepted.get(),
            accept_errors: self.accept_errors.get(),
            turned_away: self.turned_away.get(),
            reclaimed: self.reclaimed.get(),
            requests: self.requests.get(),
            bytes_read: self.bytes_read.get(),
            bytes_written: self.bytes_written.get(),
            handler_failures: self.handler_failures.get(),
            idle_timeouts: self.idle_timeouts.get(),
            write_timeouts: self.write_timeouts.get(),
            cut: self.cut.get(),
            handshakes_failed: self.handshakes_failed.get(),
            handshakes_timed_out: self.handshakes_timed_out.get(),
            handshakes_displaced: self.handshakes_displaced.get(),
            refused,
            handler_time: durations.map(|durations| durations.handler.read()),
            queue_time: durations.map(|durations| durations.queue.read()),
        }
    }
}

/// What a server has counted since it was made. See [`Server::numbers`](crate::Server::numbers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Numbers {
    /// Connections that are open.
    pub open: usize,
    /// Of these, answered and without a further request.
    pub idle: usize,
    /// Of these, with a request under way.
    pub in_flight: usize,
    /// Of these, answered for the last time: the server waits for the client to end.
    pub lingering: usize,
    /// Of these, with a handshake under way ([`Builder::transport`](crate::Builder::transport)).
    pub handshakes: usize,
    /// Connections accepted, and those given to [`Server::connection`](crate::Server::connection).
    pub accepted: u64,
    /// Failed calls of `accept`.
    pub accept_errors: u64,
    /// Connections closed without being served: too many of their peer, no room, or the server is ending.
    pub turned_away: u64,
    /// Connections closed to make room: idle ones, and ones that lingered.
    pub reclaimed: u64,
    /// Requests whose heads came whole and were good.
    pub requests: u64,
    /// Bytes read from clients.
    pub bytes_read: u64,
    /// Bytes written to clients.
    pub bytes_written: u64,
    /// Handlers that failed or panicked, or gave no answer.
    pub handler_failures: u64,
    /// Connections closed because nothing came for too long.
    pub idle_timeouts: u64,
    /// Connections closed because the client took nothing for too long.
    pub write_timeouts: u64,
    /// Connections cut at the end of the server.
    pub cut: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Handshakes that took longer than they may.
    pub handshakes_timed_out: u64,
    /// Handshakes that gave way to newer ones, because as many were under way as may be.
    pub handshakes_displaced: u64,
    /// Requests answered by the server itself, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// From a request's beginning to its handler's end, if durations are measured.
    pub handler_time: Option<Histogram>,
    /// From the event that brought a request to its beginning, if durations are measured.
    pub queue_time: Option<Histogram>,
}

impl Numbers {
    /// How many requests were refused because something took too long: the 408 and 503 ones, by
    /// reason.
    pub fn timed_out(&self) -> impl Iterator<Item = (Refusal, u64)> {
        let slow = [
            Refusal::HeadTooSlow,
            Refusal::BodyTooSlow,
            Refusal::HandlerTooSlow,
        ];
        let refused = self.refused.iter().copied();
        refused.filter(move |(refusal, _)| slow.contains(refusal))
    }
}

/// Bucket n counts durations below 2ⁿ microseconds that are in no earlier one: up to half a minute,
/// and all that is longer in the last.
const BUCKETS: usize = 26;

#[derive(Default)]
struct Buckets {
    counts: [Cell<u64>; BUCKETS],
    sum: Cell<Duration>,
}

impl Buckets {
    fn add(&self, duration: Duration) {
        let microseconds = duration.as_micros();
        let bits = (u128::BITS - microseconds.leading_zeros()) as usize;
        let bucket = &self.counts[bits.min(BUCKETS - 1)];
        bucket.set(bucket.get() + 1);
        self.sum.set(self.sum.get() + duration);
    }

    fn read(&self) -> Histogram {
        Histogram {
            counts: self.counts.iter().map(Cell::get).collect(),
            sum: self.sum.get(),
        }
    }
}

/// How often something took how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    /// How many were measured.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// How many took less than the duration beside them, shortest first; the last bucket, which
    /// has no end, is left out.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut below = 0;
        let counts = self.counts[..BUCKETS - 1].iter().enumerate();
        counts.map(move |(bits, count)| {
            below += count;
            (Duration::from_micros(1 << bits), below)
        })
    }

    /// A duration that this share of all were shorter than: 0.99 for the p99, to the next power
    /// of two of microseconds. Zero if nothing was measured.
    pub fn quantile(&self, share: f64) -> Duration {
        if self.count() == 0 {
            return Duration::ZERO;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 2⁵³ measurements a few more or less do not matter"
        )]
        let wanted = share * self.count() as f64;
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let reaches = |below: u64| below as f64 >= wanted;
        let found = self.cumulative().find(|(_, below)| reaches(*below));
        found.map_or(Duration::MAX, |(duration, _)| duration)
    }
}

#[cfg(feature = "prometheus")]
mod prometheus {
    use super::{Histogram, Numbers, fmt};

    impl Numbers {
        /// The page that Prometheus reads, as text
        /// (`text/plain; version=0.0.4; charset=utf-8`).
        pub fn to_prometheus(&self) -> String {
            let mut page = String::new();
            let _written = write(self, &mut page); // into a String, which takes everything
            page
        }
    }

    fn write(numbers: &Numbers, page: &mut String) -> fmt::Result {
        let gauges = [
            ("connections_open", numbers.open),
            ("connections_idle", numbers.idle),
            ("requests_in_flight", numbers.in_flight),
            ("connections_lingering", numbers.lingering),
            ("handshakes_under_way", numbers.handshakes),
        ];
        for (name, value) in gauges {
            line(page, "gauge", name, value as u64)?;
        }
        let counters = [
            ("connections_accepted_total", numbers.accepted),
            ("accept_errors_total", numbers.accept_errors),
            ("connections_turned_away_total", numbers.turned_away),
            ("connections_reclaimed_total", numbers.reclaimed),
            ("connections_cut_total", numbers.cut),
            ("handshakes_failed_total", numbers.handshakes_failed),
            ("handshakes_timed_out_total", numbers.handshakes_timed_out),
            ("handshakes_displaced_total", numbers.handshakes_displaced),
            ("requests_total", numbers.requests),
            ("read_bytes_total", numbers.bytes_read),
            ("written_bytes_total", numbers.bytes_written),
            ("handler_failures_total", numbers.handler_failures),
            ("idle_timeouts_total", numbers.idle_timeouts),
            ("write_timeouts_total", numbers.write_timeouts),
        ];
        for (name, value) in counters {
            line(page, "counter", name, value)?;
        }
        refused(numbers, page)?;
        histogram(page, "handler_seconds", numbers.handler_time.as_ref())?;
        histogram(page, "queue_seconds", numbers.queue_time.as_ref())
    }

    fn line(page: &mut impl fmt::Write, kind: &str, name: &str, value: u64) -> fmt::Result {
        writeln!(page, "# TYPE waterwheel_{name} {kind}")?;
        writeln!(page, "waterwheel_{name} {value}")
    }

    fn refused(numbers: &Numbers, page: &mut impl fmt::Write) -> fmt::Result {
        writeln!(page, "# TYPE waterwheel_requests_refused_total counter")?;
        for (refusal, times) in &numbers.refused {
            let (status, reason) = (refusal.status().as_u16(), refusal.reason());
            writeln!(
                page,
                "waterwheel_requests_refused_total{{status=\"{status}\",reason=\"{reason}\"}} {times}"
            )?;
        }
        Ok(())
    }

    fn histogram(
        page: &mut impl fmt::Write,
        name: &str,
        histogram: Option<&Histogram>,
    ) -> fmt::Result {
        let Some(histogram) = histogram else {
            return Ok(());
        };
        writeln!(page, "# TYPE waterwheel_{name} histogram")?;
        for (duration, below) in histogram.cumulative() {
            let seconds = duration.as_secs_f64();
            writeln!(page, "waterwheel_{name}_bucket{{le=\"{seconds}\"}} {below}")?;
        }
        let (count, sum) = (histogram.count(), histogram.sum().as_secs_f64());
        writeln!(page, "waterwheel_{name}_bucket{{le=\"+Inf\"}} {count}")?;
        writeln!(page, "waterwheel_{name}_sum {sum}")?;
        writeln!(page, "waterwheel_{name}_count {count}")
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            open,
            idle,
            in_flight,
            requests,
            ..
        } = self;
        write!(
            f,
            "{open} open ({idle} idle, {in_flight} in flight), {requests} requests"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_is_above_it() {
        let buckets = Buckets::default();
        assert_eq!(buckets.read().quantile(0.99), Duration::ZERO);
        for microseconds in [0, 1, 2, 3, 4, 1000, 1023, 1024] {
            buckets.add(Duration::from_micros(microseconds));
        }
        buckets.add(Duration::from_secs(3600));
        let histogram = buckets.read();
        let below = |limit: u64| {
            let limit = Duration::from_micros(limit);
            let found = histogram.cumulative().find(|(bound, _)| *bound == limit);
            found.map(|(_, below)| below)
        };
        assert_eq!(below(1), Some(1));
        assert_eq!(below(2), Some(2));
        assert_eq!(below(4), Some(4));
        assert_eq!(below(1024), Some(7));
        assert_eq!(below(2048), Some(8));
        assert_eq!(histogram.count(), 9);
        assert_eq!(histogram.quantile(0.5), Duration::from_micros(8));
        assert_eq!(histogram.quantile(1.0), Duration::MAX);
    }
}
