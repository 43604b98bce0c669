//! `clusterctl apply`, and what other verbs do with an ecosystem file that they are given. It never
//! decides what to do: `converge` puts the file in force.

use std::path::{Path, PathBuf};

use super::converge::{How, Untouched, converge};
use super::policy::PolicyArgs;
use super::{Global, Ui, context, input, told};
use crate::disk::{self, Definition};
use crate::ecosystem::AppName;
use crate::error::Error;
use crate::ops;
use crate::plan::profile;

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

impl ApplyArgs {
    /// Whether nothing is to be changed.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

/// Runs the verb.
pub fn run(args: &ApplyArgs, global: &Global, ui: &mut Ui) -> Result<(), Error> {
    let name = args.name.as_deref();
    let definition = read(&args.file, name, args.env.clone(), &args.only, global, ui)?;
    let (dry_run, prune) = (args.dry_run, args.prune);
    let shown = args.file.display().to_string();
    let how = How {
        verb: "apply".to_owned(),
        back_to: None,
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
    let (text, source, base) = input::read_ecosystem(file, name)?;
    let env = profile(env, source.as_deref(), global, ui)?;
    Ok(Definition { text, source, base, env, only: only.to_vec() })
}

/// The `--env` that counts: the one that is given, else the one with which the apps of this file
/// were applied last.
fn profile(
    given: Option<String>,
    source: Option<&Path>,
    global: &Global,
    ui: &mut Ui,
) -> Result<Option<String>, Error> {
    if let Some(word) = given {
        return Ok(profile::of_word(word));
    }
    let apps = disk::scan(&context::layout(global.scope())?)?;
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
        back_to: None,
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
    let mut sink = |event: ops::Event| told::tell(&event, ui);
    let done = ops::reload(&ctl, &reloads, &mut sink)?;
    told::finish(&ctl, &done, ui)
}
