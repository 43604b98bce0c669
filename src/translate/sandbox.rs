//! `sandbox` → directives of the template. Each was tried on systemd 252 and 257; what it would
//! break is said beside it, or in clusterctl-units(7).
//!
//! `default` takes from a program without root's rights nothing that it could have used, save for
//! gaining rights (`sudo`, `ping` with capabilities of its file), and from one that runs as root
//! nothing at all. It leaves out what breaks programs: MemoryDenyWriteExecute= (every JIT),
//! RestrictNamespaces= (the sandbox of Chromium), ProtectClock= (it closes all devices),
//! RestrictSUIDSGID= (`git init --shared`), PrivateTmp= (Unix sockets in /tmp), ProtectHome= (where
//! apps of PM2 live), and a list of all system calls that are allowed (a runtime's next version).
//! All of that is left to `strict`, which nobody gets unasked. `systemd-analyze security` shows less than
//! 5 with `default`, instead of about 9 without a sandbox.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Target, UnitContext};
use crate::ecosystem::{App, AppName, Credential, Ecosystem, Handover, Level, Scope, last_line};
use crate::unit::{Section, UnitFile, quote};

/// What needs a namespace of mounts or of host names, which some containers forbid: the start
/// would end with 226/NAMESPACE.
const IN_NAMESPACES: [&str; 12] = [
    "ProtectSystem",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "ProtectProc",
    "PrivateTmp",
    "PrivateDevices",
    "ReadWritePaths",
    "ProtectClock",
];

/// What works without forbidding a program to gain rights: all filters of system calls do.
const WITH_GAINED_RIGHTS: [&str; 3] = ["ProtectSystem", "ProtectControlGroups", "ReadWritePaths"];

/// Calls that fail without root's rights; they go on failing in whatever gains such rights.
const DENIED: &str = "~@module @raw-io @reboot @swap";

/// System calls of the tracer, at the start and when it drains connections from outside.
const OF_A_TRACER: &str = "ptrace pidfd_getfd process_vm_readv process_vm_writev";

/// Folders that `ProtectSystem=yes` makes read-only.
const OF_THE_SYSTEM: [&str; 3] = ["/usr", "/boot", "/efi"];

/// What `default` switches on.
const ON: [&str; 6] = [
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "RestrictRealtime",
    "LockPersonality",
];

/// What `strict` switches on.
const ON_CLOSED: [&str; 11] = [
    "PrivateDevices",
    "ProtectClock",
    "ProtectHostname",
    "ProtectKernelTunables",
    "ProtectKernelModules",
    "ProtectKernelLogs",
    "ProtectControlGroups",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "LockPersonality",
];

/// Directives that `strict` sets, but for those that come with another one.
pub fn strict_directives() -> impl Iterator<Item = &'static str> {
    let valued = [
        "NoNewPrivileges",
        "CapabilityBoundingSet",
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "ProtectProc",
        "RestrictAddressFamilies",
        "SystemCallArchitectures",
        "SystemCallFilter",
    ];
    valued.into_iter().chain(ON_CLOSED)
}

type SandboxDirectives = Vec<(&'static str, String)>;

/// Adds them to the template, but for those that the file itself writes.
pub(super) fn set(s: &mut Section, context: &UnitContext<'_>) {
    for (key, value) in lines(context.app, context.target) {
        if !context.target.namespaces && IN_NAMESPACES.contains(&key) {
            continue;
        }
        s.set(key, value);
    }
    for Credential { name, path, encrypted } in &context.app.sandbox.credentials {
        let key = if *encrypted { "LoadCredentialEncrypted" } else { "LoadCredential" };
        s.set(key, format!("{name}:{}", quote::path(&path.to_string_lossy())));
    }
}

/// What is left out of the units of each app because namespaces are forbidden here.
pub fn forbidden(ecosystem: &Ecosystem, target: &Target) -> BTreeMap<AppName, Vec<&'static str>> {
    let mut all = BTreeMap::new();
    for (name, app) in ecosystem.apps.iter().filter(|_| !target.namespaces) {
        let keys = lines(app, target).into_iter().map(|(key, _)| key);
        let mut keys: Vec<_> = keys.filter(|key| IN_NAMESPACES.contains(key)).collect();
        keys.dedup();
        if !keys.is_empty() {
            all.insert(name.clone(), keys);
        }
    }
    all
}

