//! `clusterctl apply`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::policy::PolicyArgs;
pub use super::told::{finish, tell, verdict};
use super::{Global, Ui, context};
use crate::disk::{self, Definition, Entry, Lock};
use crate::ecosystem::{App, AppName, Ecosystem, Scope};
use crate::error::Error;
use crate::ops::{self, Done};
use crate::plan::{self, Plan};
use crate::report;
use crate::rollout::Policy;
use crate::translate::{FLOOR, LeftOut, left_out};

/// Make the running apps what an ecosystem file says
///
/// Writes the units, enables and starts them, waits until every instance is ready. Does nothing
/// where nothing differs. Changed apps are replaced a few instances at a time, without a gap.
#[derive(Debug, clap::Args)]
pub struct ApplyArgs {
    /// The ecosystem file; `-` is standard input
    #[arg(default_value = "ecosystem.toml")]
    file: PathBuf,
    /// Show the plan and what would change in the units, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Stop and remove apps that are gone from the file
    #[arg(long)]
    prune: bool,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',')]
    only: Vec<String>,
    /// Use the variables of `env_NAME` too; else those of the last apply, with `none` no others
    #[arg(long, value_name = "NAME")]
    env: Option<String>,
    /// The name of the file that standard input stands for: what --prune and history know it by
    #[arg(long = "as", value_name = "PATH")]
    name: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// How a definition is put in force.
#[derive(Debug)]
pub struct How<'a> {
    /// What the history says of it.
    pub verb: String,
    /// The name of the file in messages.
    pub shown: String,
    /// Only show what would happen.
    pub dry_run: bool,
    /// Stop and remove apps that are gone.
    pub prune: bool,
    /// Whether apps that did not change are replaced afterwards.
    pub reloads: bool,
    /// How changed apps are replaced.
    pub policy: &'a PolicyArgs,
}

/// Runs the verb.
pub fn run(args: &ApplyArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let name = args.name.as_deref();
    let definition = read(&args.file, name, args.env.clone(), &args.only, global, ui)?;
    let (dry_run, prune) = (args.dry_run, args.prune);
    let shown = args.file.display().to_string();
    let how = How {
        verb: "apply".to_owned(),
        shown,
        dry_run,
        prune,
        reloads: false,
        policy: &args.policy,
    };
    converge(definition, &how, global, ui).map(drop)
}

fn read(
    file: &Path,
    name: Option<&Path>,
    env: Option<String>,
    only: &[String],
    global: &Global,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    let (text, source, base) = context::read_ecosystem(file, name)?;
    let env = profile(env, source.as_deref(), global, ui)?;
    Ok(Definition { text, source, base, env, only: only.to_vec() })
}

/// The word for no profile, where one is in force.
const NONE: &str = "none";

/// The `--env` that counts: the one that is given, else the one with which the apps of this file
/// were applied last.
fn profile(
    given: Option<String>,
    source: Option<&Path>,
    global: &Global,
    ui: &mut Ui,
) -> Result<Option<String>, Error> {
    if given.is_some() {
        return Ok(given.filter(|name| name != NONE));
    }
    let apps = disk::scan(&context::layout(global.scope())?)?;
    let of_file =
        apps.iter().filter(|(_, found)| source.is_some() && found.source.as_deref() == source);
    let profiles: BTreeMap<Option<String>, &AppName> =
        of_file.map(|(app, found)| (found.profile(app), app)).collect();
    if profiles.len() > 1 {
        let name = |profile: &Option<String>| profile.clone().unwrap_or(NONE.to_owned());
        let each = profiles.iter().map(|(profile, app)| format!("{app}: {}", name(profile)));
        let text = format!(
            "apps of this file were applied with different profiles ({}): say which with --env",
            each.collect::<Vec<_>>().join(", ")
        );
        return Err(Error::Usage(text));
    }
    let kept = profiles.into_keys().next().flatten();
    if let Some(name) = &kept {
        ui.note(&format!(
            "profile {name}, as at the last apply; another one: --env NAME, none: --env none"
        ));
    }
    Ok(kept)
}

/// Apps that a definition put in force did not start anew.
#[derive(Debug)]
pub struct Untouched {
    ctl: ops::Context,
    apps: Vec<(AppName, Option<ops::Manner>)>,
}

