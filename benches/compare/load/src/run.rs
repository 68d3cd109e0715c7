//! The loop: connections send, receive and begin again until the time or the count is up.

use crate::Options;
use crate::answer::Judge;
use crate::connection::{Connection, Until};
use crate::own_clock::OwnClock;
use crate::report::{Latency, Mark, Report, resident_bytes};
use crate::request::Request;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

/// A run without any answer for this long has failed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A run, or opening all connections, has failed if it takes longer than this.
const RUN_TIME_MAX: Duration = Duration::from_secs(120);

/// Bytes read at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Loads the server and reports the result.
///
/// # Errors
/// Returns an error if an answer is wrong, the server falls silent, or a connection cannot be opened.
pub(crate) fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let mut run = Run::new(options)?;
    let started = Instant::now();
    let mut counted = None;
    if options.warm_up.is_zero() {
        counted = Some(Mark::now(options.pid)?);
    }
    run.begin_all()?;
    let patience = if run.pace.is_some() {
        Duration::ZERO
    } else {
        SILENCE_MAX
    };
    let mut events = Events::with_capacity(1024);
    let mut heard = Instant::now();
    let ended = loop {
        let now = Instant::now();
        match counted {
            None if now - started >= options.warm_up => {
                counted = Some(Mark::now(options.pid)?);
                run.reset();
            }
            Some(Mark { at, .. }) if run.is_over(now - at) => break Mark::now(options.pid)?,
            _ => {}
        }
        run.poll.poll(&mut events, Some(patience))?;
        run.clock.now();
        let now = Instant::now();
        if !events.is_empty() {
            heard = now;
        } else if now - heard >= SILENCE_MAX {
            return Err("no answer for five seconds".into());
        }
        if now - started >= RUN_TIME_MAX {
            return Err("not done within two minutes".into());
        }
        for event in &events {
            let until = if event.is_read_closed() {
                Until::End
            } else {
                run.until
            };
            run.turn(event.token().0, until)?;
        }
        if let Some(flooder) = &mut run.flooder {
            flooder.turn()?;
        }
        run.begin_due()?;
    };
    run.count_unanswered();
    let flood = run.flooder.as_ref().map(|flooder| flooder.answers);
    let report = counted
        .ok_or("ended before it counted")?
        .report(&ended, run.answers, flood);
    let lost = run.clock.lost().saturating_sub(run.lost_before);
    Ok(Report {
        reconnects: run.reconnects,
        resident_bytes: options.pid.map(resident_bytes).transpose()?,
        latency_us: run.pace.is_some().then(|| Latency::new(&run.latency, lost)),
        ..report
    })
}

/// Makes one request on each connection, holds the connections, and reports the memory of the server.
///
/// # Errors
/// Returns an error if a connection cannot be opened or is not answered rightly.
pub(crate) fn hold(options: &Options, duration: Duration) -> Result<Report, Box<dyn Error>> {
    let request = Request::new(options, 1);
    let mut judge = Judge::new(request.expected.clone());
    let held = open_all(options, &request, &mut judge)?;
    std::thread::sleep(duration);
    let resident_bytes = options.pid.map(resident_bytes).transpose()?;
    drop(held);
    Ok(Report {
        resident_bytes,
        ..Report::default()
    })
}

/// Opens all connections, each with one request.
fn open_all(
    options: &Options,
    request: &Request,
    judge: &mut Judge,
) -> Result<Vec<Connection>, Box<dyn Error>> {
    let deadline = Instant::now() + RUN_TIME_MAX;
    let open = |index| {
        if Instant::now() > deadline {
            return Err(format!("only {index} connections within two minutes").into());
        }
        let connection = Connection::open(options.address, request, judge);
        connection.map_err(|error| format!("connection {index}: {error}").into())
    };
    (0..options.connections).map(open).collect()
}

/// The requests of an open loop: when the next one falls due, and which wait for a connection.
struct Pace {
    every: Duration,
    next: Instant,
    waiting: VecDeque<Instant>,
    idle: VecDeque<usize>,
}

