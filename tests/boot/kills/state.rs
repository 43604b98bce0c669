//! What a run leaves: every file, every unit, and the definition in the history.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::Machine;

/// What must be the same after one run and after a killed and a second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Every file, with its mode and its content, or where it leads.
    pub(crate) files: BTreeMap<String, String>,
    /// Every unit that is up or has failed, as `systemctl list-units` tells it, and what it runs with.
    pub(crate) units: String,
    /// The definition that `history` tells of last.
    pub(crate) definition: String,
}

fn walk(m: &Machine, dir: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(m.path(dir)).into_iter().flatten().map(|entry| entry.unwrap()) {
        let inside = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(m, &inside, files);
            continue;
        }
        let content = match meta.is_symlink() {
            true => fs::read_link(entry.path()).unwrap().display().to_string(),
            false => String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned(),
        };
        files.insert(inside, format!("{:o} {content}", meta.permissions().mode()));
    }
}

pub(super) fn files(m: &Machine) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for dir in ["/etc/systemd/system", "/etc/clusterctl", "/var/lib/clusterctl/handover"] {
        walk(m, dir, &mut files);
    }
    files
}

/// Units, with the greeting that each of their processes has, and what the manager has yet to read.
const UNITS: &str = "\
systemctl list-units --plain --no-legend 'shop*' 'worker*' 'clusterctl-*' | awk '{ print $1, $2, $3 }' | sort
for unit in $(systemctl list-units --plain --no-legend 'shop@*' | awk '{ print $1 }' | sort); do
    pid=$(systemctl show -P MainPID $unit)
    echo \"$unit $(tr '\\0' '\\n' </proc/$pid/environ | grep ^GREETING=)\"
done
systemctl show -p Id,NeedDaemonReload 'shop*' 'worker*' | grep -B1 =yes || true
systemctl list-jobs --no-legend --plain | grep -E ' (shop|worker|clusterctl)' || true
";

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
    State { files: files(m), units: m.ok_sh(UNITS), definition }
}

/// What nobody may leave behind.
pub(crate) fn leavings(m: &Machine) -> String {
    m.ok_sh(
        "cd /; find etc/systemd etc/clusterctl var/lib/clusterctl run/clusterctl -name '.clusterctl-*' \
         -o -name '*.request' -o -path 'run/clusterctl/unread/*' | sort",
    )
}