/// Makes the running apps what a definition says, and remembers it.
pub fn converge(
    definition: Definition,
    how: &How<'_>,
    global: &Global,
    ui: &mut Ui,
) -> Result<Untouched, Error> {
    let layout = context::layout(global.scope())?;
    let loaded = context::load_text(&definition, &how.shown, &layout, ui)?;
    let ecosystem = only(loaded.ecosystem, &definition.only)?;
    let manners = how.policy.manners(policies(&ecosystem))?;
    let ctl = context::interruptible(context::connect(global)?)?;
    tell_left_out(&ctl, &ecosystem, ui)?;
    let whole = definition.only.is_empty();
    let apps = Vec::new();
    if how.dry_run {
        let (plan, _) = planned(&ctl, &ecosystem, how.prune, whole)?;
        show(&plan, true, ui)?;
        return Ok(Untouched { ctl, apps });
    }
    let _lock = lock(&ctl, &ecosystem, how.prune && whole, ui)?;
    settled(&ctl, &ecosystem, ui)?;
    let (plan, observed) = planned(&ctl, &ecosystem, how.prune, whole)?;
    if plan.is_empty() && !ecosystem.apps.is_empty() {
        // What units run and load is mended also when the units are as they should be.
        let _shared = Lock::shared(&ctl.layout.state)?;
        disk::install_handover(&ctl.layout.state, &crate::embedded_files())?;
    }
    // "Nothing to do" is said only of what serves.
    let idle = ecosystem.apps.keys().filter(|app| !how.reloads && !plan.has_steps(app));
    let mut done = ops::unwell(&ctl, &observed, idle)?;
    if how.reloads {
        let mut shown = plan.clone();
        // There is something to do: their instances are replaced.
        shown.apps.retain(|app| !app.is_empty() || !app.notes.is_empty());
        show(&shown, false, ui)?;
    } else if !plan.is_empty() || done.is_empty() || ui.json {
        show(&plan, false, ui)?;
    }
    if !plan.is_empty() {
        let mut sink = |event: ops::Event| tell(&event, ui);
        done.extend(ops::act(&ctl, &plan, &observed, &manners, &mut sink)?);
    }
    if !plan.is_empty() || !done.is_empty() {
        finish(&ctl, &done, ui)?;
    }
    let shared = Lock::shared(&ctl.layout.state)?;
    disk::sweep_environment(&ctl.layout)?;
    // After success only: what did not come to serve is nothing to go back to.
    remember(&ctl, definition, how, &plan)?;
    drop(shared);
    tell_lingering(&ctl, &ecosystem, ui);
    let left = ecosystem.apps.keys().filter(|app| !plan.replaces(app, observed.apps.get(*app)));
    let apps = left.map(|app| (app.clone(), manners.get(app).cloned())).collect();
    Ok(Untouched { ctl, apps })
}

/// Says that apps of a user end with the last session.
fn tell_lingering(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) {
    let user = crate::host::own_user();
    let starts = ecosystem.apps.values().any(|app| app.autostart);
    if ctl.layout.scope == Scope::User && starts && !crate::host::lingers(&user) {
        ui.note(&format!(
            "warning: apps of {user} end at logout, and start at login instead of at boot"
        ));
        ui.next(&format!("loginctl enable-linger {user}"));
    }
}

/// Says what the file asks for and this manager is too old for.
fn tell_left_out(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<(), Error> {
    if left_out(ecosystem, FLOOR).is_empty() {
        return Ok(());
    }
    let here = ctl.systemd.version()?;
    for (app, newer) in left_out(ecosystem, here) {
        for LeftOut { directive, since } in newer {
            ui.note(&format!(
                "{app}: {directive}= is left out: it needs systemd {since}, this is {here}"
            ));
        }
    }
    Ok(())
}

fn remember(
    ctl: &ops::Context,
    definition: Definition,
    how: &How<'_>,
    plan: &Plan,
) -> Result<(), Error> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let entry = Entry {
        number: 0,
        time,
        user: std::env::var("SUDO_USER").unwrap_or_else(|_| crate::host::own_user()),
        verb: how.verb.clone(),
        changes: report::plan::summary(plan),
        definition,
    };
    Ok(disk::record(&ctl.layout, entry).map(drop)?)
}

/// Applies a file as it stands.
pub fn file(file: &Path, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let args = ApplyArgs {
        file: file.to_owned(),
        dry_run: false,
        prune: false,
        only: Vec::new(),
        env: None,
        name: None,
        policy: PolicyArgs::default(),
    };
    run(&args, global, ui)
}

