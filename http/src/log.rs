//! All lines that the server logs about its clients, through `tracing`.
//!
//! | level | line |
//! |---|---|
//! | error | a handler or a hook has failed, or a handshake has panicked |
//! | warn | the gate: there is no room, or no connection could be accepted; a certificate that no client accepts now |
//! | info | the start of a server, its shutdown, and the report |
//! | debug | a connection opens or closes, a request is refused, a client leaves or times out, a handshake fails |
//!
//! Each line about a request has the fields `method`, `target`, `peer`, and `request_id` if middleware has added an
//! id. A field without a value is left out. `lines_left_out` counts the lines that a limit has held back before.
//!
//! A program without a subscriber would not see that its handlers fail. So three lines also go to stderr then, each
//! once in a process: the first failure of a handler, the first one of a function for error responses, and the first
//! warning that there is no room for a single connection.
//!
//! # Invariants
//!
//! - Never: a line above debug that a client alone can cause, and never one for each request.
//! - Never: a control character in a line, because an error may quote its client.
//! - Never: a panic of the subscriber, or of the text of an error, in the caller.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "tls-core")]
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
#[cfg(feature = "tls-core")]
use std::time::SystemTime;

use http::{Method, StatusCode};
use waterwheel_runtime::descriptors;

use crate::error::Error;
use crate::error::panics::{drop_contained, panic_text};

/// The field that carries the id of a request.
pub(crate) const REQUEST_ID: &str = "x-request-id";

/// The request that a line is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) method: Option<&'a Method>,
    pub(crate) target: Option<&'a str>,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) id: Option<&'a str>,
}

impl Subject<'_> {
    fn method(&self) -> Option<&str> {
        self.method.map(Method::as_str)
    }
}

/// `GET /mill from 127.0.0.1:4711`, as far as it is known.
impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = self.method().unwrap_or("a request");
        write!(f, "{method}")?;
        if let Some(target) = self.target {
            write!(f, " {target}")?;
        }
        if let Some(peer) = self.peer {
            write!(f, " from {peer}")?;
        }
        Ok(())
    }
}

/// Returns true if a line at the level debug has a reader. Some facts cost an allocation.
#[inline]
pub(crate) fn is_debugging() -> bool {
    tracing::enabled!(tracing::Level::DEBUG)
}

/// A handler has failed, panicked, or exceeded its time.
#[cold]
pub(crate) fn handler_failed(subject: Subject<'_>, error: &Error, left_out: u64) {
    static SAID: AtomicBool = AtomicBool::new(false);
    contained(|| {
        tracing::error!(
            method = subject.method(),
            target = subject.target,
            peer = subject.peer.map(display),
            request_id = subject.id,
            error = display(OneLine(error)),
            lines_left_out = some(left_out),
            "a handler failed",
        );
    });
    // Only the first: stderr has no limit on its rate, and a second line adds little.
    say_once(&SAID, || format!("{subject} failed: {}", OneLine(error)));
}

/// The function of a WebSocket has failed.
#[cfg(feature = "websocket")]
#[cold]
pub(crate) fn websocket_failed(error: &Error, left_out: u64) {
    static SAID: AtomicBool = AtomicBool::new(false);
    contained(|| {
        tracing::error!(
            error = display(OneLine(error)),
            lines_left_out = some(left_out),
            "a websocket failed",
        );
    });
    // The client sees only a code, so without a subscriber this line is the only trace.
    say_once(&SAID, || format!("a websocket failed: {}", OneLine(error)));
}

/// A WebSocket has ended early, because of its client or the network.
#[cfg(feature = "websocket")]
pub(crate) fn websocket_lost(error: &Error) {
    contained(|| {
        tracing::debug!(
            error = display(OneLine(error)),
            "a client left its websocket"
        );
    });
}

pub(crate) fn error_hook_failed(error: &Error, left_out: u64) {
    static SAID: AtomicBool = AtomicBool::new(false);
    contained(|| {
        tracing::error!(
            error = display(OneLine(error)),
            lines_left_out = some(left_out),
            "the function for error responses failed",
        );
    });
    say_once(&SAID, || {
        format!(
            "the function for error responses failed: {}",
            OneLine(error)
        )
    });
}

pub(crate) fn handshake_failed(peer: Option<SocketAddr>, error: &io::Error) {
    contained(|| {
        tracing::debug!(
            peer = peer.map(display),
            error = display(OneLine(&format_args!("{error}"))),
            "a handshake failed"
        );
    });
}

pub(crate) fn handshake_panicked(text: &str, left_out: u64) {
    contained(|| {
        tracing::error!(
            text,
            lines_left_out = some(left_out),
            "a handshake panicked"
        );
    });
}

/// The server has answered a request itself, or for a handler that has found a fault of the client.
#[cold]
pub(crate) fn refused(subject: Subject<'_>, status: StatusCode, reason: &str) {
    contained(|| {
        tracing::debug!(
            method = subject.method(),
            target = subject.target,
            peer = subject.peer.map(display),
            request_id = subject.id,
            status = status.as_u16(),
            reason,
            "a request was refused",
        );
    });
}

/// A client has left before its answer was sent.
pub(crate) fn client_left(subject: Subject<'_>, error: &Error) {
    contained(|| {
        tracing::debug!(
            method = subject.method(),
            target = subject.target,
            peer = subject.peer.map(display),
            request_id = subject.id,
            error = display(OneLine(error)),
            "a client left before its answer",
        );
    });
}

#[cold]
pub(crate) fn connection_opened(peer: Option<SocketAddr>) {
    contained(|| {
        tracing::debug!(peer = peer.map(display), "a connection opened");
    });
}

