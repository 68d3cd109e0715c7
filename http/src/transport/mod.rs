//! The bytes of one client: streams, listeners, addresses, and the trait that every transport implements.
//!
//! This layer knows no HTTP. It imports only the vocabulary of the crate and the runtime.

pub(crate) mod accept_error;
pub(crate) mod address;
pub(crate) mod connection_info;
pub(crate) mod io;
pub(crate) mod listener;
pub(crate) mod shutdown_signal;
pub(crate) mod stream;
pub(crate) mod transport_info;
pub(crate) mod upgrade;
