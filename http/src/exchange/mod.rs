//! One request and its answer, as the handler holds them.
//!
//! A [`Request`](request::Request), its [`Body`](body::Body) and its
//! [`AnswerBody`](answer_body::AnswerBody) hold the same small handle, the [`Link`](link::Link). It is the
//! only way from a handler to the buffers and the transport of its connection.

pub(crate) mod answer_body;
pub(crate) mod body;
pub(crate) mod handler;
pub(crate) mod link;
pub(crate) mod request;
pub(crate) mod respond;
pub(crate) mod responded;
mod sources;
