//! `clusterctl deploy`: its arguments, the file that says where releases are kept, and the steps from what is deployed to
//! what is in force. It never writes a unit or a release: `ops` does.

use std::path::{Path, PathBuf};

use super::in_force::{self, Options};
use super::policy::PolicyArgs;
use super::world::Purpose;
use super::{Site, Ui, input};
use crate::disk::Definition;
use crate::ecosystem::{self, Deploy};
use crate::error::Error;
use crate::ops::{self, DeployEvent, Deployment};
use crate::release::{self, Archive, Source, Staged, Store};
use crate::report;

/// Make a release of a folder, an archive or a commit, and put it in force
///
/// The files become a new folder below `releases`, which the table `[deploy]` of the ecosystem file names. The
/// definition with that folder is applied: changed apps are replaced a few instances at a time, and the code belongs to
/// the definition. A release that does not get ready leaves the former one in force, `rollback` brings former code back,
/// and an instance that is started again always runs the code that is in force. The same command again completes what
/// was interrupted.
#[derive(Debug, clap::Args)]
pub(super) struct DeployArgs {
    /// A folder; an archive, also a compressed one; a branch, tag or commit of the repository in this folder; `-` is an
    /// archive on standard input
    #[arg(value_name = "DIR|TAR|REF", value_hint = clap::ValueHint::AnyPath)]
    what: String,
    /// The ecosystem file; without it the `ecosystem.toml` of what is deployed
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
    /// Show what would be done, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Make a new release even if there is one of the same content
    #[arg(long)]
    rebuild: bool,
    /// Stop and remove apps that are gone from the file
    #[arg(long)]
    prune: bool,
    /// Take over apps that come from another file until now, as their new version
    #[arg(long)]
    takeover: bool,
    /// Use the variables of `env_NAME` too; else those of the last time, with `none` no others
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    env: Option<String>,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl DeployArgs {
    /// Whether `--dry-run` asks for the plan alone.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether apps that are gone from the file are removed.
    pub(super) fn prunes(&self) -> bool {
        self.prune
    }

    /// What is deployed, as it is written.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// Whether the ecosystem file is another one than that of the release.
    pub(super) fn names_a_file(&self) -> bool {
        self.file.is_some()
    }

    fn purpose(&self) -> Purpose {
        Purpose::Apply { prunes: self.prune, moves: self.takeover }
    }

    /// The profile that is asked for.
    pub(super) fn profile(&self) -> Option<&str> {
        self.env.as_deref()
    }
}

/// The usual name of the file in a release.
pub(super) const FILE: &str = "ecosystem.toml";

/// The ecosystem file of a release.
struct Written {
    text: String,
    /// The path that `history`, `rollback` and a later `apply` know it by.
    source: PathBuf,
    /// Its name in messages.
    shown: String,
    deploy: Deploy,
}

/// Runs the verb.
pub(super) fn run(args: &DeployArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let layout = place.layout()?;
    let here = place.current_folder()?;
    let source = Source::named(&args.what, &here);
    let spooled = source.spool(&layout.state, place.around.input())?;
    let archive = Archive::read(spooled.file)?;
    let written = written(args, &archive, place, ui)?;
    let deploy = &written.deploy;
    refuse_own_folder(&source, deploy)?;
    let deployment = Deployment {
        digest: archive.digest(&format!("{:?} {:?}", deploy.build, deploy.shared)),
        archive: &archive,
        deploy,
        from: spooled.from,
        user: place.user(),
        now: place.around.now(),
        rebuild: args.rebuild,
    };
    if args.dry_run {
        return preview(args, &deployment, &written, place, ui);
    }
    let ctl = place.interruptible(place.connect()?)?;
    let release = ops::release(&ctl, &deployment, &mut |event| tell(&event, false, ui))?;
    warn(&release.warnings, ui);
    let done = put_in_force(args, &ctl, &written, &release, place, ui);
    if done.is_err() && release.store.linked().as_ref() != Some(&release.note.id) {
        let folder = report::printable(&release.folder().display().to_string());
        ui.note(&format!("release {} is not in force; to look at it: {folder}", release.note.id));
    }
    let tidied = ops::tidy(&ctl, deploy, &release, &mut |event| tell(&event, false, ui));
    // Whatever old releases do, the new one is in force.
    warn(&tidied.unwrap_or_else(|error| vec![error.to_string()]), ui);
    done
}

/// Says what is no reason to fail.
fn warn(warnings: &[String], ui: &mut Ui) {
    for why in warnings {
        ui.note(&format!("warning: {}", report::printable(why)));
    }
}

/// The steps from a complete release to one that is in force.
fn put_in_force(
    args: &DeployArgs,
    ctl: &ops::Context,
    written: &Written,
    release: &ops::Release,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let deploy = &written.deploy;
    ops::before_switch(ctl, deploy, release, &mut |event| tell(&event, false, ui))?;
    if ctl.is_interrupted() {
        return Err(Error::Interrupted);
    }
    let definition = definition(args, written, release.folder(), place, ui)?;
    let verb = format!("deploy {}", release.note.id);
    in_force::put_in_force(definition, &options(args, written, verb), place, ui)?;
    ops::after_switch(ctl, deploy, release, &mut |event| tell(&event, false, ui))?;
    Ok(())
}

fn options<'a>(args: &'a DeployArgs, written: &Written, verb: String) -> Options<'a> {
    Options {
        verb,
        shown: written.shown.clone(),
        dry_run: args.dry_run,
        prune: args.prune,
        moves: args.takeover,
        reloads: false,
        links: false,
        ..Options::of("deploy", &args.policy)
    }
}

