//! Several machines: which there are, and how a command goes from one to the next. It knows nothing of how
//! they are reached.

use std::path::PathBuf;
use std::time::Duration;

use super::app::Share;
use super::name::AppName;

/// What `[[hosts]]` and `[fleet]` say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The hosts in the order of the file.
    pub hosts: Vec<FleetHost>,
    /// Hosts that must succeed, one after the other, before any other is touched.
    pub first: u32,
    /// Hosts at a time after that.
    pub limit: Share,
    /// Time between two batches.
    pub wait: Duration,
    /// Whether commands run as root there, by `sudo -n`.
    pub sudo: bool,
    /// The folder there that relative paths of the file start from; `None`: the one of the same name as here.
    pub cwd: Option<PathBuf>,
    /// A line for the shell here, before a host's app is taken away.
    pub before: Option<String>,
    /// A line for the shell here, after a host's app is back.
    pub after: Option<String>,
}

/// One host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetHost {
    /// What ssh is told.
    pub name: String,
    /// The apps of the file that it has; `None`: all.
    pub apps: Option<Vec<AppName>>,
}

impl Default for Fleet {
    fn default() -> Fleet {
        Fleet {
            hosts: Vec::new(),
            first: 1,
            limit: Share::Count(1),
            wait: Duration::ZERO,
            sudo: false,
            cwd: None,
            before: None,
            after: None,
        }
    }
}

/// A file as a fleet sees it: its hosts, and what its apps are called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetFile {
    /// The hosts, and how commands go over them.
    pub fleet: Fleet,
    /// The name of each app in the order of the file, as far as it can be told.
    pub apps: Vec<Option<AppName>>,
}

impl FleetHost {
    /// Whether the host has an app.
    pub fn has(&self, app: &AppName) -> bool {
        self.apps.as_ref().is_none_or(|apps| apps.contains(app))
    }
}

impl FleetFile {
    /// The names of the apps that a host has.
    pub fn apps_of(&self, host: &FleetHost) -> Vec<&AppName> {
        self.apps.iter().flatten().filter(|app| host.has(app)).collect()
    }
}
