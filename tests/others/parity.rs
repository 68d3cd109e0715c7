//! The features of five other servers, row by row, checked on this server.
//!
//! Each row has an id, and each test's name begins with the id of its row. If this server deliberately behaves
//! otherwise, `tests/others/parity.md` has the reason, and the test asserts this server's behaviour.

#![allow(
    clippy::print_stdout,
    reason = "a child tells its address, and the tally is for readers"
)]
#![allow(
    clippy::format_collect,
    clippy::drop_non_drop,
    reason = "short code for few values"
)]
mod asked;
mod gateways;
mod life;
mod mini_async_http;
mod nim_answers;
mod nim_gate;
mod nim_loop;
mod nim_requests;
mod nim_suite;
mod nim_types;
mod process;
mod rouille;
mod rows;
mod runtime;
mod secure;
mod served;
mod tally;
mod tiny_http;
mod web_files;
mod web_input;
mod web_middleware;
mod web_response;
mod web_routes;
