//! What a running app does → what `sandbox = "strict"` would take from it, and the lines of an
//! ecosystem file that give it that. Pure: `host` looks, `ops` collects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What processes do at one moment, as far as the kernel tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Files that they have open to write, or mapped so.
    pub written: BTreeSet<PathBuf>,
    /// Devices that they have open.
    pub devices: BTreeSet<PathBuf>,
    /// Families of their sockets that strict does not know, such as `AF_PACKET`, or the kernel's name of a protocol.
    pub families: BTreeSet<String>,
    /// Paths of Unix sockets that others reach, or that they reach.
    pub sockets: BTreeSet<PathBuf>,
    /// Kinds of namespaces that differ from those of the main process.
    pub namespaces: BTreeSet<String>,
    /// Capabilities that are in force, by their numbers.
    pub capabilities: u64,
    /// Whether they have memory of their own making that is executed.
    pub compiles: bool,
}

impl Conduct {
    /// Adds what another process does.
    pub fn add(&mut self, other: Conduct) {
        self.written.extend(other.written);
        self.devices.extend(other.devices);
        self.families.extend(other.families);
        self.sockets.extend(other.sockets);
        self.namespaces.extend(other.namespaces);
        self.capabilities |= other.capabilities;
        self.compiles |= other.compiles;
    }
}

/// What the units tell about the app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Working directory.
    pub cwd: PathBuf,
    /// It runs as root.
    pub as_root: bool,
    /// What it may write to under strict already: `writable`, and the folders of its logs.
    pub writable: Vec<PathBuf>,
}

/// Something that strict would take, and how the file keeps it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Need {
    /// The directive, or `writable`.
    pub directive: String,
    /// What was seen.
    pub because: String,
}

/// What to do about an app.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Advice {
    /// What strict would take from it.
    pub needs: Vec<Need>,
    /// Lines for its table in the ecosystem file.
    pub lines: Vec<String>,
    /// What nobody can see, in whole sentences.
    pub notes: Vec<String>,
}

/// Folders that every app may write to under `strict`.
const OWN: [&str; 5] = ["/tmp", "/var/tmp", "/dev", "/proc", "/run/credentials"];
/// Names of capabilities by their numbers, capabilities(7).
const CAPABILITIES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Judges what was seen.
pub fn advice(known: &Known, seen: &Conduct) -> Advice {
    let mut needs = Vec::new();
    let mut service: BTreeMap<&str, String> = BTreeMap::new();
    let folders = written_folders(known, &seen.written);
    for (folder, file) in &folders {
        let because = format!("it writes to {}", file.display());
        needs.push(Need {
            directive: format!("writable = {}", quoted(&shown(known, folder))),
            because,
        });
    }
    let mut keep = |key: &'static str, value: String, because: String| {
        needs.push(Need { directive: format!("{key}={value}"), because });
        service.insert(key, value);
    };
    if let Some(device) = seen.devices.first() {
        let because = format!("it has {} open", device.display());
        keep("PrivateDevices", "no".to_owned(), because.clone());
        keep("ProtectClock", "no".to_owned(), because);
    }
    if let Some(socket) = seen.sockets.iter().find(|path| is_in(path, &["/tmp", "/var/tmp"])) {
        keep("PrivateTmp", "no".to_owned(), format!("it uses the socket {}", socket.display()));
    }
    let named = |family: &&String| family.starts_with("AF_");
    if let Some(first) = seen.families.first() {
        let all: Vec<&str> = seen.families.iter().filter(named).map(String::as_str).collect();
        let value = if all.len() == seen.families.len() {
            format!("AF_UNIX AF_INET AF_INET6 AF_NETLINK {}", all.join(" "))
        } else {
            // Which family a protocol belongs to is not told: all but the one that reads everything.
            "~AF_PACKET".to_owned()
        };
        keep("RestrictAddressFamilies", value, format!("it has a socket of {first}"));
    }
    if !seen.namespaces.is_empty() {
        let kinds = seen.namespaces.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        keep("RestrictNamespaces", "no".to_owned(), format!("it made namespaces: {kinds}"));
    }
    if seen.capabilities != 0 && !known.as_root {
        let names = names(seen.capabilities);
        keep("CapabilityBoundingSet", names.clone(), format!("it has {names}"));
        keep("NoNewPrivileges", "no".to_owned(), "it gained them at its start".to_owned());
    }
    let lines = lines(known, folders.keys(), &service, seen.compiles);
    Advice { needs, lines, notes: notes(known, seen) }
}