fn lines(app: &App, target: &Target) -> SandboxDirectives {
    let user = target.scope == Scope::User;
    let all = match app.sandbox.level {
        Level::Off => SandboxDirectives::new(),
        Level::Default if app.sandbox.as_root => SandboxDirectives::new(),
        Level::Default => default(app),
        Level::Strict => strict(app),
    };
    let gains = app.sandbox.gains_rights && app.sandbox.level == Level::Default;
    let kept = |(key, _): &(&str, String)| {
        // A user's manager would put the app into a user namespace for these, where files of others
        // look like nobody's; it may not touch the bounding set at all.
        let refused = IN_NAMESPACES.contains(key) || *key == "CapabilityBoundingSet";
        last_line(&app.service, key).is_none()
            && !(user && refused)
            && (!gains || WITH_GAINED_RIGHTS.contains(key))
            // A program with capabilities of its file could not be executed with an empty set.
            && !(*key == "CapabilityBoundingSet" && app.sandbox.loses_rights)
            && !(*key == "SystemCallArchitectures" && app.sandbox.foreign_calls)
            && !(*key == "ProtectControlGroups" && delegates(app))
            && !(*key == "SystemCallErrorNumber" && filters(app))
    };
    all.into_iter().filter(kept).collect()
}

fn default(app: &App) -> SandboxDirectives {
    let mut all = vec![
        ("NoNewPrivileges", "yes".to_owned()),
        ("CapabilityBoundingSet", capabilities(app)),
        ("ProtectSystem", "yes".to_owned()),
    ];
    let below = |path: &&Path| OF_THE_SYSTEM.iter().any(|folder| path.starts_with(folder));
    let own = [app.cwd.as_path()].into_iter().chain(log_folders(app)).filter(below);
    all.extend(own.map(|path| write_to("-", path)));
    all.extend(app.sandbox.writable.iter().map(|path| write_to("", path)));
    all.extend(ON.map(|key| (key, "yes".to_owned())));
    all.push(("SystemCallArchitectures", "native".to_owned()));
    all.push(("SystemCallFilter", DENIED.to_owned()));
    all.push(("SystemCallErrorNumber", "EPERM".to_owned()));
    all
}

fn strict(app: &App) -> SandboxDirectives {
    let mut all = vec![
        ("NoNewPrivileges", "yes".to_owned()),
        ("CapabilityBoundingSet", capabilities(app)),
        ("ProtectSystem", "strict".to_owned()),
    ];
    all.extend(log_folders(app).map(|path| write_to("-", path)));
    // Programs change the mode of the path that they listen on, or remove it.
    let listeners = app.listeners.iter().filter_map(|listener| listener.address.path());
    all.extend(listeners.map(|path| write_to("-", path)));
    all.extend(app.sandbox.writable.iter().map(|path| write_to("", path)));
    // A program in /home could not even be started with `yes`.
    let homes = if app.sandbox.in_homes { "read-only" } else { "yes" };
    all.push(("ProtectHome", homes.to_owned()));
    if shares_tmp(app) {
        all.extend(["/tmp", "/var/tmp"].map(|path| write_to("-", Path::new(path))));
    } else {
        all.push(("PrivateTmp", "yes".to_owned()));
    }
    all.extend(ON_CLOSED.map(|key| (key, "yes".to_owned())));
    all.push(("ProtectProc", "invisible".to_owned()));
    // Netlink tells programs the addresses of the machine.
    all.push(("RestrictAddressFamilies", "AF_UNIX AF_INET AF_INET6 AF_NETLINK".to_owned()));
    all.push(("SystemCallArchitectures", "native".to_owned()));
    all.push(("SystemCallFilter", "@system-service".to_owned()));
    if app.handover == Handover::Trace {
        all.push(("SystemCallFilter", OF_A_TRACER.to_owned()));
    }
    all.push(("SystemCallErrorNumber", "EPERM".to_owned()));
    all
}

