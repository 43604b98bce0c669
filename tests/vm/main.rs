//! A whole computer: a kernel, a disk, unified cgroups with all their controllers, and a power
//! cord. Emulated, so that it runs everywhere; nothing here runs without root.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests may panic and talk")]

#[path = "../support/mod.rs"]
mod support;

mod boots;
mod cuts;
mod dev;
mod guest;
mod image;
mod limits;
mod selinux;
mod shop;
