//! `clusterctl startOrReload` and `startOrRestart`: PM2's words for a file that may be in force already.

use std::path::{Path, PathBuf};

use super::policy::PolicyArgs;
use super::{Site, Ui, control, in_force};
use crate::error::Error;
use crate::ops::{ControlVerb, Selected};

/// Apply an ecosystem file, and replace every instance that this did not replace
///
/// The same as `clusterctl reload FILE`.
#[derive(Debug, clap::Args)]
pub(super) struct StartOrReloadArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    policy: PolicyArgs,
}

/// Apply an ecosystem file, and restart the apps that it left running
#[derive(Debug, clap::Args)]
pub(super) struct StartOrRestartArgs {
    #[command(flatten)]
    file: FileArgs,
}

#[derive(Debug, clap::Args)]
struct FileArgs {
    /// The ecosystem file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    only: Vec<String>,
    /// Use the variables of `env_NAME` of the file too
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    env: Option<String>,
    /// Ignored: variables come from the ecosystem file
    #[arg(long, short = 'a', hide = true)]
    update_env: bool,
}

/// Runs `startOrReload`.
pub(super) fn reload(args: &StartOrReloadArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let FileArgs { file, only, env, .. } = &args.file;
    in_force::reload_file(file, env.clone(), None, only, &args.policy, place, ui)
}

/// Runs `startOrRestart`.
pub(super) fn restart(
    args: &StartOrRestartArgs,
    place: &Site<'_>,
    ui: &mut Ui,
) -> Result<(), Error> {
    let FileArgs { file, only, env, .. } = &args.file;
    let (ctl, left) = in_force::apply_but_running(Path::new(file), only, env.clone(), place, ui)?;
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<Selected> =
        left.into_iter().map(|app| Selected { app, instance: None }).collect();
    control::run(&ctl, ControlVerb::Restart, &left, ui)
}
