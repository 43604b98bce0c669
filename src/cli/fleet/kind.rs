//! What a verb is to a fleet: whether it changes something, takes an app away, or reads, and what it names. It asks
//! no host.

use std::path::{Path, PathBuf};

use crate::cli::input::is_file;
use crate::cli::{Site, Verb};
use crate::error::Error;

/// What a verb does, seen from afar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Puts an ecosystem file in force, which each host gets on standard input.
    File(FileVerb),
    /// Makes a release of an archive, which each host gets on standard input, and puts it in force.
    Deploy {
        /// What is deployed, as it is written.
        what: String,
        /// The profile.
        env: Option<String>,
        /// Only shows what would happen.
        dry_run: bool,
        /// Removes apps that are gone from the file.
        prunes: bool,
    },
    /// Changes apps that are there.
    Selected(SelectedVerb),
    /// Goes back to an earlier definition.
    Rollback {
        /// Only shows what would happen.
        dry_run: bool,
        /// Whether nothing says which definition, or app, is meant.
        bare: bool,
    },
    /// Shows rows.
    List {
        /// Whether each instance has one.
        by_instance: bool,
    },
    /// Shows what each host says, one after the other.
    Sections,
    /// Shows what instances write.
    Logs {
        /// Until Ctrl-C.
        follow: bool,
    },
    /// Metrics of all hosts.
    Metrics,
}

/// A verb with an ecosystem file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileVerb {
    /// `apply` or `reload`.
    pub verb: &'static str,
    /// The file.
    pub file: PathBuf,
    /// The name of what standard input holds.
    pub name: Option<PathBuf>,
    /// Only these apps.
    pub only: Vec<String>,
    /// The profile.
    pub env: Option<String>,
    /// Only shows what would happen.
    pub dry_run: bool,
}

/// A verb with selectors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SelectedVerb {
    /// Its name.
    pub verb: &'static str,
    /// What is selected; empty where all is.
    pub apps: Vec<String>,
    /// The host's app does not serve for a while, or any more: `before` runs.
    pub takes_away: bool,
    /// The host's app serves afterwards, and may not have before: `after` runs.
    pub brings_back: bool,
}

impl Kind {
    /// The ecosystem file that the command line names.
    pub(super) fn file(&self) -> Option<(&Path, Option<&Path>)> {
        match self {
            Kind::File(verb) => Some((&verb.file, verb.name.as_deref())),
            _ => None,
        }
    }

    /// Whether nothing is to be changed.
    pub(super) fn is_dry_run(&self) -> bool {
        match self {
            Kind::File(verb) => verb.dry_run,
            Kind::Rollback { dry_run, .. } | Kind::Deploy { dry_run, .. } => *dry_run,
            _ => false,
        }
    }
}

/// What a verb is.
///
/// # Errors
/// It works on this machine alone.
pub(super) fn of(verb: &Verb, place: &Site<'_>) -> Result<Kind, Error> {
    let selected = |verb, apps: &[String], takes_away, brings_back| {
        if let Some(file) = apps.iter().find(|word| is_file(word, place)) {
            let file = file.escape_debug();
            let text = format!(
                "`{verb} {file}` works on one host: with -H name the apps, or `all`; a file is put \
                 in force with: clusterctl -H all apply {file}"
            );
            return Err(Error::Usage(text));
        }
        let apps = apps.to_vec();
        Ok(Kind::Selected(SelectedVerb { verb, apps, takes_away, brings_back }))
    };
    match verb {
        Verb::Apply(args) => Ok(Kind::File(FileVerb {
            verb: "apply",
            file: args.file.clone(),
            name: args.name.clone(),
            only: args.only.clone(),
            env: args.env.clone(),
            dry_run: args.is_dry_run(),
        })),
        Verb::Reload(args) => match args.apps.as_slice() {
            [file] if is_file(file, place) => Ok(Kind::File(FileVerb {
                verb: "reload",
                file: file.into(),
                name: args.name.clone(),
                only: args.only.clone(),
                env: args.env.clone(),
                dry_run: false,
            })),
            apps => selected("reload", apps, false, false),
        },
        Verb::Deploy(args) => Ok(Kind::Deploy {
            what: args.what().to_owned(),
            env: args.profile().map(str::to_owned),
            dry_run: args.is_dry_run(),
            prunes: args.prunes(),
        }),
        Verb::Start(args) => selected("start", &args.what, false, true),
        Verb::Stop(args) => selected("stop", &args.apps, true, false),
        Verb::Restart(args) => selected("restart", &args.apps, true, true),
        Verb::Delete(args) => selected("delete", &args.apps, true, false),
        Verb::Scale(args) => selected("scale", std::slice::from_ref(&args.app), false, false),
        Verb::Reset(args) => selected("reset", &args.apps, false, false),
        Verb::SendSignal(args) => selected("sendSignal", &args.apps, false, false),
        Verb::Flush(args) => selected("flush", &args.apps, false, false),
        Verb::ReloadLogs(args) => selected("reloadLogs", &args.apps, false, false),
        // Out of rotation is away as well, where all instances are.
        Verb::Drain(args) => selected("drain", &args.apps, names_whole(&args.apps), false),
        Verb::Undrain(args) => selected("undrain", &args.apps, false, names_whole(&args.apps)),
        Verb::Rollback(args) => Ok(Kind::Rollback {
            dry_run: args.is_dry_run(),
            bare: args.names_nothing(),
        }),
        Verb::List(args) if args.watch => Err(here("list --watch")),
        Verb::List(args) => Ok(Kind::List { by_instance: !args.apps.is_empty() }),
        Verb::Logs(args) => Ok(Kind::Logs { follow: args.follow }),
        Verb::Metrics(args) if args.http => Err(here("metrics --http")),
        Verb::Metrics(_) => Ok(Kind::Metrics),
        Verb::Describe(_)
        | Verb::Doctor(_)
        | Verb::History(_)
        | Verb::Audit(_)
        | Verb::Pid(_)
        | Verb::Env(_)
        | Verb::Id(_) => Ok(Kind::Sections),
        Verb::Validate(_) => Err(Error::Usage(
            "each host checks the file with: clusterctl -H … apply --dry-run; without -H this one does"
                .to_owned(),
        )),
        _ => Err(here("this command")),
    }
}

/// Whether more than single instances are selected.
fn names_whole(selectors: &[String]) -> bool {
    selectors.iter().any(|selector| !selector.contains('@'))
}

fn here(what: &str) -> Error {
    Error::Usage(format!("{what} works on this machine alone: leave -H out"))
}
