//! How a server ends: what is under way is finished, but not for ever.
//!
//! # How it works
//!
//! ```text
//!  shutdown(grace)
//!   1. draining: answers say `Connection: close` from now on
//!   2. the accept loop takes what is in the queue, then the listeners close; if there is no room,
//!      connections on which nothing has come give way; where no loop runs any more, and after half
//!      of the grace, each client in the queue is answered 503
//!   3. connections without a request are closed, after a moment
//!   4. the rest is waited for, until the grace is over or somebody says so
//!   5. what is left is cut
//! ```

use std::time::Duration;

use waterwheel_runtime::time::{Instant, sleep, sleep_until, timeout};
use waterwheel_runtime::{race, signal, spawn};

use super::{CountGuard, Server};
use crate::error::Refusal;
use crate::exchange::handler::Handler;
use crate::shared::connections::{Census, HANDSHAKE_MOMENT, MOMENT};
use crate::shared::handshakes::Purpose;
use crate::shared::stop::{Report, Stage, Wanted};

/// How long a loop that does not wait right now is given to come back.
const LOOP_PATIENCE: Duration = Duration::from_millis(20);

/// How long a connection that is cut is given to go.
const CUT_PATIENCE: Duration = Duration::from_millis(100);

impl Server {
    /// Ends the server: what is under way has `grace` to come to its end.
    ///
    /// Clients that are in the queue already are served first, by the accept loop that runs beside
    /// this ([`serve`](Self::serve), or one of yours); if none does, or when they have kept coming
    /// for half of `grace`, they are answered 503. Every answer announces the end of its connection.
    /// Connections without a request are closed after a moment (100 ms, and 500 ms more for a handshake
    /// under way); a request that reaches one before is served. A connection whose last answer is sent waits up to a second for more bytes of its client.
    /// When `grace` is over, or [`Stopper::cut`](crate::Stopper::cut) is called, the rest is
    /// cut. Once it has ended, again is nothing but the same report.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it goes no further; the server does not open again.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use waterwheel_http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel_runtime::{block_on, join};
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
        if let Some(report) = self.report() {
            return report;
        }
        let _ending = CountGuard::begin(self, &self.endings);
        let deadline = sleep_until(Instant::now() + grace);
        let before = self.numbers();
        let refused_before = self.shared.connections.refused(); // of these, the report says nothing
        self.enter(Stage::Draining);
        self.shared.connections.hurry();
        let dismissed = &self.shared.counters.dismissed;
        let dismissed_before = dismissed.get();
        let calm = async {
            race(self.queue_served(), sleep(grace / 2)).await;
            self.turn_queue_away().await;
            self.dismiss_quiet().await;
            self.empty().await;
        };
        let hurry = race(deadline, self.stopping.wanted(Wanted::Cut));
        race(calm, hurry).await;
        let cut = self.cut().await;
        let idle = usize::try_from(dismissed.get() - dismissed_before).unwrap_or(usize::MAX);
        let after = self.numbers();
        let turned_away = after.turned_away - before.turned_away;
        let seen = (before.open - refused_before) as u64 + (after.accepted - before.accepted);
        let gone = (idle + cut) as u64 + turned_away;
        let report = Report {
            finished: usize::try_from(seen.saturating_sub(gone)).unwrap_or(usize::MAX),
            idle,
            cut,
            turned_away: usize::try_from(turned_away).unwrap_or(usize::MAX),
        };
        self.report.set(Some(report));
        self.stopping.has_ended();
        report
    }

    /// Serves until SIGINT or SIGTERM comes, then shuts down within
    /// [`Limits::shutdown_duration_max`](crate::Limits::shutdown_duration_max); a second signal ends
    /// that at once. Or until a [`Stopper`](crate::Stopper) says so.
    ///
    /// # Errors
    ///
    /// When the signals cannot be received, or a listener is gone.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`serve`](Self::serve); the signals that had come by then are used up.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use waterwheel_http::{Request, Responded, Result, Server, StatusCode};
    /// use waterwheel_runtime::{block_on, signal};
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

    /// What became of its connections, once it has ended by [`shutdown`](Self::shutdown).
    pub fn report(&self) -> Option<Report> {
        self.report.get()
    }

    /// Waits until no request is under way. New ones may come meanwhile: see
    /// [`shutdown`](Self::shutdown) for an end.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn join(&self) {
        self.shared
            .connections
            .settled(|census| census.busy == 0)
            .await;
    }

    /// Completes when a [`Stopper`](crate::Stopper) asks this server to end: for loops of your own,
    /// which then call [`shutdown`](Self::shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn stop_requested(&self) {
        self.stopping.serving();
        self.stopping.wanted(Wanted::Stop).await;
    }

    /// Whether it is about to end, or has: for a load balancer's question.
    pub fn is_stopping(&self) -> bool {
        self.shared.stage.get() != Stage::Open
    }

    fn enter(&self, stage: Stage) {
        self.shared.stage.set(stage);
        self.shared.stage_changed.notify_all();
    }

    /// Waits until the loop has served the queue to its end, or is gone.
    async fn queue_served(&self) {
        while !self.is_closed() {
            let changed = self.shared.stage_changed.notified();
            if self.acceptors.get() > 0 {
                changed.await;
                continue;
            }
            let nothing_changed = timeout(LOOP_PATIENCE, changed).await.is_err();
            if nothing_changed && self.acceptors.get() == 0 {
                return;
            }
        }
    }

    /// All who are still in the queue are told, and the listeners close.
    async fn turn_queue_away(&self) {
        let _waiting = self.waiting();
        while !self.is_closed() {
            if !self.gate.is_open() {
                self.make_room().await;
                continue;
            }
            let accepted = self.until_stage_changes(|cx| self.poll_accept(cx, Purpose::Refusal));
            match accepted.await {
                Ok(connection) => {
                    spawn(connection.turn_away(Refusal::Unavailable)).detach();
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

    /// Closes connections without a request, after a moment in which one may come. A client in its handshake
    /// is given longer, and then the same moment.
    async fn dismiss_quiet(&self) {
        let connections = &self.shared.connections;
        let no_quiet_ones = |census: Census| census.new + census.idle == 0;
        let no_handshakes = |census: Census| census.handshakes == 0;
        race(connections.settled(no_quiet_ones), sleep(MOMENT)).await;
        connections.dismiss_quiet();
        race(connections.settled(no_handshakes), sleep(HANDSHAKE_MOMENT)).await;
        connections.dismiss_handshakes();
        race(connections.settled(no_quiet_ones), sleep(MOMENT)).await;
        connections.dismiss_quiet();
    }

    async fn empty(&self) {
        let empty = |census: Census| census == Census::default();
        self.shared.connections.settled(empty).await;
    }

    /// Cuts what is left; says how many that were.
    async fn cut(&self) -> usize {
        self.close();
        self.enter(Stage::Cutting);
        let cut = self.shared.connections.dismiss_all();
        self.shared.counters.cut.add(cut);
        race(self.empty(), sleep(CUT_PATIENCE)).await;
        cut
    }
}
