//! The servers behind a proxy: whose turn it is, and which of them fail.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use http::Uri;
use waterwheel_runtime::time::Instant;

use crate::client::Client;
use crate::client::lease::{Lease, Origin};
use crate::error::Result;
use crate::web::gateway;

/// How long a server that takes no connection is passed over.
const PASSED_OVER: Duration = Duration::from_secs(10);

/// A server behind the proxy.
pub(super) struct Upstream {
    /// The URL without its path, for the log.
    pub(super) name: String,
    /// The value of Host.
    pub(super) host: String,
    /// The path that stands before each request's own, without a slash at its end.
    pub(super) base: String,
    url: Uri,
    origin: Origin,
    fails_until: Cell<Option<Instant>>,
}

impl Upstream {
    /// Makes a server of a URL.
    ///
    /// # Errors
    ///
    /// The fault of the URL, in words.
    pub(super) fn of(url: &Uri) -> std::result::Result<Self, String> {
        let origin = Origin::of(url).map_err(|fault| fault.to_string())?;
        let host = url.authority().map_or("", |authority| authority.as_str());
        Ok(Self {
            name: format!("{}://{host}", url.scheme_str().unwrap_or("http")),
            host: host.to_owned(),
            base: url.path().trim_end_matches('/').to_owned(),
            url: url.clone(),
            origin,
            fails_until: Cell::new(None),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.origin.port()
    }
}

/// All servers, which take turns.
pub(super) struct Upstreams {
    pub(super) servers: Vec<Rc<Upstream>>,
    next: Cell<usize>,
}

/// A connection that is about to take a request.
pub(super) struct TakenLink {
    pub(super) upstream: Rc<Upstream>,
    pub(super) lease: Lease,
    /// True if it has taken a request before. Then the server may be closing it.
    pub(super) is_reused: bool,
}

impl Upstreams {
    pub(super) fn new(first: Upstream) -> Self {
        Self {
            servers: vec![Rc::new(first)],
            next: Cell::new(0),
        }
    }

    /// Returns a connection to the server whose turn it is. Passes over those that fail, unless all do.
    ///
    /// # Errors
    ///
    /// 502 if no server takes a connection, and 504 if the last one does not answer.
    pub(super) async fn take(&self, client: &Client, wants_new: bool) -> Result<TakenLink> {
        let count = self.servers.len();
        let first = self.next.get();
        self.next.set((first + 1) % count);
        let in_turn = (first..first + count).map(|place| &self.servers[place % count]);
        let mut order: Vec<_> = in_turn.collect();
        // The failing ones are asked last.
        let now = Instant::now();
        let fails =
            |server: &&Rc<Upstream>| server.fails_until.get().is_some_and(|until| now < until);
        order.sort_by_key(fails);
        let mut error = gateway::bad("the proxy has no server");
        for server in order {
            let mut kept = None;
            if !wants_new {
                kept = client.idle(&server.origin).await;
            }
            let is_reused = kept.is_some();
            let connected = match kept {
                Some(lease) => Ok(lease),
                None => client.connect(&server.origin, &server.url).await,
            };
            match connected {
                Ok(lease) => {
                    server.fails_until.set(None);
                    let upstream = server.clone();
                    return Ok(TakenLink {
                        upstream,
                        lease,
                        is_reused,
                    });
                }
                Err(failure) => {
                    server.fails_until.set(Some(Instant::now() + PASSED_OVER));
                    let text = format!("{}: {failure}", server.name);
                    error = if failure.is_timeout() {
                        gateway::late(text)
                    } else {
                        gateway::bad(text)
                    };
                }
            }
        }
        Err(error)
    }
}
