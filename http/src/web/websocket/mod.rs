//! WebSockets: messages in both directions over one connection (RFC 6455).
//!
//! ```
//! use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
//! use waterwheel::http::{Request, Responded, Result};
//!
//! /// Sends each message back.
//! async fn echo(request: Request<'_>) -> Result<Responded> {
//!     let options = WebSocketOptions::new();
//!     websocket::upgrade(request, &options, async |mut socket: WebSocket| {
//!         while let Some(message) = socket.next().await? {
//!             socket.send(message).await?;
//!         }
//!         Ok(())
//!     })
//!     .await
//! }
//! # drop(waterwheel::http::shared(echo));
//! ```
//!
//! # How it works
//!
//! [`upgrade`] checks the handshake of the client, answers it, and runs a function with the [`WebSocket`] in a task of
//! its own. The socket returns whole messages. It answers pings and close frames by itself, sends pings to a silent
//! client, and gives up a client that stays silent. The [`WebSocketOptions`] have the limits and deadlines.
//!
//! ```text
//!  handler: upgrade(request, &options, talk) ──► Responded: 101, or the status of a fault
//!                        │
//!                        └── a task: talk(socket) ──► returns ──► close frame, its answer, end
//! ```
//!
//! When the server shuts down, each socket sends a close frame with 1001 (going away) and waits for the answer of its
//! client until the grace of the shutdown is over. The function reads the messages that are on their way, and then
//! [`next`](WebSocket::next) returns `None`. So it needs no code for a shutdown.
//!
//! [`send`](WebSocket::send) waits while the client reads slowly. A task that must read meanwhile
//! [splits](WebSocket::split) the socket into halves, and a task that must not wait drops the client.
//!
//! Over HTTPS ([`Builder::tls`](crate::Builder::tls)), the same handler serves `wss` URLs.
//!
//! # Cross-site hijacking
//!
//! By default, only pages of the server's own host may open a WebSocket: see [`WebSocketOptions::origins`].
//!
//! # Invariants
//!
//! - Always: a frame leaves as a whole, whatever future is dropped.
//! - Never: memory for a client that sends nothing, beyond some 400 bytes; and never more than one message for a client
//!   that reads nothing.

mod as_message;
mod decoder;
mod deflate;
mod driver;
mod error;
mod frame;
mod futures;
mod handshake;
mod message;
mod options;
mod reading;
mod receiving;
mod sending;
mod socket;
mod spare;
mod split;
mod writing;

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use waterwheel_runtime::spawn_detached;

use crate::error::Result;
use crate::exchange::handler::Responded;
use crate::exchange::request::Request;
use crate::shared::upgraded::UpgradedEntry;
use crate::web::websocket::deflate::DeflateParameters;
use crate::web::websocket::driver::Driver;
use crate::web::websocket::futures::{Closing, NextMessage, SendMessage};
use crate::web::websocket::handshake::OpeningHandshake;
use crate::web::websocket::socket::{Socket, SocketParts};

pub use as_message::AsMessage;
pub use error::{Violation, WebSocketError};
pub use message::{CloseCode, CloseReason, Message};
pub use options::WebSocketOptions;
pub use split::{WebSocketReader, WebSocketWriter};

