//! `max_memory_restart` → a timer, and the service that it starts: an instance that needs more is replaced as by
//! `clusterctl reload api@2`, a new one first, and loses no request. Nothing of ours runs in between.
//!
//! `MemoryMax=` of the instances is half as much again, for a program that grows faster than it is looked at: what
//! reaches that is killed by the kernel. There is no `MemoryHigh=`: the kernel would slow the program down instead, for
//! as long as it takes to be replaced.

use super::watch::{program, program_path};
use super::{UnitContext, common, mark};
use crate::ecosystem::Role;
use crate::unit::UnitFile;

/// How often instances are looked at: as often as PM2 looks.
const INTERVAL: &str = "30s";

/// The hard limit of an instance, in bytes.
pub(super) fn hard_limit(context: &UnitContext<'_>) -> Option<u64> {
    let app = context.app;
    let limit = app.max_memory?;
    Some(if app.is_job() { limit } else { limit.saturating_add(limit / 2) })
}

/// `api-memory.timer`. The group wants it, and takes it along when it stops.
pub(super) fn timer(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let unit = UnitFile::new(app.name.unit_of(Role::MemoryTimer))
        .section("Unit", |s| {
            s.set("Description", format!("{} (looks at the memory of its instances)", app.name));
            common(s);
            s.set("PartOf", app.name.group_unit().as_str());
        })
        .section("Timer", |s| {
            s.set("OnActiveSec", INTERVAL).set("OnUnitInactiveSec", INTERVAL);
            s.set("AccuracySec", "1s");
            s.set("Unit", app.name.unit_of(Role::MemoryCheck).as_str());
        });
    mark(unit, context, Role::MemoryTimer, |_| {})
}

/// `api-memory.service`.
pub(super) fn check(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let limit = app.max_memory.unwrap_or_default();
    let unit = UnitFile::new(app.name.unit_of(Role::MemoryCheck))
        .section("Unit", |s| {
            s.set("Description", format!("{} (replaces instances that need too much)", app.name));
            common(s);
            s.set("ConditionFileIsExecutable", program_path(context));
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot");
            s.set("ExecStart", format!("{} check-memory {} {limit}", program(context), app.name));
            // A rollout lasts as long as its instances need; each of them has a deadline.
            s.set("TimeoutStartSec", "infinity");
        });
    mark(unit, context, Role::MemoryCheck, |_| {})
}
