//! A script.

/// The target.
pub fn connection(_bytes: &[u8]) {}
