//! The rollout machine from outside: stories to read, and twenty thousand simulated rollouts.

#![allow(clippy::unwrap_used, clippy::print_stderr, missing_docs, missing_debug_implementations)]

mod chance;
mod cost;
mod rules;
mod simulate;
mod stories;
mod world;
