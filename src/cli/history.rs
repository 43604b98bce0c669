//! `clusterctl history` and `clusterctl rollback`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::in_force::{Options, put_in_force};
use super::policy::PolicyArgs;
use super::{Site, Ui, input, releases};
use crate::disk::{self, HistoryEntry};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::host::text;
use crate::ops::{self, WayBack, WayBackReason};
use crate::report;
use crate::report::history::HealthNote;

/// Show what was applied
///
/// The last 20 definitions that were put in force, oldest first. `clusterctl rollback N` goes back
/// to one of them. Instances that failed their health checks since the boot, and were replaced unless it says that
/// this failed, stand between them, without a number.
#[derive(Debug, clap::Args)]
pub(super) struct HistoryArgs {
    /// Only what changed this app, or came from this ecosystem file
    #[arg(value_name = "APP|FILE", add = super::complete::selectors_and_files())]
    of: Option<String>,
}

/// Go back to what was applied before
///
/// Without a number to the definition before the last one, else to the one with that number in
/// `clusterctl history`. Where what is in force was never recorded as good, as after an apply that
/// failed or was interrupted, or where an app was deleted, to the last one. Changed apps are
/// replaced as by `apply`. Users, programs and files named
/// by `env_file` are taken as they are now. The ecosystem file itself stays as it is.
#[derive(Debug, clap::Args)]
pub(super) struct RollbackArgs {
    /// The number of the definition, or an app of the ecosystem file
    #[arg(value_name = "N|APP", add = super::complete::names())]
    to: Option<String>,
    /// The ecosystem file; without it the one in this folder
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Show the plan and what would change in the units, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Stop and remove apps that the definition does not have
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl RollbackArgs {
    /// Whether nothing is to be changed.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether nothing says which definition, app or file is meant.
    pub(super) fn names_nothing(&self) -> bool {
        self.to.is_none() && self.file.is_none()
    }
}

/// Runs `history`.
pub(super) fn history(args: &HistoryArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let entries = match args.of.as_deref() {
        Some(app) if !input::is_file(app, place) => of_app(app, place)?,
        file => entries(file.map(Path::new), place)?,
    };
    let health = health(args, &entries, place)?;
    if ui.json {
        return ui.json_line(&report::history::json(&entries, &health));
    }
    if entries.is_empty() && health.is_empty() {
        ui.note("nothing was applied yet: clusterctl apply ecosystem.toml");
        return Ok(());
    }
    let now = place.around.now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    ui.data(&report::history::text(&entries, &health, now, &ui.out))
}

/// Failed health checks of the apps that are shown.
fn health(
    args: &HistoryArgs,
    entries: &[HistoryEntry],
    place: &Site<'_>,
) -> Result<Vec<HealthNote>, Error> {
    let layout = place.layout()?;
    let shown: BTreeSet<&str> = match args.of.as_deref() {
        Some(app) if !input::is_file(app, place) => [app].into(),
        _ => entries.iter().flat_map(|entry| entry.files.keys()).map(String::as_str).collect(),
    };
    let apps = shown.into_iter().filter_map(|name| AppName::parse(name).ok());
    let of_app = |app: AppName| {
        disk::health_notes(&layout, &app).into_iter().map(move |(time, why)| {
            let why = report::printable(&why);
            HealthNote { time, app: app.to_string(), why }
        })
    };
    Ok(apps.flat_map(of_app).collect())
}

fn entries(file: Option<&Path>, place: &Site<'_>) -> Result<Vec<HistoryEntry>, Error> {
    let mut entries = disk::history(&place.layout()?)?;
    let Some(file) = file else { return Ok(entries) };
    let path = place.absolute(file)?;
    let source = |entry: &HistoryEntry| entry.definition.source.clone();
    let known = entries.iter().filter_map(source).map(|path| path.display().to_string());
    let known: BTreeSet<String> = known.collect();
    entries.retain(|entry| entry.definition.source.as_ref() == Some(&path));
    found(entries, path.display().to_string(), known)
}

/// What changed an app.
fn of_app(app: &str, place: &Site<'_>) -> Result<Vec<HistoryEntry>, Error> {
    let mut entries = disk::history(&place.layout()?)?;
    let known = entries.iter().flat_map(HistoryEntry::apps).map(str::to_owned).collect();
    entries.retain(|entry| entry.apps().any(|changed| changed == app));
    found(entries, app.to_owned(), known)
}

fn found(
    entries: Vec<HistoryEntry>,
    selector: String,
    known: BTreeSet<String>,
) -> Result<Vec<HistoryEntry>, Error> {
    if entries.is_empty() {
        return Err(Error::Unknown { selector, known: known.into_iter().collect() });
    }
    Ok(entries)
}

/// Runs `rollback`.
pub(super) fn rollback(args: &RollbackArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let number = args.to.as_deref().and_then(|text| text.parse().ok());
    let app = args.to.as_deref().filter(|_| number.is_none());
    let file = match (number, app, &args.file) {
        (None, app, None) => Some(file_meant(app, place)?),
        (_, _, file) => file.clone(),
    };
    let entries = entries(file.as_deref(), place)?;
    let target = target(&entries, number, place)?;
    ui.note(&report::printable(&target.to_string()));
    let WayBack { entry: target, .. } = target;
    let definition = target.definition.clone();
    releases::refuse_gone(&definition.base)?;
    let (source, written) = (definition.source.clone(), definition.text.clone());
    let options = Options {
        verb: format!("rollback to {}", target.number),
        back_to: Some(target.number),
        shown: format!("definition {}", target.number),
        dry_run: args.dry_run,
        prune: args.prune,
        // Whoever goes back has chosen whose app it is.
        moves: true,
        reloads: false,
        links: true,
        policy: &args.policy,
    };
    put_in_force(definition, &options, place, ui)?;
    // The file of a release has followed with its release.
    let differs = |path: &PathBuf| text::read(path, text::MOST).ok() != Some(written);
    if let Some(source) = source.filter(|path| !args.dry_run && differs(path)) {
        ui.note(&format!(
            "{} still says otherwise: the next apply of it follows it again",
            source.display()
        ));
    }
    Ok(())
}

/// The file that is meant without a number and without --file: the one that an app came from, the
/// one in this folder, or the only one.
fn file_meant(app: Option<&str>, place: &Site<'_>) -> Result<PathBuf, Error> {
    let layout = place.layout()?;
    if let Some(app) = app {
        let apps = disk::scan(&layout)?;
        let found = apps.iter().find(|(name, _)| name.as_str() == app);
        let known = || apps.keys().map(ToString::to_string).collect();
        let source = match found.and_then(|(_, found)| found.source.clone()) {
            None => deleted(app, &disk::history(&layout)?),
            source => source,
        };
        return source.ok_or_else(|| Error::Unknown { selector: app.to_owned(), known: known() });
    }
    let entries = disk::history(&layout)?;
    let sources = entries.iter().filter_map(|entry| entry.definition.source.clone());
    let sources: BTreeSet<PathBuf> = sources.collect();
    let here = place.absolute(Path::new("ecosystem.toml"))?;
    match sources.len() {
        _ if sources.contains(&here) => Ok(here),
        0 => Err(Error::NothingBefore),
        1 => Ok(sources.into_iter().next().unwrap_or(here)),
        _ => {
            let command = |path: &PathBuf| format!("clusterctl rollback --file {}", path.display());
            Err(Error::Which(sources.iter().map(command).collect()))
        }
    }
}

/// The file of an app that is not there any more.
fn deleted(app: &str, entries: &[HistoryEntry]) -> Option<PathBuf> {
    let entry = entries.iter().rfind(|entry| entry.files.contains_key(app));
    entry.and_then(|entry| entry.definition.source.clone())
}

/// The entry to go back to.
fn target<'a>(
    entries: &'a [HistoryEntry],
    number: Option<u64>,
    place: &Site<'_>,
) -> Result<WayBack<'a>, Error> {
    if let Some(number) = number {
        let entry = entries.iter().find(|entry| entry.number == number);
        let entry = entry.ok_or_else(|| Error::Unknown {
            selector: number.to_string(),
            known: entries.iter().map(|entry| entry.number.to_string()).collect(),
        })?;
        return Ok(WayBack { entry, why: WayBackReason::Itself });
    }
    let layout = place.layout()?;
    let source = entries.last().and_then(|entry| entry.definition.source.as_deref());
    let begun = disk::begun_return(&layout, source);
    let found = disk::scan(&layout)?;
    ops::way_back(entries, &found, begun).ok_or(Error::NothingBefore)
}
