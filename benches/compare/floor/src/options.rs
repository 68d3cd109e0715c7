//! What the command line asks for.

use std::error::Error;

/// Which answer is given, to whatever is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `Hello, World!`
    Plaintext,
    /// The same as a JSON object.
    Json,
    /// 1 KiB, as the load generator sends it.
    Echo,
}

/// How to wait for readiness, and what to read and write with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Bare epoll, level-triggered: one `read` per event, one `write` for it. The plain floor.
    Read,
    /// The same with `recv` and `send`, like all that follow.
    Level,
    /// Bare epoll, edge-triggered: reads until a read comes back short.
    Edge,
    /// The same over mio.
    Mio,
}

/// When epoll tells of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// As long as it is ready.
    Level,
    /// When it becomes ready.
    Edge,
}

impl Mode {
    /// When epoll tells of a socket in this mode.
    pub(crate) fn trigger(self) -> Trigger {
        match self {
            Self::Read | Self::Level => Trigger::Level,
            Self::Edge | Self::Mio => Trigger::Edge,
        }
    }
}

/// How long a connection lives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Until the peer closes.
    Persistent,
    /// One answer, said to be the last, then closed.
    OneAnswer,
}

/// When a new connection is read first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstRead {
    /// When epoll says so.
    OnReadiness,
    /// Straight after accept; registered only if that was too early.
    AfterAccept,
}

/// The command line.
pub(crate) struct Options {
    /// Where to listen; port 0 picks one.
    pub(crate) address: String,
    /// How to wait.
    pub(crate) mode: Mode,
    /// How long connections live.
    pub(crate) life: Life,
    /// When to read first.
    pub(crate) first_read: FirstRead,
    /// Whether the kernel keeps a connection back until it can be read.
    pub(crate) defers: bool,
    /// What to answer.
    pub(crate) answer: Answer,
}

impl Options {
    /// Reads `floor ADDRESS [--mode read|level|edge|mio] [--answer plaintext|json|echo] [--close]
    /// [--eager] [--defer]`.
    ///
    /// # Errors
    /// For an unknown option or value.
    pub(crate) fn from_arguments() -> Result<Self, Box<dyn Error>> {
        use lexopt::prelude::{Long, Value};
        let mut options = Self {
            address: "127.0.0.1:8080".to_owned(),
            mode: Mode::Level,
            life: Life::Persistent,
            first_read: FirstRead::OnReadiness,
            defers: false,
            answer: Answer::Plaintext,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Value(address) => options.address = address.to_string_lossy().into_owned(),
                Long("mode") => options.mode = mode(&parser.value()?.to_string_lossy())?,
                Long("answer") => options.answer = answer(&parser.value()?.to_string_lossy())?,
                Long("close") => options.life = Life::OneAnswer,
                Long("eager") => options.first_read = FirstRead::AfterAccept,
                Long("defer") => options.defers = true,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }
}

fn mode(name: &str) -> Result<Mode, String> {
    match name {
        "read" => Ok(Mode::Read),
        "level" => Ok(Mode::Level),
        "edge" => Ok(Mode::Edge),
        "mio" => Ok(Mode::Mio),
        other => Err(format!("no such mode: {other}")),
    }
}

fn answer(name: &str) -> Result<Answer, String> {
    match name {
        "plaintext" => Ok(Answer::Plaintext),
        "json" => Ok(Answer::Json),
        "echo" => Ok(Answer::Echo),
        other => Err(format!("no such answer: {other}")),
    }
}
