//! An async HTTP/1.1 server with an explicit accept loop.

mod accept_error;
mod answer;
mod body;
mod connection;
mod date;
mod error;
mod exchange;
mod gate;
mod handler;
mod headers;
mod io;
mod limits;
mod link;
mod proto;
mod rate;
mod register;
mod request;
mod serve;
mod server;
mod shared;
mod work;

pub use accept_error::AcceptError;
pub use answer::{AnswerBody, Responded};
pub use body::Body;
pub use connection::Connection;
pub use error::{Error, InvalidAnswer, Refusal, Result};
pub use gate::Descriptors;
pub use handler::{Handler, Shared, shared};
pub use headers::{AnswerHeaders, Headers};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
pub use io::Io;
pub use limits::Limits;
pub use request::Request;
pub use server::{Builder, Server};
