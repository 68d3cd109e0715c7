//! What all connections of one server have in common.
//!
//! # Invariants
//!
//! - Never: state of the `http` crate outside this and the connections. No thread-locals.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use waterwheel_runtime::time::Instant;

use crate::date::DateLine;
use crate::limits::Limits;
use crate::rate::Rate;
use crate::register::Register;
use crate::work::Work;

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// The whole `server` line, or nothing.
    pub(crate) server_line: Vec<u8>,
    pub(crate) register: Register,
    /// For what handlers do wrong.
    pub(crate) log: Rate,
    /// Whether new clients wait for descriptors: then connections close after their answers.
    pub(crate) pressed: Cell<bool>,
    spare: RefCell<Vec<Box<Work>>>,
    date: RefCell<Date>,
}

struct Date {
    line: DateLine,
    checked: Instant,
}

/// How long a look at the wall clock is good for.
const DATE_CHECK: Duration = Duration::from_millis(100);

/// Working sets kept for the next connections that need one: half a megabyte.
const SPARE_MAX: usize = 32;

impl Shared {
    pub(crate) fn new(limits: Limits, server_line: Vec<u8>) -> Self {
        let date = Date {
            line: DateLine::new(SystemTime::now()),
            checked: Instant::now(),
        };
        Self {
            limits,
            server_line,
            register: Register::default(),
            log: Rate::default(),
            pressed: Cell::new(false),
            spare: RefCell::default(),
            date: RefCell::new(date),
        }
    }

    /// A working set: buffers and parsers, for as long as there is something to work on.
    pub(crate) fn take_work(&self) -> Box<Work> {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut work: Box<Work>) {
        work.reset();
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(work);
        }
    }

    /// Calls `f` with the present `date` line.
    pub(crate) fn with_date<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        let mut date = self.date.borrow_mut();
        let now = Instant::of_turn();
        if now - date.checked >= DATE_CHECK {
            date.checked = now;
            date.line.refresh(SystemTime::now());
        }
        f(date.line.bytes())
    }
}
