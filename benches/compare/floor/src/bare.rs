//! The loop over bare epoll, level- or edge-triggered.

use crate::Options;
use crate::connection::{After, Connection, Shared};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, OwnedFd};
use slab::Slab;
use std::convert::Infallible;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpListener;

/// The listener's key. Connections have their slab index.
const LISTENER: u64 = u64::MAX;

/// Serves until a signal ends the process. A `TcpStream` calls `recv` and `send`, and a `File` of the same
/// descriptor calls `read` and `write`.
pub(crate) fn run<S: Read + Write + AsFd + From<OwnedFd>>(
    listener: &TcpListener,
    options: &Options,
) -> Result<Infallible, Box<dyn Error>> {
    let mut floor = Floor::<S> {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Slab::new(),
        shared: Shared::new(options),
        options,
    };
    epoll::add(
        &floor.epoll,
        listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut events: Vec<Event> = Vec::with_capacity(1024);
    loop {
        let room = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&floor.epoll, room, None) {
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

struct Floor<'o, S> {
    epoll: OwnedFd,
    connections: Slab<(Connection<S>, After)>,
    shared: Shared,
    options: &'o Options,
}

impl<S: Read + Write + AsFd + From<OwnedFd>> Floor<'_, S> {
    /// Accepts all connections of the queue.
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some(socket) = crate::accept(listener)? {
            let mut connection = Connection::new(S::from(socket));
            let mut after = After::Read;
            if self.options.eager {
                after = connection.on_ready(&mut self.shared);
            }
            if after != After::Close {
                let entry = self.connections.vacant_entry();
                let data = EventData::new_u64(entry.key() as u64);
                epoll::add(
                    &self.epoll,
                    &connection.socket,
                    data,
                    interest(self.options, after),
                )?;
                entry.insert((connection, after));
            }
        }
        Ok(())
    }

    /// Lets one connection take its turn. Calls epoll again only if a level-triggered write was short.
    fn turn(&mut self, key: usize) -> io::Result<()> {
        let (connection, before) = &mut self.connections[key];
        let after = connection.on_ready(&mut self.shared);
        if after == After::Close {
            self.connections.remove(key); // closing takes it out of epoll too
        } else if after != *before {
            *before = after;
            if self.options.is_level_triggered() {
                let data = EventData::new_u64(key as u64);
                let interest = interest(self.options, after);
                epoll::modify(&self.epoll, &connection.socket, data, interest)?;
            }
        }
        Ok(())
    }
}

fn interest(options: &Options, after: After) -> EventFlags {
    match (options.is_level_triggered(), after) {
        (true, After::Write) => EventFlags::OUT,
        (true, _) => EventFlags::IN,
        (false, _) => EventFlags::IN | EventFlags::OUT | EventFlags::ET,
    }
}
