//! The floor: the cost of an HTTP server that only lets the kernel work.
//!
//! For each readiness it does one read and one write. It looks for the ends of requests only, and sends a
//! canned answer for each. It validates and renders nothing, and has no timeout.
//!
//! The plain floor is bare epoll, level-triggered, with `read` and `write`. `recv` and `send` are cheaper.
//! With them there are three ways to wait, because none is the fastest everywhere: bare epoll
//! level-triggered, bare epoll edge-triggered (a short read proves that the edge is drained), and mio. Each
//! way can read straight after accept, and can have the kernel keep connections back until they are readable.

mod bare;
mod connection;
mod over_mio;

use clap::{Parser, ValueEnum};
use rustix::fd::{AsFd, OwnedFd};
use rustix::net::SocketFlags;
use std::error::Error;
use std::fs::File;
use std::io;
use std::net::TcpStream;

/// How to wait for readiness, and the calls that read and write.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    /// Bare epoll, level-triggered, `read` and `write`: the plain floor.
    Read,
    /// The same with `recv` and `send`, like all that follow.
    Level,
    /// Bare epoll, edge-triggered: reads until a read comes back short.
    Edge,
    /// The same over mio.
    Mio,
}

/// The answer to every request.
#[derive(Clone, Copy, ValueEnum)]
enum Answer {
    /// `Hello, World!`
    Plaintext,
    /// The same as a JSON object.
    Json,
    /// 1 KiB, as the load generator sends it.
    Echo,
}

/// The cost of an HTTP server that only lets the kernel work.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 picks a free one.
    #[arg(default_value = "127.0.0.1:8080")]
    address: String,
    /// How to wait for readiness.
    #[arg(long, default_value = "level")]
    mode: Mode,
    /// The answer to every request.
    #[arg(long, default_value = "plaintext")]
    answer: Answer,
    /// Closes after one answer.
    #[arg(long)]
    close: bool,
    /// Reads straight after accept, and registers the socket only if that was too early.
    #[arg(long)]
    eager: bool,
    /// Has the kernel keep a connection back until it is readable.
    #[arg(long)]
    defer: bool,
}

impl Options {
    fn is_level_triggered(&self) -> bool {
        matches!(self.mode, Mode::Read | Mode::Level)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let listener = if options.defer {
        listener::bind_deferred(&options.address)?
    } else {
        listener::bind(&options.address)?
    };
    listener.set_nonblocking(true)?;
    println!("listening on http://{}", listener.local_addr()?);
    match options.mode {
        Mode::Read => bare::run::<File>(&listener, &options),
        Mode::Level | Mode::Edge => bare::run::<TcpStream>(&listener, &options),
        Mode::Mio => over_mio::run(listener, &options),
    }
    .map(|never| match never {})
}

/// Returns the next connection, non-blocking from the start (`accept4`), or `None` if the queue is empty.
fn accept(listener: impl AsFd) -> io::Result<Option<OwnedFd>> {
    loop {
        match rustix::net::accept_with(&listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
            Ok(descriptor) => return Ok(Some(descriptor)),
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            // The connection died in the queue.
            Err(rustix::io::Errno::CONNABORTED | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
