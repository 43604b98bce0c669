#![no_main]

#[path = "../../tests/support/host.rs"]
mod host;
#[path = "../../tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::words(bytes));
