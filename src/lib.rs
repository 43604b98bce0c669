//! clusterctl: PM2's cluster mode for any program, on plain systemd.
//!
//! ```text
//! text ─read→ Fields ─resolve(host facts)→ Ecosystem ─translate→ UnitSet ┐
//!                                              disk + D-Bus ─→ Observed ┴─plan→ Plan ─act→ Done
//! ```
//!
//! Everything before the last arrow is pure and synchronous. Imports go one way only: each module
//! uses those above it in this list; `tests/layers` holds that. What is loaded into other people's
//! processes (`src/shims`) is compiled on its own, and shares `handover`; `shims/libsystemd` alone, which finds
//! that library at run time, is part of the program.

#![warn(unreachable_pub)]

// Pure: values in, values out.

pub mod limits;

pub mod unit;

pub mod handover;

pub mod ecosystem;

pub mod import;

pub mod translate;

pub mod rollout;

pub mod plan;

pub mod export;

pub mod fleet;

// Edges: the only input and output.

pub mod clock;

pub mod disk;

pub mod host;

pub mod release;

pub mod door_client;

pub mod ssh;

pub mod systemd;

pub mod embedded;

// Drivers and faces.

pub mod ops;

pub mod report;

pub mod error;

pub mod cli;

#[path = "shims/libsystemd/mod.rs"]
mod libsystemd;

/// The program that hands listeners over by ptrace: static, and whole in itself.
pub const TRACER_FILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/clusterctl-exec"));

/// The files that apply puts beside the units: helper scripts, preload library, tracer, Node file.
pub fn embedded_files() -> Vec<(&'static str, &'static [u8])> {
    vec![
        ("group", include_bytes!("../units/group")),
        ("close", include_bytes!("../units/close")),
        ("wake", include_bytes!("../units/wake")),
        ("await-health", include_bytes!("../units/await-health")),
        ("pid-file", include_bytes!("../units/pid-file")),
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
