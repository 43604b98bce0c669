//! The state that a run leaves: every file, every unit, and the newest definition of the history.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::Machine;

/// The state that must be the same after one undisturbed run, and after a killed run and a second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Every file, with its mode and its content; of a symbolic link, its target.
    pub(crate) files: BTreeMap<String, String>,
    /// The folder of releases.
    pub(crate) store: Store,
    /// Every unit that is not inactive, with its states, and the greeting and the folder of each instance.
    pub(crate) units: String,
    /// The newest definition of the history.
    pub(crate) definition: String,
}

/// Where instances are pinned.
pub(super) const PINS: &str = "/run/systemd/system";

/// The folder of releases in the scenes of `deploy`.
pub(super) const STORE: &str = "/srv/store";

/// Every file and folder in the folder of releases, with its mode, its owner and its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store(BTreeMap<String, String>);

impl Store {
    /// The releases that can be used, by their notes.
    pub(super) fn complete(&self) -> BTreeSet<String> {
        let notes = format!("{STORE}/releases/.clusterctl/");
        let complete = self.0.iter().filter(|(_, text)| text.contains("\"complete\": true"));
        complete
            .filter_map(|(path, _)| path.strip_prefix(&notes)?.strip_suffix(".json"))
            .map(str::to_owned)
            .collect()
    }

    /// What is in a release, and nothing where there is none.
    pub(super) fn release(&self, id: &str) -> BTreeMap<&str, &str> {
        let folder = format!("{STORE}/releases/{id}/");
        let own = self.0.iter().filter(|(path, _)| path.starts_with(&folder));
        own.map(|(path, text)| (path.as_str(), text.as_str())).collect()
    }

    /// The release to which the link leads.
    pub(super) fn current(&self) -> Option<String> {
        let link = self.0.get(&format!("{STORE}/current"))?;
        Some(link.rsplit('/').next()?.to_owned())
    }
}

/// Calls `each` with every file below a folder, and with every folder. What is removed meanwhile is left out.
fn walk(m: &Machine, dir: &str, each: &mut dyn FnMut(String, &fs::DirEntry)) {
    for entry in fs::read_dir(m.path(dir)).into_iter().flatten().filter_map(Result::ok) {
        let inside = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => {
                each(format!("{inside}/"), &entry);
                walk(m, &inside, each);
            }
            Ok(_) => each(inside, &entry),
            Err(_) => {}
        }
    }
}

/// Mode, owner and content; of a symbolic link its target.
fn shown(entry: &fs::DirEntry) -> String {
    let path = entry.path();
    let meta = path.symlink_metadata().unwrap();
    let content = match (meta.is_symlink(), meta.is_dir()) {
        (true, _) => fs::read_link(path).unwrap().display().to_string(),
        (_, true) => String::new(),
        _ => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
    };
    format!("{:o} {}:{} {content}", meta.permissions().mode(), meta.uid(), meta.gid())
}

pub(super) fn files(m: &Machine) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for dir in ["/etc/systemd/system", "/etc/clusterctl", "/var/lib/clusterctl/handover"] {
        walk(m, dir, &mut |inside, entry| {
            if !inside.ends_with('/') {
                files.insert(inside, shown(entry));
            }
        });
    }
    files
}

pub(super) fn store(m: &Machine) -> Store {
    let mut all = BTreeMap::new();
    walk(m, STORE, &mut |inside, entry| drop(all.insert(inside, shown(entry))));
    Store(all)
}

/// Every unit of the apps that is not inactive or has a job, as the manager shows it; the greeting of each
/// instance's process; and the units whose files the manager has yet to read.
fn units(m: &Machine) -> String {
    let properties = "Id,LoadState,ActiveState,MainPID,NeedDaemonReload,Job";
    let patterns = ["shop*", "worker*", "clusterctl-*"];
    let shown = m.ok([&["systemctl", "show", "-p", properties][..], &patterns].concat());
    let mut lines = Vec::new();
    for block in shown.split("\n\n") {
        let of = |name: &str| {
            let found = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            found.unwrap_or_default()
        };
        let (id, job) = (of("Id"), of("Job"));
        if id.is_empty() {
            continue;
        }
        if of("ActiveState") != "inactive" || !job.is_empty() {
            lines.push(format!("{id} {} {}", of("LoadState"), of("ActiveState")));
        }
        if id.starts_with("shop@") && of("ActiveState") == "active" {
            let variables = fs::read(m.path(&format!("/proc/{}/environ", of("MainPID"))));
            let variables = String::from_utf8_lossy(&variables.unwrap_or_default()).into_owned();
            let greeting = variables.split('\0').find(|one| one.starts_with("GREETING="));
            let folder = fs::read_link(m.path(&format!("/proc/{}/cwd", of("MainPID"))));
            let folder = folder.unwrap_or_default();
            lines.push(format!("{id} {} in {folder:?}", greeting.unwrap_or("no greeting")));
        }
        if of("NeedDaemonReload") == "yes" {
            lines.push(format!("{id} is to be read"));
        }
        if !job.is_empty() {
            lines.push(format!("{id} has a job"));
        }
    }
    lines.sort();
    lines.join("\n")
}

pub(crate) fn state(m: &Machine) -> State {
    let mut entries: Vec<(u32, String)> = Vec::new();
    for entry in fs::read_dir(m.path("/var/lib/clusterctl/history")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let value: serde_json::Value = match number {
            Some(_) => serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
            None => continue,
        };
        let own = &value["definition"];
        entries.push((number.unwrap(), format!("{} in {}", own["text"], own["base"])));
    }
    let definition = entries.into_iter().max().map(|(_, text)| text).unwrap_or_default();
    State { files: files(m), store: store(m), units: units(m), definition }
}

/// Files that no run may leave behind: temporary ones, requests for rollouts, notes of unread files, and pins.
pub(crate) fn leavings(m: &Machine) -> String {
    let mut left = Vec::new();
    let own = ["/etc/systemd", "/etc/clusterctl", "/var/lib/clusterctl", "/run/clusterctl", STORE];
    for dir in own.into_iter().chain([PINS]) {
        walk(m, dir, &mut |path, _| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let unfinished = name.starts_with(".clusterctl-") || name.ends_with(".request");
            let pinned = path.starts_with(PINS) && name.starts_with("shop@");
            let unread = path.starts_with("/run/clusterctl/unread/") && !path.ends_with('/');
            if unfinished || unread || pinned {
                left.push(path);
            }
        });
    }
    left.sort();
    left.join("\n")
}