/// What the file gives to the program must lie in what it may have.
fn capabilities(app: &App) -> String {
    let given = app.service.iter().filter(|(key, _)| key == "AmbientCapabilities");
    given.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(" ")
}

fn delegates(app: &App) -> bool {
    last_line(&app.service, "Delegate").is_some()
}

fn filters(app: &App) -> bool {
    last_line(&app.service, "SystemCallFilter").is_some()
}

fn log_folders(app: &App) -> impl Iterator<Item = &Path> {
    let files = app.logs.out_file.iter().chain(&app.logs.error_file);
    let files = files.filter(|_| !app.logs.disabled);
    let own = app.process.pid_file.iter().filter(|file| file.by_program).map(|file| &file.path);
    let folders = files.chain(own).filter_map(|file| file.parent());
    folders.filter(|folder| !folder.starts_with("/dev"))
}

/// Whether the file wants it, or what the app is made of lies in the folders that `PrivateTmp=` replaces.
fn shares_tmp(app: &App) -> bool {
    if last_line(&app.service, "PrivateTmp").is_some() {
        return true;
    }
    let own = [app.cwd.as_path(), &app.command.program];
    let listeners = app.listeners.iter().filter_map(|listener| listener.address.path());
    let all = own.into_iter().chain(app.command.script.as_deref()).chain(listeners);
    let mut all =
        all.chain(log_folders(app)).chain(app.sandbox.writable.iter().map(|path| &**path));
    all.any(|path| path.starts_with("/tmp") || path.starts_with("/var/tmp"))
}

/// A path that the units of an app let it write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writable {
    /// Where it is.
    pub path: PathBuf,
    /// Without it nothing starts.
    pub needed: bool,
}

/// The paths of `writable`, of logs and of listeners in a template, and what the file itself adds.
pub fn writable(template: &UnitFile) -> Vec<Writable> {
    let words = template.all("Service", "ReadWritePaths").flat_map(|value| {
        match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            // A single word in quotes, as `write_to` writes it.
            Some(word) => vec![word.replace("\\\"", "\"").replace("\\\\", "\\")],
            None => value.split_whitespace().map(str::to_owned).collect(),
        }
    });
    let read = |word: String| {
        let plain = quote::unescaped(&word);
        let path = plain.strip_prefix('-').unwrap_or(&plain);
        Writable { needed: path.len() == plain.len(), path: path.into() }
    };
    words.map(read).filter(|one| one.path.is_absolute()).collect()
}

/// The value is a list of words; a `-` lets the path be missing.
fn write_to(missing: &str, path: &Path) -> (&'static str, String) {
    let path = quote::path(&path.to_string_lossy());
    let word = path.replace('\\', "\\\\").replace('"', "\\\"");
    ("ReadWritePaths", format!("\"{missing}{word}\""))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::unit::UnitName;

    #[test]
    fn paths_are_read_as_they_were_written() {
        for path in ["/srv/a", "/srv/a b", "/srv/100%", "/srv/\"q\" \\n", "/-x"] {
            for missing in ["", "-"] {
                let name = UnitName::parse("a@.service").unwrap();
                let (key, value) = write_to(missing, Path::new(path));
                let unit = UnitFile::new(name.clone()).section("Service", |s| {
                    s.set(key, value);
                });
                let read = writable(&UnitFile::parse(name, &unit.to_string()));
                let wanted = Writable { path: path.into(), needed: missing.is_empty() };
                assert_eq!(read, [wanted], "{path}");
            }
        }
    }
}
