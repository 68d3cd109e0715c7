//! The part of the contract that does not depend on a framework: the address, the answers and the 4 KiB.
#![allow(dead_code, reason = "each server uses a part of it")]

use std::hint::black_box;

/// The body of an answer to `/plaintext`.
pub(crate) const TEXT: &str = "Hello, World!";

/// The value that a server renders for each request to `/json`.
#[derive(serde::Serialize)]
pub(crate) struct Message {
    message: &'static str,
}

/// The message of every answer.
pub(crate) const MESSAGE: Message = Message { message: TEXT };

/// Renders the answer to `/json`, for a server without a JSON answer of its own.
pub(crate) fn json() -> Vec<u8> {
    serde_json::to_vec(&MESSAGE).expect("the message is text")
}

/// Returns the address to listen on: the first argument.
pub(crate) fn address() -> String {
    let first = std::env::args().nth(1);
    first.unwrap_or_else(|| "127.0.0.1:8080".to_owned())
}

/// Returns true if the server must answer from a future that holds 4 KiB.
pub(crate) fn is_large() -> bool {
    std::env::args().nth(2).is_some_and(|word| word == "large")
}

/// Returns what `answer` returns. Its future holds 4 KiB until then.
pub(crate) async fn large<F: Future>(answer: F) -> F::Output {
    let room = [0_u8; 4096];
    let answered = answer.await;
    black_box(&room);
    answered
}
