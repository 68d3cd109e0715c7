//! A limit on how often each client may ask.
//!
//! # How it works
//!
//! The generic cell rate algorithm: each key has one time, at which its whole allowance is there again. A request moves
//! that time by the share of one request. It is refused if the time would be further away than the whole allowance.
//!
//! ```text
//!            now                    a request moves it by `per / count`
//!   ──────────┼──────────────●───────●──────────┼──────► time
//!             │◄── used ────►│◄─────►│          │
//!             │◄──────── allowance: burst ─────►│
//! ```
//!
//! So a key needs no count and no timer.
//!
//! # Invariants
//!
//! - Always: at most `keys_max` keys are in memory. The ones that were used longest ago are forgotten.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::mem;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use waterwheel_runtime::time::Instant;

use crate::error::ClientError;
use crate::exchange::handler::Handler;
use crate::exchange::request::Request;

/// The default of [`RateLimit::keys_max`].
const KEYS_MAX: usize = 100_000;

/// The longest `per`: a century. A time beyond it could not be added to the clock.
const PER_MAX: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Limits how often each client may ask. Further requests get 429 with Retry-After, and the connection stays.
///
/// A client is its address, or any key by [`by`](Self::by). Behind a proxy, put
/// [`TrustedProxies`](crate::web::client_address::TrustedProxies) outside, which tells the address of the client. The
/// addresses of IPv6 count by their first 64 bits, because one client has all of these. A connection without an address
/// (a Unix socket, or [`TestClient::new`](crate::testing::TestClient::new)) is not limited.
///
/// Each thread of a server counts for itself.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::testing::TestClient;
/// use waterwheel::http::web::middleware::RateLimit;
/// use waterwheel::http::{Method, Request, StatusCode};
/// use waterwheel::runtime::block_on;
///
/// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
/// let limited = RateLimit::new(2, Duration::from_secs(60))
///     .by(|request| request.headers().get("x-api-key").map(str::to_owned))
///     .around(hello);
/// block_on(async {
///     let mut client = TestClient::new(limited);
///     let key = [("x-api-key", "miller")];
///     let mut ask = async || client.request(&Method::GET, "/", &key, b"").await;
///     assert_eq!(ask().await.status, StatusCode::OK);
///     assert_eq!(ask().await.status, StatusCode::OK);
///     let refused = ask().await;
///     assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
///     assert_eq!(refused.headers["retry-after"], "30");
/// });
/// ```
#[must_use = "`around` makes a handler of it"]
pub struct RateLimit<K = IpAddr> {
    count: u32,
    per: Duration,
    keys_max: usize,
    is_reported: bool,
    key: KeyOf<K>,
}

/// Returns the key of a request.
type KeyOf<K> = Rc<dyn Fn(&Request<'_>) -> Option<K>>;

impl RateLimit {
    /// Allows `count` requests at once, and as many again in each `per`, evenly. More than a century counts as a century,
    /// and a rate above one request in a nanosecond as that.
    ///
    /// # Panics
    ///
    /// If `count` or `per` is 0.
    pub fn new(count: u32, per: Duration) -> Self {
        assert!(count > 0 && !per.is_zero(), "a limit of no request");
        Self {
            count,
            per: per.min(PER_MAX),
            keys_max: KEYS_MAX,
            is_reported: false,
            key: Rc::new(|request| request.client_address().map(network_of)),
        }
    }
}

/// Returns the part of an address that one client has for itself.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let prefix = address.to_bits() & !u128::from(u64::MAX);
            Ipv6Addr::from_bits(prefix).into()
        }
        IpAddr::V4(address) => address.into(),
    }
}

