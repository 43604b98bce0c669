//! One app: its files, its links, its instances.

use std::collections::BTreeSet;

use super::{
    AppFacts, ClusterAgent, ClusterResource, Finding, FindingSeverity, Words, finding, listeners,
};
use crate::ecosystem::Role;
use crate::plan::{OwnedUnit, reason};
use crate::translate::{GroupRecord, is_edited, other_cpus};
use crate::unit::{ActiveState, UnitName};

/// Everything about one app.
pub(super) fn check(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = files(words, facts);
    found.extend(boot(words, facts));
    found.extend(pacemaker(words, facts));
    found.extend(instances(words, facts));
    found.extend(numbers(words, facts));
    found.extend(listeners::check(words, facts));
    if found.iter().all(|finding| finding.severity <= FindingSeverity::Note) {
        let up = facts.observed.instances.values().filter(|one| one.active.is_up()).count();
        let text = match facts.observed.group {
            ActiveState::Inactive => "stopped, and nothing is wrong with it".to_owned(),
            _ => format!("{up} instances, nothing is wrong"),
        };
        found.push(finding(FindingSeverity::Ok, "app", text, None));
    }
    found
}

fn files(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let apply = Some(words.apply(facts));
    let edited = facts.observed.units.iter().filter(|(_, file)| is_edited(&file.text));
    for (unit, _) in edited {
        let text = format!(
            "{unit} was edited by hand: the next apply replaces it; keep changes in a drop-in \
             ({})",
            words.systemctl(&format!("edit {unit}"))
        );
        found.push(finding(FindingSeverity::Warning, "edited", text, apply.clone()));
    }
    for unit in needed_units(words, facts) {
        if !facts.observed.units.contains_key(&unit) {
            let text = format!("{unit} is gone");
            found.push(finding(FindingSeverity::Problem, "unit-gone", text, apply.clone()));
        }
    }
    for path in &facts.damaged {
        let text = format!(
            "{} is gone or changed: instances do not start, or not as they should",
            path.display()
        );
        found.push(finding(FindingSeverity::Problem, "handover", text, apply.clone()));
    }
    found.extend(needs(words, facts));
    found.extend(notes(words, facts));
    found
}

/// What a start needs besides the units, and where output goes.
fn needs(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let apply = Some(words.apply(facts));
    for path in &facts.lacking {
        let text = format!("{} is gone: no instance can start again", path.display());
        found.push(finding(FindingSeverity::Problem, "cannot-start", text, apply.clone()));
    }
    if let Some((what, create)) = &facts.missing_owner {
        let text = format!("{what} does not exist: no instance can start again");
        let start = words.clusterctl(&format!("restart {}", words.app));
        let mend = Some(format!("{create} && {start}"));
        found.push(finding(FindingSeverity::Problem, "cannot-start", text, mend));
    }
    for (file, folder, who) in &facts.given_away {
        let text = format!(
            "{who} may change {}, and the service manager opens {} as root at every start, also \
             through a link: the next apply has the app's own user open it",
            folder.display(),
            file.display()
        );
        found.push(finding(FindingSeverity::Problem, "given-away", text, apply.clone()));
    }
    for (file, why) in &facts.unlogged {
        let text = format!("output goes to the journal, not to {}: {why}", file.display());
        found.push(finding(FindingSeverity::Warning, "log-file", text, apply.clone()));
    }
    for (name, by) in &facts.not_found {
        let text = format!(
            "`{name}`, which the first line of {} searches, is in no folder of the app's PATH: no instance can start again",
            by.display()
        );
        found.push(finding(FindingSeverity::Problem, "cannot-start", text, apply.clone()));
    }
    if let Some(program) = &facts.missing_program {
        let text = format!(
            "{} is gone: {} cannot work until clusterctl is installed again",
            program.display(),
            words.systemctl(&format!("reload {}", words.app))
        );
        found.push(finding(FindingSeverity::Problem, "program", text, apply));
    }
    found
}

/// What the manager and the journal have not taken up, and what an administrator has added.
fn notes(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.stale {
        let text = "files changed since systemd read them".to_owned();
        let mend = words.systemctl("daemon-reload");
        found.push(finding(FindingSeverity::Warning, "daemon-reload", text, Some(mend)));
    }
    if facts.suppressed > 0 {
        let text = format!(
            "{} lines were suppressed by journald's rate limit in the last day: write \
             `log_rate_limit` into the ecosystem file",
            facts.suppressed
        );
        found.push(finding(FindingSeverity::Warning, "suppressed", text, Some(words.apply(facts))));
    }
    if !facts.drop_ins.is_empty() {
        let text = format!("an administrator's drop-ins count: {}", facts.drop_ins.join(", "));
        found.push(finding(FindingSeverity::Note, "drop-ins", text, None));
    }
    found
}