/// Folders that strict would make read-only, each with a file that is written in it. One that holds
/// another stands for both.
fn written_folders(known: &Known, written: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, PathBuf> {
    let mut folders: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for file in written {
        let may = known.writable.iter().any(|path| file.starts_with(path)) || is_in(file, &OWN);
        let Some(folder) = file.parent().filter(|_| !may) else { continue };
        if folders.keys().any(|known| folder.starts_with(known)) {
            continue;
        }
        folders.retain(|known, _| !known.starts_with(folder));
        folders.insert(folder.to_owned(), file.clone());
    }
    folders
}

fn is_in(path: &Path, folders: &[&str]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

/// As it may be written: below the working directory without it.
fn shown(known: &Known, folder: &Path) -> String {
    match folder.strip_prefix(&known.cwd) {
        Ok(rest) if rest.as_os_str().is_empty() => ".".to_owned(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => folder.display().to_string(),
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

fn lines<'a>(
    known: &'a Known,
    folders: impl Iterator<Item = &'a PathBuf>,
    service: &BTreeMap<&str, String>,
    compiles: bool,
) -> Vec<String> {
    let mut lines = vec!["sandbox = \"strict\"".to_owned()];
    let folders = known.writable.iter().chain(folders).map(|path| quoted(&shown(known, path)));
    let folders: Vec<String> = folders.collect();
    if !folders.is_empty() {
        lines.push(format!("writable = [{}]", folders.join(", ")));
    }
    let mut table: Vec<String> =
        service.iter().map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
    if !compiles {
        table.push("MemoryDenyWriteExecute = true".to_owned());
    }
    if !table.is_empty() {
        lines.push(format!("service = {{ {} }}", table.join(", ")));
    }
    lines
}

fn notes(known: &Known, seen: &Conduct) -> Vec<String> {
    let mut notes = Vec::new();
    if known.as_root {
        notes.push(
            "it runs as root, and which of root's rights it uses cannot be seen: give it a `user`"
                .to_owned(),
        );
    }
    if seen.compiles {
        notes
            .push("it executes memory that it wrote, as V8, the JVM and other compilers do".into());
    }
    notes.push(
        "what it does at other times, such as starting `sudo`, cannot be seen: try it first".into(),
    );
    notes
}

fn names(set: u64) -> String {
    let held = (0..64).filter(|number| set >> number & 1 == 1);
    let name = |number: usize| match CAPABILITIES.get(number) {
        Some(name) => format!("CAP_{name}"),
        None => number.to_string(),
    };
    held.map(name).collect::<Vec<_>>().join(" ")
}

/// The number on the last line of `systemd-analyze security`: `… exposure level for X: 4.8 OK 🙂`.
pub fn overall(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains("Overall exposure level"))?;
    line.rsplit(": ").next()?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
        paths.iter().map(PathBuf::from).collect()
    }

    fn known() -> Known {
        Known { cwd: "/srv/a".into(), as_root: false, writable: vec!["/var/log/a".into()] }
    }

    #[test]
    fn an_app_that_only_serves_needs_nothing() {
        let seen = Conduct {
            written: set(&["/var/log/a/out", "/tmp/x", "/dev/shm/y"]),
            ..Conduct::default()
        };
        let advice = advice(&known(), &seen);
        assert!(advice.needs.is_empty(), "{advice:?}");
        assert_eq!(advice.lines[0], "sandbox = \"strict\"");
        assert!(advice.lines[2].contains("MemoryDenyWriteExecute = true"), "{advice:?}");
    }

    #[test]
    fn folders_that_are_written_to_are_named_once() {
        let written =
            set(&["/srv/a/data/db", "/srv/a/data/deep/wal", "/srv/a/log \"1\"/x", "/var/lib/b/c"]);
        let seen = Conduct { written, compiles: true, ..Conduct::default() };
        let advice = advice(&known(), &seen);
        let line = r#"writable = ["/var/log/a", "data", "log \"1\"", "/var/lib/b"]"#;
        assert_eq!(advice.lines, ["sandbox = \"strict\"", line]);
        assert_eq!(advice.needs.len(), 3);
    }

    #[test]
    fn what_strict_takes_is_given_back() {
        let seen = Conduct {
            devices: set(&["/dev/net/tun"]),
            families: ["AF_PACKET".to_owned()].into(),
            sockets: set(&["/tmp/mysql.sock"]),
            namespaces: ["user".to_owned()].into(),
            capabilities: 1 << 10 | 1 << 13,
            compiles: true,
            ..Conduct::default()
        };
        let advice = advice(&Known { writable: Vec::new(), ..known() }, &seen);
        assert_eq!(
            advice.lines[1],
            "service = { CapabilityBoundingSet = \"CAP_NET_BIND_SERVICE CAP_NET_RAW\", \
             NoNewPrivileges = \"no\", PrivateDevices = \"no\", PrivateTmp = \"no\", \
             ProtectClock = \"no\", RestrictAddressFamilies = \"AF_UNIX AF_INET AF_INET6 AF_NETLINK \
             AF_PACKET\", RestrictNamespaces = \"no\" }"
        );
    }

    #[test]
    fn the_exposure_is_read_from_the_last_line() {
        let text = "x\n\n\u{2192} Overall exposure level for shop@0.service: 4.8 OK \u{1f642}\n";
        assert_eq!(overall(text), Some(4.8));
        assert_eq!(overall("nothing"), None);
    }
}
