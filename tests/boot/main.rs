//! Scenarios on machines with a real systemd; nothing here runs without root.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and talk")]

#[path = "../support/mod.rs"]
mod support;

mod apply;
mod audit;
mod bytes;
mod catalogue;
mod containers;
mod crowd;
mod dev;
mod discover;
mod doctor;
mod drain;
mod errors;
mod faults;
mod filtered;
mod graceful;
mod harness;
mod history;
mod hostile;
mod intent;
mod interop;
mod kills;
mod listeners;
mod listening;
mod load;
mod locks;
mod log_files;
mod matrix;
mod node;
mod nodes;
mod npm;
mod package;
mod pairs;
mod places;
mod programs;
mod reasons;
mod refusals;
mod rights;
mod rollouts;
mod sandbox;
mod secrets;
mod servers;
mod serves;
mod shop;
mod soak;
mod stop;
mod table;
mod trace;
mod trace_drain;
mod traps;
mod user_faults;
mod variables;
mod verify;
mod versions;
