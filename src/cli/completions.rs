//! `clusterctl completions` and the hidden `schema`.

use clap_complete::env::{Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::{Ui, complete};
use crate::error::Error;

/// Print the completion script of a shell
///
/// The script asks the program for every word, so that it knows apps, instances, namespaces and
/// profiles as they are. Packages and `make install` put it where bash, zsh and fish look for it.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// A shell that can ask a program.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Print the JSON schema of ecosystem.toml, for editors
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(super) struct SchemaArgs {}

/// Runs `completions`.
pub(super) fn run(args: &CompletionsArgs, ui: &mut Ui) -> Result<(), Error> {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => return ui.data(BASH),
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::Powershell => &Powershell,
        Shell::Zsh => return ui.data(&zsh(&complete::registration(&Zsh).map_err(Error::Output)?)),
    };
    ui.data(&complete::registration(shell).map_err(Error::Output)?)
}

/// zsh loads the file at the first word that it has to complete, and runs it for that word: then the
/// function is to be called as well.
fn zsh(script: &str) -> String {
    let last = script.lines().last().unwrap_or_default();
    let function = last.split(' ').nth(1).unwrap_or_default();
    let call = format!("if [ \"$funcstack[1]\" = _clusterctl ]; then\n    {function} \"$@\"\nfi\n");
    format!("{script}{call}")
}

/// Runs `schema`.
pub(super) fn schema(ui: &mut Ui) -> Result<(), Error> {
    ui.data(&crate::ecosystem::json_schema())
}

/// bash breaks words at `@`, `:` and `=`, which are parts of ours: the words are taken from the line
/// itself, and of the answer only what bash would replace.
const BASH: &str = include_str!("completions.bash");
