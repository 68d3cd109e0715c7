#![allow(
    clippy::doc_markdown,
    reason = "servers in README have the names they have"
)]
#![doc = include_str!("../README.md")]

pub use waterwheel_http as http;
pub use waterwheel_runtime as runtime;
