//! `clusterctl apply`: its arguments, and the definition that they name. It never compares units or writes
//! them: `ops::apply` does, through `in_force`.

use std::path::PathBuf;

use super::in_force::{Options, put_in_force, read};
use super::policy::PolicyArgs;
use super::{Site, Ui};
use crate::error::Error;

/// Make the running apps what an ecosystem file says
///
/// Writes the units, enables and starts them, waits until every instance is ready. Does nothing
/// where nothing differs. Changed apps are replaced a few instances at a time, without a gap.
#[derive(Debug, clap::Args)]
pub(super) struct ApplyArgs {
    /// The ecosystem file; `-` is standard input
    #[arg(default_value = "ecosystem.toml", value_hint = clap::ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// Show the plan and what would change in the units, and do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Stop and remove apps that are gone from the file
    #[arg(long)]
    prune: bool,
    /// Take over apps that come from another file until now, as their new version
    #[arg(long)]
    takeover: bool,
    /// Only these apps of the file
    #[arg(long, value_name = "APP,...", value_delimiter = ',', add = super::complete::of_file())]
    pub(super) only: Vec<String>,
    /// Use the variables of `env_NAME` too; else those of the last apply, with `none` no others
    #[arg(long, value_name = "NAME", add = super::complete::profiles())]
    pub(super) env: Option<String>,
    /// The name of the file that standard input stands for: what --prune and history know it by
    #[arg(long = "as", value_name = "PATH")]
    pub(super) name: Option<PathBuf>,
    #[command(flatten)]
    policy: PolicyArgs,
}

impl ApplyArgs {
    /// Whether `--dry-run` asks for the plan alone.
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }
}

/// Runs the verb.
pub(super) fn run(args: &ApplyArgs, place: &Site<'_>, ui: &mut Ui) -> Result<(), Error> {
    let name = args.name.as_deref();
    let definition = read(&args.file, name, args.env.clone(), &args.only, place, ui)?;
    let options = Options {
        verb: "apply".to_owned(),
        back_to: None,
        shown: crate::cli::input::shown(&args.file, name),
        dry_run: args.dry_run,
        prune: args.prune,
        moves: args.takeover,
        reloads: false,
        links: true,
        policy: &args.policy,
    };
    put_in_force(definition, &options, place, ui).map(drop)
}
