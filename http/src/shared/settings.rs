//! The settings of a server before it exists, as plain data.

use crate::limits::Limits;
use crate::shared::disconnect::Departure;
use crate::shared::error_answer::ErrorHookOfAll;
use crate::shared::handshakes::{Preamble, TransportHook};
use crate::shared::peers::OnPeerLimit;

/// The settings that a [`Builder`](crate::Builder) collects.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) limits: Limits,
    pub(crate) departure: Departure,
    pub(crate) on_peer_limit: OnPeerLimit,
    pub(crate) assumed_descriptors: usize,
    pub(crate) turns_away: bool,
    pub(crate) measures_durations: bool,
    pub(crate) server_name: Option<String>,
    /// Reads the bytes of each connection that come before its transport.
    pub(crate) preamble: Option<Preamble>,
    pub(crate) transport: Option<TransportHook>,
    pub(crate) error_hook: Option<ErrorHookOfAll>,
}

impl Settings {
    /// Returns the hook for each accepted stream. `None` if HTTP begins with the first byte.
    pub(crate) fn hook(&self) -> Option<TransportHook> {
        match &self.preamble {
            Some(preamble) => Some(preamble.clone().before(self.transport.clone())),
            None => self.transport.clone(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            limits: Limits::DEFAULT,
            departure: Departure::default(),
            on_peer_limit: OnPeerLimit::default(),
            // The default of Nim's asynchttpserver: a connection, and some files or connections of its handler.
            assumed_descriptors: 5,
            turns_away: false,
            measures_durations: false,
            server_name: None,
            preamble: None,
            transport: None,
            error_hook: None,
        }
    }
}
