//! The loop: connections send, receive and begin again until time or count is up.

use crate::answer::Judge;
use crate::connect;
use crate::connection::{BUFFER_BYTES, Connection, Until};
use crate::cpu;
use crate::flooder::Flooder;
use crate::options::{End, Life, Options};
use crate::own_clock::OwnClock;
use crate::report::{Latency, Report};
use crate::request::Request;
use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::collections::VecDeque;
use std::error::Error;
use std::time::{Duration, Instant};

/// Without any answer for this long, the run has failed.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// A run that counts answers has failed if it takes longer than this.
const RUN_TIME_MAX: Duration = Duration::from_secs(120);

/// Events taken at once.
const EVENTS_MAX: usize = 1024;

/// Loads the server as the options say and reports what came of it.
///
/// # Errors
/// If an answer is wrong, the server falls silent, or a connection cannot be opened.
pub(crate) fn run(options: &Options) -> Result<Report, Box<dyn Error>> {
    let mut run = Run::new(options)?;
    run.open()?;
    let mut clock = Clock::start(options)?;
    run.begin_all()?;
    let mut events = Events::with_capacity(EVENTS_MAX);
    let mut heard = Instant::now();
    while !run.is_over() {
        run.poll.poll(
            &mut events,
            Some(if run.pace.is_some() {
                Duration::ZERO
            } else {
                SILENCE_MAX
            }),
        )?;
        run.clock.look();
        let now = Instant::now();
        if !events.is_empty() {
            heard = now;
        } else if now - heard >= SILENCE_MAX {
            return Err("no answer for five seconds".into());
        }
        if matches!(options.end, End::Answered(_)) && now - clock.started >= RUN_TIME_MAX {
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
        if clock.tick(now, options)? == Phase::Counted {
            run.reset();
        }
        run.stopping |= clock.over;
    }
    run.count_unanswered();
    clock.report(&run, options)
}

/// When the requests of an open loop fall due, and which wait for a connection.
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
    /// Requests still to send, where they are counted.
    left: u64,
    stopping: bool,
    busy: usize,
    answers: u64,
    reconnects: u64,
    latency: Histogram<u64>,
    clock: OwnClock,
    /// What the clock had lost before the time that counts.
    lost_before: Duration,
    pace: Option<Pace>,
    flooder: Option<Flooder>,
}

impl<'o> Run<'o> {
    fn new(options: &'o Options) -> Result<Self, Box<dyn Error>> {
        let request = Request::new(options, options.depth);
        Ok(Self {
            judge: Judge::new(request.expected.clone()),
            request,
            poll: Poll::new()?,
            connections: Vec::with_capacity(options.connections),
            buffer: vec![0; BUFFER_BYTES],
            until: if options.life == Life::OneRequest {
                Until::End
            } else {
                Until::Short
            },
            left: if let End::Answered(count) = options.end {
                count
            } else {
                u64::MAX
            },
            stopping: false,
            busy: 0,
            answers: 0,
            reconnects: 0,
            latency: Histogram::new_with_bounds(1, 60_000_000_000, 3)?,
            clock: if options.rate.is_some() && !options.flood {
                OwnClock::spinning()
            } else {
                OwnClock::real()
            },
            lost_before: Duration::ZERO,
            pace: options.rate.map(|rate| Pace {
                every: Duration::from_secs(1) / u32::try_from(rate).unwrap_or(u32::MAX).max(1),
                next: Instant::now(),
                waiting: VecDeque::new(),
                idle: (0..options.connections).collect(),
            }),
            flooder: options.flood.then(|| Flooder::new(options)).transpose()?,
            options,
        })
    }

    fn is_over(&self) -> bool {
        (self.stopping || self.left == 0)
            && (self.busy == 0 || matches!(self.options.end, End::After(_)))
    }

    fn reset(&mut self) {
        self.answers = 0;
        self.latency.reset();
        self.lost_before = self.clock.lost();
        if let Some(flooder) = &mut self.flooder {
            flooder.answers = 0;
        }
    }

    /// Opens all connections; those that live for one request are opened for it.
    fn open(&mut self) -> Result<(), Box<dyn Error>> {
        if self.options.life == Life::OneRequest {
            for index in 0..self.options.connections {
                let connection = self.connect(index)?;
                self.connections.push(connection);
            }
            return Ok(());
        }
        for (index, socket) in connect::all(self.options, &self.request, &mut self.judge)?
            .into_iter()
            .enumerate()
        {
            let mut socket = TcpStream::from_std(socket);
            self.poll.registry().register(
                &mut socket,
                Token(index),
                Interest::READABLE | Interest::WRITABLE,
            )?;
            self.connections.push(Connection::new(socket));
        }
        Ok(())
    }

