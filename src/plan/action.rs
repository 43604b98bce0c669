//! What a plan consists of: apps, files, links, steps and their reasons. Data alone; `decide` makes plans.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::observed::ObservedApp;
use super::profile;
use crate::ecosystem::{AppName, Remark, Role};
use crate::unit::UnitName;

/// What apply will do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Apps in the order of their names; those with nothing to do as well.
    pub apps: Vec<AppPlan>,
    /// Apps that are gone from the file but still there, when they are not to be removed.
    pub gone: Vec<AppName>,
}

impl Plan {
    /// Whether the plan replaces every process of an app that runs now.
    pub fn replaces(&self, app: &AppName, found: Option<&ObservedApp>) -> bool {
        let Some(found) = found.filter(|found| found.group.is_up()) else { return true };
        let running = found.instances.iter().filter(|(_, one)| one.active.is_up());
        let running: BTreeSet<u32> = running.map(|(number, _)| *number).collect();
        let steps = self.apps.iter().filter(|plan| plan.app == *app).flat_map(|plan| &plan.steps);
        steps.into_iter().any(|step| match &step.action {
            Action::Roll { replace, stop, .. } => {
                running.iter().all(|number| replace.contains(number) || stop.contains(number))
            }
            Action::Rebind { .. } | Action::Stop => true,
            Action::Open(_) | Action::Reopen(_) | Action::Close(_) | Action::Start(_) => false,
        })
    }
}

/// What apply will do to one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPlan {
    /// The app.
    pub app: AppName,
    /// Files to write, or to remove at the end.
    pub files: Vec<FileChange>,
    /// Links to make or remove.
    pub links: Vec<LinkChange>,
    /// Listeners of apps that go: the steps begin once these are closed.
    pub after: BTreeSet<UnitName>,
    /// What happens to units, in this order, after one daemon-reload.
    pub steps: Vec<Step>,
    /// What a reader should know besides.
    pub notes: Vec<Note>,
    /// Instances 0 to this number less one run at the end.
    pub wanted: u32,
}

/// A file of an app.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FileId {
    /// A unit file.
    Unit(UnitName),
    /// The environment file.
    Environment,
}

/// One file that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub file: FileId,
    /// How it changes.
    pub change: ChangeKind,
}

/// How a file changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Create {
        /// Its content.
        text: String,
    },
    /// Its content changes.
    Replace {
        /// What is there.
        before: String,
        /// What will be.
        after: String,
        /// Nothing in it concerns a running process: it keeps its modification time, which is
        /// what tells an outdated instance.
        keep_time: bool,
    },
    /// It goes, once nothing runs from it.
    Remove {
        /// What is there.
        before: String,
    },
}

/// What a changed file costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cost {
    /// Nothing that runs depends on it.
    Nothing,
    /// The manager acts on these settings at once; no process is replaced.
    Live(BTreeSet<String>),
    /// Instances are replaced, a few at a time.
    Rollout,
    /// It waits until the listener is opened anew.
    Reopen,
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cost::Nothing => f.write_str("costs nothing"),
            Cost::Live(keys) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                write!(f, "live, no process is replaced: {}", keys.join(", "))
            }
            Cost::Rollout => f.write_str("costs a rollout"),
            Cost::Reopen => f.write_str("waits for a restart of the listener"),
        }
    }
}

/// A link that systemd reads as an enablement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkId {
    /// The group in the boot target's `.wants/`.
    Boot,
    /// An instance in the group's `.wants/`.
    Instance(u32),
}

/// One link that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkChange {
    /// The link.
    pub link: LinkId,
    /// Whether it is made; otherwise it is removed.
    pub make: bool,
}

/// One step with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What happens to units.
    pub action: Action,
    /// Why the step is taken.
    pub because: StepReason,
}

/// What happens to units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A listener, or whatever else is opened with the app, opens.
    Open(UnitName),
    /// A listener opens anew; instances keep the former one until they are replaced.
    Reopen(UnitName),
    /// The group starts, and with it these instances.
    Start(BTreeSet<u32>),
    /// Instances are replaced, started and stopped a few at a time.
    Roll {
        /// Running ones on an old definition.
        replace: BTreeSet<u32>,
        /// Missing ones.
        start: BTreeSet<u32>,
        /// Those beyond the wanted number.
        stop: BTreeSet<u32>,
    },
    /// A listener, or whatever else opens with the app, closes.
    Close(UnitName),
    /// The app stops and starts, because a new listener needs an address that an old one holds:
    /// connections are refused meanwhile.
    Rebind {
        /// Listeners that close.
        close: BTreeSet<UnitName>,
        /// Listeners that open.
        open: BTreeSet<UnitName>,
        /// Instances that start.
        start: BTreeSet<u32>,
    },
    /// Everything of the app stops: instances before listeners, whose clients would be dropped else.
    Stop,
}