/// Answers the opening handshake, and runs `talk` with the socket in a task of its own.
///
/// The handler returns the [`Responded`] at once. The socket closes with 1000 (normal) when `talk` has returned and
/// the socket and its halves are dropped, wherever they are. It closes with 1011 (internal error) if `talk` returns an
/// error that is not the client's. The server logs such an error.
///
/// # Errors
///
/// A [`ClientError`](crate::ClientError) if the request is no valid handshake. Return it from the handler, and the client
/// receives its status:
///
/// | status | cause |
/// |---|---|
/// | 400 | the key is missing or malformed |
/// | 403 | a page of another site: see [`WebSocketOptions::origins`] |
/// | 405 | the method is not GET |
/// | 426 | no WebSocket is offered, or another version than 13 |
///
/// # Cancel safety
///
/// As [`Request::upgrade`].
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::{self, WebSocket, WebSocketOptions};
/// use waterwheel::http::{Request, Responded, Result, StatusCode};
///
/// async fn greet(request: Request<'_>) -> Result<Responded> {
///     if !request.offers("websocket") {
///         return request.respond(StatusCode::OK, "open this page with a client\n", ()).await;
///     }
///     let name = request.query().unwrap_or("stranger").to_owned();
///     let talk = async move |mut socket: WebSocket| {
///         socket.send_text(&format!("good morning, {name}")).await?;
///         Ok(())
///     };
///     websocket::upgrade(request, &WebSocketOptions::new(), talk).await
/// }
/// # drop(waterwheel::http::shared(greet));
/// ```
pub async fn upgrade<F>(
    request: Request<'_>,
    options: &WebSocketOptions,
    talk: F,
) -> Result<Responded>
where
    F: AsyncFnOnce(WebSocket) -> Result<()> + 'static,
{
    let settings = options.0.clone();
    let handshake = OpeningHandshake::check(&request, &settings)?;
    let (protocol, deflate) = (handshake.protocol, handshake.deflate);
    let fields = handshake.fields(&settings);
    let (responded, upgrade) = request.upgrade("websocket", fields).await?;
    spawn_detached(async move {
        let Ok(stream) = upgrade.await else {
            return; // the client is gone
        };
        let (io, read, entry) = stream.into_parts();
        let Ok(entry) = entry.downcast::<UpgradedEntry>() else {
            unreachable!("the server makes all entries");
        };
        let parts = SocketParts {
            io,
            entry: *entry,
            read,
            deflate: deflate.map(DeflateParameters::codec),
            protocol,
        };
        let socket = Rc::new(Socket::new(parts, settings));
        let talk = talk(WebSocket(socket.clone()));
        // A task of its own, because this one has room for all that came before.
        spawn_detached(Driver::new(socket, talk));
    });
    Ok(responded)
}

/// A WebSocket: a stream and a sink of messages.
///
/// [`next`](Self::next) must be polled for pings to be answered, so a function that only sends should
/// [`split`](Self::split) the socket and read in another task.
///
/// # Examples
///
/// A client that is told the time until it leaves:
///
/// ```
/// use std::time::Duration;
/// use waterwheel::http::web::websocket::{CloseCode, Message, WebSocket};
/// use waterwheel::http::Result;
/// use waterwheel::runtime::race;
/// use waterwheel::runtime::time::{Instant, sleep};
///
/// async fn clock(mut socket: WebSocket) -> Result<()> {
///     assert_eq!(socket.protocol(), None);
///     let start = Instant::now();
///     for _ in 0..60 {
///         let second = async {
///             sleep(Duration::from_secs(1)).await;
///             Ok(None)
///         };
///         match race(socket.next(), second).await? {
///             Some(message) => println!("the client says {message:?}"),
///             None => socket.send_text(&format!("{:?}", start.elapsed())).await?,
///         }
///     }
///     socket.send(Message::from("time to go")).await?;
///     socket.send_binary(b"\x07").await?;
///     socket.close(CloseCode::NORMAL, "a minute is over").await?;
///     Ok(())
/// }
/// # drop(clock);
/// ```
#[derive(Debug)]
pub struct WebSocket(Rc<Socket>);

