//! The target `chunked`; see `waterwheel_fuzz::chunked`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waterwheel_fuzz::chunked(bytes));
