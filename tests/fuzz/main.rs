//! Random input from outside: files, names, and words of the bus and of programs. Parts that are private to
//! a module are fuzzed beside it. A few seconds in all; `PROPTEST_CASES` makes the run longer.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/host.rs"]
mod host;

mod archives;
mod bounded;
mod files;
mod foreign;
mod hosts;
mod output;
mod targets;
mod units;
mod whole;
