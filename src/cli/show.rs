//! Prints plans, events while a verb works, how each app ended up, and warnings. It never changes
//! anything.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use super::Ui;
use crate::ecosystem::{AppName, Ecosystem, ListenAddress, Protocol, Scope};
use crate::error::Error;
use crate::ops::{self, Done, UnitFailure};
use crate::plan::Plan;
use crate::plan::reason::MASKED_AND_UP;
use crate::report::{self, AppVerdict};
use crate::rollout::NotServing;
use crate::translate::{self, LeftOut};
use crate::unit::UnitName;

/// Prints an event. A plan is left to [`plan`], whose place in the output can be lost.
pub(super) fn event(event: &ops::Event, ui: &mut Ui) {
    ui.count(event);
    if let ops::Event::Progress { app, at, progress } = event {
        ui.progress(app, *at, progress);
    }
    // For whom a command waits is told to people alone: programs have no use for it.
    let for_people = matches!(event, ops::Event::Waiting { .. });
    if ui.json && !for_people {
        if let Some(value) = report::progress::json(event) {
            // A reader that is gone must not stop what is under way.
            let _ = ui.json_line(&value);
        }
    } else if let Some(line) = report::progress::line(event, ui.verbose, &ui.err) {
        ui.painted(&line);
    }
}

/// Prints a plan, with a dry run what would change in the files as well.
///
/// # Errors
/// The output cannot be written, and it is all that was asked for.
pub(super) fn plan(plan: &Plan, dry_run: bool, ui: &mut Ui) -> Result<(), Error> {
    if ui.json {
        let mut value = report::plan::json(plan);
        if dry_run {
            value["diff"] = report::plan::diff(plan).into();
        }
        if ui.is_over_protocol() {
            // For people there, who see the plans of many hosts.
            value["text"] = report::plan::brief(plan, &ui.out).into();
        }
        return ui.json_line(&value);
    }
    let text = match ui.verbose {
        true => report::plan::text(plan, &ui.out),
        false => report::plan::brief(plan, &ui.out),
    };
    if dry_run {
        ui.data(&text)?;
        return ui.data(&report::plan::diff(plan));
    }
    ui.data_unless_silent(&text)
}

/// How an app ended up, and what is known of the instance that decided it.
pub(super) fn verdict(ctl: &ops::Context, app: &AppName, done: &Done) -> (AppVerdict, ops::Story) {
    let instance = report::verdict::failed_instance(app, done);
    let loops =
        |(_, why): &(_, UnitFailure)| matches!(why, UnitFailure::Lost(NotServing::Loops { .. }));
    // An instance that crashes in a loop may have begun before this command did.
    let since = if done.failures.iter().any(loops) { UNIX_EPOCH } else { ctl.begun };
    let story = instance.map(|number| ops::story(ctl, app, number, since)).unwrap_or_default();
    (report::verdict::verdict(app, done, story.reason.as_ref()), story)
}

/// One sentence per app, and for each that failed the lines that matter and the next command.
pub(super) fn finish(
    ctl: &ops::Context,
    done: &BTreeMap<AppName, Done>,
    ui: &mut Ui,
) -> Result<(), Error> {
    ui.end_progress();
    // A rollout of which this user is told nothing has done something all the same.
    let untouched = done.iter().filter(|(_, done)| done.is_success() && done.rollout.is_none());
    count_untouched(ctl, untouched.map(|(app, _)| app), ui)?;
    let mut bad = Vec::new();
    let _together = ctl.together();
    for (app, done) in done {
        let (mut verdict, story) = verdict(ctl, app, done);
        if verdict.good {
            unheld(ctl, &[app], ui)?;
            verdict.text = ending(ctl, app, done, ui);
        } else {
            bad.push(app.clone());
        }
        if ui.json {
            for value in report::verdict::ended(app, &verdict, &story) {
                ui.json_line(&value)?;
            }
            continue;
        }
        ui.verdict(app, &verdict, &story);
    }
    let (counts, took) = ui.counted();
    let total = counts.total(done.len(), Some(took));
    if let Some(total) = total.filter(|_| bad.is_empty() && !ui.json) {
        ui.done(&total);
    }
    match bad.is_empty() {
        true => Ok(()),
        false if done.values().any(Done::is_interrupted) => Err(Error::Interrupted),
        false => {
            let denied = bad.iter().all(|app| done[app].denied().is_some());
            Err(Error::Failed { apps: bad, denied })
        }
    }
}

