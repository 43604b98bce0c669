//! `cron_restart` → a timer unit, and the service unit that it starts.

use super::{UnitContext, common, flag, mark};
use crate::ecosystem::Role;
use crate::unit::{UnitFile, quote};

/// `api-cron.timer`. It belongs to no boot target: the group wants it, and takes it along when it stops.
pub(super) fn timer(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let written: Vec<&str> = app.schedules.iter().map(|one| one.cron.as_str()).collect();
    let description = format!("{} (cron_restart: {})", app.name, written.join(", "));
    let unit = UnitFile::new(app.name.unit_of(Role::Timer))
        .section("Unit", |s| {
            s.set("Description", quote::text(&description));
            common(s);
            s.set("PartOf", app.name.group_unit().as_str());
        })
        .section("Timer", |s| {
            for calendar in app.schedules.iter().flat_map(|one| &one.calendars) {
                s.set("OnCalendar", calendar);
            }
            // By default a timer elapses up to a minute late.
            s.set("AccuracySec", "1s").set("RandomizedDelaySec", "0");
            // What was missed while the app or the machine was down is not made up for: it has started anew.
            s.set("Persistent", "no");
            s.set("Unit", app.name.unit_of(Role::Timed).as_str());
        });
    mark(unit, context, Role::Timer, |_| {})
}

/// `api-cron.service`. An app that is down stays down; systemd starts none of these while one lasts, so that
/// a rollout is over before the next one.
pub(super) fn timed(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let systemctl = format!("systemctl {}", flag(context));
    let group = app.name.group_unit();
    // A job has nobody to serve meanwhile. What is not loaded was stopped by hand, and the pattern leaves it out.
    let task = if app.is_job() {
        format!("restart '{}@*.service'", app.name)
    } else {
        format!("reload {group}")
    };
    // A stop or restart of the app cancels what is under way, which is no failure. The group may still be up by
    // then, and has the job that is to come.
    let up = format!("{systemctl}is-active --quiet {group}");
    let job = format!("{systemctl}list-jobs {group} | grep -q {group}");
    // Waits for a command that holds the app's lock: it would take this job for interference.
    let lock = context.target.locks.join(app.name.lock_name());
    let script = format!("flock \"$1\" true; {systemctl}{task} || {job} || ! {up}");
    let unit = UnitFile::new(app.name.unit_of(Role::Timed))
        .section("Unit", |s| {
            s.set("Description", format!("{} (restart by its schedule)", app.name));
            common(s);
            // A limit of five starts in ten seconds would fail a schedule of seconds for good.
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot");
            s.set("ExecCondition", up);
            let words = ["/bin/sh", "-c", &script, "sh", &lock.to_string_lossy()];
            let words = words.map(quote::argument);
            s.set("ExecStart", words.join(" "));
            // A rollout lasts as long as its instances need; each of them has a deadline.
            s.set("TimeoutStartSec", "infinity");
        });
    mark(unit, context, Role::Timed, |_| {})
}
