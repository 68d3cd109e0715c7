//! The futures of a WebSocket. They are written by hand, because they are parts of the future of each idle socket.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tungstenite::protocol::frame::coding::Data;

use crate::web::websocket::as_message::Outgoing;
use crate::web::websocket::error::WebSocketError;
use crate::web::websocket::message::Message;
use crate::web::websocket::socket::Socket;

/// Waits for a message.
pub(super) struct NextMessage<'a>(pub(super) &'a Socket);

impl Future for NextMessage<'_> {
    type Output = Result<Option<Message>, WebSocketError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_next(cx)
    }
}

impl Drop for NextMessage<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Sends a message. The states are in the options, because an idle socket has room for this. // LOG W4
pub(super) struct SendMessage<'a, S> {
    /// `None` when the future has completed.
    socket: Option<&'a Socket>,
    /// `None` once the socket has accepted the message.
    message: Option<S>,
}

const _: () = assert!(size_of::<SendMessage<'_, &Message>>() == 16);
const _: () = assert!(size_of::<SendMessage<'_, &str>>() == 24);

impl<'a, S: Outgoing> SendMessage<'a, S> {
    pub(super) fn new(socket: &'a Socket, message: S) -> Self {
        Self {
            socket: Some(socket),
            message: Some(message),
        }
    }

    /// Forgets the accepted message.
    #[inline]
    fn leave_memory(&mut self, socket: &Socket) {
        if let Some(message) = self.message.take() {
            socket.settings.shared.spare.put(message.into_memory());
        }
    }
}

impl<S: Outgoing> Future for SendMessage<'_, S> {
    type Output = Result<(), WebSocketError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let socket = (self.socket).expect("a sender is not polled after it has completed");
        if let Some(message) = &self.message
            && socket.sends_with_others(message.data(), message.payload())
        {
            self.socket = None;
            self.leave_memory(socket);
            return Poll::Ready(Ok(()));
        }
        let mut is_accepted = self.message.is_none();
        let (data, payload) = match &self.message {
            Some(message) => (message.data(), message.payload()),
            None => (Data::Binary, &[][..]), // not read
        };
        let polled = socket.poll_send(cx, data, payload, &mut is_accepted);
        if is_accepted {
            self.leave_memory(socket);
        }
        if polled.is_ready() {
            self.socket = None;
        }
        polled
    }
}

impl<S> Drop for SendMessage<'_, S> {
    #[inline]
    fn drop(&mut self) {
        // The bytes of a message that waits for others are the driver's already.
        if let Some(socket) = self.socket {
            socket.leave_sender();
        }
    }
}

/// Waits for the client's close frame, and discards the messages before it.
pub(super) struct Closing<'a>(pub(super) NextMessage<'a>);

impl Future for Closing<'_> {
    type Output = Result<(), WebSocketError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while ready!(Pin::new(&mut self.0).poll(cx))?.is_some() {}
        // The error may have been returned before.
        Poll::Ready(self.0.0.result_of_close())
    }
}

/// Waits for the client's close frame, beside a reader.
pub(super) struct ClosingBeside<'a>(pub(super) &'a Socket);

impl Future for ClosingBeside<'_> {
    type Output = Result<(), WebSocketError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_closed(cx)
    }
}
