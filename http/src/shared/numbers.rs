//! The counters of a server, and a reading of them.
//!
//! # How it works
//!
//! Each server has one set of plain cells, to which its connections add. It needs no atomics and no locks. A
//! reading ([`Numbers`]) is a copy. Durations are measured only on request
//! ([`Builder::measure_durations`](crate::Builder::measure_durations)), because they cost two readings of
//! the clock for each request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::error::Refusal;

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub(crate) fn add(&self, more: usize) {
        // A cell, because all connections of a server are on one thread.
        self.0.set(self.0.get() + more as u64);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The counters of one server.
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
    /// Connections that have changed their protocol.
    pub(crate) upgrades: Count,
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
            // The histograms take half a kilobyte, so a server without measurements has none.
            durations: measures_durations.then(Box::default),
            ..Self::default()
        }
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        // A map, because only a few of the reasons occur on one server.
        *self.refused.borrow_mut().entry(refusal).or_default() += 1;
    }

    pub(crate) fn measures_durations(&self) -> bool {
        self.durations.is_some()
    }

    /// Notes that a handler has ended. Calls `measure` only if durations are measured.
    pub(crate) fn handled(&self, measure: impl FnOnce() -> Option<Duration>) {
        // The closure reads the clock, which a request without measurements must not pay for.
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

    /// Returns a reading, without the numbers of open connections: the caller knows these.
    pub(crate) fn read(&self) -> Numbers {
        let refused = self.refused.borrow();
        let mut refused: Vec<_> = refused
            .iter()
            .map(|(what, times)| (*what, *times))
            .collect();
        // A map has no order, and a page that changes its order is hard to compare.
        refused.sort_by_key(|(refusal, _)| refusal.reason());
        let durations = self.durations.as_deref();
        Numbers {
            open: 0,
            idle: 0,
            in_flight: 0,
            lingering: 0,
            upgraded: 0,
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

/// The counters of a server since it was made. See [`Server::numbers`](crate::Server::numbers).
///
/// # Examples
///
/// ```
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Numbers, Refusal, Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let server = Server::builder().without_listener();
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// block_on(async {
///     let mut client = TestClient::of(&server, hello);
///     client.get("/").await;
///     client.send("GET / HTTP/1.1\r\n\r\n").await; // no Host
///     client.answer().await;
///     let numbers: Numbers = server.numbers();
///     assert_eq!((numbers.accepted, numbers.requests), (1, 1));
///     assert_eq!(numbers.refused, [(Refusal::HostMissing, 1)]);
///     assert_eq!(numbers.timed_out().count(), 0);
/// });
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Numbers {
    /// Open connections.
    pub open: usize,
    /// Open connections between two requests.
    pub idle: usize,
    /// Open connections with a request under way.
    pub in_flight: usize,
    /// Open connections after their last answer. The server waits for the client to close.
    pub lingering: usize,
    /// Open connections that have changed their protocol ([`Upgraded`](crate::Upgraded)).
    pub upgraded: usize,
    /// Open connections with a handshake under way ([`Builder::transport`](crate::Builder::transport)).
    pub handshakes: usize,
    /// Accepted connections, and those made by [`Server::connection`](crate::Server::connection).
    pub accepted: u64,
    /// Failed calls of `accept`.
    pub accept_errors: u64,
    /// Connections closed without service: too many of their peer, no room, or the end of the server.
    pub turned_away: u64,
    /// Idle or lingering connections that were closed to make room.
    pub reclaimed: u64,
    /// Requests with a whole and valid head.
    pub requests: u64,
    /// Bytes read from clients.
    pub bytes_read: u64,
    /// Bytes written to clients.
    pub bytes_written: u64,
    /// Handlers that failed, panicked, or returned without an answer.
    pub handler_failures: u64,
    /// Connections closed because no byte arrived for too long.
    pub idle_timeouts: u64,
    /// Connections closed because the client accepted no byte for too long.
    pub write_timeouts: u64,
    /// Connections cut at the end of the server.
    pub cut: u64,
    /// Handshakes that failed.
    pub handshakes_failed: u64,
    /// Handshakes that exceeded their time.
    pub handshakes_timed_out: u64,
    /// Handshakes that gave way to newer ones at the limit.
    pub handshakes_displaced: u64,
    /// Requests that the server answered itself, by reason.
    pub refused: Vec<(Refusal, u64)>,
    /// The time from the start of a request to the end of its handler, if durations are measured.
    pub handler_time: Option<Histogram>,
    /// The time from the event of a request to its begin, if durations are measured.
    pub queue_time: Option<Histogram>,
}

impl Numbers {
    /// Returns how many requests were refused with 408 or 503 because they took too long, by reason.
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

/// The number of buckets. Bucket n counts durations below 2ⁿ microseconds that are in no earlier bucket.
/// They reach half a minute. The last bucket counts all longer durations.
const BUCKETS: usize = 26;

#[derive(Default)]
struct Buckets {
    counts: [Cell<u64>; BUCKETS],
    sum: Cell<Duration>,
}

impl Buckets {
    fn add(&self, duration: Duration) {
        let microseconds = duration.as_micros();
        // The number of significant bits is the index of the bucket: no search and no table.
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

/// The distribution of durations.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::{Histogram, Request, Server, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let server = Server::builder().measure_durations(true).without_listener();
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// block_on(async { TestClient::of(&server, hello).get("/").await });
///
/// let handlers: Histogram = server.numbers().handler_time.unwrap();
/// assert_eq!(handlers.count(), 1);
/// println!("mean {:?}", handlers.sum() / handlers.count() as u32);
/// println!("p99 below {:?}", handlers.quantile(0.99));
/// for (bound, below) in handlers.cumulative() {
///     println!("{below} below {bound:?}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    /// Returns the number of measured durations.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Returns the sum of all durations.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Returns upper bounds, and how many durations are below each. The shortest bound comes first. The last
    /// bucket has no bound and is left out.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        let mut below = 0;
        let counts = self.counts[..BUCKETS - 1].iter().enumerate();
        // Prometheus expects sums from the lowest bucket on.
        counts.map(move |(bits, count)| {
            below += count;
            (Duration::from_micros(1 << bits), below)
        })
    }

    /// Returns a bound below which this share of the durations is: 0.99 for the p99. It is a power of two of
    /// microseconds. Returns zero if no duration was measured.
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
        // The last bucket has no bound, so a share that reaches into it has none either.
        let found = self.cumulative().find(|(_, below)| reaches(*below));
        found.map_or(Duration::MAX, |(duration, _)| duration)
    }
}

#[cfg(feature = "prometheus")]
mod prometheus {
    use super::{Histogram, Numbers, fmt};

    impl Numbers {
        /// Returns the page that Prometheus reads (`text/plain; version=0.0.4; charset=utf-8`).
        ///
        /// # Examples
        ///
        /// ```
        /// use std::rc::Rc;
        /// use waterwheel::http::testing::TestClient;
        /// use waterwheel::http::{Request, Server, StatusCode};
        /// use waterwheel::runtime::block_on;
        ///
        /// let server = Rc::new(Server::builder().without_listener());
        /// let numbers = server.clone();
        /// let metrics = async move |request: Request<'_>| {
        ///     let fields = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
        ///     request.respond(StatusCode::OK, numbers.numbers().to_prometheus(), fields).await
        /// };
        /// let page = block_on(async { TestClient::of(&server, metrics).get("/metrics").await });
        /// assert!(page.text().contains("# TYPE "));
        /// ```
        #[cfg_attr(docsrs, doc(cfg(feature = "prometheus")))]
        pub fn to_prometheus(&self) -> String {
            let mut page = String::new();
            let _written = write(self, &mut page); // a String accepts all text
            page
        }
    }

    fn write(numbers: &Numbers, page: &mut String) -> fmt::Result {
        let gauges = [
            ("connections_open", numbers.open),
            ("connections_idle", numbers.idle),
            ("requests_in_flight", numbers.in_flight),
            ("connections_lingering", numbers.lingering),
            ("connections_upgraded", numbers.upgraded),
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
