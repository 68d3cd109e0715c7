//! The same loop over mio, which is edge-triggered.

use crate::Options;
use crate::connection::{After, Connection, Shared};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use std::convert::Infallible;
use std::error::Error;
use std::io;

/// The listener's token. Connections have their slab index.
const LISTENER: Token = Token(usize::MAX);

/// Serves until a signal ends the process.
pub(crate) fn run(
    listener: std::net::TcpListener,
    options: &Options,
) -> Result<Infallible, Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut shared = Shared::new(options);
    let mut connections: Slab<Connection<TcpStream>> = Slab::new();
    let mut listener = TcpListener::from_std(listener);
    let registry = poll.registry().try_clone()?;
    registry.register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for Token(key) in events.iter().map(mio::event::Event::token) {
            if Token(key) != LISTENER {
                if connections[key].on_ready(&mut shared) == After::Close {
                    connections.remove(key);
                }
                continue;
            }
            while let Some(socket) = crate::accept(&listener)? {
                let mut connection = Connection::new(TcpStream::from_std(socket.into()));
                if options.eager && connection.on_ready(&mut shared) == After::Close {
                    continue;
                }
                let entry = connections.vacant_entry();
                let interest = Interest::READABLE | Interest::WRITABLE;
                registry.register(&mut connection.socket, Token(entry.key()), interest)?;
                entry.insert(connection);
            }
        }
    }
}
