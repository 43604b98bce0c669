//! `clusterctl completions` and the hidden `schema`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Args, Ui};
use crate::error::Error;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Print the JSON schema of ecosystem.toml, for editors
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct SchemaArgs {}

/// Runs `completions`.
pub(super) fn run(args: &CompletionsArgs, ui: &mut Ui) -> Result<(), Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "clusterctl", &mut script);
    ui.data(&String::from_utf8_lossy(&script))
}

/// Runs `schema`.
pub(super) fn schema(ui: &mut Ui) -> Result<(), Error> {
    ui.data(&crate::ecosystem::json_schema())
}