/// Why a step is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepReason {
    /// The app is new.
    NewApp,
    /// The app is not running.
    NotRunning,
    /// What opens is new.
    NewTrigger(Role),
    /// What should be open is not active.
    TriggerDown(Role),
    /// What closes is gone from the file.
    TriggerGone,
    /// The path of a listener no longer leads to it.
    PathLost,
    /// Instances are ready and do not hold the listeners that made them so.
    NotListening,
    /// The listener is new, and an app that goes still holds its address.
    AddressFreed {
        /// That app.
        by: AppName,
        /// Its listener.
        closes: UnitName,
    },
    /// The addresses of an old and a new listener overlap.
    AddressMoves,
    /// An instance listens on the address of a new listener by itself.
    AddressHeld,
    /// The definition changed in these directives.
    Changed(BTreeSet<String>),
    /// An earlier apply or an edit left instances on an old definition.
    Outdated,
    /// The number of instances differs.
    Instances {
        /// Enabled now.
        from: u32,
        /// Wanted.
        to: u32,
    },
    /// Instances that should run do not.
    Missing,
    /// The app is gone from the file, and removal was asked for.
    AppGone,
    /// Somebody asked for it.
    Deleted,
}

/// What a reader should know besides the steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Somebody scaled the app; the file is followed.
    Drift {
        /// Enabled now.
        enabled: u32,
        /// What the file says.
        file: u32,
    },
    /// A changed socket option waits until its listener is restarted.
    ListenerOption(UnitName),
    /// The app is not to be started by apply; whether it runs.
    NoAutostart {
        /// The app runs, since somebody started it.
        runs: bool,
    },
    /// The app came from another ecosystem file at the last apply.
    Moved {
        /// The file of the last apply; `None` for standard input.
        from: Option<PathBuf>,
    },
    /// The `--env` is another one than at the last apply.
    Profile {
        /// The profile of the last apply.
        from: Option<String>,
        /// The profile of this apply.
        to: Option<String>,
    },
    /// What follows from the file without being written in it.
    Remark(Remark),
}

impl AppPlan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.links.is_empty() && self.steps.is_empty()
    }

    /// Whether the app is taken away.
    pub fn removes_app(&self) -> bool {
        self.steps.iter().any(|step| step.action == Action::Stop)
    }
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.apps.iter().all(AppPlan::is_empty)
    }

    /// Whether anything is done about the processes or listeners of an app.
    pub fn has_steps(&self, app: &AppName) -> bool {
        self.apps.iter().any(|plan| plan.app == *app && !plan.steps.is_empty())
    }
}

impl fmt::Display for StepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StepReason::NewApp => f.write_str("new app"),
            StepReason::NotRunning => f.write_str("not running"),
            StepReason::NewTrigger(role) => write!(f, "new {}", role.word()),
            StepReason::AddressFreed { by, closes } => write!(
                f,
                "new listener; connections are refused from when {by} closes {closes} until then"
            ),
            StepReason::TriggerDown(role) => write!(f, "{} is not active", role.word()),
            StepReason::AddressMoves => f.write_str(
                "old and new address overlap; connections are refused for a moment, and wait then \
                 until the app is up again",
            ),
            StepReason::AddressHeld => f.write_str(
                "an instance holds the address itself; connections are refused until the app is up \
                 again",
            ),
            StepReason::TriggerGone => f.write_str("gone from the file"),
            StepReason::PathLost => f.write_str("its path is gone or leads to another socket"),
            StepReason::NotListening => f.write_str("ready, but not listening"),
            StepReason::Changed(keys) => {
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                write!(f, "changed: {}", keys.join(", "))
            }
            StepReason::Outdated => f.write_str("started before the last change of the definition"),
            StepReason::Instances { from, to } => write!(f, "instances: {from} → {to}"),
            StepReason::Missing => f.write_str("should run but does not"),
            StepReason::Deleted => f.write_str("clusterctl delete"),
            StepReason::AppGone => f.write_str("gone from the file, --prune"),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Drift { enabled, file } => {
                write!(
                    f,
                    "{enabled} instances were enabled, the file says {file}: following the file"
                )
            }
            Note::ListenerOption(unit) => write!(
                f,
                "the changed option of {unit} waits until the listener is opened anew, which \
                 refuses connections for a moment: clusterctl stop and start the app"
            ),
            Note::NoAutostart { runs: false } => {
                f.write_str("autostart = false: neither started nor enabled")
            }
            Note::NoAutostart { runs: true } => {
                f.write_str("autostart = false: it runs on, and is not started at boot by the file")
            }
            Note::Moved { from: Some(path) } => {
                write!(f, "comes from {} until now", path.display().to_string().escape_debug())
            }
            Note::Moved { from: None } => f.write_str("comes from standard input until now"),
            Note::Profile { from, to } => {
                write!(f, "profile: {} → {}", profile::shown(from), profile::shown(to))
            }
            Note::Remark(remark) => write!(f, "{remark}"),
        }
    }
}
