//! Verbs of PM2 that have nothing to do here: `save`, `startup`, `unstartup`, `resurrect`, `dump`.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Ui;
use crate::ecosystem::key;
use crate::error::{Error, exit};

/// Whatever follows these verbs.
#[derive(Debug, clap::Args)]
pub(super) struct Pm2Args {
    /// Ignored
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// Says who does it instead.
pub(super) fn explain(ui: &mut Ui) -> Result<(), Error> {
    ui.paragraph(
        "nothing to do: `clusterctl apply` writes ordinary systemd units and enables them, so that every app and its\n\
         number of instances are there again after a reboot\n\
         see what starts at boot: systemctl list-unit-files --state=enabled\n\
         not at boot any more: systemctl disable APP",
    );
    Ok(())
}

/// Options of PM2 that are keys of the file here, if there is such a key.
const KEYS: [&str; 18] = [
    "--cron",
    "--cron-restart",
    "--exp-backoff-restart-delay",
    "--ignore-watch",
    "--interpreter",
    "--kill-timeout",
    "--listen-timeout",
    "--max-memory-restart",
    "--max-restarts",
    "--min-uptime",
    "--no-autorestart",
    "--no-treekill",
    "--node-args",
    "--restart-delay",
    "--shutdown-with-message",
    "--source-map-support",
    "--stop-exit-codes",
    "--watch",
];

/// All others that need not be said.
const OTHERS: [(&str, &str); 6] = [
    (
        "--update-env",
        "variables come from the ecosystem file alone: change `env`, then: clusterctl apply",
    ),
    ("--watch", "files are not watched: run `clusterctl reload APP` after a change"),
    ("--no-daemon", "there is no daemon; in a container: clusterctl dev"),
    ("--attach", "to see what an app writes: clusterctl logs APP -f"),
    ("--time", "journalctl -u 'APP@*' shows the time of every line"),
    ("--no-color", "set NO_COLOR=1"),
];

/// What to do instead of an option of PM2.
fn instead(option: &str) -> Option<String> {
    let spelling = option.trim_start_matches('-').replace('-', "_");
    let (spelling, value) = match spelling.strip_prefix("no_") {
        Some(rest) => (rest, " = false"),
        None => (spelling.as_str(), ""),
    };
    if let (true, Some(key)) = (KEYS.contains(&option), key(spelling)) {
        return Some(format!("write `{}{value}` into the ecosystem file", key.name));
    }
    let (_, help) = OTHERS.iter().find(|(name, _)| *name == option)?;
    Some((*help).to_owned())
}

/// Says what clap finds wrong with the command line, or the help that was asked for; for an option of
/// PM2 what to do instead, since clap's own advice is to hand it to something else.
pub(super) fn refuse(mut error: clap::Error, ui: &mut Ui) -> u8 {
    if error.kind() != ErrorKind::UnknownArgument {
        ui.usage(&error);
        return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
    }
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let option = unknown.split('=').next().unwrap_or_default();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(Vec::new()));
    ui.usage(&error);
    if let Some(help) = instead(option) {
        ui.paragraph(&format!("\n{option}: {help}"));
    }
    exit::USAGE
}
