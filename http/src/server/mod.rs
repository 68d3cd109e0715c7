//! A server: its listeners, the gate in front of them, and the state that its connections share.
//!
//! # How it works
//!
//! ```text
//!  should_accept_request ──yes──► accept ──► Connection ──► serve (a task of its own)
//!         │ no
//!         ▼
//!     capacity: does a client wait? ──► ask idle connections to leave ──► wait for a close,
//!                                       the end of a back-off, or another check in 100 ms
//! ```
//!
//! - `server/accept.rs`: from the queue of a listener to a connection
//! - `server/room.rs`: the steps if there is no room
//! - `server/shutdown.rs`: the end
//!
//! # Invariants
//!
//! - Always: a loop asks the gate before it accepts, unless the user decides not to.
//! - Never: a connection is closed for room while no client waits for it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;

use waterwheel_runtime::time::Instant;
use waterwheel_runtime::{race, spawn_detached};

use crate::exchange::handler::{Handler, shared};
use crate::log;
use crate::server::gate::{Descriptors, Gate};
use crate::shared::ServerState;
use crate::shared::handshakes::TransportHook;
use crate::shared::numbers::Numbers;
use crate::shared::peers::{OnPeerLimit, Peers};
use crate::shared::rate::Rate;
use crate::shared::reasons;
use crate::shared::refused::Refused;
use crate::shared::settings::Settings;
use crate::shared::stop::{Report, Stopper, Stopping, Wanted};
use crate::transport::listener::{Listener, Listeners};

mod accept;
pub(crate) mod builder;
pub(crate) mod gate;
mod room;
mod shutdown;
#[cfg(feature = "systemd")]
pub(crate) mod systemd;
pub(crate) mod threads;

/// An HTTP/1.1 server.
///
/// Accept in a loop of your own:
///
/// ```no_run
/// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
///
/// async fn hello(request: Request<'_>) -> Result<Responded> {
///     request.respond(StatusCode::OK, "Hello World", [("content-type", "text/plain")]).await
/// }
///
/// # async fn example() -> std::io::Result<()> {
/// let server = Server::bind("127.0.0.1:8080")?;
/// loop {
///     if server.should_accept_request() {
///         match server.accept_request(hello).await {
///             Err(error) if error.is_fatal() => return Err(error.into()),
///             _ => {}
///         }
///     } else {
///         server.capacity().await;
///     }
/// }
/// # }
/// ```
///
/// or call [`serve`](Self::serve), which is that loop.
///
/// # Its end
///
/// | end | the listeners | requests under way |
/// |---|---|---|
/// | dropped | closed | continue |
/// | [`close`](Self::close) | closed | continue |
/// | [`shutdown`](Self::shutdown) | closed when their queues are empty | finished, and cut when the time is over |
/// | [`serve_until`](Self::serve_until) | as `shutdown`, after Ctrl-C or SIGTERM | as `shutdown` |
/// | [`shutdown_on`](Self::shutdown_on), beside a loop of yours | as `shutdown`, after Ctrl-C or SIGTERM | as `shutdown` |
/// | [`Stopper`] | as `shutdown`, from any thread | as `shutdown` |
///
/// The loop above does not end by itself, and Ctrl-C kills the process. [`shutdown_on`](Self::shutdown_on) has a
/// loop that ends well.
#[doc(alias = "AsyncHttpServer")]
pub struct Server {
    listeners: Listeners,
    local_address: SocketAddr,
    shared: Rc<ServerState>,
    gate: Gate,
    stopping: Stopping,
    report: Cell<Option<Report>>,
    /// The number of tasks that wait in `accept` or `capacity`.
    acceptors: Cell<usize>,
    /// The number of shutdowns under way.
    endings: Cell<usize>,
    peers: Rc<Peers>,
    on_peer_limit: OnPeerLimit,
    /// The number of clients that are being told that their address has too many connections.
    told: Rc<Cell<usize>>,
    transport: Option<TransportHook>,
    /// A descriptor that is freed to turn a client away.
    reserve: Option<RefCell<Option<File>>>,
    warned: Cell<Option<Instant>>,
}

impl Server {
    pub(crate) fn new(settings: &Settings, listeners: Vec<Listener>) -> io::Result<Self> {
        let local_address = listeners.iter().find_map(Listener::local_address);
        listeners
            .iter()
            .for_each(|listener| log::listening(&listener.place()));
        // Opened now, because it is needed when no descriptor is left.
        let reserve = settings.turns_away.then(room::open_reserve).transpose()?;
        Ok(Self {
            local_address: local_address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
            listeners: Listeners::new(listeners),
            shared: Rc::new(ServerState::new(settings)),
            gate: Gate::new(settings.assumed_descriptors),
            stopping: Stopping::default(),
            report: Cell::new(None),
            acceptors: Cell::new(0),
            endings: Cell::new(0),
            peers: Rc::default(),
            on_peer_limit: settings.on_peer_limit,
            told: Rc::default(),
            transport: settings.hook(),
            reserve: reserve.map(|reserve| RefCell::new(Some(reserve))),
            warned: Cell::new(None),
        })
    }

