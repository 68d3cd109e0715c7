//! Failures behind a gateway: of a program, or of another server.

use std::cell::Cell;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http::header::{CONNECTION, CONTENT_LENGTH};
use http::{HeaderMap, HeaderName, StatusCode};
use waterwheel_runtime::time::{Instant, sleep_until};

use crate::error::{Error, InvalidAnswer, Refusal, of_peer};
use crate::headers::white_space::members;

/// A failure behind this server. The client receives the status of `refusal`, and the log has the text.
#[derive(Debug)]
struct GatewayFailure {
    refusal: Refusal,
    text: String,
}

impl fmt::Display for GatewayFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for GatewayFailure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.refusal)
    }
}

/// Returns the error of an answer that is malformed, missing or cut short: 502.
#[cold]
pub(super) fn bad(text: impl Into<String>) -> Error {
    let (refusal, text) = (Refusal::BadGateway, text.into());
    GatewayFailure { refusal, text }.into()
}

/// Returns the error of an answer that is late: 504.
#[cold]
pub(super) fn late(text: impl Into<String>) -> Error {
    let (refusal, text) = (Refusal::GatewayTimeout, text.into());
    GatewayFailure { refusal, text }.into()
}

/// Returns the error of a client that has left while the other side was at work.
#[cold]
pub(super) fn client_has_left() -> Error {
    of_peer(io::ErrorKind::ConnectionReset.into()).into()
}

/// Removes the fields that are about one connection (RFC 9110, 7.6.1).
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let options = headers.get_all(CONNECTION).iter();
    let named: Vec<_> = options
        .flat_map(|value| members(value.as_bytes()))
        .filter_map(|member| HeaderName::from_bytes(member).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    remove_all(headers, |name| {
        matches!(
            name,
            "connection"
                | "keep-alive"
                | "proxy-connection"
                | "te"
                | "trailer"
                | "transfer-encoding"
                | "upgrade"
        )
    });
}

/// Removes the length of an answer whose status has no body (RFC 9110, 15.3.5 and 15.3.6). Some programs and servers
/// announce one.
pub(super) fn remove_needless_length(status: StatusCode, headers: &mut HeaderMap) {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT) {
        headers.remove(CONTENT_LENGTH);
    }
}

/// Returns the error of an answer that cannot be sent as it is: that is a fault of the other side.
pub(super) fn blame(name: &str, error: Error) -> Error {
    match error.downcast_ref::<InvalidAnswer>() {
        Some(fault) => bad(format!("{name}: {fault}")),
        None => error,
    }
}

/// Removes all fields with such a name. Most messages have few of many such names, so a pass over the names that are
/// there costs less than a look for each.
pub(super) fn remove_all(headers: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| is_removed(name.as_str()));
    let names: Vec<HeaderName> = names.cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// The time since the last progress of the program or server behind this one.
pub(super) struct Watch {
    limit: Duration,
    last: Cell<Instant>,
    /// The number of futures that wait for the client.
    on_client: Cell<u32>,
}

impl Watch {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            last: Cell::new(Instant::now()),
            on_client: Cell::new(0),
        }
    }

    pub(super) fn progress(&self) {
        self.last.set(Instant::now());
    }

    /// Runs a future that waits for the client. Its time does not count.
    pub(super) async fn without<T>(&self, future: impl Future<Output = T>) -> T {
        self.on_client.set(self.on_client.get() + 1);
        let _waiting = Waiting(self);
        future.await
    }

    /// Completes when the other side has made no progress for too long.
    pub(super) async fn expired(&self) {
        loop {
            if self.on_client.get() > 0 {
                self.progress();
            }
            let due = self.last.get() + self.limit;
            if Instant::now() >= due {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// One wait for the client. A guard, because the wait may be dropped.
struct Waiting<'w>(&'w Watch);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.on_client.set(self.0.on_client.get() - 1);
        self.0.progress();
    }
}
