//! `clusterctl stop`, `restart` and `delete`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::flags::UPDATE_ENV;
use super::{Site, Ui, foreign, input, show};
use crate::disk::{self, FoundApp, Ids};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::import::Foreign;
use crate::ops::{self, ControlVerb, Selected};
use crate::unit::UnitName;

/// Stop apps or instances
///
/// A stopped app's listeners are closed: no connection can wake it again. One stopped instance
/// leaves the listeners open for the others.
#[derive(Debug, clap::Args)]
pub(super) struct StopArgs {
    /// Apps, instances (`api@2`), namespaces, `all`, ids of `list`, `/patterns/`, or an ecosystem file
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
    /// Not at the next boot either, until the next apply or `systemctl enable`
    #[arg(long)]
    disable: bool,
}

/// Restart apps or instances, all at once
///
/// The listeners stay open, and nobody takes from them meanwhile: a new request waits until the
/// longest answer under way is given, at most `kill_timeout`, and an instance is ready again.
/// Datagrams that do not fit into the queue of a UDP listener are lost. `clusterctl reload` replaces
/// instances a few at a time, and makes nobody wait.
#[derive(Debug, clap::Args)]
pub(super) struct RestartArgs {
    /// Ignored: variables come from the ecosystem file
    #[arg(long, short = 'a', hide = true)]
    update_env: bool,
    /// Apps, instances (`api@2`), namespaces, `all`, ids of `list`, `/patterns/`, or an ecosystem file
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Stop apps and remove their units
#[derive(Debug, clap::Args)]
#[command(visible_alias = "del")]
pub(super) struct DeleteArgs {
    /// Apps, namespaces, `all`, `/patterns/`, or an ecosystem file
    #[arg(required = true, value_name = "APP", add = super::complete::selectors())]
    pub(super) apps: Vec<String>,
}

/// Runs `stop`.
pub(super) fn stop(args: &StopArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    let selected = selected(place, &ctl, &args.apps)?;
    let whole = selected.iter().filter(|one| one.instance.is_none());
    let apps: Vec<AppName> = whole.map(|one| one.app.clone()).collect();
    if args.disable && apps.is_empty() {
        let text = "an instance stays away with: clusterctl scale APP N".to_owned();
        return Err(Error::Usage(text));
    }
    run(&ctl, ControlVerb::Stop, &selected, ui)?;
    if args.disable {
        return Ok(ops::disable(&ctl, &apps)?);
    }
    let found = ops::named(&ctl, &apps)?;
    let enabled = apps.iter().filter(|app| found.get(*app).is_some_and(|found| found.enabled));
    let enabled: Vec<&str> = enabled.map(AppName::as_str).collect();
    if let [_, ..] = enabled.as_slice() {
        let names = enabled.join(" ");
        let (verb, them) = if enabled.len() == 1 { ("starts", "it") } else { ("start", "them") };
        ui.say(&format!(
            "{names} {verb} again at boot; to keep {them} stopped: clusterctl stop --disable {names}"
        ));
    }
    Ok(())
}

/// Runs `restart`.
pub(super) fn restart(args: &RestartArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    if args.update_env {
        ui.note(&format!("--update-env: {UPDATE_ENV}"));
    }
    control(ControlVerb::Restart, &args.apps, place, ui)
}

fn control(
    verb: ControlVerb,
    selectors: &[String],
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let ctl = place.connect()?;
    let selected = selected(place, &ctl, selectors)?;
    if verb == ControlVerb::Restart {
        tell_cost(&ctl, &selected, ui)?;
    }
    run(&ctl, verb, &selected, ui)
}

/// What a restart of a whole app costs its clients, before it happens.
fn tell_cost(ctl: &ops::Context, selected: &[Selected], ui: &mut Ui) -> Result<(), Error> {
    let names: Vec<AppName> = selected.iter().map(|one| one.app.clone()).collect();
    let apps = ops::named(ctl, &names)?;
    for Selected { app, .. } in selected.iter().filter(|one| one.instance.is_none()) {
        let Some(found) = apps.get(app) else { continue };
        let listeners: Vec<_> = found.units.owned_listeners().collect();
        if listeners.is_empty() {
            continue;
        }
        let datagrams = listeners.iter().any(|file| file.text.contains("\nListenDatagram="));
        let lost = if datagrams { ", datagrams beyond the queue are lost" } else { "" };
        ui.note(&format!(
            "{app}: new requests wait until what is under way is answered and an instance is ready \
             again{lost}; nobody waits with: clusterctl reload {app}"
        ));
    }
    Ok(())
}

/// Runs a verb on what is selected, and tells how it went.
pub(super) fn run(
    ctl: &ops::Context,
    verb: ControlVerb,
    selected: &[Selected],
    ui: &mut Ui,
) -> Result<(), Error> {
    let before = Before::of(ctl, verb, selected)?;
    let mut sink = |event: ops::Event| before.show(&event, ui);
    let finished = ops::control(ctl, verb, selected, &mut sink)?;
    show::finish(ctl, &finished.done, ui)
}

/// The instances that ran before a verb. The manager reports a start job of what runs as done, and a stop job of what does
/// not run: such jobs have done nothing.
struct Before(BTreeSet<UnitName>);

impl Before {
    fn of(ctl: &ops::Context, verb: ControlVerb, selected: &[Selected]) -> Result<Before, Error> {
        Ok(Before(match verb {
            ControlVerb::Start => ops::up(ctl, selected)?,
            ControlVerb::Stop => ops::not_down(ctl, selected)?,
            ControlVerb::Restart => BTreeSet::new(),
        }))
    }

