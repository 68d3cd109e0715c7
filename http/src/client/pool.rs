//! Idle connections, by origin.
//!
//! # Invariants
//!
//! - Always: a connection in the pool has been read to the end of an answer, and no byte was behind it.
//! - Always: a connection is looked at before it is used again: an end or a byte that has arrived meanwhile closes it.

use std::any::Any;
use std::collections::HashMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::uri::Authority;
use waterwheel_runtime::spawn;
use waterwheel_runtime::time::{Instant, sleep_until};

use super::ClientShared;
use super::error::{RequestError, RequestErrorKind};
use crate::proto::authority::is_host_and_port;
use crate::shared::reasons;
use crate::transport::io::Io;
use crate::transport::stream::Stream;

/// Scheme, host and port. Hosts compare in any case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    pub(super) is_tls: bool,
    pub(super) authority: Authority,
}

impl Origin {
    /// Returns the origin of an absolute URI.
    pub(crate) fn of(uri: &Uri) -> Result<Self, RequestError> {
        let wrong = |text| RequestError::with(RequestErrorKind::Request, text);
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("its URI has to begin with http:// or https://")),
        };
        let authority = uri.authority();
        let authority = authority.ok_or_else(|| wrong("its URI has no host"))?;
        // They would end in logs and in the Host field (RFC 9110, 4.2.4).
        if authority.as_str().contains('@') {
            return Err(wrong(
                "its URI has credentials; send an Authorization field instead",
            ));
        }
        // The type accepts an empty host, and any text behind the colon. A default instead of a wrong port would reach
        // another server.
        if !is_host_and_port(authority.as_str().as_bytes()) {
            return Err(wrong("its URI has a malformed host or port"));
        }
        Ok(Self {
            is_tls,
            authority: authority.clone(),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        let default = if self.is_tls { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }

    /// Returns true if both are one place for credentials.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_tls == other.is_tls
            && self.port() == other.port()
            && self
                .authority
                .host()
                .eq_ignore_ascii_case(other.authority.host())
    }
}

/// An open connection.
pub(super) struct Link {
    pub(super) io: Box<dyn Io>,
    pub(super) peer: Option<SocketAddr>,
    /// True if it has carried an exchange before this one.
    pub(super) is_reused: bool,
}

struct IdleLink {
    link: Link,
    until: Instant,
}

/// The idle connections of a client.
#[derive(Default)]
pub(super) struct LinkPool {
    idle: HashMap<Origin, Vec<IdleLink>>,
    /// True while a task waits to close connections whose time is over.
    is_watched: bool,
}

impl LinkPool {
    /// Takes out the connection that was used last.
    fn take(&mut self, origin: &Origin) -> Option<IdleLink> {
        self.idle.get_mut(origin)?.pop()
    }

    /// Removes the connections whose time is over, and returns them with the next such time.
    fn expired(&mut self, now: Instant) -> (Vec<IdleLink>, Option<Instant>) {
        let mut expired = Vec::new();
        for links in self.idle.values_mut() {
            expired.extend(links.extract_if(.., |link| link.until <= now));
        }
        // A client of many hosts must not keep an entry for each of them.
        self.idle.retain(|_, links| !links.is_empty());
        let next = self.idle.values().flatten().map(|link| link.until).min();
        (expired, next)
    }

    /// Returns the number of idle connections.
    pub(super) fn len(&self) -> usize {
        self.idle.values().map(Vec::len).sum()
    }

    /// Removes all of them.
    pub(super) fn clear(&mut self) -> impl Sized + use<> {
        std::mem::take(&mut self.idle)
    }
}

/// Returns an idle connection that still is open.
pub(super) async fn checkout(shared: &ClientShared, origin: &Origin) -> Option<Link> {
    loop {
        // The newest first: the older ones can end, and the newest is the least likely to be closed by the server.
        let IdleLink { mut link, until } = shared.pool.borrow_mut().take(origin)?;
        if until > Instant::of_turn() && poll_fn(|cx| Poll::Ready(is_alive(&*link.io, cx))).await {
            link.is_reused = true;
            return Some(link);
        }
    }
}

/// Returns true if the server has sent neither bytes nor the end.
fn is_alive(io: &dyn Io, cx: &mut Context<'_>) -> bool {
    let any: &dyn Any = io;
    if let Some(stream) = any.downcast_ref::<Stream>() {
        // The kernel is asked, because the runtime may not have seen the last event.
        let peeked = stream.try_peek(&mut [0]);
        return peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    }
    // TLS may have records that are no content, such as session tickets.
    io.poll_read(cx, &mut [0]).is_pending()
}

/// Puts a connection into the pool. `announced` is how many seconds the server keeps an idle connection, if it says so.
/// Closes the connection if no task would watch it later: `may_spawn` is false in a drop, which may happen outside a
/// runtime.
pub(super) fn put_back(
    shared: &Rc<ClientShared>,
    origin: &Origin,
    link: Link,
    announced: Option<u64>,
    may_spawn: bool,
) {
    let own = shared.options.idle_timeout;
    // A second before the server, because its close must not meet our next request.
    let announced = announced.map(|seconds| Duration::from_secs(seconds.saturating_sub(1)));
    let limit = announced.map_or(own, |announced| announced.min(own));
    let is_off = limit.is_zero() || shared.options.idle_per_host_max == 0;
    if is_off || !(may_spawn || shared.pool.borrow().is_watched) {
        return;
    }
    let until = Instant::of_turn() + limit;
    let mut pool = shared.pool.borrow_mut();
    let links = pool.idle.entry(origin.clone()).or_default();
    // The oldest makes room, because the server closes it first.
    let oldest = (links.len() >= shared.options.idle_per_host_max).then(|| links.remove(0));
    links.push(IdleLink { link, until });
    let is_watched = std::mem::replace(&mut pool.is_watched, true);
    // Dropped without a borrow, because a transport of the application may call the client.
    drop(pool);
    drop(oldest);
    if !is_watched {
        let watch = watch(Rc::downgrade(shared), until);
        spawn(reasons::named("idle connections", watch)).detach();
    }
}

/// Closes connections whose time is over, so that they do not stay open until the next request.
async fn watch(shared: Weak<ClientShared>, first: Instant) {
    let mut next = first;
    loop {
        sleep_until(next).await;
        // The task must not keep the client alive.
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let (expired, later) = shared.pool.borrow_mut().expired(Instant::now());
        drop(expired);
        // A later connection starts a new task.
        let Some(later) = later else {
            shared.pool.borrow_mut().is_watched = false;
            return;
        };
        next = later;
    }
}