/// The units that the app is made of, as far as those that are there tell.
fn needed_units(words: &Words<'_>, facts: &AppFacts) -> Vec<UnitName> {
    let app = words.app;
    let mut needed = vec![app.group_unit(), app.template_unit(), app.slice_unit()];
    if let Some(unit) = facts.observed.units.parsed(&app.template_unit()) {
        let sockets = unit.all("Service", "Sockets").flat_map(str::split_whitespace);
        let sockets: Vec<UnitName> =
            sockets.filter_map(|name| UnitName::parse(name).ok()).collect();
        if !sockets.is_empty() {
            needed.extend([app.wake_unit(), app.close_unit()]);
            needed.extend(sockets);
        }
    }
    let named: BTreeSet<&str> =
        facts.observed.units.values().flat_map(|file| refers_to(file)).collect();
    let others = Role::ALL.into_iter().filter(|role| *role != Role::Listener);
    let mut others: Vec<UnitName> = others.map(|role| app.unit_of(role)).collect();
    others.retain(|unit| named.contains(unit.as_str()) && !needed.contains(unit));
    needed.extend(others);
    needed
}

/// Names of units that a unit of ours starts.
fn refers_to(file: &OwnedUnit) -> impl Iterator<Item = &str> {
    let keys = [("Unit", "Wants"), ("Socket", "Service"), ("Timer", "Unit"), ("Path", "Unit")];
    let lines = keys.into_iter().flat_map(|(section, key)| file.unit.all(section, key));
    lines.flat_map(str::split_whitespace)
}

fn boot(words: &Words<'_>, facts: &AppFacts) -> Option<Finding> {
    if facts.observed.enabled || !facts.cluster.is_empty() {
        return None;
    }
    let app = words.app;
    if facts.observed.group == ActiveState::Inactive {
        let text = "stopped, and does not start at boot".to_owned();
        return Some(finding(FindingSeverity::Note, "disabled", text, None));
    }
    if group(words, facts).not_started {
        let text = "runs, and does not start at boot, as `autostart = false` asks".to_owned();
        return Some(finding(FindingSeverity::Note, "disabled", text, None));
    }
    let mend = words.systemctl(&format!("enable {app}"));
    let text = format!("{app} runs, but does not start at boot");
    Some(finding(FindingSeverity::Warning, "disabled", text, Some(mend)))
}

/// What is to be said of an app that Pacemaker starts.
fn pacemaker(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    for ClusterResource { id, starts } in &facts.cluster {
        if facts.observed.enabled {
            let text = format!(
                "Pacemaker decides where it runs (resource {id}), and it starts at boot as well: write \
                 `autostart = false` into its file too"
            );
            let mend = words.systemctl(&format!("disable {}", words.app));
            found.push(finding(FindingSeverity::Warning, "pacemaker", text, Some(mend)));
        }
        let (severity, text) = match starts {
            ClusterAgent::App(_) => {
                (FindingSeverity::Note, format!("Pacemaker decides where it runs (resource {id})"))
            }
            ClusterAgent::Unit(unit) if unit.contains('@') => (
                FindingSeverity::Warning,
                format!(
                    "Pacemaker starts {unit} alone (resource {id}) and keeps systemd from restarting it: \
                     make ocf:clusterctl:app the resource, see docs/pacemaker.md"
                ),
            ),
            ClusterAgent::Unit(unit) => (
                FindingSeverity::Note,
                format!(
                    "Pacemaker decides where it runs (resource {id}), and systemd:{unit} does not see \
                     instances that died: ocf:clusterctl:app does, see docs/pacemaker.md"
                ),
            ),
        };
        found.push(finding(severity, "pacemaker", text, None));
    }
    found
}

