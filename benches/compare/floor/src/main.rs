//! The floor: what an HTTP server costs if it does nothing but let the kernel work.
//!
//! One read and one write per readiness, canned answers, and only the ends of requests are looked
//! for: n answers for n requests. No request is validated, nothing has a timeout, and nothing is
//! rendered; a real server that comes near this has come near the machine.
//!
//! The plain floor is bare epoll, level-triggered, with `read` and `write`. `recv` and `send` are
//! cheaper, and with them three ways to wait are offered, since none is the fastest everywhere: bare
//! epoll level-triggered, bare epoll edge-triggered (a short read proves that the edge is drained) and
//! mio. Each can read straight after accept, and have the kernel keep connections back until they can be
//! read.

mod answers;
mod bare;
mod connection;
mod listener;
mod options;
mod over_mio;

use options::{Mode, Options};
use std::error::Error;
use std::fs::File;
use std::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::from_arguments()?;
    let listener = listener::bind(&options)?;
    println!("listening on http://{}", listener.local_addr()?);
    match options.mode {
        Mode::Read => bare::run::<File>(&listener, &options),
        Mode::Level | Mode::Edge => bare::run::<TcpStream>(&listener, &options),
        Mode::Mio => over_mio::run(listener, &options),
    }
    .map(|never| match never {})
}
