//! The cryptography of the features: `ring`, `aws-lc-rs`, or none.

use std::sync::Arc;

use rustls::Error;
use rustls::crypto::CryptoProvider;
use rustls::server::ProducesTickets;

/// The code that encrypts tickets, with a key of its own.
type Ticketer = Result<Option<Arc<dyn ProducesTickets>>, Error>;

#[cfg(feature = "tls-aws-lc-rs")]
#[expect(clippy::unnecessary_wraps, reason = "the last of the three has none")]
mod chosen {
    use super::{Arc, CryptoProvider, Ticketer};
    use rustls::crypto::aws_lc_rs;

    pub(in super::super) fn default_provider() -> Option<Arc<CryptoProvider>> {
        Some(Arc::new(aws_lc_rs::default_provider()))
    }

    pub(in super::super) fn ticketer() -> Ticketer {
        aws_lc_rs::Ticketer::new().map(Some)
    }
}

#[cfg(all(feature = "tls", not(feature = "tls-aws-lc-rs")))]
#[expect(clippy::unnecessary_wraps, reason = "the last of the three has none")]
mod chosen {
    use super::{Arc, CryptoProvider, Ticketer};
    use rustls::crypto::ring;

    pub(in super::super) fn default_provider() -> Option<Arc<CryptoProvider>> {
        Some(Arc::new(ring::default_provider()))
    }

    pub(in super::super) fn ticketer() -> Ticketer {
        ring::Ticketer::new().map(Some)
    }
}

#[cfg(not(any(feature = "tls", feature = "tls-aws-lc-rs")))]
mod chosen {
    use super::{Arc, CryptoProvider, Ticketer};

    pub(in super::super) fn default_provider() -> Option<Arc<CryptoProvider>> {
        None
    }

    pub(in super::super) fn ticketer() -> Ticketer {
        Ok(None)
    }
}

pub(super) use chosen::{default_provider, ticketer};
