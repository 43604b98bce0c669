//! The planner: compares the wanted units with what was observed, and decides every step with its reason.
//! It never looks at the machine.

mod listeners;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::action::{
    Action, AppPlan, ChangeKind, FileChange, FileId, LinkChange, LinkId, Note, Plan, Step,
    StepReason,
};
use super::cost::{FD_NAME, different_keys, is_socket_key, replaced};
use super::observed::{Observed, ObservedApp};
use crate::ecosystem::{AppName, Role};
use crate::translate::{self, AppFiles, GroupRecord, Record, substance};
use crate::unit::{UnitFile, UnitName, quote};

/// Decides what brings `observed` to `wanted`.
///
/// `source` is the ecosystem file: only apps that came from it can be gone from it. With `prune`
/// those are removed, otherwise they are reported. `complete` is false when only some apps of the
/// file were asked for, in which case nothing is gone.
pub fn plan(
    wanted: &BTreeMap<AppName, AppFiles>,
    observed: &Observed,
    source: Option<&Path>,
    prune: bool,
    complete: bool,
) -> Plan {
    let nothing = ObservedApp::default();
    let mut plan = Plan::default();
    for (name, files) in wanted {
        let found = observed.apps.get(name).unwrap_or(&nothing);
        plan.apps.push(AppDecision { name, files, found }.decide());
    }
    for (name, found) in &observed.apps {
        let from_here = source.is_some() && found.source.as_deref() == source;
        if wanted.contains_key(name) || !from_here || !complete || beside(name, found, wanted) {
            continue;
        }
        if prune {
            plan.apps.push(removal(name, found, StepReason::AppGone));
        } else {
            plan.gone.push(name.clone());
        }
    }
    plan.apps.sort_by(|a, b| a.app.cmp(&b.app));
    super::free::wait_for_addresses(&mut plan, wanted, observed);
    plan
}

/// Whether an app is one of another profile than those that are wanted, and runs beside them: its name ends with
/// that of its profile (`append_env_to_name`).
fn beside(name: &AppName, found: &ObservedApp, wanted: &BTreeMap<AppName, AppFiles>) -> bool {
    let record = found.units.record(&name.group_unit());
    let Some(profile) = record.group.profile else { return false };
    let named = name.as_str().strip_suffix(&profile).is_some_and(|rest| rest.ends_with('-'));
    named && wanted.values().all(|files| files.profile.as_ref() != Some(&profile))
}

/// The plan that takes an app away.
pub fn removal(name: &AppName, found: &ObservedApp, because: StepReason) -> AppPlan {
    let remove = |file: FileId, before: &str| FileChange {
        file,
        change: ChangeKind::Remove { before: before.to_owned() },
    };
    let units = found.units.iter();
    let mut files: Vec<FileChange> =
        units.map(|(unit, file)| remove(FileId::Unit(unit.clone()), &file.text)).collect();
    files.extend(found.environment.iter().map(|file| remove(FileId::Environment, &file.text)));
    let mut links: Vec<LinkChange> =
        found.links.iter().map(|n| unlink(LinkId::Instance(*n))).collect();
    if found.enabled {
        links.push(unlink(LinkId::Boot));
    }
    let steps = vec![Step { action: Action::Stop, because }];
    let (after, notes) = (BTreeSet::new(), Vec::new());
    AppPlan { app: name.clone(), files, links, after, steps, notes, wanted: 0 }
}

fn unlink(link: LinkId) -> LinkChange {
    LinkChange { link, make: false }
}

struct AppDecision<'a> {
    name: &'a AppName,
    files: &'a AppFiles,
    found: &'a ObservedApp,
}

