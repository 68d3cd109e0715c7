//! The loop over bare epoll, level- or edge-triggered, over whatever reads and writes a socket.

use crate::connection::{After, Connection, Shared};
use crate::listener;
use crate::options::{FirstRead, Options, Trigger};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use slab::Slab;
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpListener;

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

/// The listener's key; connections have their slab index.
const LISTENER: u64 = u64::MAX;

/// Serves until a signal ends the process: a `TcpStream` calls `recv` and `send`, a `File` of the same
/// descriptor `read` and `write`.
///
/// # Errors
/// If epoll or accept fail.
pub(crate) fn run<S: Read + Write + AsFd + From<OwnedFd>>(
    listener: &TcpListener,
    options: &Options,
) -> Result<Infallible, Box<dyn Error>> {
    let mut floor = Floor::<S> {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Slab::new(),
        shared: Shared::new(options),
        trigger: options.mode.trigger(),
        first_read: options.first_read,
    };
    epoll::add(
        &floor.epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
    loop {
        match epoll::wait(
            &floor.epoll,
            rustix::buffer::spare_capacity(&mut events),
            None,
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => floor.accept(listener)?,
                key => floor.turn(usize::try_from(key)?)?,
            }
        }
    }
}

struct Floor<S> {
    epoll: OwnedFd,
    connections: Slab<(Connection<S>, After)>,
    shared: Shared,
    trigger: Trigger,
    first_read: FirstRead,
}

impl<S: Read + Write + AsFd + From<OwnedFd>> Floor<S> {
    /// Accepts all who wait.
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some(socket) = listener::accept(listener)? {
            let mut connection = Connection::new(S::from(socket));
            let mut after = After::Read;
            if self.first_read == FirstRead::AfterAccept {
                after = connection.on_ready(&mut self.shared);
            }
            if after != After::Close {
                let entry = self.connections.vacant_entry();
                let data = EventData::new_u64(entry.key() as u64);
                epoll::add(
                    &self.epoll,
                    &connection.socket,
                    data,
                    interest(self.trigger, after),
                )?;
                entry.insert((connection, after));
            }
        }
        Ok(())
    }

    /// Lets one connection take its turn; touches epoll again only if a level-triggered write was short.
    fn turn(&mut self, key: usize) -> io::Result<()> {
        let (connection, before) = &mut self.connections[key];
        let after = connection.on_ready(&mut self.shared);
        if after == After::Close {
            self.connections.remove(key); // closing takes it out of epoll too
        } else if after != *before {
            *before = after;
            if self.trigger == Trigger::Level {
                let data = EventData::new_u64(key as u64);
                epoll::modify(
                    &self.epoll,
                    &connection.socket,
                    data,
                    interest(self.trigger, after),
                )?;
            }
        }
        Ok(())
    }
}

fn interest(trigger: Trigger, after: After) -> EventFlags {
    match (trigger, after) {
        (Trigger::Level, After::Write) => EventFlags::OUT,
        (Trigger::Level, _) => EventFlags::IN,
        (Trigger::Edge, _) => EventFlags::IN | EventFlags::OUT | EventFlags::ET,
    }
}
