//! The machine: manager, cgroups, and limits of the kernel that apps can run into.

use std::collections::BTreeMap;

use super::{AppFacts, Cgroups, Finding, FindingSeverity, JournalFacts, MachineFacts, finding};
use crate::ecosystem::{AppName, Role, Scope};
use crate::translate::FLOOR;
use crate::unit::UnitFile;

/// Controllers that limits and the table of `list` need.
const CONTROLLERS: [&str; 3] = ["cpu", "memory", "pids"];

/// Everything about the machine.
pub(super) fn check(
    scope: Scope,
    machine: &MachineFacts,
    apps: &BTreeMap<AppName, AppFacts>,
) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(machine.manager.as_ref().map(|manager| answers(scope, manager)));
    found.push(cgroups(machine));
    found.extend(backlog(machine, apps));
    found.extend(open_files(machine, apps));
    found.extend(ptrace(machine, apps));
    found.extend(machine.journal.as_ref().map(journal));
    found.extend(machine.lingers.map(lingers));
    found.extend(machine.unseen.iter().map(|what| {
        finding(FindingSeverity::Note, "unseen", format!("not looked at: {what}"), None)
    }));
    found
}

fn answers(scope: Scope, manager: &Result<u32, (String, Option<String>)>) -> Finding {
    let whose = if scope == Scope::User { "of this user" } else { "of the system" };
    match manager {
        Err((why, hint)) => finding(FindingSeverity::Problem, "bus", why.clone(), hint.clone()),
        Ok(version) if *version < FLOOR => {
            let text = format!("systemd {version} is older than {FLOOR}, the oldest supported");
            finding(FindingSeverity::Problem, "systemd", text, None)
        }
        Ok(version) => {
            let text = format!("systemd {version}, the manager {whose}, answers on its bus");
            finding(FindingSeverity::Ok, "systemd", text, None)
        }
    }
}

fn cgroups(machine: &MachineFacts) -> Finding {
    let missing: Vec<&str> =
        CONTROLLERS.into_iter().filter(|name| !machine.controllers.contains(*name)).collect();
    let (severity, text) = match machine.cgroups {
        Cgroups::Unified if missing.is_empty() => {
            (FindingSeverity::Ok, format!("cgroups v2 with {}", CONTROLLERS.join(", ")))
        }
        Cgroups::Unified => {
            let text = format!(
                "cgroups v2 without {}: limits of these have no effect",
                missing.join(", ")
            );
            (FindingSeverity::Warning, text)
        }
        Cgroups::Hybrid | Cgroups::Legacy => {
            let text = "cgroups v1: memory limits work in part only; boot the kernel with \
                        systemd.unified_cgroup_hierarchy=1";
            (FindingSeverity::Warning, text.to_owned())
        }
        Cgroups::Unknown => (FindingSeverity::Note, "not looked at: cgroups".to_owned()),
    };
    finding(severity, "cgroups", text, None)
}

fn backlog(machine: &MachineFacts, apps: &BTreeMap<AppName, AppFacts>) -> Option<Finding> {
    let allowed = machine.somaxconn?;
    let wanted = largest(apps, Role::Listener, |unit| unit.get("Socket", "Backlog"))?;
    Some(match wanted > allowed {
        true => {
            let text = format!(
                "net.core.somaxconn is {allowed}: a listener asks for {wanted} waiting connections, \
                 and gets no more than that; counts when it is opened next"
            );
            let mend = format!("sysctl -w net.core.somaxconn={wanted}");
            finding(FindingSeverity::Warning, "somaxconn", text, Some(mend))
        }
        false => {
            let text = format!("net.core.somaxconn is {allowed}, enough for every listener");
            finding(FindingSeverity::Ok, "somaxconn", text, None)
        }
    })
}

fn open_files(machine: &MachineFacts, apps: &BTreeMap<AppName, AppFacts>) -> Option<Finding> {
    let allowed = machine.nr_open?;
    let wanted = largest(apps, Role::Instance, |unit| {
        // Soft and hard limit may be given apart; the hard one is what the kernel checks.
        let value = unit.get("Service", "LimitNOFILE")?;
        Some(value.rsplit_once(':').map_or(value, |(_, hard)| hard))
    })?;
    (wanted > allowed).then(|| {
        let text = format!("fs.nr_open is {allowed}: an app's LimitNOFILE={wanted} is above it");
        let mend = format!("sysctl -w fs.nr_open={wanted}");
        finding(FindingSeverity::Problem, "open-files", text, Some(mend))
    })
}

