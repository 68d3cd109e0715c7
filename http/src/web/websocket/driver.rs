//! The task of a WebSocket.
//!
//! # How it works
//!
//! The task runs the handler, and cares for the socket beside it: it says goodbye when the server ends, sends pings, flushes
//! pongs, and keeps the deadlines. When the handler has returned and the socket and its halves are dropped, it closes the
//! socket.
//!
//! # Invariants
//!
//! - Always: the server's table can wake this task.
//! - Never: a handler that waits for something else keeps the close frame from being sent or answered.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::error::panics::{drop_contained, panic_text};
use crate::error::{Error, Result};
use crate::log;
use crate::web::websocket::error::WebSocketError;
use crate::web::websocket::message::CloseCode;
use crate::web::websocket::socket::{Socket, SocketPhase};

pin_project! {
    /// Runs the handler and the socket until both have ended. Written by hand, because an `async fn` has room for its
    /// arguments twice, and each idle socket has one of these.
    pub(super) struct Driver<F> {
        socket: Rc<Socket>,
        #[pin]
        talk: Talk<F>,
    }
}

pin_project! {
    #[project = TalkProjection]
    enum Talk<F> {
        Runs { #[pin] future: F },
        // With the code of the close frame.
        Returned { code: CloseCode },
    }
}

impl<F: Future<Output = Result<()>>> Talk<F> {
    /// Polls the handler. Returns the code of the close frame when it has returned.
    fn poll(mut self: Pin<&mut Self>, socket: &Socket, cx: &mut Context<'_>) -> Poll<CloseCode> {
        let code = match self.as_mut().project() {
            TalkProjection::Returned { code } => return Poll::Ready(*code),
            TalkProjection::Runs { future } => {
                // A panic is a failure of the handler. Without this it would drop the socket without a close frame,
                // and a half in another task would have no task that cares for it.
                match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
                    Ok(polled) => match ready!(polled) {
                        Ok(()) => CloseCode::NORMAL,
                        Err(error) => code_of(socket, &error),
                    },
                    Err(payload) => {
                        let text = format!("the handler panicked: {}", panic_text(&*payload));
                        drop_contained(payload);
                        code_of(socket, &Error::message(text))
                    }
                }
            }
        };
        self.set(Self::Returned { code });
        Poll::Ready(code)
    }
}

impl<F> Driver<F> {
    pub(super) fn new(socket: Rc<Socket>, talk: F) -> Self {
        Self {
            socket,
            talk: Talk::Runs { future: talk },
        }
    }
}

impl<F: Future<Output = Result<()>>> Future for Driver<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let socket = &**this.socket;
        // Registered first, so that the halves can tell this task from others.
        socket.with_entry(|entry| entry.reach(cx.waker()));
        socket.keep_time();
        let returned = this.talk.poll(socket, cx);
        // One reference is this task's own.
        if let Poll::Ready(code) = returned
            && Rc::strong_count(this.socket) == 1
        {
            socket.begin_close(code, "");
        }
        let before = socket.phase();
        attend(socket, cx);
        let phase = socket.phase();
        if phase != before {
            socket.wake_waiting();
            if returned.is_pending() {
                cx.waker().wake_by_ref(); // the handler may wait for the socket
            }
        }
        if phase == SocketPhase::Gone && returned.is_ready() {
            return Poll::Ready(());
        }
        let due = socket.due();
        socket.with_entry(|entry| entry.watch(due, cx.waker()));
        Poll::Pending
    }
}

/// Moves the frames that no other task moves.
fn attend(socket: &Socket, cx: &mut Context<'_>) {
    let _read = socket.poll_read_aside(cx);
    if socket.phase() == SocketPhase::Finishing {
        let _is_gone = socket.poll_finish(cx);
    } else {
        // A failure shows as the phase `Gone`.
        let _flushed = socket.poll_flush(cx);
    }
}

/// Logs the error of a handler, and returns the code for the client.
fn code_of(socket: &Socket, error: &Error) -> CloseCode {
    // A socket ends for reasons of its client or because the server ends, and the handler learns of it so.
    if error.is_disconnect() || error.find::<WebSocketError>().is_some() {
        log::websocket_lost(error);
        return CloseCode::NORMAL;
    }
    let allowed = socket.with_entry(|entry| entry.server().log.allows());
    // A socket that is gone has no server to count its lines.
    if let Some(left_out) = allowed.unwrap_or(Some(0)) {
        log::websocket_failed(error, left_out);
    }
    CloseCode::INTERNAL_ERROR
}