impl WebSocket {
    /// Waits for the next message. Returns `None` after the client's close frame, which is answered.
    ///
    /// # Errors
    ///
    /// If the client is lost, silent for too long, or breaks a rule of the protocol.
    ///
    /// # Cancel safety
    ///
    /// Safe: no message is lost.
    #[expect(
        clippy::should_implement_trait,
        reason = "a wait is no iterator, and streams name it so"
    )]
    pub fn next(
        &mut self,
    ) -> impl Future<Output = Result<Option<Message>, WebSocketError>> + Unpin {
        NextMessage(&self.0)
    }

    /// Sends a message. Waits until the transport has accepted it, so at most as long as the client reads slowly.
    ///
    /// While more messages of the client have been read already, a small one waits for the others, so that they leave
    /// with one write: at the latest when the handler waits. A small message by value leaves its memory to the next one
    /// that arrives, so `send(message)` costs less than `send(&message)`.
    ///
    /// A small message that is sent by value costs less than one by reference: see [`AsMessage`].
    ///
    /// # Errors
    ///
    /// [`Closed`](WebSocketError::Closed) after a close frame. If the client is lost, or accepts no byte for too long.
    ///
    /// # Cancel safety
    ///
    /// Safe: a message is sent as a whole or not at all. A future that was polled once may have accepted it.
    pub fn send(
        &mut self,
        message: impl AsMessage,
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, message)
    }

    /// Sends a text. One of more than 4 KiB is not copied if the client reads fast enough. Otherwise as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_text<'a>(
        &'a mut self,
        text: &'a str,
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, text)
    }

    /// Sends bytes. Otherwise as [`send_text`](Self::send_text).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    ///
    /// As [`send`](Self::send).
    pub fn send_binary<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, bytes)
    }

    /// Sends a close frame, and waits for the client's. Discards messages that come before it. A text of more than 123
    /// bytes is cut.
    ///
    /// # Errors
    ///
    /// If the client is lost, breaks a rule, or does not answer in time, and if that has happened before.
    ///
    /// # Cancel safety
    ///
    /// Safe: the close frame is sent, and the socket ends by itself.
    pub fn close(
        &mut self,
        code: CloseCode,
        text: &str,
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        self.0.ask_to_close(code, text);
        Closing(NextMessage(&self.0))
    }

    /// Returns the reason that the client has given in its close frame. Returns `None` before that, and if there is no
    /// reason in it.
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::websocket::WebSocket;
    /// use waterwheel::http::Result;
    ///
    /// async fn wait_for_the_end(mut socket: WebSocket) -> Result<()> {
    ///     while socket.next().await?.is_some() {}
    ///     println!("{:?}", socket.close_reason());
    ///     Ok(())
    /// }
    /// # drop(wait_for_the_end);
    /// ```
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }

    /// Returns the subprotocol that was chosen from [`WebSocketOptions::protocols`].
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.0.protocol()
    }

    /// Splits the socket into halves, so that one task reads while another one writes.
    ///
    /// The socket closes when both halves are dropped, or by [`WebSocketWriter::close`].
    ///
    /// # Examples
    ///
    /// ```
    /// use waterwheel::http::web::websocket::WebSocket;
    /// use waterwheel::http::Result;
    /// use waterwheel::runtime::spawn;
    ///
    /// async fn count(socket: WebSocket) -> Result<()> {
    ///     let (mut reader, mut writer) = socket.split();
    ///     let write = spawn(async move {
    ///         for number in 0..1000 {
    ///             writer.send_text(&number.to_string()).await?;
    ///         }
    ///         Result::<()>::Ok(())
    ///     });
    ///     while let Some(message) = reader.next().await? {
    ///         println!("{message:?}");
    ///     }
    ///     write.await?
    /// }
    /// # drop(count);
    /// ```
    #[must_use]
    pub fn split(self) -> (WebSocketReader, WebSocketWriter) {
        let halves = (
            WebSocketReader(self.0.clone()),
            WebSocketWriter(self.0.clone()),
        );
        drop(self);
        halves.0.0.keep_reader();
        halves
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.0.drop_reader();
        release(&self.0);
    }
}

/// The messages, until the client's close frame or an error.
impl Stream for WebSocket {
    type Item = Result<Message, WebSocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx).map(Result::transpose)
    }
}

/// Messages for the client. A sink takes up to 16 KiB, and more in its last message, before it must be flushed.
impl Sink<Message> for WebSocket {
    type Error = WebSocketError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.0.start_send(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.ask_to_close(CloseCode::NORMAL, "");
        self.0.poll_flush(cx)
    }
}

/// Wakes the driver, which ends the socket after the drop of the last handle.
fn release(socket: &Socket) {
    socket.with_entry(UpgradedEntry::wake);
}
