//! What comes from outside, made at random: files, names, and words of the bus and of programs. The
//! parts that are private to a module are tried beside it. A few seconds in all; `PROPTEST_CASES`
//! makes it as long as one likes.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../support/host.rs"]
mod host;

mod bounded;
mod files;
mod foreign;
mod output;
mod targets;
mod units;
