//! Authentication around a handler: Basic (RFC 7617) and bearer tokens (RFC 6750).
//!
//! An async function of yours verifies the credentials. The handler gets its value from
//! [`Request::extensions`](crate::Request::extensions). A request without valid credentials does not reach the handler.
//!
//! Credentials cross the network in readable form, so use both only over TLS. Compare secrets by
//! [`is_same_secret`] or [`Credentials::is`](crate::web::input::Credentials::is).
//!
//! # Invariants
//!
//! - Never: a call of the handler without a value of the verifying function.
//! - Never: credentials of a repeated Authorization field.

mod basic;
mod bearer;

pub use crate::web::input::is_same_secret;
pub use basic::basic;
pub use bearer::{TokenRefused, bearer};
