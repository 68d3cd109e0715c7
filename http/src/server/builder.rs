//! The settings of a server, and the calls that make one from them.

use std::io;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::time::Duration;

use waterwheel_runtime::net::ListenOptions;

use crate::limits::Limits;
use crate::server::Server;
use crate::shared::disconnect::{OnDisconnect, OnHalfClose};
use crate::shared::handshakes::TransportHook;
use crate::shared::peers::OnPeerLimit;
use crate::shared::settings::Settings;
use crate::transport::io::Io;
use crate::transport::listener::Listener;
use crate::transport::stream::Stream;
use crate::transport::transport_info::TransportInfo;

/// The settings of a [`Server`], before it exists.
///
/// # Examples
///
/// ```
/// use waterwheel::http::{Limits, Server};
///
/// let server = Server::builder()
///     .limits(Limits::default().with(|limits| limits.body_bytes_max = 64 * 1024))
///     .server_name("mill")
///     .bind("127.0.0.1:0")?;
/// assert_ne!(server.local_address().port(), 0);
/// # std::io::Result::Ok(())
/// ```
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::{OnDisconnect, OnHalfClose, OnPeerLimit, Server};
///
/// let builder = Server::builder()
///     // The service.
///     .max_body(1024 * 1024)
///     .assumed_descriptors_per_request(2) // handlers open no files
///     .turn_away_when_full(true) // 503 instead of a wait in the kernel's queue
///     .on_peer_limit(OnPeerLimit::ServiceUnavailable)
///     .on_half_close(OnHalfClose::KeepServing)
///     .on_disconnect(OnDisconnect::DropHandler)
///     .measure_durations(true)
///     // The listener.
///     .backlog(1024)
///     .reuse_address(true)
///     .reuse_port(true) // several processes share the port
///     .only_v6(true)
///     .nodelay(true)
///     .keepalive(Duration::from_secs(60))
///     .defer_accept(Duration::from_secs(5));
/// let server = builder.bind("127.0.0.1:0")?;
/// # drop(server);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "bind makes the server"]
pub struct Builder {
    listen: ListenOptions,
    pub(crate) settings: Settings,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            listen: ListenOptions::new(),
            settings: Settings::default(),
        }
    }
}

