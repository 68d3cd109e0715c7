//! Code that several test binaries share. Each binary includes this folder as a module.

#![allow(dead_code, reason = "each binary uses a part of it")]

pub(crate) mod process;
pub(crate) mod programs;
pub(crate) mod runtime;
pub(crate) mod seeds;
pub(crate) mod server;
pub(crate) mod skip;
pub(crate) mod system;
pub(crate) mod tls;
