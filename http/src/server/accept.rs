//! From the queue of a listener to a connection.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll};

use waterwheel_runtime::spawn_detached;

use super::Server;
use crate::connection::Connection;
use crate::connection::transport::Transport;
use crate::exchange::handler::Handler;
use crate::log;
use crate::shared::connections::Phase;
use crate::shared::handshakes::Purpose;
use crate::shared::peers::PeerPermit;
use crate::shared::reasons;
use crate::shared::stop::Stage;
use crate::transport::accept_error::AcceptError;
use crate::transport::io::Io;
use crate::transport::stream::Stream;

impl Server {
    /// Accepts the next connection. No byte of it has been read. Serve it, or take its requests one by one.
    ///
    /// Any number of tasks may wait here. Each connection goes to one of them.
    ///
    /// # Errors
    ///
    /// If accept fails; see [`AcceptError`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection is accepted only when this completes.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{AcceptError, Server, StatusCode};
    ///
    /// /// Answers the first request of each connection by hand.
    /// async fn accept_loop(server: &Server) -> Result<(), AcceptError> {
    ///     loop {
    ///         let mut connection = server.accept().await?;
    ///         if let Ok(Some(request)) = connection.next().await {
    ///             drop(request.respond(StatusCode::OK, "hello", ()).await);
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn accept(&self) -> Result<Connection, AcceptError> {
        let _waiting = self.waiting();
        self.until_stage_changes(|cx| self.poll_accept(cx, Purpose::Service))
            .await
    }

    /// Accepts the next connection, and spawns a task that serves all its requests with `handler`.
    ///
    /// # Errors
    ///
    /// If accept fails. Later errors concern only the connection.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: this accepts and spawns in one poll, so no connection is lost.
    #[doc(alias = "acceptRequest")]
    pub async fn accept_request(&self, handler: impl Handler) -> Result<(), AcceptError> {
        let connection = self.accept().await?;
        spawn_detached(connection.serve(handler));
        Ok(())
    }

