//! What the command line asks for.

use lexopt::ValueExt;
use lexopt::prelude::{Long, Short, Value};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

/// When the run ends.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// After a time.
    After(Duration),
    /// After so many answers.
    Answered(u64),
}

/// How long a connection lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until the end of the run.
    Persistent,
    /// One request, with `Connection: close`, and then the server closes.
    OneRequest,
}

/// The command line.
pub(crate) struct Options {
    /// Where the server listens.
    pub(crate) address: SocketAddr,
    /// How many connections are open at a time.
    pub(crate) connections: usize,
    /// How many requests one write carries.
    pub(crate) depth: usize,
    /// How long connections live.
    pub(crate) life: Life,
    /// What to ask for.
    pub(crate) path: String,
    /// Bytes of a body to POST; without, the method is GET.
    pub(crate) post_bytes: Option<usize>,
    /// Further header lines, `name: value`.
    pub(crate) headers: Vec<String>,
    /// The body that every answer must have, if it is not known from the path.
    pub(crate) expect: Option<String>,
    /// When to end.
    pub(crate) end: End,
    /// Time that is not counted, before the time that is.
    pub(crate) warm_up: Duration,
    /// Requests a second in an open loop; without, the loop is closed.
    pub(crate) rate: Option<u64>,
    /// Processes whose CPU time is read when the counted time begins and ends.
    pub(crate) pids: Vec<i32>,
    /// Makes one request per connection, says so, and holds the connections until standard input ends.
    pub(crate) hold: bool,
}

/// How to call it.
pub(crate) const USAGE: &str = "load ADDRESS [--connections 64] [--depth 1] [--close] [--path /plaintext] \
    [--post BYTES] [--header 'name: value']... [--expect BODY] [--seconds 2 | --requests N] [--warm-up SECONDS] \
    [--rate PER_SECOND] [--pid PID]... [--hold]";

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// For an unknown option or value, and without an address.
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut options = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections: 64,
            depth: 1,
            life: Life::Persistent,
            path: "/plaintext".to_owned(),
            post_bytes: None,
            headers: Vec::new(),
            expect: None,
            end: End::After(Duration::from_secs(2)),
            warm_up: Duration::ZERO,
            rate: None,
            pids: Vec::new(),
            hold: false,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Value(address) => {
                    options.address = address.string()?.trim_start_matches("http://").parse()?;
                }
                Long(name) => {
                    let name = name.to_owned();
                    options.take(&name, &mut parser)?;
                }
                Short(_) => return Err(USAGE.into()),
            }
        }
        if options.address.port() == 0 || options.connections == 0 || options.depth == 0 {
            return Err(USAGE.into());
        }
        Ok(options)
    }

    fn take(&mut self, name: &str, parser: &mut lexopt::Parser) -> Result<(), Box<dyn Error>> {
        match name {
            "close" => self.life = Life::OneRequest,
            "hold" => self.hold = true,
            "connections" => self.connections = parser.value()?.parse()?,
            "depth" => self.depth = parser.value()?.parse()?,
            "path" => self.path = parser.value()?.string()?,
            "post" => self.post_bytes = Some(parser.value()?.parse()?),
            "header" => self.headers.push(parser.value()?.string()?),
            "expect" => self.expect = Some(parser.value()?.string()?),
            "seconds" => self.end = End::After(Duration::from_secs_f64(parser.value()?.parse()?)),
            "requests" => self.end = End::Answered(parser.value()?.parse()?),
            "warm-up" => self.warm_up = Duration::from_secs_f64(parser.value()?.parse()?),
            "rate" => self.rate = Some(parser.value()?.parse()?),
            "pid" => self.pids.push(parser.value()?.parse()?),
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }
}
