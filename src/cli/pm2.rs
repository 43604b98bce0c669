//! Commands of PM2 that mean nothing here, each with what does it here, and PM2's options in messages.
//! They change nothing.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Ui, flags};
use crate::ecosystem;
use crate::error::{Error, exit};

/// Whether what somebody wants of a command is so already: scripts that were written for PM2 go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It is so without any command.
    Already,
    /// Something else has to be done.
    Otherwise,
}

use Wanted::{Already, Otherwise};

/// Commands of PM2, and what does it here.
const COMMANDS: &[(&[&str], Wanted, &str)] = &[
    (
        &["save", "dump"],
        Already,
        "nothing to do: what is applied is enabled, and is there again after a reboot; what starts at boot: \
         systemctl list-unit-files --state=enabled",
    ),
    (
        &["startup"],
        Already,
        "nothing to do: `clusterctl apply` enables what it starts; apps of a user start at boot after: loginctl enable-linger",
    ),
    (
        &["unstartup"],
        Otherwise,
        "each app is enabled by itself; not at boot any more: clusterctl stop --disable APP",
    ),
    (
        &["resurrect"],
        Already,
        "nothing to do: systemd starts what is enabled; an app that was stopped: clusterctl start APP",
    ),
    (
        &["cleardump"],
        Otherwise,
        "there is no list beside the units; to remove apps: clusterctl delete APP",
    ),
    (
        &["update", "updatePM2", "deepUpdate"],
        Already,
        "nothing to do: no daemon holds the apps, so a new clusterctl is in use as soon as it is installed",
    ),
    (
        &["ping"],
        Already,
        "nothing of clusterctl keeps running, so nobody has to be asked; whether all is well: clusterctl doctor",
    ),
    (&["kill"], Otherwise, "there is no daemon to end; to stop every app: clusterctl stop all"),
    (
        &["report"],
        Otherwise,
        "everything about apps and machine: clusterctl doctor, clusterctl describe all",
    ),
    (
        &[
            "link",
            "unlink",
            "plus",
            "login",
            "logout",
            "register",
            "monitor",
            "unmonitor",
            "open",
            "install-otel",
        ],
        Otherwise,
        "PM2 Plus is a service of PM2's makers; what runs here: clusterctl list, clusterctl monit, clusterctl logs -f",
    ),
    (
        &["pull", "forward", "backward"],
        Otherwise,
        "code comes by git itself; then: clusterctl reload APP; a former definition: clusterctl rollback",
    ),
    (
        &[
            "install",
            "uninstall",
            "module:install",
            "module:update",
            "module:publish",
            "module:uninstall",
            "module:generate",
            "publish",
            "package",
            "module",
        ],
        Otherwise,
        "there are no modules: journald rotates logs (docs/logs.md), and anything else that runs is an app: clusterctl start",
    ),
    (
        &["set", "get", "unset", "multiset", "conf", "config"],
        Otherwise,
        "there are no settings beside the ecosystem file; its keys: man ecosystem.toml",
    ),
    (
        &["trigger", "send", "attach"],
        Otherwise,
        "no channel leads into a running program; a signal does: clusterctl sendSignal SIGUSR2 APP",
    ),
    (
        &["inspect"],
        Otherwise,
        "Node opens its inspector at a signal: clusterctl sendSignal SIGUSR1 APP@0",
    ),
    (
        &["profile:cpu", "profile:mem"],
        Otherwise,
        "Node writes profiles itself: interpreter_args = \"--cpu-prof\" or \"--heap-prof\" in the ecosystem file",
    ),
    (
        &["slist", "sysinfos", "imonit"],
        Otherwise,
        "the machine is shown by: systemd-cgtop; apps by: clusterctl monit",
    ),
    (
        &["logrotate"],
        Already,
        "nothing to do: journald rotates by itself; for files of `out_file` see docs/logs.md",
    ),
    (&["create", "examples"], Otherwise, "a first ecosystem file for a project: clusterctl init"),
    (
        &["deepMonitoring", "monitoring"],
        Otherwise,
        "nothing is loaded into programs to watch them: clusterctl list --watch",
    ),
];

/// What to say of a word that is no command; `None` when nobody knows it.
fn command(word: &str) -> Option<(Wanted, &'static str)> {
    let known = COMMANDS.iter().find(|(names, ..)| names.contains(&word));
    known.map(|(_, wanted, text)| (*wanted, *text))
}

/// A word that is no command of ours: PM2's, with what does it here, or an unknown one, with the one
/// that may have been meant.
pub(super) fn explain(words: &[OsString], ui: &mut Ui) -> Result<u8, Error> {
    let word = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    if let Some((wanted, text)) = command(&word) {
        ui.say(&format!("{word}: {text}"));
        return Ok(if wanted == Already { exit::OK } else { exit::USAGE });
    }
    let names = super::command();
    let names = names.get_subcommands().filter(|verb| !verb.is_hide_set());
    let names: Vec<String> =
        names.flat_map(|verb| verb.get_name_and_visible_aliases()).map(str::to_owned).collect();
    let best = ecosystem::nearest(&word, names.iter().map(String::as_str));
    let hint = match best {
        Some(name) => format!("did you mean: clusterctl {name}"),
        None => "all commands: clusterctl --help".to_owned(),
    };
    Err(Error::Verb { word, hint })
}

