//! Verbs of PM2 that have nothing to do here: `save`, `startup`, `unstartup`, `resurrect`, `dump`.

use super::Ui;
use crate::error::Error;

/// Whatever follows these verbs.
#[derive(Debug, clap::Args)]
pub struct Pm2Args {
    /// Ignored
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Says who does it instead.
pub fn explain(ui: &mut Ui) -> Result<(), Error> {
    ui.note(
        "nothing to do: `clusterctl apply` writes ordinary systemd units and enables them, so that every app and its\n\
         number of instances are there again after a reboot\n\
         see what starts at boot: systemctl list-unit-files --state=enabled\n\
         not at boot any more: systemctl disable APP",
    );
    Ok(())
}