    /// Shows an event, or counts it where nothing had to be done.
    fn show(&self, event: &ops::Event, ui: &mut Ui) {
        let ops::Event::Unit { app, unit, verb, failure: None } = event else {
            return show::event(event, ui);
        };
        match (*verb, app.instance_of(unit), self.0.contains(unit)) {
            ("start", Some(number), true) => ui.counts_mut().note_up(app, number),
            ("stop", Some(number), false) => ui.counts_mut().note_down(app, number),
            _ => show::event(event, ui),
        }
    }
}

/// Runs `delete`.
pub(super) fn delete(args: &DeleteArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let ctl = place.connect()?;
    // A `delete` that was killed after it removed the last file has left the units loaded in the manager.
    ops::load(&ctl, [], &mut |event| show::event(&event, ui))?;
    let selected = selected(place, &ctl, &args.apps)?;
    if let Some(one) = selected.iter().find(|selected| selected.instance.is_some()) {
        let text = format!("`{}` is one app; an instance goes with: clusterctl stop", one.app);
        return Err(Error::Usage(text));
    }
    let before = Before::of(&ctl, ControlVerb::Stop, &selected)?;
    let apps: Vec<AppName> = selected.into_iter().map(|one| one.app).collect();
    let mut sink = |event: ops::Event| match event {
        ops::Event::Planned { plan, .. } => {
            ui.counts_mut().note_plan(&plan);
            // The plan is data; what is stopped is told as it happens. A reader that is gone must not
            // stop what is under way.
            if ui.json {
                drop(show::plan(&plan, false, ui));
            }
        }
        event => before.show(&event, ui),
    };
    let finished = ops::delete(&ctl, &apps, &mut sink)?;
    show::finish(&ctl, &finished.done, ui)
}

/// The apps and instances that the selectors mean.
pub(super) fn selected(
    place: &Site<'_>,
    ctl: &ops::Context,
    selectors: &[String],
) -> Result<Vec<Selected>, Error> {
    selected_of(place, ctl, &ops::apps_meant(ctl, selectors)?, selectors)
}

/// As [`selected`]; all apps where no selector is given.
pub(super) fn selected_or_all(
    place: &Site<'_>,
    ctl: &ops::Context,
    selectors: &[String],
) -> Result<Vec<Selected>, Error> {
    match selectors.is_empty() {
        true => Ok(ops::whole(&ops::apps(ctl)?)),
        false => selected(place, ctl, selectors),
    }
}

/// As [`selected`], for a caller that has scanned the disk: `apps` are all apps.
pub(super) fn selected_of(
    place: &Site<'_>,
    ctl: &ops::Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selectors: &[String],
) -> Result<Vec<Selected>, Error> {
    let selected = known_of(place, ctl, apps, selectors)?;
    for one in &selected {
        let Some(number) = one.instance else { continue };
        let there = ops::numbers(ctl, apps, &one.app)?;
        if !there.contains(&number) {
            let selector = format!("{}@{number}", one.app);
            return Err(Error::Instance { selector, known: instances(&one.app, &there) });
        }
    }
    Ok(selected)
}

/// As [`selected`], also for instances that no longer exist.
pub(super) fn known(
    place: &Site<'_>,
    ctl: &ops::Context,
    selectors: &[String],
) -> Result<Vec<Selected>, Error> {
    known_of(place, ctl, &ops::apps_meant(ctl, selectors)?, selectors)
}

/// As [`selected`]; `None` where one of the selectors means nothing.
pub(super) fn try_selected(
    place: &Site<'_>,
    ctl: &ops::Context,
    selectors: &[String],
) -> Result<Option<Vec<Selected>>, Error> {
    let apps = ops::apps_meant(ctl, selectors)?;
    let names = expanded(place, ctl, &apps, selectors)?;
    Ok(ops::select(&apps, &names).ok())
}

/// Names for ids, patterns, scripts and files among the selectors.
fn expanded(
    place: &Site<'_>,
    ctl: &ops::Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selectors: &[String],
) -> Result<Vec<String>, Error> {
    // A number means the instance that the last table showed: ids are read here, and never assigned.
    let ids = disk::ids(&ctl.layout);
    let folder = place.current_folder().ok();
    let names = ops::expand(apps, &ids, folder.as_deref(), selectors);
    names.map_err(|ops::BadSelector(why)| Error::Usage(why))
}

fn known_of(
    place: &Site<'_>,
    ctl: &ops::Context,
    apps: &BTreeMap<AppName, FoundApp>,
    selectors: &[String],
) -> Result<Vec<Selected>, Error> {
    let selectors = with_files(place, apps, selectors)?;
    let names = expanded(place, ctl, apps, &selectors)?;
    ops::select(apps, &names).map_err(|selector| {
        let own = place.own_apps();
        let app = selector.split('@').next().unwrap_or_default();
        if own.iter().any(|name| name == app) || (apps.is_empty() && !own.is_empty()) {
            return Error::Own { selector, command: place.with_user() };
        }
        if !apps.is_empty() && selector.bytes().all(|byte| byte.is_ascii_digit()) {
            return Error::Instance { selector, known: known_ids(&disk::ids(&ctl.layout)) };
        }
        Error::Unknown { selector, known: apps.keys().map(ToString::to_string).collect() }
    })
}

/// The ids of the table, which `list` gives.
fn known_ids(ids: &Ids) -> String {
    let all: BTreeSet<u64> = ids.all().collect();
    let all: Vec<String> = all.iter().map(ToString::to_string).collect();
    match all.is_empty() {
        true => "no id yet; clusterctl list gives them".to_owned(),
        false => format!("{}; see clusterctl list", all.join(", ")),
    }
}

/// The selectors with the apps of each file that is named, in its place.
fn with_files(
    place: &Site<'_>,
    apps: &BTreeMap<AppName, FoundApp>,
    selectors: &[String],
) -> Result<Vec<String>, Error> {
    let mut all = Vec::new();
    for selector in selectors {
        if selector == "-" || !input::is_file(selector, place) {
            all.push(selector.clone());
            continue;
        }
        let names = of_file(Path::new(selector), place, apps)?;
        if names.is_empty() {
            let text = format!(
                "no app of {selector} is applied; put it in force with: clusterctl apply {selector}"
            );
            return Err(Error::Usage(text));
        }
        all.extend(names);
    }
    Ok(all)
}

/// Apps that come from a file; for one of another tool, which may have been imported, those that it names.
fn of_file(
    file: &Path,
    place: &Site<'_>,
    apps: &BTreeMap<AppName, FoundApp>,
) -> Result<Vec<String>, Error> {
    let path = place.absolute(file)?;
    let from_it = |found: &&FoundApp| found.source.as_deref() == Some(path.as_path());
    let own: Vec<String> =
        apps.iter().filter(|(_, found)| from_it(found)).map(|(name, _)| name.to_string()).collect();
    let Some(kind) = Foreign::of(&path).filter(|_| own.is_empty()) else { return Ok(own) };
    let drafts = ops::import::read(&path, kind);
    let drafts =
        drafts.map_err(|refusal| foreign::refused(&file.display().to_string(), refusal))?;
    let names = drafts.apps.iter().map(|draft| draft.name().to_owned());
    Ok(names.filter(|name| apps.keys().any(|app| app.as_str() == name)).collect())
}

/// `api@0 to api@3`, or one by one where numbers are missing.
fn instances(app: &AppName, numbers: &BTreeSet<u32>) -> String {
    let whole = numbers.iter().copied().eq(0..numbers.len() as u32);
    match (numbers.first(), numbers.last()) {
        (Some(first), Some(last)) if whole && first != last => {
            format!("{app}@{first} to {app}@{last}")
        }
        _ => {
            let all: Vec<String> = numbers.iter().map(|n| format!("{app}@{n}")).collect();
            all.join(", ")
        }
    }
}
