//! The loop over bare epoll, level- or edge-triggered.

use crate::connection::{After, Connection, Shared};
use crate::listener;
use crate::options::{FirstRead, Mode, Options};
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::OwnedFd;
use slab::Slab;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::{TcpListener, TcpStream};

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

/// The listener's key; connections have their slab index.
const LISTENER: u64 = u64::MAX;

/// Serves until a signal ends the process.
///
/// # Errors
/// If epoll or accept fail.
pub(crate) fn run(listener: &TcpListener, options: &Options) -> Result<Infallible, Box<dyn Error>> {
    let mut floor = Floor {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        connections: Slab::new(),
        shared: Shared::new(options),
        mode: options.mode,
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

struct Floor {
    epoll: OwnedFd,
    connections: Slab<(Connection<TcpStream>, After)>,
    shared: Shared,
    mode: Mode,
    first_read: FirstRead,
}

impl Floor {
    /// Accepts all who wait.
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some(socket) = listener::accept(listener)? {
            let mut connection = Connection::new(socket);
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
                    interest(self.mode, after),
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
            if self.mode == Mode::Level {
                let data = EventData::new_u64(key as u64);
                epoll::modify(
                    &self.epoll,
                    &connection.socket,
                    data,
                    interest(self.mode, after),
                )?;
            }
        }
        Ok(())
    }
}

fn interest(mode: Mode, after: After) -> EventFlags {
    match (mode, after) {
        (Mode::Level, After::Write) => EventFlags::OUT,
        (Mode::Level, _) => EventFlags::IN,
        _ => EventFlags::IN | EventFlags::OUT | EventFlags::ET,
    }
}
