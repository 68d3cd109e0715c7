//! The target `answer`; see `waterwheel_fuzz::answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waterwheel_fuzz::answer(bytes));
