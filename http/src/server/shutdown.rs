//! The end of a server: requests under way are finished, within a time.
//!
//! # How it works
//!
//! ```text
//!  shutdown(grace)
//!   1. draining: answers have `Connection: close` from now on, or since the begin of the unready time
//!   2. the accept loop empties the queue, then the listeners close; if there is no room, connections
//!      without a request give way; if no loop runs, or after half of the grace, each client in the
//!      queue receives 503
//!   3. connections without a request close after a moment, also those that become idle later
//!   4. waits for all others, until the grace is over or a Stopper cuts
//!   5. cuts the rest
//! ```

use std::time::Duration;

use waterwheel_runtime::time::{Instant, sleep, sleep_until, timeout};
use waterwheel_runtime::{race, signal, spawn};

use super::Server;
use super::accept::CountGuard;
use crate::error::Refusal;
use crate::exchange::handler::Handler;
use crate::log;
use crate::shared::connections::{Census, HANDSHAKE_MOMENT, MOMENT};
use crate::shared::handshakes::Purpose;
use crate::shared::reasons;
use crate::shared::stop::{Report, Stage, Wanted};

/// The time that a shutdown waits for an accept loop that is busy at the moment.
const LOOP_PATIENCE: Duration = Duration::from_millis(20);

/// The time that a shutdown waits for connections that it has cut.
const CUT_PATIENCE: Duration = Duration::from_millis(100);

impl Server {
    /// Ends the server. Requests under way have `grace` to finish.
    ///
    /// First, the accept loop that runs beside this serves the clients in the queue ([`serve`](Self::serve),
    /// or a loop of yours). If no loop runs, or if the queue is not empty after half of `grace`, these
    /// clients receive
    /// 503. Each answer announces the end of its connection. Connections without a request are closed after a
    /// moment (100 ms, and 500 ms more for a handshake under way), and a request that arrives before that is
    /// served. A connection whose last answer is sent waits up to a second for more bytes of its client.
    ///
    /// Work that never ends by itself learns of the shutdown by a [`ShutdownSignal`](crate::ShutdownSignal):
    /// answers by [`Request::shutdown_signal`](crate::Request::shutdown_signal), and streams of other protocols by
    /// [`Upgraded::shutdown_signal`](crate::Upgraded::shutdown_signal). A stream of server-sent events ends itself.
    ///
    /// The rest is cut when `grace` is over or [`Stopper::cut`](crate::Stopper::cut) is called. A later call
    /// returns the same report. If two calls meet, the shorter grace counts.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The shutdown stops where it is if this is dropped. The server does not open again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, join};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "Hello", ()).await
    /// }
    ///
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     let end = server.shutdown(Duration::from_secs(5));
    ///     let (served, report) = join(server.serve(hello), end).await;
    ///     assert_eq!(report.cut, 0);
    ///     served
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn shutdown(&self, grace: Duration) -> Report {
        // Reads the clock itself, because the turn may have begun long ago.
        let deadline = Instant::now() + grace;
        // One call counts the connections. The others wait for its report, and can only shorten its grace.
        while self.endings.get() > 0 {
            let in_time = async {
                self.ended().await;
                true
            };
            let late = async {
                sleep_until(deadline).await;
                false
            };
            if !race(in_time, late).await {
                self.stopper().cut();
                // Limited, because the task of the other call may not poll it again.
                race(self.ended(), sleep(2 * CUT_PATIENCE)).await;
                break;
            }
        }
        if let Some(report) = self.report() {
            return report;
        }
        let _ending = CountGuard::begin(self, &self.endings);
        let before = self.numbers();
        log::shutting_down(grace, before.open);
        let upgrades_before = self.shared.counters.upgrades.get();
        // Clients that are refused already are counted as turned away, so the report leaves them out here.
        let refused_before = self.shared.connections.refused();
        self.enter(Stage::Draining);
        // Lingering connections have less time from now on, so their tasks must look again.
        self.shared.connections.begin_end();
        let dismissed = &self.shared.counters.dismissed;
        let dismissed_before = dismissed.get();
        let calm = async {
            // The loop serves better than a refusal, but a queue that never empties must not use up the
            // grace.
            race(self.queue_served(), sleep(grace / 2)).await;
            self.turn_queue_away().await;
            self.dismiss_quiet().await;
            self.empty().await;
        };
        let hurry = race(sleep_until(deadline), self.stopping.wanted(Wanted::Cut));
        // Whichever is first: all connections have ended, or the time is over.
        reasons::named("shutdown", race(calm, hurry)).await;
        // Read before the cut, because the cut ends these streams.
        let upgraded_left = self.shared.connections.census().upgraded as u64;
        let cut = self.cut().await;
        let idle = usize::try_from(dismissed.get() - dismissed_before).unwrap_or(usize::MAX);
        let after = self.numbers();
        let turned_away = after.turned_away - before.turned_away;
        // The counters only grow, so differences tell what has happened since the start.
        let seen = (before.open - refused_before) as u64 + (after.accepted - before.accepted);
        let since_then = self.shared.counters.upgrades.get() - upgrades_before;
        // Those that are left are among the ones that were cut.
        let upgraded = (before.upgraded as u64 + since_then).saturating_sub(upgraded_left);
        let gone = (idle + cut) as u64 + turned_away + upgraded;
        let report = Report {
            // Saturating: a connection may be counted twice if it ends while it is cut.
            finished: usize::try_from(seen.saturating_sub(gone)).unwrap_or(usize::MAX),
            idle,
            upgraded: usize::try_from(upgraded).unwrap_or(usize::MAX),
            cut,
            turned_away: usize::try_from(turned_away).unwrap_or(usize::MAX),
        };
        self.report.set(Some(report));
        log::shut_down(&report);
        // Last, because it wakes the threads that wait for the report.
        self.stopping.has_ended();
        report
    }

