//! The halves of a WebSocket.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;

use super::release;
use crate::web::websocket::as_message::AsMessage;
use crate::web::websocket::error::WebSocketError;
use crate::web::websocket::futures::{ClosingBeside, NextMessage, SendMessage};
use crate::web::websocket::message::{CloseCode, CloseReason, Message};
use crate::web::websocket::socket::Socket;

/// The reading half of a [`WebSocket`](crate::web::websocket::WebSocket): a stream of messages.
///
/// After its drop, the server discards the client's messages, and still answers its pings and its close frame.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::WebSocketReader;
/// use waterwheel::http::Result;
///
/// async fn read(mut reader: WebSocketReader) -> Result<()> {
///     while let Some(message) = reader.next().await? {
///         println!("{message:?}");
///     }
///     println!("{:?}", reader.close_reason());
///     Ok(())
/// }
/// # drop(read);
/// ```
#[derive(Debug)]
pub struct WebSocketReader(pub(super) Rc<Socket>);

impl WebSocketReader {
    /// As [`WebSocket::next`](crate::web::websocket::WebSocket::next).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::next`](crate::web::websocket::WebSocket::next).
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

    /// As [`WebSocket::close_reason`](crate::web::websocket::WebSocket::close_reason).
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }
}

impl Stream for WebSocketReader {
    type Item = Result<Message, WebSocketError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next(cx).map(Result::transpose)
    }
}

impl Drop for WebSocketReader {
    fn drop(&mut self) {
        self.0.drop_reader();
        release(&self.0);
    }
}

/// The writing half of a [`WebSocket`](crate::web::websocket::WebSocket): a sink of messages.
///
/// # Examples
///
/// ```
/// use waterwheel::http::web::websocket::{CloseCode, Message, WebSocketWriter};
/// use waterwheel::http::Result;
///
/// async fn write(mut writer: WebSocketWriter) -> Result<()> {
///     writer.send(Message::from("flour")).await?;
///     writer.send_text("bran").await?;
///     writer.send_binary(&[0, 1, 2]).await?;
///     writer.close(CloseCode::NORMAL, "sold out").await?;
///     Ok(())
/// }
/// # drop(write);
/// ```
#[derive(Debug)]
pub struct WebSocketWriter(pub(super) Rc<Socket>);

impl WebSocketWriter {
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    pub fn send(
        &mut self,
        message: impl AsMessage,
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, message)
    }

    /// As [`WebSocket::send_text`](crate::web::websocket::WebSocket::send_text).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    pub fn send_text<'a>(
        &'a mut self,
        text: &'a str,
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, text)
    }

    /// As [`WebSocket::send_binary`](crate::web::websocket::WebSocket::send_binary).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    ///
    /// # Cancel safety
    ///
    /// As [`WebSocket::send`](crate::web::websocket::WebSocket::send).
    pub fn send_binary<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> impl Future<Output = Result<(), WebSocketError>> + Unpin {
        SendMessage::new(&self.0, bytes)
    }

    /// Sends a close frame, and waits for the client's. A text of more than 123 bytes is cut.
    ///
    /// The reading half returns the messages before the client's close frame, and then `None`. Up to 64 KiB of them, and
    /// the last one, wait for a reading half that is not polled. If it is dropped, they are discarded.
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
        ClosingBeside(&self.0)
    }
}

impl Sink<Message> for WebSocketWriter {
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

impl Drop for WebSocketWriter {
    fn drop(&mut self) {
        release(&self.0);
    }
}
