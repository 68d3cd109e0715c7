//! The target `differential`; see `waterwheel_fuzz::differential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waterwheel_fuzz::differential(bytes));