/// Options of PM2 that need not be said, or are said otherwise; others are keys of the file.
const OTHERS: &[(&[&str], &str)] = &[
    (
        &["--ftp"],
        "names of files are shown to nobody; a list of them is a file of the folder, index.html",
    ),
    (&["--monitor"], "nothing is loaded into pages to watch them: clusterctl monit"),
    (
        &["--no-daemon", "--container", "--dist", "--image-name"],
        "there is no daemon; in a container: clusterctl dev",
    ),
    (&["--attach"], "to see what an app writes: clusterctl logs APP -f"),
    (&["--time"], "clusterctl logs --timestamp shows the time of every line"),
    (&["--parallel"], "how many are replaced at once: --max-surge, --max-unavailable"),
    (
        &["--hp"],
        "files of the system are in /etc/systemd/system, a user's below ~/.config: clusterctl --user",
    ),
    (&["--ext"], "file names of `watch` are chosen by `ignore_watch` in the ecosystem file"),
    (
        &[
            "--deep-monitoring",
            "--trace",
            "--disable-trace",
            "--v8",
            "--event-loop-inspector",
            "--no-pmx",
        ],
        "nothing is loaded into programs to watch them",
    ),
    (&["--no-vizion"], "git is never asked"),
    (&["--no-automation"], "nothing is loaded into programs to watch them"),
    (
        &["--disable-source-map-support"],
        "source maps are off unless --source-map-support asks for them",
    ),
    (&["--gc"], "Node's own option: interpreter_args in the ecosystem file"),
    (
        &["--write"],
        "`start` writes ecosystem.toml, and another app at the end of one that it has written",
    ),
    (&["-x", "--execute-command"], "a program that no interpreter runs: --interpreter none"),
    (
        &["--force", "-f"],
        "nothing has to be forced: a command waits until another one has done its work",
    ),
    (&["--service-name"], "units are called after the app: --name"),
    (&["--update-env", "-a"], "variables come from the ecosystem file: clusterctl apply"),
    (&["--env"], "profiles belong to a file: clusterctl apply ecosystem.toml --env NAME"),
    (
        &["--only"],
        "name the apps themselves, or choose some of a file: clusterctl apply ecosystem.toml --only APP",
    ),
    (&["--json"], "data is printed with: -o json"),
    (
        &["--raw", "--format", "--formatted"],
        "other forms of the lines: clusterctl logs --raw, --format, --json",
    ),
    (&["--delay"], "nobody has to be waited for: an instance is ready when it listens"),
    (&["--web"], "figures for Prometheus: clusterctl metrics"),
    (&["-i"], "write `instances` into the ecosystem file"),
    (&["--secret", "--public", "--machine-name"], "PM2 Plus is a service of PM2's makers"),
    (&["--port"], "what the program shall listen on: --listen"),
];

/// What to do instead of an option of PM2.
fn instead(option: &str) -> Option<String> {
    if let Some((_, help)) = OTHERS.iter().find(|(names, _)| names.contains(&option)) {
        return Some((*help).to_owned());
    }
    Some(format!("write `{}` into the ecosystem file", flags::line_of(option)?))
}

/// What to do instead of a verb that we have too, in a form that only PM2 gives it.
fn form(words: &[OsString]) -> Option<&'static str> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    match words.as_slice() {
        ["completion"] | ["completion" | "completions", "install"] => Some(
            "completion: packages install it; without one: clusterctl completions bash >>~/.bashrc",
        ),
        ["deploy", what, more] | ["deploy", what, more, ..]
            if !what.starts_with('-') && !more.starts_with('-') =>
        {
            Some(
                "deploy: a folder, an archive or a commit is all it wants; to the machines of [[hosts]] in \
                 ecosystem.toml: clusterctl -H all deploy DIR",
            )
        }
        _ => None,
    }
}

/// Says what clap finds wrong with the command line, or the help that was asked for; for an option of
/// PM2 what to do instead, since clap's own advice is to hand it to something else.
pub(super) fn refuse(mut error: clap::Error, words: &[OsString], ui: &mut Ui) -> u8 {
    // "a similar subcommand", "to pass it as a value, use --": neither is what is meant.
    error.remove(ContextKind::Suggested);
    if let Some(help) = form(words) {
        ui.usage(&error);
        ui.paragraph(&format!("\n{help}"));
        return exit::USAGE;
    }
    if error.kind() != ErrorKind::UnknownArgument {
        ui.usage(&error);
        return u8::try_from(error.exit_code()).unwrap_or(exit::USAGE);
    }
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let option = unknown.split('=').next().unwrap_or_default();
    let help = instead(option);
    let misleads = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(other)) => {
            help.is_some() || strsim::damerau_levenshtein(other, option) > 2
        }
        _ => false,
    };
    if misleads {
        // The usage shows the other option too.
        error.remove(ContextKind::SuggestedArg);
        error.remove(ContextKind::Usage);
    }
    ui.usage(&error);
    let of_fleet = ["-H", "--host", "--limit", "--keep-going", "-y", "--yes"].contains(&option);
    let before = "it stands before the command: clusterctl -H all …";
    if let Some(help) = help.or(of_fleet.then(|| before.to_owned())) {
        ui.paragraph(&format!("\n{option}: {help}"));
    }
    exit::USAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_command_of_pm2_that_is_explained_is_one_of_ours() {
        let ours = crate::cli::command();
        for name in COMMANDS.iter().flat_map(|(names, ..)| names.iter()) {
            assert!(ours.find_subcommand(name).is_none(), "{name}");
        }
    }
}
