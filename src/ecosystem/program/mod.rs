//! What a program is: the command that the file asks for, the head of its executable, what is run in the
//! end through `#!` lines and wrappers, and what follows from that for its name, its signal and its
//! handover.
//!
//! Never opens a file itself, since `Host` reads the heads, and knows no other key than those of the
//! command.

pub(super) mod command;
pub mod elf;
pub(super) mod graceful;
pub(super) mod kind;
pub(super) mod naming;
mod node;
