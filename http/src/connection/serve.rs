//! A connection that is served by a handler: what its task consists of.
//!
//! # How it works
//!
//! ```text
//!               woken: takes a burst, and is served
//!   Idle ─────────────────────────────────────────────► Burst
//!     ▲                                                 │   │
//!     └──── nothing more to do: connection and handler ─┘   └──► over
//!           come back by value, the burst is spare
//! ```
//!
//! The task is written by hand, as these two states. It has a burst only while it is served, mostly
//! for a part of one poll; what is idle holds a socket, a handler and the id of a record.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::connection::Connection;
use crate::connection::burst::{Burst, Seat, Served};
use crate::exchange::handler::Handler;
use crate::shared::stop::Stage;
use crate::transport::io::Io;

impl<T: Io> Connection<T> {
    /// Serves all requests of this connection, and closes it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts the connection where it is.
    pub fn serve<H: Handler>(self, handler: H) -> impl Future<Output = ()> {
        let served = Served {
            connection: Box::new(self),
            handler,
        };
        Serve {
            seat: Some(served),
            burst: None,
        }
    }
}

struct Serve<T: Io, H> {
    /// The connection while it is idle.
    seat: Seat<T, H>,
    /// What serves it while it is not.
    burst: Option<Box<Burst<T, H>>>,
}

// Nothing in it is pinned but the burst's future, which has a box of its own.
impl<T: Io, H> Unpin for Serve<T, H> {}

impl<T: Io, H: Handler> Serve<T, H> {
    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(mut burst) = self.burst() else {
                return Poll::Ready(());
            };
            if burst.poll(cx).is_pending() {
                self.burst = Some(burst);
                return Poll::Pending;
            }
            let Some(served) = burst.end() else {
                return Poll::Ready(());
            };
            let served = self.seat.insert(served);
            if ready!(served.connection.poll_quiet(cx)).is_break() {
                return Poll::Ready(());
            }
        }
    }

    /// What serves the connection; nothing if that is over, or cut.
    #[inline]
    fn burst(&mut self) -> Option<Box<Burst<T, H>>> {
        if let Some(burst) = self.burst.take() {
            return Some(burst).filter(|burst| !burst.is_cut());
        }
        let served = self.seat.take()?;
        let (shared, _) = served.connection.place();
        (shared.stage.get() != Stage::Cutting).then(|| Burst::begin(served))
    }
}

impl<T: Io, H: Handler> Future for Serve<T, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let poll = self.poll_state(cx);
        if poll.is_ready() {
            (self.seat, self.burst) = (None, None);
        }
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::transport::AcceptedStream;
    use crate::{Request, Responded, Result};

    #[test]
    fn an_idle_connection_stays_small() {
        let size = size_of::<Connection<AcceptedStream>>();
        assert!(size <= 72, "{size}");
    }

    #[test]
    fn an_idle_connection_does_not_carry_its_handler() {
        async fn large(request: Request<'_>) -> Result<Responded> {
            let ballast = [1_u8; 4096];
            std::future::ready(()).await;
            request
                .respond(crate::StatusCode::OK, &ballast[..], ())
                .await
        }
        fn size<H: Handler>(_: &H) -> usize {
            size_of::<Serve<AcceptedStream, H>>()
        }
        assert!(size(&large) <= 16, "{}", size(&large));
    }
}
