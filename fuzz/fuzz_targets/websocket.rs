//! The target `websocket`; see `waterwheel_fuzz::websocket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| waterwheel_fuzz::websocket(bytes));