impl<K: Eq + Hash + 'static> RateLimit<K> {
    /// Counts by the key that this function returns. A request without a key is not limited.
    ///
    /// The keys stay in memory. So a key that a client writes should be one that you know, or short.
    pub fn by<L>(self, key: impl Fn(&Request<'_>) -> Option<L> + 'static) -> RateLimit<L> {
        RateLimit {
            count: self.count,
            per: self.per,
            keys_max: self.keys_max,
            is_reported: self.is_reported,
            key: Rc::new(key),
        }
    }

    /// Sets how many keys are in memory. The default is 100,000.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::middleware::RateLimit;
    ///
    /// let limit = RateLimit::new(10, Duration::from_secs(1)).keys_max(1000);
    /// # drop(limit);
    /// ```
    pub fn keys_max(mut self, keys: usize) -> Self {
        self.keys_max = keys;
        self
    }

    /// Adds the fields RateLimit-Policy and `RateLimit` to each answer: the allowance, what is left of it, and the
    /// seconds until it is whole again (draft-ietf-httpapi-ratelimit-headers).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::web::middleware::RateLimit;
    ///
    /// let limit = RateLimit::new(10, Duration::from_secs(1)).report();
    /// # drop(limit);
    /// ```
    pub fn report(mut self) -> Self {
        self.is_reported = true;
        self
    }

    /// Puts the limit around a handler.
    pub fn around(self, handler: impl Handler) -> impl Handler {
        let counts = RefCell::new(Counts::default());
        async move |request: Request<'_>| {
            if let Some(key) = (self.key)(&request) {
                let verdict = counts.borrow_mut().ask(key, &self, Instant::now());
                if self.is_reported {
                    let (count, per) = (self.count, seconds(self.per));
                    request
                        .add_header("ratelimit-policy", format!("\"default\";q={count};w={per}"))?;
                    let (left, reset) = (verdict.left, seconds(verdict.whole_after));
                    request.add_header("ratelimit", format!("\"default\";r={left};t={reset}"))?;
                }
                if let Some(wait) = verdict.wait {
                    request.add_header("retry-after", seconds(wait).to_string())?;
                    let text = "too many requests: see Retry-After";
                    return Err(ClientError::new(StatusCode::TOO_MANY_REQUESTS, text).into());
                }
            }
            handler.call(request).await
        }
    }
}

/// Returns whole seconds, so that a client that waits for them is not too early.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

/// The answer to one request.
struct Verdict {
    /// How long the client must wait. `None` lets the request pass.
    wait: Option<Duration>,
    left: u32,
    whole_after: Duration,
}

/// The time at which each key has its whole allowance again, in two generations.
struct Counts<K> {
    recent: HashMap<K, Instant>,
    /// Keys that have not asked since `recent` was made.
    old: HashMap<K, Instant>,
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self {
            recent: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

impl<K: Eq + Hash> Counts<K> {
    fn ask(&mut self, key: K, limit: &RateLimit<K>, now: Instant) -> Verdict {
        let share = (limit.per / limit.count).max(Duration::from_nanos(1));
        let allowance = share * limit.count;
        let known = self
            .recent
            .get(&key)
            .copied()
            .or_else(|| self.old.remove(&key));
        let whole_at = known.map_or(now, |whole_at| whole_at.max(now));
        let next = whole_at + share;
        let used = next.saturating_duration_since(now);
        let wait = used.checked_sub(allowance).filter(|wait| !wait.is_zero());
        let whole_at = if wait.is_some() { whole_at } else { next };
        if self.recent.len() >= limit.keys_max.div_ceil(2) {
            self.old = mem::take(&mut self.recent);
        }
        self.recent.insert(key, whole_at);
        let whole_after = whole_at.saturating_duration_since(now);
        let left = allowance.saturating_sub(whole_after).as_nanos() / share.as_nanos();
        Verdict {
            wait,
            left: u32::try_from(left).unwrap_or(u32::MAX),
            whole_after,
        }
    }
}

impl<K> Clone for RateLimit<K> {
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            ..*self
        }
    }
}

impl<K> fmt::Debug for RateLimit<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("count", &self.count)
            .field("per", &self.per)
            .field("keys_max", &self.keys_max)
            .finish_non_exhaustive()
    }
}
