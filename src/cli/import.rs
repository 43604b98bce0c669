//! `clusterctl import`: an ecosystem file of what another tool runs.

use std::path::{Path, PathBuf};

use super::foreign::{self, Origin};
use super::trial::FILE;
use super::{Site, Ui, takeover};
use crate::error::Error;
use crate::import::{Foreign, Imported};
use crate::ops::import as sources;

/// Make an ecosystem file of what PM2, foreman, supervisord, oxmgr or docker compose runs
///
/// Without FILE it takes what lies in the current folder: ecosystem.config.js and its relatives,
/// pm2.json, a package.json that has `pm2`, oxfile.toml, Procfile, supervisord.conf,
/// docker-compose.yaml; else the apps of the PM2 that runs, or what `pm2 save` wrote. Every
/// attribute is in the new file, or stands there as a comment with the reason and what to do
/// instead. JavaScript is evaluated by your own node. Where nothing says what an app listens on,
/// it is looked at while PM2 runs it, else run once in a network of its own.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The file to import; `pm2` is the PM2 that runs
    file: Option<PathBuf>,
    /// The file to write, which must not exist; `-` is standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Run no program to see what it listens on
    #[arg(long)]
    no_trial: bool,
    /// Move the apps of the PM2 that runs, one by one: units start, take the port over, PM2 stops last
    #[arg(long, conflicts_with = "no_trial")]
    takeover: bool,
    /// The way back: PM2 runs the apps again that were moved, and their units go
    #[arg(long, conflicts_with_all = ["takeover", "no_trial", "file", "to"])]
    give_back: bool,
}

/// Whether a folder holds what says more of its apps than a starter would: a `package.json` with no more than
/// `npm start` does not.
pub(super) fn has_setup(folder: &Path) -> bool {
    let found = sources::found(folder);
    found.iter().any(|path| Foreign::of(path) != Some(Foreign::Package))
        || found.first().is_some_and(|path| sources::speaks_to_pm2(path))
}

/// Imports what lies in the current folder.
pub(super) fn current_folder(to: &Path, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let to = Some(to.to_owned());
    run(
        &ImportArgs { file: None, to, no_trial: false, takeover: false, give_back: false },
        place,
        ui,
    )
}

/// The word for the PM2 that runs.
const PM2: &str = "pm2";

/// Runs the verb.
pub(super) fn run(args: &ImportArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    if args.give_back {
        return takeover::back(place, ui);
    }
    if args.takeover {
        let to = args.to.as_deref().unwrap_or(Path::new(FILE));
        return takeover::run(args.file.as_deref(), to, place, ui);
    }
    let here = place.current_folder()?;
    let file = match &args.file {
        Some(file) if file == Path::new(PM2) && !place.inside(file).is_file() => None,
        Some(file) => Some(file.clone()),
        None => lying(&here, ui),
    };
    let (imported, base, name) = match &file {
        Some(file) => of_file(file, args, place, ui)?,
        None => of_pm2(args, place, &here, ui)?,
    };
    let to = args.to.clone().unwrap_or_else(|| beside(&base, &here));
    foreign::write(&imported, &to, &name, place, ui)
}

/// The file that counts of those that lie in a folder; the others are named.
fn lying(folder: &Path, ui: &mut Ui) -> Option<PathBuf> {
    let mut found = sources::found(folder).into_iter();
    let name = |path: PathBuf| path.file_name().map(PathBuf::from).unwrap_or(path);
    let first = name(found.next()?);
    let others: Vec<String> = found.map(|path| name(path).display().to_string()).collect();
    if !others.is_empty() {
        ui.note(&format!("{} is taken; there is also: {}", first.display(), others.join(", ")));
    }
    Some(first)
}

/// The new file lies beside the one that it is made of, so that relative paths in it stay what they are.
fn beside(base: &Path, here: &Path) -> PathBuf {
    if base == here { PathBuf::from(FILE) } else { base.join(FILE) }
}

fn of_file(
    file: &Path,
    args: &ImportArgs,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(Imported, PathBuf, String), Error> {
    let path = place.absolute(file)?;
    let Some(kind) = Foreign::of(&path) else {
        let text = format!(
            "{} is no file that is known here: name one of {}",
            file.display(),
            "ecosystem.config.js, pm2.json, package.json, Procfile, dump.pm2, oxfile.toml, supervisord.conf, \
             docker-compose.yaml"
        );
        return Err(Error::Usage(text));
    };
    let imported = foreign::converted(file, kind, !args.no_trial, true, place, ui)?;
    let base = path.parent().unwrap_or(Path::new("/")).to_owned();
    Ok((imported, base, file.display().to_string()))
}

/// The apps of the PM2 that runs, else those that `pm2 save` wrote.
fn of_pm2(
    args: &ImportArgs,
    place: &Site<'_>,
    here: &Path,
    ui: &mut Ui,
) -> Result<(Imported, PathBuf, String), Error> {
    if let Some(pm2) = sources::running() {
        let name = format!("the PM2 in {}", pm2.home.display());
        let (drafts, processes) =
            pm2.drafts().map_err(|refusal| foreign::refused(&name, refusal))?;
        let origin = Origin {
            name: name.clone(),
            base: here.to_owned(),
            file: None,
            tries: !args.no_trial,
            prefers_running: true,
            runs_as: pm2.user(),
        };
        let imported = foreign::settled(drafts, &origin, Some((&pm2, &processes)), place, ui)?;
        return Ok((imported, here.to_owned(), name));
    }
    let Some(dump) = sources::dump_file() else {
        let why = "there is nothing to import: no file of another tool lies here, and no PM2 runs for you";
        let instead = "name a file: clusterctl import FILE, or begin anew: clusterctl init";
        return Err(Error::Foreign {
            file: String::new(),
            why: why.to_owned(),
            instead: instead.to_owned(),
        });
    };
    let (imported, _, name) = of_file(&dump, args, place, ui)?;
    Ok((imported, here.to_owned(), name))
}
