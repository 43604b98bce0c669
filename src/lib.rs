//! clusterctl: PM2's cluster mode for any program, on plain systemd.
//!
//! ```text
//! text ─parse→ Schema ─resolve(host facts)→ Ecosystem ─translate→ UnitSet ┐
//!                                              disk + D-Bus ─→ Observed ┴─plan→ Plan ─drive→ Outcome
//! ```
//!
//! Everything before the last arrow is pure and synchronous. Imports go one way only, from the
//! bottom of this list to its top; `tests/layers` holds that.

// pure: values in, values out
pub mod ecosystem;
pub mod handover;
pub mod limits;
pub mod plan;
pub mod rollout;
pub mod translate;
pub mod unit;
// edges: the only I/O
pub mod disk;
pub mod embedded;
pub mod host;
pub mod systemd;
// drivers and faces
pub mod cli;
pub mod error;
pub mod ops;
pub mod report;

/// The program that hands listeners over by ptrace: static, and whole in itself.
pub const TRACER_FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clusterctl-exec"));

/// The files that apply puts beside the units: helper scripts, preload library, tracer, Node file.
pub fn embedded_files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("group", include_bytes!("../units/group")),
        ("close", include_bytes!("../units/close")),
        ("wake", include_bytes!("../units/wake")),
        ("wait-listening", include_bytes!("../units/wait-listening")),
        ("restart-guard", include_bytes!("../units/restart-guard")),
        (
            "libclusterctl_preload.so",
            include_bytes!(concat!(env!("OUT_DIR"), "/libclusterctl_preload.so")),
        ),
        ("clusterctl-exec", TRACER_FILE),
        ("clusterctl.cjs", include_bytes!("shims/node/clusterctl.cjs")),
    ]
}
