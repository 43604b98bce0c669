#![no_main]

#[path = "../../../support/host.rs"]
mod host;
#[path = "../../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::archive(bytes));
