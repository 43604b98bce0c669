//! Scenarios on machines with a real systemd; nothing here runs without root.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and talk")]

#[path = "../support/mod.rs"]
mod support;

mod harness;
mod load;
