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

/// What a request's head carries beside its `Host`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// Nothing.
    Bare,
    /// What a browser sends, the same every time.
    Typical,
    /// The same, but with a query and a cookie that no other request has.
    Varied,
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
    /// What the head carries.
    pub(crate) head: Head,
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
    /// One more connection, which pipelines as fast as it is answered.
    pub(crate) flood: bool,
    /// Processes whose CPU time is read when the counted time begins and ends.
    pub(crate) pids: Vec<i32>,
    /// Makes one request per connection, says so, and holds the connections until standard input ends.
    pub(crate) hold: bool,
}

/// How to call it.
pub(crate) const USAGE: &str = "load ADDRESS [--connections 64] [--depth 1] [--close] [--path /plaintext] \
    [--post BYTES] [--head bare|typical|varied] [--header 'name: value']... [--expect BODY] \
    [--seconds 2 | --requests N] [--warm-up SECONDS] [--rate PER_SECOND [--flood]] [--pid PID]... [--hold]";

impl Default for Options {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            connections: 64,
            depth: 1,
            life: Life::Persistent,
            path: "/plaintext".to_owned(),
            post_bytes: None,
            head: Head::Bare,
            headers: Vec::new(),
            expect: None,
            end: End::After(Duration::from_secs(2)),
            warm_up: Duration::ZERO,
            rate: None,
            flood: false,
            pids: Vec::new(),
            hold: false,
        }
    }
}

impl Options {
    /// Reads the command line.
    ///
    /// # Errors
    /// For an unknown option or value, and without an address.
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut options = Self::default();
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
        let is_flood_alone = options.flood && options.rate.is_none();
        if options.address.port() == 0
            || options.connections == 0
            || options.depth == 0
            || is_flood_alone
        {
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
            "head" => self.head = head(&parser.value()?.string()?)?,
            "header" => self.headers.push(parser.value()?.string()?),
            "expect" => self.expect = Some(parser.value()?.string()?),
            "seconds" => self.end = End::After(Duration::from_secs_f64(parser.value()?.parse()?)),
            "requests" => self.end = End::Answered(parser.value()?.parse()?),
            "warm-up" => self.warm_up = Duration::from_secs_f64(parser.value()?.parse()?),
            "rate" => self.rate = Some(parser.value()?.parse()?),
            "flood" => self.flood = true,
            "pid" => self.pids.push(parser.value()?.parse()?),
            _ => return Err(USAGE.into()),
        }
        Ok(())
    }
}

fn head(name: &str) -> Result<Head, String> {
    match name {
        "bare" => Ok(Head::Bare),
        "typical" => Ok(Head::Typical),
        "varied" => Ok(Head::Varied),
        other => Err(format!("no such head: {other}")),
    }
}
