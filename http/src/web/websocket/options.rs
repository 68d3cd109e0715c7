//! The limits and choices of WebSockets.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::web::websocket::deflate::SharedDeflate;
use crate::web::websocket::reading::Reading;
use crate::web::websocket::socket::Working;
use crate::web::websocket::spare::SpareMemory;
use crate::web::websocket::writing::Writing;

/// Limits, deadlines and choices for the WebSockets of one kind. A clone is cheap and has the same values.
///
/// The defaults:
///
/// | setting | default |
/// |---|---|
/// | [`message_bytes_max`](Self::message_bytes_max) | 1 MiB |
/// | [`frame_bytes_max`](Self::frame_bytes_max) | 1 MiB |
/// | [`ping_after`](Self::ping_after) | 30 s |
/// | [`silence_max`](Self::silence_max) | 60 s |
/// | [`write_stall_max`](Self::write_stall_max) | 30 s |
/// | [`close_duration_max`](Self::close_duration_max) | 10 s |
/// | [`origins`](Self::origins) | pages of the same host |
/// | [`protocols`](Self::protocols) | no subprotocol |
/// | [`compress`](Self::compress) | no compression |
///
/// Keep one value for all requests of a route, because its sockets share a buffer.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::web::websocket::WebSocketOptions;
///
/// let options = WebSocketOptions::new()
///     .message_bytes_max(64 * 1024)
///     .frame_bytes_max(16 * 1024)
///     .ping_after(Duration::from_secs(20))
///     .silence_max(Duration::from_secs(50))
///     .write_stall_max(Duration::from_secs(10))
///     .close_duration_max(Duration::from_secs(5))
///     .origins(["https://mill.example"])
///     .protocols(["grist.v2", "grist.v1"])
///     .compress();
/// # drop(options);
/// ```
#[derive(Clone, Debug, Default)]
pub struct WebSocketOptions(pub(super) Rc<SocketSettings>);

/// The values of [`WebSocketOptions`], and the memory that their sockets share.
#[derive(Clone)]
pub(super) struct SocketSettings {
    pub(super) message_bytes_max: usize,
    pub(super) frame_bytes_max: usize,
    pub(super) ping_after: Duration,
    pub(super) silence_max: Duration,
    pub(super) write_stall_max: Duration,
    pub(super) close_duration_max: Duration,
    pub(super) origins: Origins,
    pub(super) protocols: Vec<String>,
    /// `None` if messages are not compressed, and true if they may refer to earlier ones.
    pub(super) compression: Option<bool>,
    pub(super) shared: Rc<SharedMemory>,
}

/// The origins whose pages may open a WebSocket.
#[derive(Clone, Debug)]
pub(super) enum Origins {
    /// Those whose host is the Host of the request.
    SameHost,
    These(Vec<String>),
    All,
}

/// The memory that the sockets of a thread share, so that an idle one has none. It does not belong to the options,
/// because a handler may make new ones for each socket.
#[derive(Default)]
pub(super) struct SharedMemory {
    /// The bytes of one read.
    pub(super) input: Cell<Vec<u8>>,
    pub(super) reading: Cell<Option<Box<Reading>>>,
    pub(super) writing: Cell<Option<Box<Writing>>>,
    pub(super) working: Cell<Option<Box<Working>>>,
    pub(super) deflate: SharedDeflate,
    pub(super) spare: SpareMemory,
}

thread_local! {
    static SHARED: Rc<SharedMemory> = Rc::default();
}

impl Default for SocketSettings {
    fn default() -> Self {
        Self {
            message_bytes_max: 1024 * 1024,
            frame_bytes_max: 1024 * 1024,
            ping_after: Duration::from_secs(30),
            silence_max: Duration::from_secs(60),
            write_stall_max: Duration::from_secs(30),
            close_duration_max: Duration::from_secs(10),
            origins: Origins::SameHost,
            protocols: Vec::new(),
            compression: None,
            shared: SHARED.with(Rc::clone),
        }
    }
}

