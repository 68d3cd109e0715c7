//! The futures of a WebSocket. They are written by hand, because they are parts of the future of each idle socket.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tungstenite::protocol::frame::coding::Data;

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

/// Sends a message.
pub(super) struct SendMessage<'a> {
    socket: &'a Socket,
    data: Data,
    payload: &'a [u8],
    is_accepted: bool,
    is_ready: bool,
}

impl<'a> SendMessage<'a> {
    pub(super) fn new(socket: &'a Socket, message: &'a Message) -> Self {
        Self::with(socket, message.data(), message.as_bytes())
    }

    pub(super) fn with(socket: &'a Socket, data: Data, payload: &'a [u8]) -> Self {
        Self {
            socket,
            data,
            payload,
            is_accepted: false,
            is_ready: false,
        }
    }
}

impl Future for SendMessage<'_> {
    type Output = Result<(), WebSocketError>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.is_accepted && self.socket.sends_with_others(self.data, self.payload) {
            (self.is_accepted, self.is_ready) = (true, true);
            return Poll::Ready(Ok(()));
        }
        let Self {
            socket,
            data,
            payload,
            is_accepted,
            is_ready,
        } = &mut *self;
        let polled = socket.poll_send(cx, *data, payload, is_accepted);
        *is_ready = polled.is_ready();
        polled
    }
}

impl Drop for SendMessage<'_> {
    #[inline]
    fn drop(&mut self) {
        // The bytes of a message that waits for others are the driver's already.
        if !self.is_ready {
            self.socket.leave_sender();
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
