//! A chunked body, read by the server and by a decoder that is written plainly.

/// The target.
pub fn chunked(_bytes: &[u8]) {}
