//! The state that a run leaves: every file, every unit, and the newest definition of the history.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Machine;

/// The state that must be the same after one undisturbed run, and after a killed run and a second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Every file, with its mode and its content; of a symbolic link, its target.
    pub(crate) files: BTreeMap<String, String>,
    /// Every unit that is not inactive, with its states, and the greeting of each instance.
    pub(crate) units: String,
    /// The newest definition of the history.
    pub(crate) definition: String,
}

/// Calls `each` with every file below a folder. A file that is removed meanwhile is left out.
fn walk(m: &Machine, dir: &str, each: &mut dyn FnMut(String, &fs::DirEntry)) {
    for entry in fs::read_dir(m.path(dir)).into_iter().flatten().filter_map(Result::ok) {
        let inside = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => walk(m, &inside, each),
            Ok(_) => each(inside, &entry),
            Err(_) => {}
        }
    }
}

pub(super) fn files(m: &Machine) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for dir in ["/etc/systemd/system", "/etc/clusterctl", "/var/lib/clusterctl/handover"] {
        walk(m, dir, &mut |inside, entry| {
            let path = entry.path();
            let meta = path.symlink_metadata().unwrap();
            let content = match meta.is_symlink() {
                true => fs::read_link(path).unwrap().display().to_string(),
                false => String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned(),
            };
            files.insert(inside, format!("{:o} {content}", meta.permissions().mode()));
        });
    }
    files
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
            lines.push(format!("{id} {}", greeting.unwrap_or("no greeting")));
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
        entries.push((number.unwrap(), value["definition"]["text"].as_str().unwrap().to_owned()));
    }
    let definition = entries.into_iter().max().map(|(_, text)| text).unwrap_or_default();
    State { files: files(m), units: units(m), definition }
}

/// Files that no run may leave behind: temporary ones, requests for rollouts, and notes of unread files.
pub(crate) fn leavings(m: &Machine) -> String {
    let mut left = Vec::new();
    for dir in ["/etc/systemd", "/etc/clusterctl", "/var/lib/clusterctl", "/run/clusterctl"] {
        walk(m, dir, &mut |path, _| {
            let name = path.rsplit('/').next().unwrap_or_default();
            let unfinished = name.starts_with(".clusterctl-") || name.ends_with(".request");
            if unfinished || path.starts_with("/run/clusterctl/unread/") {
                left.push(path);
            }
        });
    }
    left.sort();
    left.join("\n")
}
