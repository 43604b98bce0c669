//! `watch` → a unit that lives with the app and reloads it when files change.
//!
//! Path units of systemd do not look into folders within folders, so the unit runs clusterctl, which waits for the
//! kernel (inotify) and asks for the same rollout as `clusterctl reload`. It is no part of what serves: without it,
//! or without clusterctl, the app goes on.

use super::{UnitContext, common, mark};
use crate::ecosystem::Role;
use crate::unit::{UnitFile, quote};

/// `api-watch.service`. The group wants it, and takes it along when it stops.
pub(super) fn watch(context: &UnitContext<'_>) -> UnitFile {
    let app = context.app;
    let unit = UnitFile::new(app.name.unit_of(Role::Watch))
        .section("Unit", |s| {
            s.set("Description", format!("{} (reloads it when files change)", app.name));
            common(s);
            let group = app.name.group_unit();
            // Instances that start read every change before: the watch begins after them.
            s.set("PartOf", group.as_str()).set("After", group.as_str());
            s.set("ConditionFileIsExecutable", program_path(context));
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            // The unit is active once all folders are watched.
            s.set("Type", "notify");
            s.set("ExecStart", command(context));
            // A folder that is gone may come back.
            s.set("Restart", "on-failure").set("RestartSec", "5s");
        });
    let watched = app.reloads.watch.iter().flat_map(|watch| watch.paths.iter().cloned()).collect();
    mark(unit, context, Role::Watch, |record| record.watched = watched)
}

fn command(context: &UnitContext<'_>) -> String {
    let app = context.app;
    let mut line = program(context);
    line.push_str(&format!(" watch-files {}", app.name));
    for watch in app.reloads.watch.iter() {
        line.push_str(&format!(" --delay {}", watch.delay.as_millis()));
        let own = app.logs.out_file.iter().chain(&app.logs.error_file);
        let own = own.map(|path| path.to_string_lossy().into_owned());
        for ignored in watch.ignore.iter().cloned().chain(own) {
            line.push_str(&format!(" --ignore {}", quote::argument(&ignored)));
        }
        for path in &watch.paths {
            line.push_str(&format!(" {}", quote::argument(&path.to_string_lossy())));
        }
    }
    line
}

/// The program, as a condition of a unit names it.
pub(super) fn program_path(context: &UnitContext<'_>) -> String {
    quote::path(&context.target.program.to_string_lossy())
}

/// The program, with the manager that it is to ask.
pub(super) fn program(context: &UnitContext<'_>) -> String {
    let flag = if context.user() { " --user" } else { "" };
    format!("{}{flag}", quote::executable(&context.target.program.to_string_lossy()))
}
