//! One request and its answer, as the handler holds them.
//!
//! A [`Request`](request::Request), its [`Body`](body::Body) and its
//! [`AnswerBody`](answer_body::AnswerBody) hold the same small handle, the [`Exchange`](handle::Exchange). It is
//! the only way from a handler to the buffers and the transport of its connection.

pub(crate) mod answer_body;
pub(crate) mod answer_coder;
pub(crate) mod body;
pub(crate) mod handle;
pub(crate) mod handler;
mod read;
pub(crate) mod request;
pub(crate) mod respond;
mod sources;
mod sys;
pub(crate) mod write;
