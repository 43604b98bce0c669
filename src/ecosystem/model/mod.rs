//! What an ecosystem file means: apps and their values, valid and with nothing left open, and the facts
//! about a machine that decide about them, as an argument ([`host::Host`]).
//!
//! Never knows how any of it is written: nothing of `read` or `resolve` is imported here.

pub(super) mod address;
pub(super) mod app;
pub(super) mod deploy;
pub(super) mod door;
pub(super) mod fleet;
pub(super) mod health;
pub(super) mod host;
pub(super) mod name;
pub(super) mod role;
pub(super) mod runtime_folder;
pub(super) mod sandbox;
pub(super) mod unit_names;
