//! What all connections of one server have in common.
//!
//! # Invariants
//!
//! - Never: state of the `http` crate outside this and the connections. No thread-locals.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use waterwheel_runtime::Notify;
use waterwheel_runtime::time::Instant;

use crate::date::DateLine;
use crate::disconnect::Departure;
use crate::limits::Limits;
use crate::numbers::Counters;
use crate::proto::encode::{EMPTY_LINE, OwnLines};
use crate::rate::Rate;
use crate::register::Register;
use crate::settings::Settings;
use crate::spare::Spares;
use crate::stop::Stage;
use crate::sweep::Sweeper;
use crate::work::Work;

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) departure: Departure,
    pub(crate) register: Rc<Register>,
    pub(crate) sweeper: Rc<Sweeper>,
    /// For what handlers do wrong.
    pub(crate) log: Rate,
    pub(crate) counters: Counters,
    pub(crate) stage: Cell<Stage>,
    /// Told when the stage changes, and when the listeners close.
    pub(crate) stage_changed: Notify,
    /// Whether new clients wait for descriptors: then connections close after their answers.
    pub(crate) pressed: Cell<bool>,
    #[expect(
        clippy::vec_box,
        reason = "it is the boxes that are handed out and come back"
    )]
    spare: RefCell<Vec<Box<Work>>>,
    pub(crate) spare_bursts: Spares,
    date: Date,
}

/// The lines that every answer has. How old they are, and which they are, is asked for each answer;
/// they themselves only for one that is not like the last.
struct Date {
    /// When the wall clock is to be looked at again.
    next_check: Cell<Instant>,
    /// How often they were rendered.
    number: Cell<u64>,
    lines: RefCell<Lines>,
}

struct Lines {
    date: DateLine,
    /// The `server` line or nothing, the `date` line, and the empty line.
    rendered: Vec<u8>,
    server_bytes: usize,
}

impl Date {
    fn new(server_line: Vec<u8>) -> Self {
        let mut lines = Lines {
            date: DateLine::new(SystemTime::now()),
            server_bytes: server_line.len(),
            rendered: server_line,
        };
        lines.render();
        Self {
            next_check: Cell::new(Instant::now() + DATE_CHECK),
            number: Cell::new(1),
            lines: RefCell::new(lines),
        }
    }

    /// Makes the lines true for the present second.
    #[inline]
    fn refresh(&self) {
        let now = Instant::of_turn();
        if now >= self.next_check.get() {
            self.check(now);
        }
    }

    #[cold]
    fn check(&self, now: Instant) {
        self.next_check.set(now + DATE_CHECK);
        let lines = &mut *self.lines.borrow_mut();
        if lines.date.refresh(SystemTime::now()) {
            lines.render();
            self.number.set(self.number.get() + 1);
        }
    }
}

impl Lines {
    fn render(&mut self) {
        self.rendered.truncate(self.server_bytes);
        self.rendered.extend_from_slice(self.date.bytes());
        self.rendered.extend_from_slice(EMPTY_LINE);
    }
}

/// How long a look at the wall clock is good for.
const DATE_CHECK: Duration = Duration::from_millis(100);

/// Working sets kept for the next connections that need one, beside those that bursts keep: half a
/// megabyte.
const SPARE_MAX: usize = 32;

impl Shared {
    pub(crate) fn new(settings: &Settings) -> Self {
        let server_line = settings
            .server_name
            .as_ref()
            .map_or_else(Vec::new, |name| format!("server: {name}\r\n").into_bytes());
        let register = Rc::new(Register::new(&settings.limits));
        Self {
            limits: settings.limits,
            departure: settings.departure,
            sweeper: Sweeper::new(register.clone()),
            register,
            log: Rate::default(),
            counters: Counters::new(settings.measures_durations),
            stage: Cell::new(Stage::Open),
            stage_changed: Notify::new(),
            pressed: Cell::new(false),
            spare: RefCell::default(),
            spare_bursts: Spares::default(),
            date: Date::new(server_line),
        }
    }

    /// Whether answers announce the end of their connections: to make room, or because the server
    /// ends.
    pub(crate) fn is_closing(&self) -> bool {
        self.pressed.get() || self.stage.get() != Stage::Open
    }

    /// A working set: buffers and parsers, for as long as there is something to work on.
    pub(crate) fn take_work(&self) -> Box<Work> {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_default()
    }

    /// Keeps a working set for the next connection, which sees nothing of this one.
    pub(crate) fn give_back(&self, mut work: Box<Work>) {
        work.reset();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(work);
        }
    }

    /// Calls `f` with the lines that every answer has, true for the present second.
    pub(crate) fn with_own_lines<T>(&self, f: impl FnOnce(OwnLines<'_>) -> T) -> T {
        let number = self.own_lines_number();
        let lines = self.date.lines.borrow();
        f(OwnLines {
            lines: &lines.rendered,
            server_bytes: lines.server_bytes,
            number,
            added: &[],
        })
    }

    /// The number of those lines: as long as it is the same, so are they.
    #[inline]
    pub(crate) fn own_lines_number(&self) -> u64 {
        self.date.refresh();
        self.date.number.get()
    }
}
