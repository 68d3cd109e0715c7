//! The server.

#[allow(dead_code, reason = "until the connection is built on it")]
mod date;
mod error;
#[allow(dead_code, reason = "until the connection is built on it")]
mod headers;
mod limits;
#[allow(dead_code, reason = "until the connection is built on it")]
mod proto;

pub use error::{Error, InvalidAnswer, Refusal, Result};
pub use headers::{AnswerHeaders, Headers};
pub use limits::Limits;