    /// Returns the address on which the server listens, with the real port if port 0 was requested. Returns
    /// the first of several addresses, and `0.0.0.0:0` if the server listens only on Unix sockets.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// println!("listening on http://{}", server.local_address());
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "getPort")]
    #[doc(alias = "server_addr")]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Returns true if there is room for another connection: the open descriptors and those assumed for a
    /// request are within the soft limit of the process, and the limit on connections allows one more.
    ///
    /// The measurement is at most 10 ms older than this turn. Also returns false for a while after `accept`
    /// has failed for want of descriptors or memory. Returns true if the server is closed, because
    /// [`accept`](Self::accept) then returns the error.
    #[doc(alias = "shouldAcceptRequest")]
    pub fn should_accept_request(&self) -> bool {
        // A closed server has no queue, so the gate does not matter: `accept` returns the error.
        self.is_closed() || (self.has_place() && self.gate.is_open())
    }

    /// Returns a view of the open descriptors of this process, and of their limit.
    pub fn descriptors(&self) -> Descriptors {
        Descriptors::new()
    }

    /// Returns the number of open connections.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// Returns the present counters.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// let numbers = server.numbers();
    /// assert_eq!((server.connections(), numbers.accepted, numbers.requests), (0, 0, 0));
    /// println!("{numbers}, {} descriptors left", server.descriptors().headroom());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn numbers(&self) -> Numbers {
        let census = self.shared.connections.census();
        // A census walks the table, but only at a reading, so requests do not count themselves.
        Numbers {
            open: self.connections(),
            idle: census.idle,
            in_flight: census.busy,
            lingering: census.lingering,
            upgraded: census.upgraded,
            handshakes: self.shared.handshakes.len(),
            ..self.shared.counters.read()
        }
    }

    /// Accepts and serves connections until the server ends. [`close`](Self::close) and
    /// [`shutdown`](Self::shutdown) end it, and this waits for the end of the shutdown. A [`Stopper`] makes
    /// this call `shutdown`.
    ///
    /// This is the loop in the documentation of this type, and it logs errors through `tracing`.
    ///
    /// # Errors
    ///
    /// If a listener fails.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: accepted connections continue.
    pub async fn serve(&self, handler: impl Handler) -> io::Result<()> {
        let mut stopped = pin!(async {
            reasons::named("until the stop", self.stopping.wanted(Wanted::Stop)).await;
            self.shutdown_in_order().await;
            Ok(())
        });
        // Both run at once, because a shutdown first waits until the loop has emptied the queue.
        race(self.accept_and_serve(handler), stopped.as_mut()).await?;
        // The loop may end first, because the shutdown closes the listeners. The rest of it still has to run.
        if self.stopping.is(Wanted::Stop) && self.report.get().is_none() {
            stopped.await?;
        }
        self.ended().await;
        Ok(())
    }

    async fn accept_and_serve(&self, handler: impl Handler) -> io::Result<()> {
        // One handler for all connections: a clone is a reference.
        let handler = shared(handler);
        let rate = Rate::default();
        loop {
            match self.accept_with_room().await {
                Ok(Some(connection)) => spawn_detached(connection.serve(handler.clone())),
                Ok(None) => self.capacity().await,
                // `close` was called. That is an end in good order, and no error.
                Err(_) if self.is_closed() => return Ok(()),
                Err(error) if error.is_fatal() => return Err(error.into()),
                Err(error) => {
                    // A queue of broken connections would fill the log, so the rate is limited.
                    if let Some(left_out) = rate.allows() {
                        log::accept_failed(&error, left_out);
                    }
                }
            }
        }
    }

    /// Calls `hook` for each request that the server refuses before a handler sees it (400, 408, 413, 431 …),
    /// and for each client that it turns away with an answer. Replaces the hook that was set before.
    ///
    /// Without a hook, such requests are only [counted](crate::Numbers::refused). The server calls it on the
    /// runtime's thread when the answer is queued, so it must not block. If the hook panics, the client loses
    /// its answer.
    ///
    /// An access log that has these requests too:
    ///
    /// ```no_run
    /// # #[cfg(feature = "middleware")]
    /// # mod example {
    /// use std::rc::Rc;
    /// use waterwheel::http::web::middleware::{LogEntry, LineWriter, access_log};
    /// use waterwheel::http::{Handler, Server};
    ///
    /// async fn serve(handler: impl Handler) -> std::io::Result<()> {
    ///     let lines = Rc::new(LineWriter::new(std::io::stdout())?);
    ///     let server = Server::bind("127.0.0.1:8080")?;
    ///     let refused = lines.clone();
    ///     server.on_refusal(move |request| refused.write(LogEntry::from(request).combined()));
    ///     server.serve(access_log(handler, move |entry| lines.write(entry.combined()))).await
    /// }
    /// # }
    /// ```
    pub fn on_refusal(&self, hook: impl Fn(&Refused<'_>) + 'static) {
        self.shared.on_refusal.set(hook);
    }

    /// Stops listening. Open connections continue. Calling this twice has no effect.
    ///
    /// Clients in the queue are lost. [`shutdown`](Self::shutdown) serves them first.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// server.close();
    /// assert!(server.is_closed());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn close(&self) {
        if !self.is_closed() && !self.is_stopping() {
            log::closed();
        }
        self.listeners.close();
        // The loops that wait for a connection learn of the end.
        self.shared.stage_changed.notify_all();
    }

    /// Returns true if the server no longer listens.
    pub fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }

    /// Returns a handle that ends this server from any thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "hello", ()).await
    /// }
    ///
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let stopper = server.stopper();
    ///     std::thread::spawn(move || stopper.stop());
    ///     server.serve(hello).await
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn stopper(&self) -> Stopper {
        self.stopping.stopper()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_address", &self.local_address)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
