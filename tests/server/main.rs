//! Claims about the server and its connections: handlers, bodies, limits, transports, and how they end.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::too_many_lines, reason = "a table of rows is one test")]

#[path = "../support/mod.rs"]
mod support;

mod blame;
mod bodies;
mod client_address;
mod client_errors;
mod departure;
mod destructors;
mod endless;
mod examples;
mod explain;
mod faults;
mod first_hour;
mod first_request;
mod handover;
mod last_second;
mod life_attacks;
mod listeners;
mod log_lines;
mod numbers;
mod shutdown;
mod stalls;
mod streams;
mod tls;
mod tls_attacks;
mod tls_handshake;
mod tls_stream;
mod torture;
mod transport;
