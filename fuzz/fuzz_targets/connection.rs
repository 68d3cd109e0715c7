//! The target `connection`; see `waterwheel_fuzz::connection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waterwheel_fuzz::connection(bytes));