struct Run<'o> {
    options: &'o Options,
    request: Request,
    judge: Judge,
    poll: Poll,
    connections: Vec<Connection>,
    buffer: Vec<u8>,
    until: Until,
    /// Requests still to send, if they are counted.
    left: u64,
    /// Connections with a batch under way.
    busy: usize,
    answers: u64,
    reconnects: u64,
    latency: Histogram<u64>,
    clock: OwnClock,
    /// The time that the clock had lost before the time that counts.
    lost_before: Duration,
    pace: Option<Pace>,
    flooder: Option<Flooder>,
}

impl<'o> Run<'o> {
    /// Opens all connections. With `--close`, a connection is opened for its only request.
    fn new(options: &'o Options) -> Result<Self, Box<dyn Error>> {
        let request = Request::new(options, options.depth.into());
        let is_alone_in_its_loop = options.rate.is_some() && !options.flood;
        let mut run = Self {
            judge: Judge::new(request.expected.clone()),
            request,
            poll: Poll::new()?,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            until: if options.close {
                Until::End
            } else {
                Until::Short
            },
            left: options.requests.unwrap_or(u64::MAX),
            busy: 0,
            answers: 0,
            reconnects: 0,
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            clock: if is_alone_in_its_loop {
                OwnClock::spinning()
            } else {
                OwnClock::real()
            },
            lost_before: Duration::ZERO,
            pace: options.rate.map(|rate| Pace {
                every: Duration::from_secs(1) / rate.max(1),
                next: Instant::now(),
                waiting: VecDeque::new(),
                idle: (0..options.connections.into()).collect(),
            }),
            flooder: options.flood.then(|| Flooder::new(options)).transpose()?,
            options,
        };
        if options.close {
            let connect = |index| run.connect(index);
            run.connections = (0..options.connections.into())
                .map(connect)
                .collect::<Result<_, _>>()?;
        } else {
            run.connections = open_all(options, &run.request, &mut run.judge)?;
            for (index, connection) in run.connections.iter_mut().enumerate() {
                register(&run.poll, &mut connection.socket, index)?;
            }
        }
        Ok(run)
    }

    fn connect(&self, index: usize) -> Result<Connection, String> {
        let socket = TcpStream::connect(self.options.address);
        let mut socket = socket.map_err(|error| format!("connect: {error}"))?;
        register(&self.poll, &mut socket, index).map_err(|error| format!("register: {error}"))?;
        Ok(Connection::new(socket))
    }

    /// Returns true if the time is up, or all requests are answered if they are counted.
    fn is_over(&self, elapsed: Duration) -> bool {
        match self.options.requests {
            Some(_) => self.left == 0 && self.busy == 0,
            None => elapsed >= self.options.seconds,
        }
    }

    /// Begins the time that counts.
    fn reset(&mut self) {
        self.answers = 0;
        self.latency.reset();
        self.lost_before = self.clock.lost();
        if let Some(flooder) = &mut self.flooder {
            flooder.answers = 0;
        }
    }

    /// Starts every connection, or the clock of an open loop.
    fn begin_all(&mut self) -> Result<(), String> {
        if let Some(pace) = &mut self.pace {
            pace.next = self.clock.begin();
            return Ok(());
        }
        (0..self.connections.len()).try_for_each(|index| self.begin(index))
    }

    /// Sends the next batch on this connection, if there are requests left.
    fn begin(&mut self, index: usize) -> Result<(), String> {
        let requests = self.left.min(self.options.depth.into());
        if requests == 0 {
            return Ok(());
        }
        self.left -= requests;
        self.busy += 1;
        let requests = usize::try_from(requests).map_err(|error| error.to_string())?;
        self.request.vary(requests);
        self.connections[index].begin(&self.request, requests)
    }

    /// Sends the requests that are due, each on an idle connection. Without one, a request waits and its
    /// latency grows.
    fn begin_due(&mut self) -> Result<(), String> {
        let Some(pace) = &mut self.pace else {
            return Ok(());
        };
        let now = self.clock.now();
        while pace.next <= now {
            pace.waiting.push_back(pace.next);
            pace.next += pace.every;
        }
        while let Some(pace) = &mut self.pace
            && !pace.waiting.is_empty()
            && let Some(index) = pace.idle.pop_front()
        {
            self.connections[index].due = pace.waiting.pop_front();
            self.begin(index)?;
            self.clock.now();
        }
        Ok(())
    }

