//! The HTTP/1.1 server of Waterwheel.
//!
//! Programs depend on the crate `waterwheel`, in which this crate is the module `http`. The documentation of that
//! module has the tour and a whole program. This page is for readers of the code.
//!
//! The modules are layers: each uses only those before it in the list below. ARCHITECTURE.md follows a request
//! through them.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    test,
    allow(
        clippy::too_many_lines,
        reason = "a table of literal bytes is one test"
    )
)]

mod error;
mod extensions;
mod headers;
mod limits;
mod log;

mod transport;

mod proto;

mod buffers;

mod shared;

mod exchange;

mod connection;

mod server;

#[cfg(feature = "client")]
#[cfg_attr(docsrs, doc(cfg(feature = "client")))]
pub mod client;
pub mod testing;
#[cfg(feature = "tls-core")]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "tls", feature = "tls-aws-lc-rs", feature = "tls-core")))
)]
pub mod tls;
pub mod web;

pub use connection::Connection;
pub use connection::transport::AcceptedStream;
pub use error::{ClientError, Error, InvalidAnswer, Refusal, Result};
pub use exchange::answer_body::AnswerBody;
pub use exchange::answer_coder::{AnswerCoder, BodyEncoder};
pub use exchange::body::Body;
pub use exchange::handler::Responded;
pub use exchange::handler::{Handler, Shared, shared};
pub use exchange::request::Request;
pub use extensions::Extensions;
pub use headers::{AnswerHeaders, Headers};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
pub use limits::Limits;
pub use server::Server;
pub use server::builder::Builder;
pub use server::gate::Descriptors;
#[cfg(feature = "systemd")]
#[cfg_attr(docsrs, doc(cfg(feature = "systemd")))]
pub use server::systemd::Systemd;
pub use server::threads::{ServerThread, Workers};
pub use shared::disconnect::{OnDisconnect, OnHalfClose};
pub use shared::error_answer::ErrorAnswer;
pub use shared::numbers::{Histogram, Numbers};
pub use shared::peers::OnPeerLimit;
pub use shared::refused::Refused;
pub use shared::stop::{Report, Stopper};
pub use transport::accept_error::AcceptError;
pub use transport::connection_info::ConnectionInfo;
pub use transport::io::Io;
pub use transport::listener::Listener;
pub use transport::shutdown_signal::ShutdownSignal;
pub use transport::stream::Stream;
pub use transport::transport_info::TransportInfo;
pub use transport::upgrade::{Upgrade, Upgraded};