    /// Serves until SIGINT or SIGTERM arrives or a [`Stopper`](crate::Stopper) ends the server. Then shuts
    /// down within [`Limits::shutdown_duration_max`](crate::Limits::shutdown_duration_max). A second signal
    /// cuts the rest at once.
    ///
    /// # Errors
    ///
    /// If the signals cannot be received, or if a listener fails.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve). Signals that have arrived before the drop are lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, signal};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "Hello", ()).await
    /// }
    ///
    /// block_on(async {
    ///     let report = Server::bind("127.0.0.1:8080")?.serve_until(hello, signal::shutdown()).await?;
    ///     println!("{report}");
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn serve_until(
        &self,
        handler: impl Handler,
        mut signals: signal::Shutdown,
    ) -> std::io::Result<Report> {
        let signalled = async {
            signals.recv().await?;
            self.stopper().stop();
            signals.recv().await?;
            self.stopper().cut();
            std::future::pending().await
        };
        race(self.serve(handler), signalled).await?;
        Ok(self.report().unwrap_or_default())
    }

    /// Waits for SIGINT or SIGTERM, or until a [`Stopper`](crate::Stopper) ends the server. Then
    /// [shuts down](Self::shutdown) within
    /// [`Limits::shutdown_duration_max`](crate::Limits::shutdown_duration_max). A second signal cuts the rest at
    /// once.
    ///
    /// Run this beside an accept loop of your own. The shutdown lets the loop empty the queue. Then the loop gets an
    /// error of which [`AcceptError::is_closed`](crate::AcceptError::is_closed) is true, and ends.
    ///
    /// # Errors
    ///
    /// If the signals cannot be received.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`shutdown`](Self::shutdown). Signals that have arrived before the drop are lost.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use std::rc::Rc;
    ///
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, signal, spawn};
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "Hello", ()).await
    /// }
    ///
    /// block_on(async {
    ///     let server = Rc::new(Server::bind("127.0.0.1:8080")?);
    ///     let (ending, signals) = (server.clone(), signal::shutdown());
    ///     let ending = spawn(async move { ending.shutdown_on(signals).await });
    ///     loop {
    ///         server.capacity().await;
    ///         match server.accept_request(hello).await {
    ///             Err(error) if error.is_closed() => break,
    ///             Err(error) if error.is_fatal() => return Err(error.into()),
    ///             _ => {}
    ///         }
    ///     }
    ///     println!("{}", ending.await??);
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn shutdown_on(&self, mut signals: signal::Shutdown) -> std::io::Result<Report> {
        let stopped = async {
            self.stopping.wanted(Wanted::Stop).await;
            Ok(())
        };
        race(async { signals.recv().await.map(drop) }, stopped).await?;
        let ended = async {
            self.stopper().stop();
            Ok(self.shutdown_in_order().await)
        };
        let second = async {
            signals.recv().await?;
            self.stopper().cut();
            std::future::pending().await
        };
        race(ended, second).await
    }

    /// Returns the fate of the connections after [`shutdown`](Self::shutdown) has ended the server.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::Server;
    /// use waterwheel::runtime::block_on;
    ///
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     assert!(server.report().is_none() && !server.is_stopping());
    ///     let report = server.shutdown(Duration::from_secs(1)).await;
    ///     assert_eq!(server.report(), Some(report));
    ///     assert!(server.is_stopping());
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn report(&self) -> Option<Report> {
        self.report.get()
    }

    /// Waits until no request is under way. New requests may arrive meanwhile. To end the server, call
    /// [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::runtime::block_on;
    ///
    /// block_on(async {
    ///     let server = Server::bind("127.0.0.1:0")?;
    ///     server.join().await; // no request is under way
    ///     std::io::Result::Ok(())
    /// })?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn join(&self) {
        self.shared
            // Busy connections only: an idle one may stay for a minute.
            .connections
            .settled(|census| census.busy == 0)
            .await;
    }

    /// Completes when a [`Stopper`](crate::Stopper) asks this server to end. Use it in an accept loop of your
    /// own, which then calls [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel::runtime::race;
    ///
    /// async fn hello(request: Request<'_>) -> Result<Responded> {
    ///     request.respond(StatusCode::OK, "hello", ()).await
    /// }
    ///
    /// let workers = Server::builder().workers(2, "127.0.0.1:0", |server| async move {
    ///     let accept_loop = async {
    ///         loop {
    ///             server.capacity().await;
    ///             if server.accept_request(hello).await.is_err_and(|error| error.is_fatal()) {
    ///                 break;
    ///             }
    ///         }
    ///     };
    ///     race(accept_loop, server.stop_requested()).await;
    ///     server.shutdown(Duration::from_secs(5)).await;
    ///     Ok(())
    /// })?;
    /// workers.stop();
    /// workers.join()?;
    /// # std::io::Result::Ok(())
    /// ```
    pub async fn stop_requested(&self) {
        // A loop of the user's waits here, so other threads may count the server as serving.
        if self.stopping.serving() {
            self.shared.stage_changed.notify_all();
        }
        self.stopping.wanted(Wanted::Stop).await;
    }

    /// Shuts down within the limits, after the time in which load balancers may notice.
    pub(super) async fn shutdown_in_order(&self) -> Report {
        let limits = &self.shared.limits;
        // Without a delay, the shutdown begins in this poll.
        if !limits.unready_duration.is_zero() {
            // A proxy's pool empties meanwhile, so that few of its requests can meet the close of an idle connection.
            self.shared.is_unready.set(true);
            let unready = sleep(limits.unready_duration);
            race(unready, self.stopping.wanted(Wanted::Cut)).await;
        }
        self.shutdown(limits.shutdown_duration_max).await
    }

    /// Returns false from the moment in which the server is asked to end. It may accept for
    /// [`Limits::unready_duration`](crate::Limits::unready_duration) after that. A check of readiness asks
    /// this.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// assert!(server.is_ready());
    /// server.stopper().stop();
    /// assert!(!server.is_ready() && !server.is_stopping());
    /// # std::io::Result::Ok(())
    /// ```
    pub fn is_ready(&self) -> bool {
        !self.is_stopping() && !self.stopping.is(Wanted::Stop)
    }

    /// Returns true if the server is ending or has ended. A health check for a load balancer can ask this.
    pub fn is_stopping(&self) -> bool {
        self.shared.stage.get() != Stage::Open
    }

    /// Waits until an accept loop has begun.
    #[cfg(feature = "systemd")]
    pub(super) async fn has_begun(&self) {
        while !self.stopping.has_begun() {
            self.shared.stage_changed.notified().await;
        }
    }

    fn enter(&self, stage: Stage) {
        self.shared.stage.set(stage);
        match stage {
            Stage::Open => {}
            Stage::Draining => self.shared.ending.set(),
            Stage::Cutting => self.shared.cutting.set(),
        }
        self.shared.stage_changed.notify_all();
    }

    /// Waits until the accept loop has emptied the queue, or until no loop runs.
    async fn queue_served(&self) {
        while !self.is_closed() {
            // Registered before the count is read, so that a change in between is not lost.
            let changed = self.shared.stage_changed.notified();
            if self.acceptors.get() > 0 {
                changed.await;
                continue;
            }
            // A loop that has just accepted is not waiting, but it comes back within a few turns.
            let nothing_changed = timeout(LOOP_PATIENCE, changed).await.is_err();
            if nothing_changed && self.acceptors.get() == 0 {
                return;
            }
        }
    }

    /// Answers all clients in the queue with 503, and closes the listeners.
    async fn turn_queue_away(&self) {
        let _waiting = self.waiting();
        // This counts as an accept loop, so the wait for room works as it does for the others.
        while !self.is_closed() {
            // Even a refusal needs a descriptor for its connection.
            if !self.gate.is_open() {
                self.make_room().await;
                continue;
            }
            let accepted = self.until_stage_changes(|cx| self.poll_accept(cx, Purpose::Refusal));
            match accepted.await {
                Ok(connection) => {
                    let refusal = connection.turn_away(Refusal::Unavailable);
                    spawn(reasons::named("refusal", refusal)).detach();
                }
                Err(error) if error.is_fatal() => self.close(),
                Err(_) => {}
            }
        }
    }

    /// Waits until no shutdown is under way.
    pub(super) async fn ended(&self) {
        while self.endings.get() > 0 {
            self.shared.stage_changed.notified().await;
        }
    }

    /// Closes connections without a request, after a moment in which one may arrive. A client in its
    /// handshake has more time, and then the same moment.
    async fn dismiss_quiet(&self) {
        let connections = &self.shared.connections;
        // A client may have sent a request that has not arrived. So each kind has a moment before its close.
        let no_quiet_ones = |census: Census| census.new + census.idle == 0;
        let no_handshakes = |census: Census| census.handshakes == 0;
        race(connections.settled(no_quiet_ones), sleep(MOMENT)).await;
        connections.dismiss_quiet();
        race(connections.settled(no_handshakes), sleep(HANDSHAKE_MOMENT)).await;
        connections.dismiss_handshakes();
        // A handshake that has just ended is a new connection, and gets the same moment.
        race(connections.settled(no_quiet_ones), sleep(MOMENT)).await;
        connections.dismiss_quiet();
    }

    async fn empty(&self) {
        let empty = |census: Census| census == Census::default();
        self.shared.connections.settled(empty).await;
    }

    /// Cuts all remaining connections, and returns their number.
    async fn cut(&self) -> usize {
        // No client may come in while the rest is cut.
        self.close();
        self.enter(Stage::Cutting);
        let cut = self.shared.connections.dismiss_all();
        self.shared.counters.cut.add(cut);
        // A woken connection needs a turn to end. A blocked handler may need more, and is left to its task.
        race(self.empty(), sleep(CUT_PATIENCE)).await;
        cut
    }
}
