//! How `apply`, `start`, `reload`, `restart` and `rollback` put an ecosystem file in force: it is read, applied, and
//! what comes of it is shown. It never compares units or writes them: `ops::apply` does.

use std::path::Path;

use super::policy::PolicyArgs;
use super::{Site, Ui, input, releases, show};
use crate::disk::{self, Definition};
use crate::ecosystem::{self, AppName, Ecosystem};
use crate::error::Error;
use crate::ops::{self, Applied, ApplyRequest};
use crate::plan::profile;

/// What a command line says about the definition that it puts in force.
#[derive(Debug)]
pub(super) struct Options<'a> {
    /// The verb that the history records: `apply`, or `rollback to 3`.
    pub verb: String,
    /// The number of the history entry that a rollback goes back to.
    pub back_to: Option<u64>,
    /// The name of the file in messages.
    pub shown: String,
    /// Only show what would happen.
    pub dry_run: bool,
    /// Stop and remove apps that are gone.
    pub prune: bool,
    /// Take apps of these names from other files.
    pub moves: bool,
    /// Whether apps that did not change are replaced afterwards.
    pub reloads: bool,
    /// Whether the link `current` follows, where what is put in force is a release.
    pub links: bool,
    /// How changed apps are replaced.
    pub policy: &'a PolicyArgs,
}