/// The definition that a release is: its folder is where relative paths start.
fn definition(
    args: &DeployArgs,
    written: &Written,
    base: PathBuf,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Definition, Error> {
    let env = in_force::profile(args.env.clone(), Some(&written.source), place, ui)?;
    let (text, source) = (written.text.clone(), Some(written.source.clone()));
    Ok(Definition { text, source, base, env, only: Vec::new() })
}

/// Says what a deployment would do.
fn preview(
    args: &DeployArgs,
    deployment: &Deployment<'_>,
    written: &Written,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    deployment.check()?;
    let event = deployment.preview();
    tell(&event, true, ui);
    let deploy = &written.deploy;
    let (folder, new) = match event {
        DeployEvent::Making { folder, .. } => (folder, true),
        DeployEvent::Known { folder, .. } => (folder, false),
        _ => return Ok(()),
    };
    if new && !deploy.build.is_empty() {
        for line in &deploy.build {
            tell(&DeployEvent::Hook { key: "build", line: line.clone() }, true, ui);
        }
        ui.note("what changes in the apps is known when `build` has run");
        return Ok(());
    }
    let definition = definition(args, written, folder.clone(), place, ui)?;
    let options = options(args, written, "deploy".to_owned());
    let machine = place.around.host(&place.layout()?, args.purpose());
    let store = deployment.store();
    let shared = deploy.shared.iter().map(|one| (one.path.clone(), store.shared().join(&one.path)));
    let staged = Staged {
        machine: &*machine,
        archive: deployment.archive,
        folder: &folder,
        owner: deploy.user.clone(),
        shared: shared.collect(),
    };
    let host: &dyn ecosystem::Host = if new { &staged } else { &*machine };
    let ecosystem = input::resolve(&definition, &options.shown, host, ui)?.ecosystem;
    in_force::put_loaded(ecosystem, definition, &options, place, ui).map(drop)
}

/// The ecosystem file: the one that is named, else the one of the release.
fn written(
    args: &DeployArgs,
    archive: &Archive,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<Written, Error> {
    let named = args.file.as_deref();
    let (text, shown) = match named {
        Some(file) => (input::read_ecosystem(place, file, None, ui)?.0, file.display().to_string()),
        None => (own_file(archive)?, FILE.to_owned()),
    };
    let path = named.map(|file| place.absolute(file)).transpose()?;
    let host = place.around.host(&place.layout()?, args.purpose());
    let deploy = ecosystem::deploy(&text, path.as_deref().or(Some(Path::new(FILE))), &*host);
    let deploy = deploy.map_err(|problems| input::refused(problems, &shown, ui))?;
    let deploy = deploy.ok_or_else(|| {
        release::Error::unfit(
            format!("{shown} does not say where releases are kept"),
            "add a table to it: [deploy] with path = \"/srv/shop\", see ecosystem.toml(5)",
        )
    })?;
    let source = path.unwrap_or_else(|| Store::of(&deploy.path).current().join(FILE));
    Ok(Written { text, source, shown, deploy })
}

/// The text of the ecosystem file at the root of what is deployed.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn own_file(archive: &Archive) -> Result<String, Error> {
    archive.text(Path::new(FILE))?.ok_or_else(|| no_file(archive))
}

/// There is no ecosystem file at the root of what is deployed.
fn no_file(archive: &Archive) -> Error {
    let members: Vec<&Path> = archive.tree().members().map(|(path, _)| path).collect();
    let deeper = members.iter().find(|path| path.file_name().is_some_and(|name| name == FILE));
    let next = match deeper.and_then(|path| path.parent()) {
        Some(folder) => format!("pack what is in `{}`, or name the file: --file", folder.display()),
        None => match members.iter().find(|path| crate::import::Foreign::of(path).is_some()) {
            Some(path) => format!("make one of `{}`: clusterctl import", path.display()),
            None => "put one there (clusterctl init), or name another one: --file".to_owned(),
        },
    };
    release::Error::unfit(format!("what is deployed has no {FILE}"), next).into()
}

/// A folder that holds the releases would hold each of them in the next one.
fn refuse_own_folder(source: &Source, deploy: &Deploy) -> Result<(), Error> {
    let Source::Folder(folder) = source else { return Ok(()) };
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if !real(&deploy.path).starts_with(real(folder)) {
        return Ok(());
    }
    let why = format!("releases are kept in {}, which is deployed itself", folder.display());
    Err(release::Error::unfit(why, "name another folder, or another `path` in [deploy]").into())
}

/// Prints an event.
fn tell(event: &DeployEvent, dry_run: bool, ui: &mut Ui) {
    if ui.json
        && let Some(value) = report::deploy::json(event, dry_run)
    {
        // A reader that is gone must not stop what is under way.
        let _ = ui.json_line(&value);
        return;
    }
    ui.painted(&report::deploy::line(event, dry_run, &ui.err));
}