impl fmt::Debug for SocketSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketSettings")
            .field("message_bytes_max", &self.message_bytes_max)
            .field("frame_bytes_max", &self.frame_bytes_max)
            .field("ping_after", &self.ping_after)
            .field("silence_max", &self.silence_max)
            .field("write_stall_max", &self.write_stall_max)
            .field("close_duration_max", &self.close_duration_max)
            .field("origins", &self.origins)
            .field("protocols", &self.protocols)
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl WebSocketOptions {
    /// Returns the default options.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, change: impl FnOnce(&mut SocketSettings)) -> Self {
        change(Rc::make_mut(&mut self.0));
        self
    }

    /// Sets the most bytes of a message, also of one that was compressed. A client that exceeds it receives the code
    /// 1009.
    #[must_use]
    pub fn message_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.message_bytes_max = bytes)
    }

    /// Sets the most bytes of a frame. Memory does not grow with the announced length of a frame, so this limit is only
    /// for clients that must send their messages in small frames.
    #[must_use]
    pub fn frame_bytes_max(self, bytes: usize) -> Self {
        self.with(|settings| settings.frame_bytes_max = bytes)
    }

    /// Sets the silence of the client after which the server sends a ping. A browser answers it by itself. This keeps
    /// proxies from closing the connection.
    ///
    /// The silence counts while the handler waits for a message.
    #[must_use]
    pub fn ping_after(self, silence: Duration) -> Self {
        self.with(|settings| settings.ping_after = silence)
    }

    /// Sets the silence after which the client counts as gone. It must be longer than
    /// [`ping_after`](Self::ping_after), or no answer can come in time.
    #[must_use]
    pub fn silence_max(self, silence: Duration) -> Self {
        self.with(|settings| settings.silence_max = silence)
    }

    /// Sets the longest time in which the client accepts no byte of a message.
    #[must_use]
    pub fn write_stall_max(self, time: Duration) -> Self {
        self.with(|settings| settings.write_stall_max = time)
    }

    /// Sets the longest time from the server's close frame to the end of the connection. While the server shuts down,
    /// its own deadline counts instead.
    #[must_use]
    pub fn close_duration_max(self, time: Duration) -> Self {
        self.with(|settings| settings.close_duration_max = time)
    }

    /// Allows pages of these origins, such as `https://mill.example`, and no others.
    ///
    /// A browser lets a page of any site open a WebSocket to this server, and sends the cookies of its user along. So a
    /// server that trusts cookies must refuse the pages of other sites (cross-site WebSocket hijacking). The browser
    /// names the page's site in the field Origin, which a page cannot change.
    ///
    /// By default, the host and the port of the origin must be those of the field Host, with or without the usual port.
    /// That fits a server whose proxy passes Host on. Over TLS, pages of http are refused, because anybody in the network
    /// of a client can write one. A request without Origin is allowed, because it is not from a browser.
    #[must_use]
    pub fn origins<O: Into<String>>(self, origins: impl IntoIterator<Item = O>) -> Self {
        let origins = origins.into_iter().map(Into::into).collect();
        self.with(|settings| settings.origins = Origins::These(origins))
    }

    /// Allows pages of all origins. This is safe only if the server does not trust cookies, nor the network address of
    /// the client: see [`origins`](Self::origins).
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::websocket::WebSocketOptions;
    ///
    /// // Prices that each page of the Internet may show.
    /// let options = WebSocketOptions::new().all_origins();
    /// # drop(options);
    /// ```
    #[must_use]
    pub fn all_origins(self) -> Self {
        self.with(|settings| settings.origins = Origins::All)
    }

    /// Sets the subprotocols that the server speaks. The first one that the client names and that is among these is
    /// chosen (RFC 6455, 1.9). [`WebSocket::protocol`](crate::web::websocket::WebSocket::protocol) returns it.
    #[must_use]
    pub fn protocols<P: Into<String>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(Into::into).collect();
        self.with(|settings| settings.protocols = protocols)
    }

    /// Accepts permessage-deflate (RFC 7692) if the client offers it. Browsers do. Each message is compressed for itself,
    /// and an idle socket needs no memory for that. Messages of less than 64 bytes are sent as they are.
    ///
    /// Do not compress a secret together with text of an attacker, who could find the secret by the lengths (CRIME).
    #[must_use]
    pub fn compress(self) -> Self {
        self.with(|settings| settings.compression = Some(false))
    }

    /// As [`compress`](Self::compress), and messages may refer to earlier ones ("context takeover"). Messages that
    /// resemble each other become much smaller, and each socket needs some 300 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::websocket::WebSocketOptions;
    ///
    /// let options = WebSocketOptions::new().compress_across_messages();
    /// # drop(options);
    /// ```
    #[must_use]
    pub fn compress_across_messages(self) -> Self {
        self.with(|settings| settings.compression = Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_options_of_a_thread_share_their_memory() {
        let options = WebSocketOptions::new();
        let others = [
            WebSocketOptions::new(),
            options.clone().message_bytes_max(1),
        ];
        for other in others {
            assert!(Rc::ptr_eq(&options.0.shared, &other.0.shared));
        }
    }
}