impl AppDecision<'_> {
    fn decide(&self) -> AppPlan {
        let files = self.file_changes();
        let mut steps = Vec::new();
        let mut notes = self.option_notes(&files);
        if let Some(rebind) = self.rebind() {
            steps.push(rebind);
            steps.extend(self.opened(false));
            steps.extend(self.closed(false));
        } else if self.files.autostart || self.is_up() {
            steps.extend(self.opened(true));
            steps.extend(self.reopened_listeners());
            steps.extend(self.started_group());
            steps.extend(self.instance_step(&files));
            // Timers and watchers act on instances: they open when the instances are as wanted.
            steps.extend(self.opened(false));
            steps.extend(self.changed_triggers());
            steps.extend([true, false].into_iter().flat_map(|listeners| self.closed(listeners)));
        }
        if !self.files.autostart {
            notes.push(Note::NoAutostart { runs: self.is_up() });
        }
        notes.extend(self.moved());
        notes.extend(self.drift());
        notes.extend(self.profile());
        let links = self.link_changes();
        if !(files.is_empty() && links.is_empty() && steps.is_empty()) {
            notes.extend(self.files.remarks.iter().cloned().map(Note::Remark));
        }
        let (app, wanted) = (self.name.clone(), self.files.instances);
        AppPlan { app, files, links, after: BTreeSet::new(), steps, notes, wanted }
    }

    /// Another ecosystem file than at the last apply.
    fn moved(&self) -> Option<Note> {
        let group = self.name.group_unit();
        let new = Record::read(self.files.units.get(&group)?).source;
        let known = self.found.units.contains_key(&group) && self.found.source != new;
        known.then(|| Note::Moved { from: self.found.source.clone() })
    }

    /// A change of `--env`, which nothing else in the plan names.
    fn profile(&self) -> Option<Note> {
        let from = self.recorded().profile;
        let to = self.files.profile.clone();
        let known = self.found.units.contains_key(&self.name.group_unit());
        (known && from != to).then_some(Note::Profile { from, to })
    }

    /// Instances that somebody started run while the group is down: it starts too, and does not
    /// touch them.
    fn started_group(&self) -> Option<Step> {
        let runs = |n: &u32| self.found.instances.get(n).is_some_and(|one| one.active.is_up());
        let up: BTreeSet<u32> = self.wanted_set().into_iter().filter(runs).collect();
        let others = self.found.instances.values().any(|one| one.active.is_up());
        let step = Step { action: Action::Start(up), because: StepReason::NotRunning };
        (others && !self.found.group.is_up()).then_some(step)
    }

    fn is_up(&self) -> bool {
        self.found.group.is_up() || self.found.instances.values().any(|i| i.active.is_up())
    }

    fn file_changes(&self) -> Vec<FileChange> {
        let mut changes = Vec::new();
        for unit in self.files.units.iter() {
            let before = self.found.units.get(&unit.name).map(|file| file.text.as_str());
            let keep_time = self.keeps_time(unit);
            let change = replaced(before, &unit.to_string(), keep_time);
            let file = FileId::Unit(unit.name.clone());
            changes.extend(change.map(|change| FileChange { file, change }));
        }
        for (name, file) in &self.found.units {
            if self.files.units.get(name).is_none() {
                let change = ChangeKind::Remove { before: file.text.clone() };
                changes.push(FileChange { file: FileId::Unit(name.clone()), change });
            }
        }
        let before = self.found.environment.as_ref().map(|file| file.text.as_str());
        let change = match (&self.files.environment, before) {
            (Some(file), Some(before)) if self.renamed_environment().is_some() => {
                let (before, after) = (before.to_owned(), file.text.clone());
                Some(ChangeKind::Replace { before, after, keep_time: true })
            }
            (Some(file), before) => replaced(before, &file.text, false),
            (None, Some(before)) => Some(ChangeKind::Remove { before: before.to_owned() }),
            (None, None) => None,
        };
        changes.extend(change.map(|change| FileChange { file: FileId::Environment, change }));
        changes
    }

    /// The former and the new path of a file of variables whose text stays the same: the key that
    /// names it is another one.
    fn renamed_environment(&self) -> Option<(String, String)> {
        let new = self.files.environment.as_ref()?;
        if self.found.environment.as_ref()?.text != new.text {
            return None;
        }
        let template = self.found.units.parsed(&self.name.template_unit())?;
        let mut paths = translate::env_files(template);
        let path = quote::path(&new.path.to_string_lossy());
        let own = |former: &&str| Path::new(former).parent() == Path::new(&path).parent();
        let former = paths.find(own).filter(|former| **former != path)?;
        Some((former.to_owned(), path))
    }

    /// Whether nothing that a running process depends on differs between the unit on disk and
    /// the new one: in the template, and in the name of a listener.
    fn keeps_time(&self, unit: &UnitFile) -> bool {
        let Some(found) = self.found.units.get(&unit.name) else { return false };
        let same_file = self.renamed_environment();
        let text = same_file.map(|(former, new)| found.text.replace(&former, &new));
        let renamed = text.map(|text| UnitFile::parse(unit.name.clone(), &text));
        let parsed = renamed.as_ref().unwrap_or(&found.unit);
        match Role::of(unit) {
            Role::Listener => parsed.get("Socket", FD_NAME) == unit.get("Socket", FD_NAME),
            _ => substance(parsed) == substance(unit),
        }
    }

    fn wanted_set(&self) -> BTreeSet<u32> {
        (0..self.files.instances).collect()
    }

    fn instance_step(&self, changes: &[FileChange]) -> Option<Step> {
        if !self.found.instances.values().any(|i| i.active.is_up()) {
            let because = if self.found.units.is_empty() {
                StepReason::NewApp
            } else {
                StepReason::NotRunning
            };
            return Some(Step { action: Action::Start(self.wanted_set()), because });
        }
        let changed = self.changed_keys(changes);
        let up = |n: &u32| self.found.instances.get(n).is_some_and(|i| i.active.is_up());
        let wanted = self.wanted_set();
        let start: BTreeSet<u32> = wanted.iter().copied().filter(|n| !up(n)).collect();
        let stop: BTreeSet<u32> =
            self.found.instances.keys().copied().filter(|n| up(n) && !wanted.contains(n)).collect();
        // Instances that hold the former socket of a lost path are reached by no client.
        let all =
            !changed.is_empty() || self.lost().next().is_some() || self.has_removed_listener();
        let outdated = |n: &u32| self.found.is_outdated(*n) || self.found.unheld.contains(n);
        let replace: BTreeSet<u32> =
            wanted.iter().copied().filter(|n| up(n) && (all || outdated(n))).collect();
        if start.is_empty() && stop.is_empty() && replace.is_empty() {
            return None;
        }
        let because = self.roll_reason(changed, &replace, &start, &stop);
        Some(Step { action: Action::Roll { replace, start, stop }, because })
    }

    fn roll_reason(
        &self,
        changed: BTreeSet<String>,
        replace: &BTreeSet<u32>,
        start: &BTreeSet<u32>,
        stop: &BTreeSet<u32>,
    ) -> StepReason {
        let enabled = self.found.links.len() as u32;
        if !changed.is_empty() {
            StepReason::Changed(changed)
        } else if self.lost().next().is_some() {
            StepReason::PathLost
        } else if !replace.is_empty() && replace.is_subset(&self.found.unheld) {
            StepReason::NotListening
        } else if !replace.is_empty() {
            StepReason::Outdated
        } else if enabled != self.files.instances || !stop.is_empty() {
            let there: BTreeSet<u32> = self.found.links.union(stop).copied().collect();
            StepReason::Instances { from: there.len() as u32, to: self.files.instances }
        } else {
            debug_assert!(!start.is_empty());
            StepReason::Missing
        }
    }

    /// What changed of that which a running process depends on.
    fn changed_keys(&self, changes: &[FileChange]) -> BTreeSet<String> {
        let template = self.name.template_unit();
        let mut keys = BTreeSet::new();
        for change in changes {
            match (&change.file, &change.change) {
                (FileId::Unit(unit), ChangeKind::Replace { before, after, keep_time: false })
                    if *unit == template =>
                {
                    keys.extend(different_keys(unit, before, after));
                }
                (FileId::Unit(unit), ChangeKind::Replace { after, keep_time: false, .. })
                    if is_listener(unit, after) =>
                {
                    keys.insert(FD_NAME.to_owned());
                }
                (FileId::Environment, ChangeKind::Replace { keep_time: true, .. }) => {}
                (FileId::Environment, _) => {
                    keys.insert("Environment".to_owned());
                }
                _ => {}
            }
        }
        keys
    }

    fn link_changes(&self) -> Vec<LinkChange> {
        let wanted = self.wanted_set();
        let make = |link| LinkChange { link, make: true };
        let mut links: Vec<LinkChange> =
            wanted.difference(&self.found.links).map(|n| make(LinkId::Instance(*n))).collect();
        links.extend(self.found.links.difference(&wanted).map(|n| unlink(LinkId::Instance(*n))));
        if self.files.autostart && !self.found.enabled {
            links.push(make(LinkId::Boot));
        }
        // Switched off in the file; what somebody enables by hand afterwards is theirs.
        let was_on = !self.recorded().not_started;
        if !self.files.autostart && self.found.enabled && was_on {
            links.push(unlink(LinkId::Boot));
        }
        links
    }

    /// What the last apply noted in the group unit.
    fn recorded(&self) -> GroupRecord {
        self.found.units.record(&self.name.group_unit()).group
    }

    fn drift(&self) -> Option<Note> {
        let enabled = self.found.links.len() as u32;
        let recorded = self.recorded_instances()?;
        let file = self.files.instances;
        (enabled != recorded && enabled != file).then_some(Note::Drift { enabled, file })
    }

    /// The number that the last apply wrote into the group unit.
    fn recorded_instances(&self) -> Option<u32> {
        self.recorded().instances
    }

    fn option_notes(&self, changes: &[FileChange]) -> Vec<Note> {
        let sockets = changes.iter().filter_map(|change| match (&change.file, &change.change) {
            (FileId::Unit(unit), ChangeKind::Replace { before, after, .. })
                if is_listener(unit, after)
                    && different_keys(unit, before, after).iter().any(|k| is_socket_key(k)) =>
            {
                Some(Note::ListenerOption(unit.clone()))
            }
            _ => None,
        });
        sockets.collect()
    }
}

fn is_listener(unit: &UnitName, text: &str) -> bool {
    Role::of(&UnitFile::parse(unit.clone(), text)) == Role::Listener
}