impl<'a> Options<'a> {
    /// The options of a verb that puts a file in force, and reloads unchanged apps afterwards.
    pub(super) fn of(verb: &str, policy: &'a PolicyArgs) -> Options<'a> {
        Options {
            verb: verb.to_owned(),
            back_to: None,
            shown: String::new(),
            dry_run: false,
            prune: false,
            moves: false,
            reloads: true,
            links: true,
            policy,
        }
    }
}

/// Makes the running apps what a definition says, and shows what comes of it.
///
/// # Errors
/// The definition has problems, or not everything is as it says.
pub(super) fn put_in_force(
    definition: Definition,
    options: &Options<'_>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(ops::Context, Applied), Error> {
    let layout = place.layout()?;
    let may = (options.prune, options.moves);
    let ecosystem = input::load_text(place, &definition, &options.shown, &layout, may, ui)?;
    let base = definition.base.clone();
    let put = put_loaded(ecosystem, definition, options, place, ui)?;
    if options.links && !options.dry_run {
        releases::link(&base, ui)?;
    }
    Ok(put)
}

/// As [`put_in_force`], for a definition that is resolved already.
///
/// # Errors
/// Not everything is as it says.
pub(super) fn put_loaded(
    ecosystem: Ecosystem,
    definition: Definition,
    options: &Options<'_>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(ops::Context, Applied), Error> {
    let policies = options.policy.policies(&ecosystem)?;
    // The bus is connected to before something is changed, and not where nothing is.
    let mut ctl = place.interruptible(place.connect_to_ask()?)?;
    show::left_out(&ctl, &ecosystem, ui)?;
    let request = ApplyRequest {
        ecosystem: ecosystem.clone(),
        definition,
        policies,
        verb: options.verb.clone(),
        user: place.user(),
        back_to: options.back_to,
        dry_run: options.dry_run,
        prune: options.prune,
        reloads: options.reloads,
    };
    let mut shown = Ok(());
    let mut sink = |event: ops::Event| match event {
        // Where the plan is empty, people are told only about apps that do not serve.
        ops::Event::Planned { plan, all_well } => {
            ui.counts_mut().note_plan(&plan);
            if all_well || !plan.is_empty() || ui.json {
                shown = show::plan(&plan, options.dry_run, ui);
            }
        }
        event => show::event(&event, ui),
    };
    let mut applied = ops::apply(&mut ctl, request, &mut sink)?;
    shown?;
    if !options.dry_run {
        show_applied(&ctl, &ecosystem, &mut applied, ui)?;
    }
    Ok((ctl, applied))
}

/// Prints how each app ended up, and remarks about apps that the plan did not touch.
fn show_applied(
    ctl: &ops::Context,
    ecosystem: &Ecosystem,
    applied: &mut Applied,
    ui: &mut Ui,
) -> Result<(), Error> {
    let done = &applied.finished.done;
    let idle: Vec<&AppName> =
        ecosystem.apps.keys().filter(|app| !done.contains_key(*app)).collect();
    match applied.seen.take() {
        Some(ops::Seen { mut lacking, masked }) => {
            lacking.retain(|app, _| idle.contains(&app));
            show::lacking(&lacking, ui)?;
            show::masked_units(ctl, masked, ui)?;
        }
        None => {
            show::unheld(ctl, &idle, ui)?;
            show::masked_units(ctl, ops::masked(ctl, ecosystem.apps.keys())?, ui)?;
        }
    }
    show::finish(ctl, done, ui)?;
    std::mem::replace(&mut applied.recorded, Ok(()))?;
    show::ends_at_logout(ctl, ecosystem, ui);
    Ok(())
}

/// The definition that a file is, with the profile of its last apply.
///
/// # Errors
/// It cannot be read.
pub(super) fn read_definition(
    file: &Path,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    read(file, None, None, &[], place, ui)
}

/// The definition that a file is, or that standard input is under a name.
///
/// # Errors
/// It cannot be read.
pub(super) fn read(
    file: &Path,
    name: Option<&Path>,
    env: Option<String>,
    only: &[String],
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    let (text, source, base) = input::read_ecosystem(place, file, name, ui)?;
    let (source, base) = releases::followed(&text, source, base, place, ui)?;
    let env = profile(env, source.as_deref(), place, ui)?;
    let named = |name: &String| ecosystem::name_from_pm2(name).unwrap_or_else(|| name.clone());
    Ok(Definition { text, source, base, env, only: only.iter().map(named).collect() })
}

/// The definition that a text is which was written to a file just now.
///
/// # Errors
/// The current folder does not exist any more.
pub(super) fn written(
    text: String,
    file: &Path,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    let source = place.absolute(file)?;
    let base = source.parent().unwrap_or(Path::new("/")).to_owned();
    let source = Some(source);
    let env = profile(None, source.as_deref(), place, ui)?;
    Ok(Definition { text, source, base, env, only: Vec::new() })
}

/// The `--env` that counts: the one that is given, else the one with which the apps of this file
/// were applied last.
pub(super) fn profile(
    given: Option<String>,
    source: Option<&Path>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Option<String>, Error> {
    if let Some(word) = given {
        return Ok(profile::of_word(word));
    }
    let apps = disk::scan_groups(&place.layout()?)?;
    let of_file =
        apps.iter().filter(|(_, found)| source.is_some() && found.source.as_deref() == source);
    let applied = of_file.map(|(app, found)| (found.profile(app), app));
    let kept = profile::kept(applied).map_err(|differ| Error::Usage(differ.to_string()))?;
    if let Some(name) = &kept {
        ui.note(&format!(
            "profile {name}, as at the last apply; another one: --env NAME, none: --env {}",
            profile::NONE
        ));
    }
    Ok(kept)
}

/// Applies a file as it stands, or some of its apps.
pub(super) fn apply_file(
    file: &Path,
    only: &[String],
    env: Option<String>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let policy = PolicyArgs::default();
    let definition = read(file, None, env, only, place, ui)?;
    let shown = file.display().to_string();
    let options = Options { shown, reloads: false, ..Options::of("apply", &policy) };
    put_in_force(definition, &options, place, ui).map(drop)
}

/// Applies a text that was written to a file just now. The file is not read again: somebody else may be able to replace
/// it.
pub(super) fn apply_text(
    text: String,
    file: &Path,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let policy = PolicyArgs::default();
    let definition = written(text, file, place, ui)?;
    let shown = file.display().to_string();
    let options = Options { shown, reloads: false, ..Options::of("apply", &policy) };
    put_in_force(definition, &options, place, ui).map(drop)
}

/// Applies a file, and says which of its apps run on with the processes that they had.
pub(super) fn apply_but_running(
    file: &Path,
    only: &[String],
    env: Option<String>,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(ops::Context, Vec<AppName>), Error> {
    let policy = PolicyArgs::default();
    let definition = read(file, None, env, only, place, ui)?;
    let options = Options { shown: file.display().to_string(), ..Options::of("restart", &policy) };
    let (ctl, applied) = put_in_force(definition, &options, place, ui)?;
    // Others may work on these apps from here on, as during every restart.
    let Applied { finished, left_running, .. } = applied;
    drop(finished);
    Ok((ctl, left_running.into_iter().map(|(app, _)| app).collect()))
}

/// Applies a file, then reloads those of its apps that this did not replace.
pub(super) fn reload_file(
    file: &Path,
    env: Option<String>,
    name: Option<&Path>,
    names: &[String],
    policy: &PolicyArgs,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let definition = read(file, name, env, names, place, ui)?;
    let options = Options { shown: input::shown(file, name), ..Options::of("reload", policy) };
    let (ctl, applied) = put_in_force(definition, &options, place, ui)?;
    let Applied { finished, left_running, .. } = applied;
    // Others may work on these apps from here on, as during every reload.
    drop(finished);
    let all = left_running.into_iter();
    let reloads: Vec<ops::Reload> =
        all.map(|(app, policy)| ops::Reload { app, instances: None, policy }).collect();
    let mut sink = |event: ops::Event| show::event(&event, ui);
    let observed = ops::observe(&ctl)?;
    let done = ops::reload(&ctl, &observed, &reloads, &mut sink)?;
    show::finish(&ctl, &done, ui)
}
