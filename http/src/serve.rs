//! A connection that is served by a handler: what its task consists of.
//!
//! # How it works
//!
//! ```text
//!             readable, or a head has taken too long
//!   Idle ─────────────────────────────────────────────► Burst (boxed)
//!     ▲                                                   │   │
//!     └──── nothing more to do: connection and handler ───┘   └──► over
//!           come back by value
//! ```
//!
//! An `async fn` stores everything at its largest: as one future, an idle connection would carry its
//! handler's state and all waits it is not in. So the task is written by hand, as these two
//! states; what is large lives in the burst's own allocation, for as long as there is a burst.
//!
//! A connection that is asked again within a second is *brisk*: its burst waits for the next
//! request itself, so that steady traffic allocates nothing. One that is not gives everything back
//! at once, which keeps ten thousand of them from each leaving a hole in the heap.

use std::future::Future;
use std::mem;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use crate::connection::{Connection, Patience, Woken};
use crate::handler::Handler;
use crate::io::Io;
use crate::register::Key;
use crate::shared::Shared;
use crate::stop::Stage;

impl<T: Io> Connection<T> {
    /// Serves all requests of this connection, and closes it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cuts the connection where it is.
    pub fn serve<H: Handler>(self, handler: H) -> impl Future<Output = ()> {
        Serve::new(self, handler)
    }
}

struct Serve<T: Io, H> {
    state: State<T, H>,
}

enum State<T: Io, H> {
    /// Accepted, and not run yet.
    New(Idle<T, H>),
    Idle(Idle<T, H>),
    Burst(Bursting<T, H>),
    Over,
}

struct Idle<T: Io, H> {
    connection: Connection<T>,
    handler: H,
}

/// A burst, and the place of the connection within it.
struct Bursting<T: Io, H> {
    burst: Pin<Box<dyn Burst<T, H>>>,
    shared: Rc<Shared>,
    key: Key,
}

/// Gives the connection back when it has become quiet, and nothing when it is over.
trait Burst<T: Io, H>: Future<Output = Option<Idle<T, H>>> {}

impl<T: Io, H, F: Future<Output = Option<Idle<T, H>>>> Burst<T, H> for F {}

// Nothing in it is pinned but the burst, which has a box of its own.
impl<T: Io, H> Unpin for Serve<T, H> {}

impl<T: Io, H: Handler> Serve<T, H> {
    /// Begins with a burst, since a new connection has often sent its request already. It is made
    /// when the task first runs: of many that are accepted at once, each finds the memory that the
    /// one before has left.
    fn new(connection: Connection<T>, handler: H) -> Self {
        let idle = Idle {
            connection,
            handler,
        };
        Self {
            state: State::New(idle),
        }
    }

    fn poll_state(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            self.state = match &mut self.state {
                State::New(_) => match self.take() {
                    State::New(idle) => idle.serve(Patience::Nothing),
                    other => other,
                },
                State::Idle(idle) => {
                    let woken = ready!(idle.connection.poll_wait(cx));
                    match self.take() {
                        State::Idle(idle) => idle.wake(woken),
                        other => other,
                    }
                }
                State::Burst(bursting) => match ready!(bursting.burst.as_mut().poll(cx)) {
                    Some(idle) => State::Idle(idle),
                    None => State::Over,
                },
                State::Over => return Poll::Ready(()),
            };
        }
    }

    fn take(&mut self) -> State<T, H> {
        mem::replace(&mut self.state, State::Over)
    }

    /// Where it stands with its server, unless it is over.
    #[inline]
    fn place(&self) -> Option<(&Rc<Shared>, Key)> {
        match &self.state {
            State::New(idle) | State::Idle(idle) => Some(idle.connection.place()),
            State::Burst(bursting) => Some((&bursting.shared, bursting.key)),
            State::Over => None,
        }
    }
}

impl<T: Io, H: Handler> Idle<T, H> {
    fn serve(self, patience: Patience) -> State<T, H> {
        self.go_through(|idle| burst(idle, patience))
    }

    fn go_through<B>(self, make: impl FnOnce(Self) -> B) -> State<T, H>
    where
        B: Future<Output = Option<Self>> + 'static,
    {
        let (shared, key) = self.connection.place();
        State::Burst(Bursting {
            shared: shared.clone(),
            key,
            burst: Box::pin(make(self)),
        })
    }

    /// What the end of a wait leads to.
    fn wake(self, woken: Option<Woken>) -> State<T, H> {
        match woken {
            Some(Woken::Readable) if self.connection.is_brisk() => self.serve(Patience::Burst),
            Some(Woken::Readable) => self.serve(Patience::Nothing),
            None if self.connection.is_within_head() => self.go_through(late),
            None => {
                self.connection.has_idled();
                State::Over
            }
            Some(Woken::Quiet | Woken::Over) => State::Over,
        }
    }
}

impl<T: Io, H: Handler> Future for Serve<T, H> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let is_cut = |(shared, _): (&Rc<Shared>, Key)| shared.stage.get() == Stage::Cutting;
        if self.place().is_some_and(is_cut) {
            self.state = State::Over;
        }
        let poll = self.poll_state(cx);
        if let Some((shared, key)) = self.place() {
            // Whatever it waits for, the server can reach it.
            shared.register.reach(key, cx.waker());
        }
        poll
    }
}

/// Serves what there is; gives the connection back when it has become quiet.
async fn burst<T: Io, H: Handler>(mut idle: Idle<T, H>, patience: Patience) -> Option<Idle<T, H>> {
    match idle.connection.burst(&idle.handler, patience).await {
        ControlFlow::Continue(()) => {
            idle.connection.prepare_to_wait();
            Some(idle)
        }
        ControlFlow::Break(()) => None,
    }
}

/// Refuses what has taken too long.
async fn late<T: Io, H>(mut idle: Idle<T, H>) -> Option<Idle<T, H>> {
    idle.connection.refuse_late().await;
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Request, Responded, Result, Stream};

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
            size_of::<Serve<Stream, H>>()
        }
        assert!(size(&large) <= 80, "{}", size(&large));
    }
}
