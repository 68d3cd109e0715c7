//! What sites are made of, each piece behind a feature of its name.
//!
//! None of it is known to the server: a router is a [`Handler`](crate::Handler) like any other, a
//! response sends itself through [`Request::respond`](crate::Request::respond), and what reads a
//! request reads what every handler can.

#[cfg(feature = "input")]
pub mod input;
#[cfg(feature = "response")]
pub mod response;
#[cfg(feature = "routes")]
pub mod routes;
