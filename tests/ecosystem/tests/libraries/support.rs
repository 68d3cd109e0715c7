//! The tools of the other tests.

#![allow(dead_code, reason = "these tests use a part of them")]

#[path = "../../../support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../../support/programs.rs"]
pub(crate) mod programs;
#[path = "../../../support/runtime.rs"]
pub(crate) mod runtime;
#[path = "../../../support/skip.rs"]
pub(crate) mod skip;