    /// Lets one connection send, receive, and begin its next batch.
    fn turn(&mut self, index: usize, until: Until) -> Result<(), String> {
        let connection = &mut self.connections[index];
        connection.send(&self.request)?;
        let was_waiting = connection.waiting > 0;
        let got = connection.receive(&mut self.judge, &mut self.buffer, until)?;
        self.answers += got.answers as u64;
        let is_done = was_waiting && connection.waiting == 0;
        if is_done && let Some(due) = connection.due.take() {
            record(&mut self.latency, self.clock.now() - due);
        }
        if got.is_closed {
            return self.closed(index);
        }
        if is_done && !self.options.close {
            self.busy -= 1;
            return self.next(index);
        }
        Ok(())
    }

    /// Counts each request that is due and not answered yet with the time it has waited until now.
    fn count_unanswered(&mut self) {
        let Some(pace) = &self.pace else {
            return;
        };
        let under_way = self
            .connections
            .iter()
            .filter_map(|connection| connection.due);
        let now = self.clock.now();
        for due in under_way.chain(pace.waiting.iter().copied()) {
            record(&mut self.latency, now - due);
        }
    }

    /// The connection is free for its next batch.
    fn next(&mut self, index: usize) -> Result<(), String> {
        match &mut self.pace {
            Some(pace) => pace.idle.push_back(index),
            None => self.begin(index)?,
        }
        Ok(())
    }

    /// The peer has closed: with `--close` as asked, else the batch is begun again on a new connection.
    fn closed(&mut self, index: usize) -> Result<(), String> {
        let lost = self.connections[index].waiting as u64;
        if self.options.close && lost > 0 {
            return Err("closed before the answer was complete".to_owned());
        }
        self.left += lost;
        if !self.options.close {
            self.reconnects += 1;
        }
        if self.options.close || lost > 0 {
            self.busy -= 1;
        }
        let due = self.connections[index].due;
        self.connections[index] = self.connect(index)?;
        if let Some(pace) = &mut self.pace {
            pace.waiting.extend(due); // without an answer, its latency grows
        }
        self.next(index)
    }
}

fn register(poll: &Poll, socket: &mut TcpStream, index: usize) -> std::io::Result<()> {
    let interest = Interest::READABLE | Interest::WRITABLE;
    poll.registry().register(socket, Token(index), interest)
}

fn record(latency: &mut Histogram<u64>, waited: Duration) {
    let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
    latency.saturating_record(waited);
}

/// Bytes that the flooder sends and reads in one turn. A turn takes microseconds, so the latencies of the
/// others do not grow in the generator. It is still more than any server answers meanwhile.
const FLOOD_SENT_BYTES: usize = 1024;
const FLOOD_READ_BYTES: usize = 4 * 1024;

/// A connection that pipelines as fast as the server answers, beside those whose latencies count.
struct Flooder {
    connection: Connection,
    request: Request,
    judge: Judge,
    buffer: Vec<u8>,
    answers: u64,
}

impl Flooder {
    fn new(options: &Options) -> Result<Self, Box<dyn Error>> {
        let one = Request::new(options, 1).one;
        let request = Request::new(options, (FLOOD_SENT_BYTES / one).max(1));
        let mut judge = Judge::new(request.expected.clone());
        Ok(Self {
            connection: Connection::open(options.address, &request, &mut judge)?,
            request,
            judge,
            buffer: vec![0; FLOOD_READ_BYTES],
            answers: 0,
        })
    }

    /// Sends and reads, at most the bytes of a turn.
    fn turn(&mut self) -> Result<(), String> {
        self.connection.top_up(&mut self.request)?;
        let got = self
            .connection
            .receive(&mut self.judge, &mut self.buffer, Until::Once)?;
        self.answers += got.answers as u64;
        if got.is_closed {
            return Err("closed the connection that pipelines".to_owned());
        }
        Ok(())
    }
}
