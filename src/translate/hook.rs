//! `before_reload` and `after_reload` → units that a rollout starts: with the user, the folder, the variables and the
//! sandbox of the app, and a journal of their own.

use super::{UnitContext, common, environment, instance, mark, sandbox, span};
use crate::ecosystem::Role;
use crate::limits;
use crate::unit::{UnitFile, quote};

/// `api-before-reload.service` or `api-after-reload.service`.
pub(super) fn hook(context: &UnitContext<'_>, role: Role) -> UnitFile {
    let app = context.app;
    let (lines, key) = match role {
        Role::BeforeReload => (&app.reloads.before, "before_reload"),
        _ => (&app.reloads.after, "after_reload"),
    };
    let unit = UnitFile::new(app.name.unit_of(role))
        .section("Unit", |s| {
            s.set("Description", format!("{} ({key})", app.name));
            common(s);
            s.set("StartLimitIntervalSec", "0");
        })
        .section("Service", |s| {
            s.set("Type", "oneshot");
            for line in lines {
                let shell = ["/bin/sh".to_owned(), "-c".to_owned(), line.clone()];
                let words: Vec<String> = instance::env_reader(context).chain(shell).collect();
                s.set("ExecStart", instance::command_line(&words));
            }
            s.set("WorkingDirectory", quote::path(&app.cwd.to_string_lossy()));
            s.set_some("User", app.process.user.as_deref().map(quote::text));
            s.set_some("Group", app.process.group.as_deref().map(quote::text));
            for line in environment::lines_of_hooks(context) {
                s.set("Environment", line);
            }
            for path in instance::manager_env_files(context) {
                s.set("EnvironmentFile", quote::path(&path.to_string_lossy()));
            }
            // A command that never ends would hold up every later rollout.
            s.set("TimeoutStartSec", span(limits::HOOK));
            s.set("SyslogIdentifier", app.name.as_str());
            s.set("Slice", app.name.slice_unit().as_str());
            sandbox::set(s, context);
        });
    mark(unit, context, role, |_| {})
}
