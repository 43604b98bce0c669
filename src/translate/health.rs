//! `health` while an instance lives → a timer, and the service that it starts: an instance that fails its checks is
//! replaced as by `clusterctl reload api@2`, a new one first. Nothing of ours runs in between.
//!
//! A command of the app is run at the start alone, where it has the instance's own rights; these units have more.

use super::watch::{program, program_path};
use super::{UnitContext, common, door, mark, span};
use crate::ecosystem::Role;
use crate::unit::UnitFile;

/// `api-health.timer`. The group wants it, and takes it along when it stops.
pub(super) fn timer(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let interval = app.health.as_ref().map(|health| span(health.interval)).unwrap_or_default();
    let unit = UnitFile::new(app.name.unit_of(Role::HealthTimer))
        .section("Unit", |s| {
            s.set("Description", format!("{} (checks its instances)", app.name));
            common(s);
            s.set("PartOf", app.name.group_unit().as_str());
        })
        .section("Timer", |s| {
            s.set("OnActiveSec", &interval).set("OnUnitInactiveSec", &interval);
            s.set("AccuracySec", "100ms");
            s.set("Unit", app.name.unit_of(Role::HealthCheck).as_str());
        });
    mark(unit, context, Role::HealthTimer, |_| {})
}

/// `api-health.service`.
pub(super) fn check(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let unit = UnitFile::new(app.name.unit_of(Role::HealthCheck))
        .section("Unit", |s| {
            s.set("Description", format!("{} (replaces instances that fail checks)", app.name));
            common(s);
            s.set("ConditionFileIsExecutable", program_path(context));
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot");
            let mut line = format!("{} check-health {}", program(context), app.name);
            if let Some(health) = &app.health {
                line.push_str(&format!(" --failures {}", health.failures));
                line.push_str(&format!(" --timeout {}", health.timeout.as_millis()));
                line.push_str(&door::checked(&health.check));
            }
            s.set("ExecStart", line);
            // A rollout lasts as long as its instances need; each of them has a deadline.
            s.set("TimeoutStartSec", "infinity");
        });
    mark(unit, context, Role::HealthCheck, |_| {})
}
