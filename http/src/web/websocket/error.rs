//! The reasons for which a WebSocket ends early.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::web::websocket::message::CloseCode;

/// A rule of the protocol that the client has broken. The server sends its [`code`](Self::code) and closes.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::{CloseCode, Violation};
///
/// assert_eq!(Violation::Utf8.code(), CloseCode::INVALID_DATA);
/// assert_eq!(Violation::Unmasked.to_string(), "a frame without a mask");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A reserved bit is set, and no extension uses it (RFC 6455, 5.2).
    ReservedBit,
    /// The opcode is unknown (RFC 6455, 5.2).
    Opcode,
    /// The frame has no mask (RFC 6455, 5.1).
    Unmasked,
    /// The length is not in its shortest form, or too great for a control frame (RFC 6455, 5.2 and 5.5).
    Length,
    /// A control frame is fragmented (RFC 6455, 5.4).
    FragmentedControl,
    /// A continuation without a beginning (RFC 6455, 5.4).
    Continuation,
    /// A message begins within another one (RFC 6455, 5.4).
    Interrupted,
    /// A text is not UTF-8 (RFC 6455, 8.1).
    Utf8,
    /// The payload of a close frame has one byte, or a code that may not be sent (RFC 6455, 7.4).
    Close,
    /// A compressed message is not DEFLATE (RFC 7692, 7.2.2).
    Deflate,
    /// A frame or a message exceeds a limit of the [`WebSocketOptions`](crate::web::websocket::WebSocketOptions).
    TooLarge,
}

impl Violation {
    /// Returns the code that the server sends (RFC 6455, 7.4.1).
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_DATA,
            Self::TooLarge => CloseCode::TOO_LARGE,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::ReservedBit => "a reserved bit is set",
            Self::Opcode => "unknown opcode",
            Self::Unmasked => "a frame without a mask",
            Self::Length => "malformed length",
            Self::FragmentedControl => "a fragmented control frame",
            Self::Continuation => "a continuation without a beginning",
            Self::Interrupted => "a message within a message",
            Self::Utf8 => "the text is not UTF-8",
            Self::Close => "malformed close frame",
            Self::Deflate => "malformed compressed data",
            Self::TooLarge => "the message is too large",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for Violation {}

/// An error of a WebSocket. After it, the socket sends and receives no messages.
///
/// A handler that returns it with `?` ends. The server does not log it as a fault of the handler.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::{WebSocket, WebSocketError};
///
/// async fn listen(socket: &mut WebSocket) {
///     match socket.next().await {
///         Ok(Some(message)) => println!("{message:?}"),
///         Ok(None) => println!("closed: {:?}", socket.close_reason()),
///         Err(WebSocketError::Violation(rule)) => println!("the client has broken a rule: {rule}"),
///         Err(error) => println!("the client is gone: {error}"),
///     }
/// }
/// # drop(listen);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum WebSocketError {
    /// The socket is closed, or is being closed, so it sends no messages.
    Closed,
    /// The client has left without a close frame, or the server has cut the connection.
    Lost(io::Error),
    /// The client was silent for too long, or accepted no bytes for too long.
    TimedOut,
    /// The client has broken a rule of the protocol. It receives a close frame.
    Violation(Violation),
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the websocket is closed"),
            Self::Lost(error) => write!(f, "the websocket is lost: {error}"),
            Self::TimedOut => f.write_str("the client of the websocket is silent"),
            Self::Violation(violation) => violation.fmt(f),
        }
    }
}

impl StdError for WebSocketError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Lost(error) => Some(error),
            Self::Violation(violation) => Some(violation),
            Self::Closed | Self::TimedOut => None,
        }
    }
}

impl From<Violation> for WebSocketError {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}