/// Counts what runs of those apps of which nothing had to be started, replaced or stopped.
pub(super) fn count_untouched<'a>(
    ctl: &ops::Context,
    apps: impl Iterator<Item = &'a AppName>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let apps: Vec<ops::Selected> = apps
        .filter(|app| ui.counted().0.is_nothing(app))
        .map(|app| ops::Selected { app: app.clone(), instance: None })
        .collect();
    if apps.is_empty() {
        return Ok(());
    }
    for unit in ops::up(ctl, &apps)? {
        let owner = apps.iter().find_map(|one| Some((&one.app, one.app.instance_of(&unit)?)));
        if let Some((app, number)) = owner {
            ui.counts_mut().note_up(app, number);
        }
    }
    Ok(())
}

/// The sentence about an app that serves: what was done, and whether a full queue turned clients away.
fn ending(ctl: &ops::Context, app: &AppName, done: &Done, ui: &Ui) -> String {
    let (counts, took) = ui.counted();
    if counts.is_nothing(app) && done.rollout.is_none() {
        return format!("{app}: not running, as before");
    }
    let text = counts.end(app, Some(took));
    if counts.replaced(app) == 0 || !ui.none_refused() {
        return text;
    }
    // Only of TCP the kernel counts who was turned away.
    let apps = ops::named(ctl, std::slice::from_ref(app)).unwrap_or_default();
    let listeners = apps.get(app).map(ops::addresses).unwrap_or_default();
    let tcp = |address: &ListenAddress| {
        address.protocol() == Protocol::Stream && address.port().is_some()
    };
    match !listeners.is_empty() && listeners.iter().all(tcp) {
        true => format!("{text}, 0 refused"),
        false => text,
    }
}

/// Warns of listeners that instances do not take although they are ready.
pub(super) fn unheld(ctl: &ops::Context, apps: &[&AppName], ui: &mut Ui) -> Result<(), Error> {
    lacking(&ops::lacking(ctl, apps)?, ui)
}

/// As [`unheld`], of what has been looked at already.
pub(super) fn lacking(all: &ops::Lacking, ui: &mut Ui) -> Result<(), Error> {
    for (app, lacking) in all {
        let name = app.to_string();
        let lines = report::list::unheld(lacking.iter().map(|(n, lacks)| (&name, *n, lacks)));
        for line in lines {
            if ui.json {
                let value = serde_json::json!({"event": "warning", "app": name, "text": line});
                ui.json_line(&value)?;
            } else {
                ui.note(&line);
            }
        }
    }
    Ok(())
}

/// Warns of instances that run and could not start again.
pub(super) fn masked_units(
    ctl: &ops::Context,
    units: Vec<UnitName>,
    ui: &mut Ui,
) -> Result<(), Error> {
    for unit in units {
        let text = format!("{unit} {MASKED_AND_UP}");
        let flag = if ctl.layout.scope == Scope::User { " --user" } else { "" };
        let next = format!("systemctl{flag} unmask {unit}");
        if ui.json {
            let value = serde_json::json!(
                {"event": "warning", "app": unit.prefix(), "text": text, "next": next}
            );
            ui.json_line(&value)?;
        } else {
            ui.note(&format!("warning: {text}; next: {next}"));
        }
    }
    Ok(())
}

/// Says that apps of a user end with the last session.
pub(super) fn ends_at_logout(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) {
    let user = crate::host::own_user();
    let starts = ecosystem.apps.values().any(|app| app.process.autostart);
    if ctl.layout.scope == Scope::User && starts && !crate::host::lingers(&user) {
        ui.note(&format!(
            "warning: apps of {user} end at logout, and start at login instead of at boot"
        ));
        ui.next(&format!("loginctl enable-linger {user}"));
    }
}

/// Says what the file asks for and this manager is too old for, or may not do.
pub(super) fn left_out(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    ui: &mut Ui,
) -> Result<(), Error> {
    for (app, keys) in translate::forbidden(ecosystem, &ctl.target()?) {
        let keys: Vec<String> = keys.iter().map(|key| format!("{key}=")).collect();
        ui.note(&format!(
            "{app}: {} is left out of its sandbox: this container permits no namespaces to services",
            keys.join(", ")
        ));
    }
    if translate::left_out(ecosystem, translate::FLOOR).is_empty() {
        return Ok(());
    }
    let here = ctl.manager_version()?;
    for (app, newer) in translate::left_out(ecosystem, here) {
        for LeftOut { directive, since } in newer {
            ui.note(&format!(
                "{app}: {directive}= is left out: it needs systemd {since}, this is {here}"
            ));
        }
    }
    Ok(())
}
