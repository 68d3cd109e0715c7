//! State that all connections of one server share.
//!
//! # Invariants
//!
//! - Never: state of the `http` crate outside this and the connections. No thread-locals.

pub(crate) mod connections;
pub(crate) mod date;
pub(crate) mod disconnect;
pub(crate) mod error_answer;
pub(crate) mod handshakes;
pub(crate) mod numbers;
pub(crate) mod peers;
pub(crate) mod rate;
pub(crate) mod reaper;
pub(crate) mod reasons;
pub(crate) mod refused;
pub(crate) mod server_lines;
pub(crate) mod settings;
pub(crate) mod stop;
pub(crate) mod upgraded;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use waterwheel_runtime::Notify;

use crate::buffers::Buffers;
use crate::limits::Limits;
use crate::shared::connections::Connections;
use crate::shared::disconnect::Departure;
use crate::shared::error_answer::{ErrorHook, ErrorHookOfAll};
use crate::shared::handshakes::Handshakes;
use crate::shared::numbers::Counters;
use crate::shared::rate::Rate;
use crate::shared::reaper::Reaper;
use crate::shared::refused::OnRefusal;
use crate::shared::server_lines::ServerLines;
use crate::shared::settings::Settings;
use crate::shared::stop::Stage;
use crate::transport::shutdown_signal::ShutdownSignal;

pub(crate) struct ServerState {
    pub(crate) limits: Limits,
    pub(crate) departure: Departure,
    pub(crate) connections: Rc<Connections>,
    pub(crate) reaper: Rc<Reaper>,
    /// Limits the log lines about faults of handlers.
    pub(crate) log: Rate,
    pub(crate) counters: Counters,
    pub(crate) on_refusal: OnRefusal,
    pub(crate) stage: Cell<Stage>,
    /// Notified when the stage changes, and when the listeners close.
    pub(crate) stage_changed: Notify,
    /// Set when the stage is `Draining`, for work that never ends by itself.
    pub(crate) ending: ShutdownSignal,
    /// Set when the stage is `Cutting`, for streams that have left their connections.
    pub(crate) cutting: ShutdownSignal,
    pub(crate) error_hook: Option<ErrorHook>,
    /// True if new clients wait for descriptors. Then connections close after their answers.
    pub(crate) pressed: Cell<bool>,
    /// True from the request to stop on. The server may be open for a while, and connections close after their answers.
    pub(crate) is_unready: Cell<bool>,
    #[expect(clippy::vec_box, reason = "the boxes themselves are lent and returned")]
    spare_buffers: RefCell<Vec<Box<Buffers>>>,
    pub(crate) spare_workers: Spares,
    pub(crate) own_lines: ServerLines,
    pub(crate) handshakes: Handshakes,
}

/// The most buffers that are kept for later connections, besides those of workers: half a megabyte.
const SPARE_BUFFERS_MAX: usize = 32;

impl ServerState {
    pub(crate) fn new(settings: &Settings) -> Self {
        let server_line = settings
            .server_name
            .as_ref()
            .map_or_else(Vec::new, |name| format!("server: {name}\r\n").into_bytes());
        let connections = Rc::new(Connections::new(&settings.limits));
        Self {
            limits: settings.limits,
            departure: settings.departure,
            reaper: Reaper::new(connections.clone()),
            connections,
            log: Rate::default(),
            counters: Counters::new(settings.measures_durations),
            on_refusal: OnRefusal::default(),
            stage: Cell::new(Stage::Open),
            stage_changed: Notify::new(),
            ending: ShutdownSignal::new(),
            cutting: ShutdownSignal::new(),
            error_hook: settings.error_hook.as_ref().map(ErrorHookOfAll::of_thread),
            pressed: Cell::new(false),
            is_unready: Cell::new(false),
            spare_buffers: RefCell::default(),
            spare_workers: Spares::default(),
            own_lines: ServerLines::new(server_line),
            handshakes: Handshakes::default(),
        }
    }

    /// Returns true if answers announce the end of their connections: for room, or because the server ends.
    pub(crate) fn is_closing(&self) -> bool {
        self.pressed.get() || self.is_unready.get() || self.stage.get() != Stage::Open
    }

    /// Returns buffers, for as long as a connection has bytes to work on.
    pub(crate) fn take_buffers(&self) -> Box<Buffers> {
        let spare = self.spare_buffers.borrow_mut().pop();
        spare.unwrap_or_default()
    }

    /// Keeps buffers for the next connection.
    pub(crate) fn return_buffers(&self, mut buffers: Box<Buffers>) {
        // The next connection must not see a byte of this one, so the reset comes before all else.
        buffers.reset();
        let mut spare = self.spare_buffers.borrow_mut();
        // Above the limit the buffers are freed: a flood of clients must not keep its memory for ever.
        if spare.len() < SPARE_BUFFERS_MAX {
            spare.push(buffers);
        }
    }
}

/// Values that were used, and are kept to be used again without an allocation. None of them contains a value of a
/// user, because its destructor may run at any time.
///
/// A server usually has one handler, so most spares have one type.
#[derive(Default)]
pub(crate) struct Spares {
    /// The value that was put last. In most cases it is taken before another is put (LOG 49).
    last: Cell<Option<Box<dyn Any>>>,
    others: RefCell<Vec<Box<dyn Any>>>,
}

/// The most values that are kept.
const SPARES_MAX: usize = 32;

impl Spares {
    /// Returns the spare that was put last, if it has this type. Drops a spare of another type.
    #[inline]
    pub(crate) fn take<S: 'static>(&self) -> Option<Box<S>> {
        let spare = match self.last.take() {
            Some(spare) => spare,
            None => self.others.borrow_mut().pop()?,
        };
        spare.downcast().ok()
    }

    #[inline]
    pub(crate) fn put<S: 'static>(&self, spare: Box<S>) {
        // A swap of one cell needs no borrow flag and no bounds check on the path of each request.
        if let Some(before) = self.last.replace(Some(spare)) {
            self.put_other(before);
        }
    }

    #[cold]
    fn put_other(&self, spare: Box<dyn Any>) {
        let mut others = self.others.borrow_mut();
        if others.len() < SPARES_MAX - 1 {
            others.push(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_spare_is_taken_first_and_another_type_is_dropped() {
        let spares = Spares::default();
        assert_eq!(spares.take::<u8>(), None);
        (1..=4_u8).for_each(|spare| spares.put(Box::new(spare)));
        assert_eq!(spares.take(), Some(Box::new(4_u8)));
        assert_eq!(spares.take::<&str>(), None);
        assert_eq!(spares.take(), Some(Box::new(2_u8)));
        spares.put(Box::new("other"));
        assert_eq!(spares.take(), Some(Box::new("other")));
        assert_eq!(spares.take(), Some(Box::new(1_u8)));
    }

    #[test]
    fn only_so_many_are_kept() {
        let spares = Spares::default();
        (0..=SPARES_MAX).for_each(|spare| spares.put(Box::new(spare)));
        let taken = std::iter::from_fn(|| spares.take::<usize>());
        assert_eq!(taken.count(), SPARES_MAX);
    }
}