    /// Makes a connection over a transport of your own, with this server's limits. For a transport under
    /// accepted connections, see [`Builder::transport`](crate::Builder::transport).
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_lite::{AsyncReadExt, AsyncWriteExt};
    /// use waterwheel::http::testing::MemoryStream;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::{block_on, join};
    ///
    /// let server = Server::builder().without_listener();
    /// let (mut client, transport) = MemoryStream::pair();
    /// let hello = async |request: Request<'_>| request.respond(StatusCode::OK, "hello", ()).await;
    /// let answer = block_on(async {
    ///     let serve = server.connection(transport, None).serve(hello);
    ///     let ask = async {
    ///         client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    ///         let mut answer = String::new();
    ///         client.read_to_string(&mut answer).await?;
    ///         std::io::Result::Ok(answer)
    ///     };
    ///     join(serve, ask).await.1
    /// })?;
    /// assert!(answer.ends_with("hello"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn connection<T: Io>(&self, io: T, peer: Option<SocketAddr>) -> Connection<T> {
        self.shared.counters.accepted.one();
        log::connection_opened(peer);
        // No permit: the server has not accepted this connection, and does not limit its peer.
        let id = self.shared.connections.add(Phase::New, None);
        Connection::new(io, peer, id, self.shared.clone())
    }

    /// Accepts the next connection if there is room when it arrives. Returns `None` if there is no room.
    pub(super) async fn accept_with_room(&self) -> Result<Option<Connection>, AcceptError> {
        let _waiting = self.waiting();
        self.until_stage_changes(|cx| {
            // Checked at each poll, because descriptors may run out while this waits.
            if !self.should_accept_request() {
                return Poll::Ready(Ok(None));
            }
            self.poll_accept(cx, Purpose::Service).map_ok(Some)
        })
        .await
    }

    /// Polls `poll`, and polls it again when the stage of the server changes.
    pub(super) async fn until_stage_changes<T>(
        &self,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> T {
        loop {
            // Registered before the poll, so that a change between the two is not lost.
            let mut changed = pin!(self.shared.stage_changed.notified());
            let polled = poll_fn(|cx| match poll(cx) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending => changed.as_mut().poll(cx).map(|()| None),
            });
            if let Some(value) = reasons::named("accept loop", polled).await {
                return value;
            }
        }
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        purpose: Purpose,
    ) -> Poll<Result<Connection, AcceptError>> {
        loop {
            if self.is_closed() {
                return Poll::Ready(Err(AcceptError::closed()));
            }
            let accepted = match self.listeners.poll_accept(cx) {
                Poll::Ready(accepted) => accepted,
                // Closing earlier would make the kernel reset the clients in the queue.
                Poll::Pending if self.has_drained() => {
                    self.close();
                    continue;
                }
                Poll::Pending => return Poll::Pending,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Counted before the connection is judged, because its descriptor is open in each case.
                    self.gate.granted();
                    // A refused peer is no result for the caller, so the loop takes the next client.
                    if let Some(connection) = self.admit(stream, peer, purpose) {
                        return Poll::Ready(Ok(connection));
                    }
                }
                Err(error) => return Poll::Ready(Err(self.accept_failed(error))),
            }
        }
    }

    /// Returns true if the server is ending and the queue is empty.
    pub(super) fn has_drained(&self) -> bool {
        self.shared.stage.get() != Stage::Open && !self.listeners.has_pending()
    }

    /// Makes a connection of a stream. Returns `None` if its peer has reached the limit, or if there is no
    /// room to refuse it.
    fn admit(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
        purpose: Purpose,
    ) -> Option<Connection> {
        let max = self.shared.limits.connections_per_peer_max;
        let permit = match (max, peer) {
            (Some(max), Some(peer)) => {
                // Asked before a connection exists, so that a refused peer costs no entry in the table.
                let permit = self.peers.admit(peer, max);
                if permit.is_none() {
                    self.turn_peer_away(stream, peer);
                    return None;
                }
                permit
            }
            _ => None,
        };
        match purpose {
            Purpose::Service => Some(self.connect(stream, peer, permit, purpose)),
            Purpose::Refusal => self.connect_to_refuse(stream, peer, permit),
        }
    }

    /// Makes a connection to a client that is turned away. Returns `None`, and closes the stream, if its
    /// handshake would displace that of another client.
    pub(super) fn connect_to_refuse(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
        permit: Option<PeerPermit>,
    ) -> Option<Connection> {
        self.shared.counters.turned_away.one();
        let handshakes_max = self.shared.limits.handshakes_max.max(1);
        // A refusal is not worth the handshake of a client that will be served.
        if self.transport.is_some() && self.shared.handshakes.len() >= handshakes_max {
            self.shared.counters.accepted.one();
            return None;
        }
        let connection = self.connect(stream, peer, permit, Purpose::Refusal);
        self.shared.connections.turn_away(connection.place().1);
        Some(connection)
    }

    /// Makes a connection over an accepted stream, or over the transport that the hook makes of it.
    fn connect(
        &self,
        stream: Stream,
        peer: Option<SocketAddr>,
        permit: Option<PeerPermit>,
        purpose: Purpose,
    ) -> Connection {
        self.shared.counters.accepted.one();
        if log::is_debugging() {
            log::connection_opened(peer);
        }
        let shared = self.shared.clone();
        // Without a hook there is no handshake, and a plain socket is not behind a vtable.
        let Some(hook) = &self.transport else {
            let id = shared.connections.add(Phase::New, permit);
            return Connection::new(stream.into(), peer, id, shared);
        };
        let id = shared.connections.add(Phase::Handshake, permit);
        let transport = Transport::new(hook, (stream, peer), purpose, shared.clone(), id);
        Connection::new(transport.into(), peer, id, shared)
    }

    /// Tells the gate about a failed accept.
    pub(super) fn accept_failed(&self, error: io::Error) -> AcceptError {
        let error = AcceptError::new(error);
        self.shared.counters.accept_errors.one();
        // The gate decides when to try again; the loop only waits for it.
        if error.is_exhausted() {
            self.gate.shut();
            if self.connections() == 0 {
                self.warn(0);
            }
        } else if error.is_connection() {
            self.gate.lost();
        }
        error
    }
}

/// Counts one more in a counter of the server, for as long as this lives.
pub(super) struct CountGuard<'a> {
    server: &'a Server,
    count: &'a Cell<usize>,
}

impl<'a> CountGuard<'a> {
    pub(super) fn begin(server: &'a Server, count: &'a Cell<usize>) -> Self {
        count.set(count.get() + 1);
        Self { server, count }
    }
}

impl Drop for CountGuard<'_> {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
        if self.server.is_stopping() {
            // A shutdown waits until the tasks that accept have left.
            self.server.shared.stage_changed.notify_all();
        }
    }
}
