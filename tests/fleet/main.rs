//! `clusterctl -H`: the real program, and a program `ssh` of the test in its place, which plays the hosts: with noise
//! of a shell, words of newer versions, dead links, and Ctrl-C in the middle.
#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs)]

mod changes;
mod hooks;
mod links;
mod reads;
mod real;
#[path = "../support/skip.rs"]
mod skip;
mod stage;
mod terminal;
#[path = "../support/tmux.rs"]
mod tmux;