/// Only programs that are started under the tracer need ptrace.
fn ptrace(machine: &MachineFacts, apps: &BTreeMap<AppName, AppFacts>) -> Option<Finding> {
    let level = machine.ptrace_scope?;
    let mut units = apps.values().flat_map(|facts| facts.observed.units.values());
    if !units.any(|unit| unit.record.traced_because.is_some()) {
        return None;
    }
    let of = "an app that gets its listener through ptrace";
    Some(match level {
        0 | 1 => {
            let text = format!("kernel.yama.ptrace_scope is {level}, which lets {of} start");
            finding(FindingSeverity::Ok, "ptrace", text, None)
        }
        2 => {
            let text = format!("kernel.yama.ptrace_scope is 2: {of} starts as root only");
            let mend = "sysctl -w kernel.yama.ptrace_scope=1".to_owned();
            finding(FindingSeverity::Problem, "ptrace", text, Some(mend))
        }
        _ => {
            let text = format!(
                "kernel.yama.ptrace_scope is {level}: {of} cannot start, and the kernel lets \
                 nobody change that before the next boot, for which this sets it"
            );
            // The last of these files counts.
            let file = "/etc/sysctl.d/zz-clusterctl.conf";
            let mend = format!("echo kernel.yama.ptrace_scope=1 >{file}");
            finding(FindingSeverity::Problem, "ptrace", text, Some(mend))
        }
    })
}

/// Where logs are kept, how much of them, and how many lines at a time.
fn journal(facts: &JournalFacts) -> Finding {
    let or = |text: &str, default: &str| match text {
        "" => default.to_owned(),
        own => own.to_owned(),
    };
    let rate = match (facts.burst.as_str(), facts.interval.as_str()) {
        ("0", _) | (_, "0") => "takes any number of lines".to_owned(),
        (burst, interval) => {
            format!("takes {} lines of a service in {}", or(burst, "10000"), or(interval, "30s"))
        }
    };
    let used = facts.used_bytes / (1 << 20);
    if facts.storage == "none" {
        let text = "the journal keeps nothing: Storage=none in journald.conf(5)".to_owned();
        return finding(FindingSeverity::Warning, "journal", text, None);
    }
    let age = match facts.retention.as_str() {
        "" | "0" => String::new(),
        age => format!(" and {age} of age"),
    };
    if facts.on_disk {
        let most = or(&facts.max_on_disk, "a tenth of the disk, 4G");
        let text =
            format!("the journal is kept on disk: {used} MB now, at most {most}{age}; it {rate}");
        return finding(FindingSeverity::Ok, "journal", text, None);
    }
    let most = or(&facts.max_in_memory, "a tenth of the memory");
    let text = format!(
        "the journal is kept in memory until the next boot: {used} MB now, at most {most}{age}; it {rate}"
    );
    let mend = "mkdir -p /var/log/journal && systemctl restart systemd-journald".to_owned();
    finding(FindingSeverity::Note, "journal", text, Some(mend))
}

fn lingers(lingers: bool) -> Finding {
    if lingers {
        let text = "lingering is on: apps of this user start at boot".to_owned();
        return finding(FindingSeverity::Ok, "linger", text, None);
    }
    let text = "lingering is off: apps of this user end with the last session, and do not start at \
                boot";
    let mend = "loginctl enable-linger".to_owned();
    finding(FindingSeverity::Warning, "linger", text.to_owned(), Some(mend))
}

fn largest(
    apps: &BTreeMap<AppName, AppFacts>,
    role: Role,
    value: impl Fn(&UnitFile) -> Option<&str>,
) -> Option<u64> {
    let files = apps.values().flat_map(|facts| facts.observed.units.of_role(role));
    files.filter_map(|file| value(&file.unit)?.parse().ok()).max()
}