impl Builder {
    /// Sets whether a port can be bound again right after its last owner has closed it. On by default.
    #[doc(alias = "reuseAddr")]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_address(reuse);
        self
    }

    /// Sets whether other processes may bind the same port. Off by default, so that a clash is an error.
    #[doc(alias = "reusePort")]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_port(reuse);
        self
    }

    /// Sets how many connections may wait in the kernel's queue. 4,096 by default.
    pub fn backlog(mut self, connections: i32) -> Self {
        self.listen = self.listen.backlog(connections);
        self
    }

    /// Sets all limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// Sets the largest body in bytes, inclusive. 8 MiB by default.
    #[doc(alias = "maxBody")]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.limits.body_bytes_max = bytes;
        self
    }

    /// Sets how many descriptors a request needs, with its connection. 5 by default. With 0, the server
    /// accepts without a check.
    #[doc(alias = "assumedDescriptorsPerRequest")]
    pub fn assumed_descriptors_per_request(mut self, descriptors: usize) -> Self {
        self.settings.assumed_descriptors = descriptors;
        self
    }

    /// Sets the meaning of a client's FIN. By default, the client still waits for its answer.
    pub fn on_half_close(mut self, meaning: OnHalfClose) -> Self {
        self.settings.departure.half_close = meaning;
        self
    }

    /// Sets the effect on the handler if its client has left. By default, the handler runs to its end.
    pub fn on_disconnect(mut self, fate: OnDisconnect) -> Self {
        self.settings.departure.disconnect = fate;
        self
    }

    /// Sets the answer to a client whose address has reached [`Limits::connections_per_peer_max`]. The
    /// default is [`OnPeerLimit::TooManyRequests`]: 429 with `retry-after: 1`.
    ///
    /// The server answers at most 16 such clients at a time, for a quarter of a second each, and only
    /// while there is room for other connections. It closes further ones without an answer.
    pub fn on_peer_limit(mut self, fate: OnPeerLimit) -> Self {
        self.settings.on_peer_limit = fate;
        self
    }

    /// Sets a `server` field for all answers. By default, answers have no such field.
    ///
    /// # Panics
    ///
    /// If the name has a byte other than visible ASCII and spaces.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            name.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "a server name is visible ASCII"
        );
        self.settings.server_name = Some(name);
        self
    }

    /// Sets whether clients for whom there is no room receive 503 with Retry-After before the server closes
    /// their connections. Off by default. Then they wait in the kernel's queue.
    ///
    /// Keeps one descriptor in reserve for these answers.
    pub fn turn_away_when_full(mut self, turn_away: bool) -> Self {
        self.settings.turns_away = turn_away;
        self
    }

    /// Sets a hook that makes the transport of each accepted connection. No hook by default. For TLS, the feature
    /// `tls` has `Builder::tls`, which sets this hook.
    ///
    /// The hook performs the handshake over the accepted stream, and returns an [`Io`] over it. It may
    /// insert facts about the client into the [`TransportInfo`]. Handlers read them through
    /// [`Request::connection`](crate::Request::connection).
    ///
    /// The server keeps its other duties: admission, limits, the queue at its end, threads, inherited
    /// listeners. [`Server::serve`], [`Server::accept_request`] and [`Server::accept`] use the hook.
    /// [`Server::connection`] does not. [`Limits::connections_per_peer_max`] counts the address of the
    /// socket, not an address that the hook sets.
    ///
    /// The handshake runs in the task that serves the connection, at the first read. So a stalled client
    /// delays no other client.
    ///
    /// The hook must be `Send` and `Sync`, because each thread of [`workers`](Self::workers) uses it. Its
    /// futures need not be.
    ///
    /// # Failed handshakes
    ///
    /// The server sends no HTTP answer after a failed handshake: it drops the stream, and the client sees
    /// the end or a reset. An alert, such as that of TLS, is the task of the hook. The refusal hook
    /// ([`Server::on_refusal`]) is not called for a client that the server would have served.
    ///
    /// | end of the handshake | counter in [`Numbers`](crate::Numbers) | log line |
    /// |---|---|---|
    /// | the hook returns an error | `handshakes_failed` | debug |
    /// | the hook panics | `handshakes_failed` | error, at a limited rate |
    /// | [`Limits::handshake_duration_max`] is over | `handshakes_timed_out` | debug |
    /// | more than [`Limits::handshakes_max`] are under way, and it is the oldest | `handshakes_displaced` | no line |
    ///
    /// A client that closes its stream within the handshake causes an error of the hook's read.
    ///
    /// # Examples
    ///
    /// A toy protocol, in which the client sends its name first. The hook stores the name, and a handler
    /// reads it:
    ///
    /// ```
    /// use futures_lite::AsyncReadExt;
    /// use waterwheel::http::{Request, Responded, Result, Server, StatusCode, Stream, TransportInfo};
    ///
    /// #[derive(Clone)] // each fact must be `Clone`
    /// struct Name([u8; 4]);
    ///
    /// let server = Server::builder()
    ///     .transport(async |mut stream: Stream, info: &mut TransportInfo| {
    ///         let mut name = [0; 4];
    ///         stream.read_exact(&mut name).await?;
    ///         info.extensions_mut().insert(Name(name));
    ///         Ok(stream)
    ///     })
    ///     .bind("127.0.0.1:0")?;
    ///
    /// async fn greet(request: Request<'_>) -> Result<Responded> {
    ///     let name = request.connection().get().map_or(*b"????", |Name(name)| *name);
    ///     request.respond(StatusCode::OK, name.to_vec(), ()).await
    /// }
    /// # let address = server.local_address();
    /// # let client = std::thread::spawn(move || {
    /// #     use std::io::{Read, Write};
    /// #     let mut stream = std::net::TcpStream::connect(address).unwrap();
    /// #     stream.write_all(b"annaGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    /// #     let mut answer = String::new();
    /// #     stream.read_to_string(&mut answer).unwrap();
    /// #     answer
    /// # });
    /// # waterwheel::runtime::block_on(async {
    /// #     server.accept().await.unwrap().serve(greet).await;
    /// # });
    /// # assert!(client.join().unwrap().ends_with("anna"));
    /// # std::io::Result::Ok(())
    /// ```
    pub fn transport<T: Io>(
        mut self,
        hook: impl AsyncFn(Stream, &mut TransportInfo) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        self.settings.transport = Some(TransportHook::new(hook));
        self
    }

    /// Sets whether [`Numbers`](crate::Numbers) has histograms of handler and queue time. Off by default,
    /// because it costs two readings of the clock for each request.
    pub fn measure_durations(mut self, measure: bool) -> Self {
        self.settings.measures_durations = measure;
        self
    }

    /// Makes the kernel probe a silent client, first after this duration (`SO_KEEPALIVE`). Off by default,
    /// because the limits close silent connections.
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.listen = self.listen.keepalive(after);
        self
    }

    /// Makes a client wait in the kernel until its first request begins to arrive, or for this duration,
    /// rounded up to seconds (`TCP_DEFER_ACCEPT`). Off by default.
    ///
    /// Use it if most connections are new. A client that sends no bytes is not among the connections until
    /// the time is over, and its limits begin then. A client that still waits when the listeners close is
    /// lost, like a request on a connection that the server closes as idle. Linux only. See
    /// [`ListenOptions::defer_accept`].
    pub fn defer_accept(mut self, wait: Duration) -> Self {
        self.listen = self.listen.defer_accept(wait);
        self
    }

    /// Sets whether small answers are sent at once (`TCP_NODELAY`). On by default.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.listen = self.listen.nodelay(nodelay);
        self
    }

    /// Sets whether a v6 address accepts only v6 clients (`IPV6_V6ONLY`). The default is that of the system.
    /// On most systems `[::]` then accepts both families.
    pub fn only_v6(mut self, only: bool) -> Self {
        self.listen = self.listen.only_v6(only);
        self
    }

    /// Binds the address and listens. Port 0 means any free port.
    ///
    /// For several addresses, or inherited listeners, use [`listen_on`](Self::listen_on).
    ///
    /// # Errors
    ///
    /// As [`ListenOptions::bind`]: the port is taken, or not allowed.
    #[doc(alias = "listen")]
    pub fn bind(self, address: impl ToSocketAddrs) -> io::Result<Server> {
        let listener = self.listener(address)?;
        self.listen_on([listener])
    }

    /// Binds a Unix socket; see [`UnixListener::bind`](waterwheel_runtime::net::UnixListener::bind).
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`](waterwheel_runtime::net::UnixListener::bind).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    ///
    /// # let folder = std::env::temp_dir().join(format!("waterwheel-bind-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let server = Server::builder().bind_unix(folder.join("mill.sock"))?;
    /// assert!(folder.join("mill.sock").exists());
    /// # drop(server);
    /// # std::fs::remove_dir_all(&folder)?;
    /// # std::io::Result::Ok(())
    /// ```
    pub fn bind_unix(self, path: impl AsRef<Path>) -> io::Result<Server> {
        let listener = self.listen.bind_unix(path)?;
        self.listen_on([Listener::from(listener)])
    }

    /// Makes a server with listeners that exist already. The server accepts from them in turn, so a busy listener
    /// does not keep the others waiting.
    ///
    /// # Errors
    ///
    /// If the reserve of [`turn_away_when_full`](Self::turn_away_when_full) cannot be opened.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::Server;
    /// use waterwheel::runtime::net::ListenOptions;
    ///
    /// let listener = ListenOptions::new().backlog(16).bind("127.0.0.1:0")?;
    /// let server = Server::builder().listen_on([listener])?;
    /// assert_ne!(server.local_address().port(), 0);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn listen_on<L: Into<Listener>>(
        self,
        listeners: impl IntoIterator<Item = L>,
    ) -> io::Result<Server> {
        let listeners = listeners.into_iter().map(Into::into).collect();
        Server::new(&self.settings, listeners)
    }

    /// Makes a server that listens nowhere. Its connections come only from [`Server::connection`].
    ///
    /// The server has no reserve for [`turn_away_when_full`](Self::turn_away_when_full).
    ///
    /// # Panics
    ///
    /// Never: only the reserve can fail to open.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::testing::TestClient;
    /// use waterwheel::http::{Request, Server, StatusCode};
    /// use waterwheel::runtime::block_on;
    ///
    /// let server = Server::builder().without_listener();
    /// let count = async |request: Request<'_>| request.respond(StatusCode::OK, "", ()).await;
    /// block_on(async { TestClient::of(&server, count).get("/").await });
    /// assert_eq!(server.numbers().requests, 1);
    /// ```
    pub fn without_listener(mut self) -> Server {
        // The reserve is the only part of a new server that can fail.
        self.settings.turns_away = false;
        Server::new(&self.settings, Vec::new()).expect("only a reserve can fail to open")
    }

    /// Binds one listener with these options.
    pub(crate) fn listener(&self, address: impl ToSocketAddrs) -> io::Result<Listener> {
        self.listen.bind(address).map(Listener::from)
    }
}

/// How to make a server.
impl Server {
    /// Binds an address with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// As [`Builder::bind`].
    #[doc(alias = "newAsyncHttpServer")]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::builder().bind(address)
    }

    /// Returns the default settings, to be changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::{OnDisconnect, Server};
    ///
    /// let server = Server::builder()
    ///     .max_body(64 * 1024)
    ///     .on_disconnect(OnDisconnect::DropHandler)
    ///     .bind("127.0.0.1:0")?;
    /// # drop(server);
    /// # std::io::Result::Ok(())
    /// ```
    pub fn builder() -> Builder {
        Builder::default()
    }
}