#[cold]
pub(crate) fn connection_closed(peer: Option<SocketAddr>, requests: u32) {
    contained(|| {
        tracing::debug!(peer = peer.map(display), requests, "a connection closed");
    });
}

/// The time of a client is over: `waited_for` is the missing act.
#[cold]
pub(crate) fn timed_out(peer: Option<SocketAddr>, waited_for: &str) {
    contained(|| {
        tracing::debug!(peer = peer.map(display), waited_for, "a client timed out");
    });
}

/// A client was closed at once, because there was no room to tell it why.
pub(crate) fn turned_away(peer: SocketAddr) {
    contained(|| {
        tracing::debug!(
            peer = display(peer),
            reason = "too many connections from this address",
            "a connection was closed without an answer",
        );
    });
}

pub(crate) fn accept_failed(error: &dyn fmt::Display, left_out: u64) {
    contained(|| {
        tracing::warn!(
            error = display(error),
            lines_left_out = some(left_out),
            "could not accept a connection",
        );
    });
}

/// The server has as many connections as its limits allow, and clients wait.
pub(crate) fn no_place(connections: usize, closed: usize) {
    contained(|| {
        tracing::warn!(
            connections,
            closed_idle = some(closed as u64),
            "the limit on connections is reached, and clients wait",
        );
    });
}

/// The process has no descriptors left for another connection, and clients wait.
pub(crate) fn no_descriptors(connections: usize, closed: usize) {
    contained(|| {
        tracing::warn!(
            limit = descriptors::limit(),
            open = descriptors::open().ok(),
            holders = display(descriptors::holders()),
            connections,
            closed_idle = some(closed as u64),
            "out of file descriptors, and clients wait",
        );
    });
}

/// The process has no descriptors for a first connection.
pub(crate) fn no_room_for_one(assumed: usize) {
    static SAID: AtomicBool = AtomicBool::new(false);
    let (limit, open) = (descriptors::limit(), descriptors::open().ok());
    contained(|| {
        tracing::warn!(
            limit,
            open,
            holders = display(descriptors::holders()),
            assumed_per_connection = assumed,
            "out of file descriptors: there is no room for a single connection; raise the limit (ulimit -n)",
        );
    });
    say_once(&SAID, || {
        let open = open.map_or_else(String::new, |open| format!("{open} are open, "));
        format!(
            "out of file descriptors: there is no room for a single connection; {open}a connection may need \
             {assumed}, and the limit is {limit}; raise the limit (ulimit -n 1024)"
        )
    });
}

/// A certificate is loaded at a time that is not within its own. `bound` is the end that has passed, or the begin that
/// is to come.
#[cfg(feature = "tls-core")]
pub(crate) fn certificate_out_of_time(
    file: Option<&Path>,
    names: &[String],
    bound: SystemTime,
    is_over: bool,
) {
    let (names, bound) = (names.join(" "), httpdate::fmt_http_date(bound));
    contained(|| {
        let file = file.map(|file| tracing::field::display(file.display()));
        if is_over {
            tracing::warn!(file, names, not_after = bound, "a certificate has expired");
        } else {
            // Many small machines start with a clock of 1970.
            tracing::warn!(
                file,
                names,
                not_before = bound,
                "a certificate is not valid yet; is the clock right?"
            );
        }
    });
}

pub(crate) fn listening(address: &dyn fmt::Display) {
    contained(|| {
        tracing::info!(address = display(address), "listening");
    });
}

pub(crate) fn closed() {
    contained(|| {
        tracing::info!("stopped listening");
    });
}

pub(crate) fn shutting_down(grace: Duration, connections: usize) {
    contained(|| {
        tracing::info!(
            grace_seconds = grace.as_secs_f64(),
            connections,
            "shutting down"
        );
    });
}

#[cfg(feature = "systemd")]
pub(crate) fn systemd_failed(error: &io::Error) {
    contained(|| tracing::warn!(%error, "a message to systemd failed"));
}

pub(crate) fn shut_down(report: &dyn fmt::Display) {
    contained(|| {
        tracing::info!("shut down: {report}");
    });
}

/// Calls the subscriber. One that panics, because its writer is gone, must not end a request or a server.
#[cold]
fn contained(line: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(line))
        && let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        mem::forget(payload); // its destructor may panic, too
    }
}

/// Writes a line to stderr, once in a process, if no subscriber of `tracing` has ever been set.
fn say_once(said: &AtomicBool, text: impl FnOnce() -> String) {
    // A subscriber for one thread only counts too: that program knows how to see lines.
    if !tracing::dispatcher::has_been_set() && !said.swap(true, Ordering::Relaxed) {
        let line = format!(
            "waterwheel: {} (shown once; a `tracing` subscriber shows all)\n",
            text()
        );
        // `eprintln` panics if no process reads stderr, and the panic would change the answer.
        let _written = io::stderr().write_all(line.as_bytes());
    }
}

/// An error and its causes in one line, with control characters as escapes.
struct OneLine<'a>(&'a dyn fmt::Debug);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The error is of the user's making, and may panic when it is written.
        let text = catch_unwind(AssertUnwindSafe(|| format!("{:?}", self.0)));
        let text = text.unwrap_or_else(|payload| {
            let text = format!("the text of the error panicked: {}", panic_text(&*payload));
            drop_contained(payload);
            text
        });
        text.chars().try_for_each(|c| {
            if c.is_control() {
                write!(f, "{}", c.escape_default())
            } else {
                f.write_char(c)
            }
        })
    }
}

/// A field that is `None` is left out of its line.
fn some(count: u64) -> Option<u64> {
    // A reader of `lines_left_out=0` would ask what was left out.
    (count > 0).then_some(count)
}
