//! Connections for the proxy: those of a client, without its requests.

use std::time::Duration;

use crate::client::Client;
use crate::client::request::connect;
use crate::client::response::ClientUpgraded;
use crate::client::round_trip::announced_idle_time;
use crate::proto::answer_head::{AnswerHead, AnswerLimits};

pub(crate) use crate::client::error::Failure;
pub(crate) use crate::client::pool::{ClientConnection, Lease, Origin};

impl Client {
    /// Returns an idle connection to a server, or `None`.
    pub(crate) async fn idle(&self, origin: &Origin) -> Option<Lease> {
        let connection = self.0.pool.take(origin).await?;
        Some(self.lease(connection, origin))
    }

    /// Connects to a server.
    pub(crate) async fn connect(&self, origin: &Origin) -> Result<Lease, Failure> {
        let connection = connect(&self.0, origin, &mut None).await?;
        Ok(self.lease(connection, origin))
    }

    fn lease(&self, connection: ClientConnection, origin: &Origin) -> Lease {
        let settings = &self.0.settings;
        let (duration, count) = (settings.idle_duration_max, settings.idle_connections_max);
        Lease::new(connection, origin.clone(), &self.0.pool, duration, count)
    }

    /// Returns the limits of an answer's head.
    pub(crate) fn answer_limits(&self) -> AnswerLimits {
        AnswerLimits {
            head_bytes_max: self.0.settings.head_bytes_max,
            fields_max: self.0.settings.fields_max,
        }
    }
}

impl Lease {
    /// Notes how long the server keeps an idle connection.
    pub(crate) fn heed(&mut self, idle: Option<Duration>) {
        if let Some(idle) = idle {
            self.limit_idle(idle);
        }
    }

    /// Returns the stream, for another protocol.
    pub(crate) fn into_stream(self) -> Option<ClientUpgraded> {
        self.into_connection().map(ClientUpgraded)
    }
}

/// Returns how long the server keeps an idle connection, with a second less for the way.
pub(crate) fn announced_idle(head: &AnswerHead) -> Option<Duration> {
    let seconds = announced_idle_time(head)?;
    Some(Duration::from_secs(seconds.saturating_sub(1)))
}