/// Applies a file, then reloads those of its apps that this did not replace.
pub fn reload_file(
    file: &Path,
    env: Option<String>,
    name: Option<&Path>,
    names: &[String],
    policy: &PolicyArgs,
    global: &Global,
    ui: &mut Ui,
) -> Result<(), Error> {
    let definition = read(file, name, env, names, global, ui)?;
    let shown = file.display().to_string();
    let how = How {
        verb: "reload".to_owned(),
        shown,
        dry_run: false,
        prune: false,
        reloads: true,
        policy,
    };
    let Untouched { ctl, apps } = converge(definition, &how, global, ui)?;
    let reload = |(app, manner): (AppName, Option<ops::Manner>)| ops::Reload {
        app,
        instances: None,
        policy: manner.as_ref().map(|manner| manner.policy.clone()),
        kill_after: manner.and_then(|manner| manner.kill_after),
    };
    let reloads: Vec<ops::Reload> = apps.into_iter().map(reload).collect();
    let mut sink = |event: ops::Event| tell(&event, ui);
    let done = ops::reload(&ctl, &reloads, &mut sink)?;
    finish(&ctl, &done, ui)
}

/// Also of the apps that are gone from the file, when those are to be removed.
fn lock(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    prune: bool,
    ui: &mut Ui,
) -> Result<Lock, Error> {
    let mut apps: BTreeSet<AppName> = ecosystem.apps.keys().cloned().collect();
    if prune {
        let observed = ops::observe(ctl)?.apps.into_iter();
        let same = observed.filter(|(_, found)| found.source == ecosystem.source);
        apps.extend(same.map(|(name, _)| name));
    }
    context::lock(ctl, &apps, ui)
}

/// Nothing is planned around instances that are being replaced.
fn settled(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<(), Error> {
    let apps: Vec<AppName> = ecosystem.apps.keys().cloned().collect();
    Ok(ops::settle(ctl, &apps, &mut |event| tell(&event, ui))?)
}

fn planned(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    prune: bool,
    whole: bool,
) -> Result<(Plan, plan::Observed), Error> {
    let mut observed = ops::observe(ctl)?;
    let wanted = crate::translate::translate(ecosystem, &ctl.target()?);
    ops::note_held(ctl, &wanted, &mut observed);
    let source = ecosystem.source.as_deref();
    Ok((plan::plan(&wanted, &observed, source, prune, whole), observed))
}

/// Applies without showing the plan first; only trouble is told. Says whether there was none.
pub fn quietly(ctl: &ops::Context, ecosystem: &Ecosystem, ui: &mut Ui) -> Result<bool, Error> {
    let observed = ops::observe(ctl)?;
    let wanted = crate::translate::translate(ecosystem, &ctl.target()?);
    let plan = plan::plan(&wanted, &observed, None, false, true);
    let manner = |(app, policy)| (app, ops::Manner { policy, kill_after: None });
    let manners = policies(ecosystem).into_iter().map(manner).collect();
    let done = ops::act(ctl, &plan, &observed, &manners, &mut |_| {})?;
    if done.values().all(Done::is_success) {
        return Ok(true);
    }
    let bad = done.into_iter().filter(|(_, done)| !done.is_success()).collect();
    match finish(ctl, &bad, ui) {
        // What happened to one app is no reason to end the others.
        Err(Error::Failed) => Ok(false),
        result => result.map(|()| false),
    }
}

fn policies(ecosystem: &Ecosystem) -> BTreeMap<AppName, Policy> {
    ecosystem.apps.iter().map(|(name, app)| (name.clone(), policy(app))).collect()
}

fn only(mut ecosystem: Ecosystem, names: &[String]) -> Result<Ecosystem, Error> {
    if names.is_empty() {
        return Ok(ecosystem);
    }
    let known: Vec<String> = ecosystem.apps.keys().map(ToString::to_string).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(Error::Unknown { selector: unknown.clone(), known });
    }
    ecosystem.apps.retain(|name, _| names.iter().any(|wanted| wanted == name.as_str()));
    Ok(ecosystem)
}

fn policy(app: &App) -> Policy {
    Policy {
        max_surge: app.rollout.max_surge,
        max_unavailable: app.rollout.max_unavailable,
        min_ready: app.rollout.min_ready,
        listen_timeout: app.listen_timeout,
        kill_timeout: app.kill_timeout,
        on_failure: app.rollout.on_failure,
        force: false,
    }
}

fn show(plan: &Plan, dry_run: bool, ui: &mut Ui) -> Result<(), Error> {
    if ui.json {
        let mut value = report::plan::json(plan);
        if dry_run {
            value["diff"] = report::plan::diff(plan).into();
        }
        return ui.json_line(&value);
    }
    ui.data(&report::plan::text(plan, &ui.out))?;
    if dry_run {
        ui.data(&report::plan::diff(plan))?;
    }
    Ok(())
}

/// Acts on a plan and tells how it went.
pub fn execute(
    ctl: &ops::Context,
    plan: &Plan,
    observed: &plan::Observed,
    manners: &BTreeMap<AppName, ops::Manner>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let mut sink = |event: ops::Event| tell(&event, ui);
    let done = ops::act(ctl, plan, observed, manners, &mut sink)?;
    finish(ctl, &done, ui)
}