    fn connect(&self, index: usize) -> Result<Connection, String> {
        let mut socket = TcpStream::connect(self.options.address)
            .map_err(|error| format!("connect: {error}"))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut socket, Token(index), interest);
        registered.map_err(|error| format!("register: {error}"))?;
        Ok(Connection::new(socket))
    }

    /// Starts every connection, or the clock of an open loop.
    fn begin_all(&mut self) -> Result<(), String> {
        if let Some(pace) = &mut self.pace {
            pace.next = self.clock.begin();
            return Ok(());
        }
        (0..self.connections.len()).try_for_each(|index| self.begin(index))
    }

    /// Sends the next batch on this connection, unless the run is ending.
    fn begin(&mut self, index: usize) -> Result<(), String> {
        let requests = self.left.min(self.options.depth as u64);
        if self.stopping || requests == 0 {
            return Ok(());
        }
        self.left -= requests;
        self.busy += 1;
        let requests = usize::try_from(requests).map_err(|error| error.to_string())?;
        self.request.vary(requests);
        self.connections[index].begin(&self.request, requests)
    }

    /// Sends what has fallen due, each on an idle connection; what finds none waits, and its clock runs.
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
            self.clock.look();
        }
        Ok(())
    }

    /// Lets one connection send, receive, and go on to its next batch.
    fn turn(&mut self, index: usize, until: Until) -> Result<(), String> {
        let connection = &mut self.connections[index];
        connection.send(&self.request)?;
        let was_waiting = connection.waiting > 0;
        let got = connection.receive(&mut self.judge, &mut self.buffer, until)?;
        self.answers += got.answers as u64;
        let done = was_waiting && connection.waiting == 0;
        if done && let Some(due) = connection.due.take() {
            record(&mut self.latency, self.clock.now() - due);
        }
        if got.closed {
            return self.closed(index);
        }
        if done && self.options.life == Life::Persistent {
            self.busy -= 1;
            return self.next(index);
        }
        Ok(())
    }

    /// Counts what fell due and is not answered yet with the time it has waited until now.
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

    /// The peer has closed: as asked, or else the batch is begun again on a new connection.
    fn closed(&mut self, index: usize) -> Result<(), String> {
        let lost = self.connections[index].waiting as u64;
        if self.options.life == Life::OneRequest && lost > 0 {
            return Err("closed before the answer was complete".to_owned());
        }
        self.left += lost;
        if self.options.life == Life::Persistent {
            self.reconnects += 1;
        }
        if self.options.life == Life::OneRequest || lost > 0 {
            self.busy -= 1;
        }
        let due = self.connections[index].due;
        self.connections[index] = self.connect(index)?;
        if let Some(pace) = &mut self.pace {
            pace.waiting.extend(due); // unanswered: its clock runs on
        }
        self.next(index)
    }
}

fn record(latency: &mut Histogram<u64>, waited: Duration) {
    let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
    latency.saturating_record(waited);
}

/// What has just begun.
#[derive(PartialEq, Eq)]
enum Phase {
    /// The time that counts.
    Counted,
    /// Nothing new.
    Same,
}

/// Times and CPU times of the part of the run that counts.
struct Clock {
    started: Instant,
    counted: Option<(Instant, Duration, Duration)>,
    ended: Option<(Instant, Duration, Duration)>,
    over: bool,
}

impl Clock {
    fn start(options: &Options) -> Result<Self, Box<dyn Error>> {
        let started = Instant::now();
        let counted = if options.warm_up.is_zero() {
            Some(Self::read(options)?)
        } else {
            None
        };
        Ok(Self {
            started,
            counted,
            ended: None,
            over: false,
        })
    }

    fn read(options: &Options) -> Result<(Instant, Duration, Duration), Box<dyn Error>> {
        Ok((
            Instant::now(),
            cpu::used_by(&options.pids)?,
            cpu::used_here()?,
        ))
    }

    /// Ends the warm-up and the run when their time has come.
    fn tick(&mut self, now: Instant, options: &Options) -> Result<Phase, Box<dyn Error>> {
        let Some((began, ..)) = self.counted else {
            if now - self.started < options.warm_up {
                return Ok(Phase::Same);
            }
            self.counted = Some(Self::read(options)?);
            return Ok(Phase::Counted);
        };
        if let End::After(duration) = options.end
            && now - began >= duration
        {
            self.ended = Some(Self::read(options)?);
            self.over = true;
        }
        Ok(Phase::Same)
    }

    fn report(self, run: &Run<'_>, options: &Options) -> Result<Report, Box<dyn Error>> {
        let (began, server_before, own_before) = self.counted.ok_or("ended before it counted")?;
        let (ended, server, own) = match self.ended {
            Some(read) => read,
            None => Self::read(options)?,
        };
        let lost = run.clock.lost().saturating_sub(run.lost_before);
        let server = (!options.pids.is_empty()).then(|| server.saturating_sub(server_before));
        Ok(Report::new(
            run.answers,
            run.reconnects,
            ended - began,
            server,
            own.saturating_sub(own_before),
            run.pace.is_some().then(|| Latency::new(&run.latency, lost)),
            run.flooder.as_ref().map(|flooder| flooder.answers),
        ))
    }
}
