//! The preload library in real programs, without a systemd: a stand-in holds
//! the listeners (`support`).

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod clients;
mod conversation;
mod decision;
mod doorless;
mod doors;
mod draining;
mod endings;
mod executed;
mod fuzz;
mod gate;
mod languages;
#[allow(unsafe_code, reason = "passes bytes as the library's callers do")]
mod looks;
mod other_machine;
mod probing;
mod safety;
mod servers;
mod sets;
mod standard_error;
mod streams;
mod suites;
#[allow(dead_code, reason = "the tracer's tests use the rest")]
mod support;
mod under_way;
mod watchdog;

#[allow(dead_code, unsafe_code, reason = "a file of the library, which uses all of it")]
#[path = "../../src/shims/preload/entry.rs"]
mod entry;
#[allow(dead_code, unsafe_code, reason = "a file of the library, which uses all of it")]
#[path = "../../src/shims/preload/follow.rs"]
mod follow;

use clusterctl::handover;
use looks::{setup, sys, workers};
