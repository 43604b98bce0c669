//! The preload library in real programs, without a systemd: a stand-in holds
//! the listeners (`support`).

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod conversation;
mod decision;
mod draining;
mod endings;
mod fuzz;
mod languages;
mod other_machine;
mod probing;
mod safety;
mod servers;
mod streams;
mod suites;
#[allow(dead_code, reason = "the tracer's tests use the rest")]
mod support;
mod under_way;
