//! Libraries of others on `waterwheel::runtime`, with the features `hyper` and `tokio-io`.
//!
//! The state of each test is in an `Rc`, unless the bounds of the library ask for `Send`.

mod acme;
mod axum;
mod client;
mod hyper;
mod postgres;
mod seeds;
mod service;
mod sqlite;
mod support;
mod websocket;
