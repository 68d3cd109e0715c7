//! The same loop over mio, which is edge-triggered.

use crate::connection::{After, Connection, Shared};
use crate::listener;
use crate::options::{FirstRead, Options};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::convert::Infallible;
use std::error::Error;
use std::io;

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

/// The listener's token; connections have their slab index.
const LISTENER: Token = Token(usize::MAX);

/// Serves until a signal ends the process.
///
/// # Errors
/// If epoll or accept fail.
pub(crate) fn run(
    listener: std::net::TcpListener,
    options: &Options,
) -> Result<Infallible, Box<dyn Error>> {
    let mut floor = Floor {
        poll: Poll::new()?,
        connections: Slab::new(),
        shared: Shared::new(options),
        first_read: options.first_read,
        listener: TcpListener::from_std(listener),
    };
    floor
        .poll
        .registry()
        .register(&mut floor.listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        match floor.poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept()?,
                Token(key) => floor.turn(key),
            }
        }
    }
}

struct Floor {
    poll: Poll,
    connections: Slab<Connection<TcpStream>>,
    shared: Shared,
    first_read: FirstRead,
    listener: TcpListener,
}

impl Floor {
    /// Accepts all who wait.
    fn accept(&mut self) -> io::Result<()> {
        while let Some(socket) = listener::accept(&self.listener)? {
            let mut connection = Connection::new(TcpStream::from_std(socket.into()));
            let early = self.first_read == FirstRead::AfterAccept;
            if early && connection.on_ready(&mut self.shared) == After::Close {
                continue;
            }
            let entry = self.connections.vacant_entry();
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut connection.socket, Token(entry.key()), interest)?;
            entry.insert(connection);
        }
        Ok(())
    }

    /// Lets one connection take its turn.
    fn turn(&mut self, key: usize) {
        if self.connections[key].on_ready(&mut self.shared) == After::Close {
            self.connections.remove(key);
        }
    }
}
