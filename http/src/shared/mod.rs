//! State that all connections of one server share.
//!
//! # Invariants
//!
//! - Never: state of the `http` crate outside this and the connections. No thread-locals.

pub(crate) mod connections;
pub(crate) mod date;
pub(crate) mod disconnect;
pub(crate) mod handshakes;
pub(crate) mod numbers;
pub(crate) mod peers;
pub(crate) mod rate;
pub(crate) mod reaper;
pub(crate) mod refused;
pub(crate) mod server_lines;
pub(crate) mod settings;
pub(crate) mod spare;
pub(crate) mod stop;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use waterwheel_runtime::Notify;

use crate::buffers::Work;
use crate::error_answer::{ErrorHook, ErrorHookOfAll};
use crate::limits::Limits;
use crate::shared::connections::Connections;
use crate::shared::disconnect::Departure;
use crate::shared::handshakes::Handshakes;
use crate::shared::numbers::Counters;
use crate::shared::rate::Rate;
use crate::shared::reaper::Reaper;
use crate::shared::refused::OnRefusal;
use crate::shared::server_lines::ServerLines;
use crate::shared::settings::Settings;
use crate::shared::spare::Spares;
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
    #[expect(clippy::vec_box, reason = "the boxes themselves are lent and returned")]
    spare: RefCell<Vec<Box<Work>>>,
    pub(crate) spare_bursts: Spares,
    pub(crate) own_lines: ServerLines,
    pub(crate) handshakes: Handshakes,
}

/// The most working sets that are kept for later connections, besides those of bursts: half a megabyte.
const SPARE_MAX: usize = 32;

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
            spare: RefCell::default(),
            spare_bursts: Spares::default(),
            own_lines: ServerLines::new(server_line),
            handshakes: Handshakes::default(),
        }
    }

    /// Returns true if answers announce the end of their connections: for room, or because the server ends.
    pub(crate) fn is_closing(&self) -> bool {
        self.pressed.get() || self.stage.get() != Stage::Open
    }

    /// Returns a working set: buffers and parsers, for as long as a connection has something to do.
    pub(crate) fn take_work(&self) -> Box<Work> {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_default()
    }

    /// Keeps a working set for the next connection.
    pub(crate) fn give_back(&self, mut work: Box<Work>) {
        // The next connection must not see a byte of this one, so the reset comes before all else.
        work.reset();
        let mut spare = self.spare.borrow_mut();
        // Above the limit the buffers are freed: a burst of clients must not keep its memory for ever.
        if spare.len() < SPARE_MAX {
            spare.push(work);
        }
    }
}