fn instances(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let app = words.app;
    for unit in &facts.masked {
        let number = app.instance_of(unit);
        let runs = number.and_then(|number| facts.observed.instances.get(&number));
        let unmask = words.systemctl(&format!("unmask {unit}"));
        if runs.is_some_and(|instance| instance.active.is_up()) {
            let text = format!("{unit} {}", reason::MASKED_AND_UP);
            found.push(finding(FindingSeverity::Warning, "masked", text, Some(unmask)));
            continue;
        }
        let text = format!("{unit} is masked: it cannot start");
        let start = words.systemctl(&format!("start {unit}"));
        let mend = format!("{unmask} && {start}");
        found.push(finding(FindingSeverity::Problem, "masked", text, Some(mend)));
    }
    for (number, instance) in &facts.observed.instances {
        if facts.masked.contains(&app.instance_unit(*number)) {
            continue;
        }
        let logs = words.clusterctl(&format!("logs {app}@{number}"));
        let mend = Some(words.clusterctl(&format!("restart {app}@{number}")));
        if instance.errored || instance.active == ActiveState::Failed {
            let text = match facts.reasons.get(number) {
                Some(why) => format!("{app}@{number} {why}; more: {logs}"),
                None => format!("{app}@{number} gave up; why: {logs}"),
            };
            found.push(finding(FindingSeverity::Problem, "failed", text, mend));
        } else if let Some(run) = facts.runs.get(number).filter(|run| run.loops()) {
            let times = match run.restarts.max(run.short_runs) {
                0 | 1 => String::new(),
                times => format!(" (systemd restarted it {times} times)"),
            };
            let text = match facts.reasons.get(number) {
                Some(why) => {
                    format!("{app}@{number} ends again and again{times}: it {why}; more: {logs}")
                }
                None => format!("{app}@{number} ends again and again{times}; why: {logs}"),
            };
            found.push(finding(FindingSeverity::Problem, "looping", text, mend));
        }
    }
    for number in facts.uprooted.iter().filter(|_| !facts.rolling) {
        let text = format!(
            "{app}@{number} runs in a folder that was removed: what it opens there by a relative name is gone"
        );
        let mend = words.clusterctl(&format!("reload {app}"));
        found.push(finding(FindingSeverity::Warning, "folder-removed", text, Some(mend)));
    }
    let outdated: Vec<String> = facts
        .observed
        .instances
        .iter()
        .filter(|(number, one)| one.active.is_up() && facts.observed.is_outdated(**number))
        .map(|(number, _)| format!("@{number}"))
        .collect();
    if !outdated.is_empty() && !facts.rolling {
        let text = format!("{} started before the last change", outdated.join(" "));
        let mend = words.clusterctl(&format!("reload {app}"));
        found.push(finding(FindingSeverity::Warning, "outdated", text, Some(mend)));
    }
    found
}

/// Links, processes and the number in the file.
fn numbers(words: &Words<'_>, facts: &AppFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    // Instances come and go while a rollout lasts.
    if facts.rolling {
        let text = "a rollout is under way; numbers were not looked at".to_owned();
        return vec![finding(FindingSeverity::Note, "rollout", text, None)];
    }
    let app = words.app;
    let observed = &facts.observed;
    let up = observed.instances.iter().filter(|(_, one)| one.active.is_up());
    let up: BTreeSet<u32> = up.map(|(number, _)| *number).collect();
    for number in up.difference(&observed.links) {
        let text = format!("{app}@{number} runs, but does not start at boot");
        let mend = words.systemctl(&format!("enable {app}@{number}"));
        found.push(finding(FindingSeverity::Warning, "not-enabled", text, Some(mend)));
    }
    let explained = |number: &u32| {
        let gave_up = observed
            .instances
            .get(number)
            .is_some_and(|one| one.errored || one.active == ActiveState::Failed);
        gave_up || facts.masked.contains(&app.instance_unit(*number))
    };
    if observed.group.is_active() {
        for number in observed.links.difference(&up).filter(|number| !explained(number)) {
            let text = format!("{app}@{number} is enabled, but does not run");
            let mend = words.clusterctl(&format!("start {app}@{number}"));
            found.push(finding(FindingSeverity::Warning, "not-running", text, Some(mend)));
        }
    } else if observed.group == ActiveState::Inactive && !up.is_empty() {
        let text = format!("{} instances run while {app} is stopped", up.len());
        let mend = words.clusterctl(&format!("start {app}"));
        found.push(finding(FindingSeverity::Warning, "group-stopped", text, Some(mend)));
    }
    let enabled = observed.links.len();
    let group = group(words, facts);
    let wanted = group.instances.map(|count| count as usize);
    if let Some(wanted) = wanted.filter(|wanted: &usize| *wanted != enabled) {
        let text = format!("{enabled} instances are enabled, the file said {wanted}");
        let mend = words.clusterctl(&format!("scale {app} {wanted}"));
        found.push(finding(FindingSeverity::Note, "scaled", text, Some(mend)));
    } else if let Some((then, now)) = other_cpus(&group, facts.cpus) {
        let text = format!(
            "{then} instances as at the last apply, and by its CPUs this machine would have {now}: \
             nothing changes units at boot"
        );
        found.push(finding(FindingSeverity::Warning, "cpus", text, Some(words.apply(facts))));
    }
    found
}

fn group(words: &Words<'_>, facts: &AppFacts) -> GroupRecord {
    facts.observed.units.record(&words.app.group_unit()).group
}
