//! What is settled before a server is made.

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

/// How to build a [`Server`].
///
/// # Examples
///
/// ```
/// use waterwheel_http::{Limits, Server};
///
/// let server = Server::builder()
///     .limits(Limits { body_bytes_max: 64 * 1024, ..Limits::default() })
///     .server_name("mill")
///     .bind("127.0.0.1:0")?;
/// assert_ne!(server.local_address().port(), 0);
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
    /// Whether a port can be bound again right after its last owner went. On by default.
    #[doc(alias = "reuseAddr")]
    pub fn reuse_address(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_address(reuse);
        self
    }

    /// Whether other processes may bind the same port. Off by default, so that a clash is seen.
    #[doc(alias = "reusePort")]
    pub fn reuse_port(mut self, reuse: bool) -> Self {
        self.listen = self.listen.reuse_port(reuse);
        self
    }

    /// How many connections may wait in the kernel's queue. 4,096 by default.
    pub fn backlog(mut self, connections: i32) -> Self {
        self.listen = self.listen.backlog(connections);
        self
    }

    /// All limits at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// The longest body that is taken, in bytes. 8 MiB by default; what is exactly as long passes.
    #[doc(alias = "maxBody")]
    pub fn max_body(mut self, bytes: u64) -> Self {
        self.settings.limits.body_bytes_max = bytes;
        self
    }

    /// How many descriptors a request is assumed to need, its connection included. 5 by default;
    /// 0 accepts without asking.
    #[doc(alias = "assumedDescriptorsPerRequest")]
    pub fn assumed_descriptors_per_request(mut self, descriptors: usize) -> Self {
        self.settings.assumed_descriptors = descriptors;
        self
    }

    /// What the end of a client's direction means: that it still waits for its answer, by default.
    pub fn on_half_close(mut self, meaning: OnHalfClose) -> Self {
        self.settings.departure.half_close = meaning;
        self
    }

    /// What becomes of the handler of a client that has left: by default, it runs to its end.
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

    /// A `server` field for all answers. None by default.
    ///
    /// # Panics
    ///
    /// If it is not visible ASCII and spaces.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            name.bytes().all(|byte| matches!(byte, b' '..=b'~')),
            "a server name is visible ASCII"
        );
        self.settings.server_name = Some(name);
        self
    }

    /// Whether clients for whom there is no room are told so: 503 with Retry-After, then closed. Off by
    /// default: then they wait in the kernel's queue.
    ///
    /// Keeps one descriptor in reserve to do it with.
    pub fn turn_away_when_full(mut self, turn_away: bool) -> Self {
        self.settings.turns_away = turn_away;
        self
    }

    /// Sets a hook that makes the transport of each accepted connection, such as TLS. No hook by default.
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
    /// use waterwheel_http::{Request, Responded, Result, Server, StatusCode, Stream, TransportInfo};
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
    /// # waterwheel_runtime::block_on(async {
    /// #     server.accept().await.unwrap().serve(greet).await;
    /// # });
    /// # assert!(client.join().unwrap().ends_with("anna"));
    /// # std::io::Result::Ok(())
    /// ```
    #[doc(alias = "tls")]
    pub fn transport<T: Io>(
        mut self,
        hook: impl AsyncFn(Stream, &mut TransportInfo) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        self.settings.transport = Some(TransportHook::new(hook));
        self
    }

    /// Whether [`Numbers`](crate::Numbers) has histograms of handler and queue time. Off by default:
    /// it costs two readings of the clock a request.
    pub fn measure_durations(mut self, measure: bool) -> Self {
        self.settings.measures_durations = measure;
        self
    }

    /// Whether a silent client is asked if it is still there, first after this long
    /// (`SO_KEEPALIVE`). Off by default: the limits end what is silent for too long.
    pub fn keepalive(mut self, after: Duration) -> Self {
        self.listen = self.listen.keepalive(after);
        self
    }

    /// Whether a client waits in the kernel until its first request begins to arrive, or this long,
    /// rounded up to seconds (`TCP_DEFER_ACCEPT`). Off by default.
    ///
    /// Worth it where most connections are new. A client that says nothing is not among the connections
    /// until the time is over, and its limits run from then. One that is kept back
    /// when the listeners close is lost, like a request on a connection that is closed for being idle.
    /// Linux only; see [`ListenOptions::defer_accept`].
    pub fn defer_accept(mut self, wait: Duration) -> Self {
        self.listen = self.listen.defer_accept(wait);
        self
    }

    /// Whether small answers are sent at once (`TCP_NODELAY`). On by default.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.listen = self.listen.nodelay(nodelay);
        self
    }

    /// Whether a v6 address takes v6 clients alone (`IPV6_V6ONLY`). As the system is set by default,
    /// which mostly means that `[::]` takes both.
    pub fn only_v6(mut self, only: bool) -> Self {
        self.listen = self.listen.only_v6(only);
        self
    }

    /// Binds the address and listens. Port 0 means any free one.
    ///
    /// For several addresses, or inherited ones, see [`listen_on`](Self::listen_on).
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
    /// As there.
    pub fn bind_unix(self, path: impl AsRef<Path>) -> io::Result<Server> {
        let listener = self.listen.bind_unix(path)?;
        self.listen_on([Listener::from(listener)])
    }

    /// Serves on listeners that are there already.
    ///
    /// # Errors
    ///
    /// When the reserve of [`turn_away_when_full`](Self::turn_away_when_full) cannot be opened.
    pub fn listen_on<L: Into<Listener>>(
        self,
        listeners: impl IntoIterator<Item = L>,
    ) -> io::Result<Server> {
        let listeners = listeners.into_iter().map(Into::into).collect();
        Server::new(&self.settings, listeners)
    }

    /// Listens nowhere: connections come by [`Server::connection`] alone.
    ///
    /// # Panics
    ///
    /// As [`listen_on`](Self::listen_on) fails, which it does only with a reserve.
    pub fn without_listener(mut self) -> Server {
        self.settings.turns_away = false;
        Server::new(&self.settings, Vec::new()).expect("nothing is opened")
    }

    /// One listener with these options.
    pub(crate) fn listener(&self, address: impl ToSocketAddrs) -> io::Result<Listener> {
        self.listen.bind(address).map(Listener::from)
    }
}

/// Making one.
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

    /// For anything but the defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }
}
