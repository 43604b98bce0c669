//! clusterctl: PM2's cluster mode for any program, on plain systemd.
//!
//! ```text
//! text ─parse→ Schema ─resolve(host facts)→ Ecosystem ─translate→ UnitSet ┐
//!                                              disk + D-Bus ─→ Observed ┴─plan→ Plan ─drive→ Outcome
//! ```
//!
//! Everything before the last arrow is pure and synchronous. Imports go one way only, from the
//! bottom of this list to its top; `tests/layers.rs` holds that.

// pure: values in, values out
pub mod ecosystem;
pub mod unit;

// edge: the machine
pub mod embedded;
