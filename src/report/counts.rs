//! What a verb has done to each app, counted from what it reported: the sentence at its end. It asks
//! no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ecosystem::AppName;
use crate::ops::Event;
use crate::plan::{Plan, plural};
use crate::rollout::{Instruction, JobReason, UnitJob};
use crate::unit::{UnitKind, UnitName};

/// The counts of all apps.
#[derive(Clone, Debug, Default)]
pub struct ActionCounts {
    apps: BTreeMap<AppName, Counts>,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    replaced: BTreeSet<u32>,
    started: BTreeSet<u32>,
    restarted: BTreeSet<u32>,
    stopped: BTreeSet<u32>,
    /// Instances that were running already.
    up: BTreeSet<u32>,
    /// Instances that were to be stopped and did not run.
    down: BTreeSet<u32>,
    /// Extra instances, which end with the rollout unless they are wanted.
    extra: BTreeSet<u32>,
    /// Listeners that were opened, or opened anew.
    opened: BTreeSet<UnitName>,
    /// Whether the units of the app were removed.
    deleted: bool,
}

/// What can become of instances, listeners and apps, in the order of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Replaced,
    Started,
    Restarted,
    Stopped,
    Down,
    Up,
    Deleted,
    Opened,
}

impl ActionCounts {
    /// Counts what an event tells.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Unit { app, unit, verb, failure: None } => {
                self.apps.entry(app.clone()).or_default().ended(app.instance_of(unit), unit, verb);
            }
            Event::Rollout {
                app,
                command: Instruction::Submit { instance, change, reason, .. },
            } => {
                let counts = self.apps.entry(app.clone()).or_default();
                counts.submitted(*instance, *change, *reason);
            }
            _ => {}
        }
    }

    /// Counts an instance that was running already.
    pub fn note_up(&mut self, app: &AppName, instance: u32) {
        self.apps.entry(app.clone()).or_default().up.insert(instance);
    }

    /// Counts an instance that was to be stopped and did not run.
    pub fn note_down(&mut self, app: &AppName, instance: u32) {
        self.apps.entry(app.clone()).or_default().down.insert(instance);
    }

    /// Counts the apps that a plan takes away.
    pub fn note_plan(&mut self, plan: &Plan) {
        for app in plan.apps.iter().filter(|app| app.removes_app()) {
            self.apps.entry(app.app.clone()).or_default().deleted = true;
        }
    }

    /// How many instances of an app were replaced by a rollout.
    pub fn replaced(&self, app: &AppName) -> usize {
        self.apps.get(app).map_or(0, |counts| counts.replaced.len())
    }

    /// Whether nothing was done to an app that could be counted.
    pub fn is_nothing(&self, app: &AppName) -> bool {
        self.apps.get(app).is_none_or(|counts| counts.parts().is_empty())
    }

    /// `api: 4 replaced in 2.4 s`.
    pub fn end(&self, app: &AppName, took: Option<Duration>) -> String {
        let counts = self.apps.get(app).cloned().unwrap_or_default();
        let parts = counts.parts().into_iter().map(|(what, count)| match what {
            What::Deleted => "deleted".to_owned(),
            what => what.words(count),
        });
        format!("{app}: {}", sentence(parts.collect(), took))
    }

    /// The sentence about all apps together, where there are several: `3 apps: 8 replaced in 5.1 s`.
    pub fn total(&self, apps: usize, took: Option<Duration>) -> Option<String> {
        if apps < 2 {
            return None;
        }
        let mut sums: BTreeMap<What, usize> = BTreeMap::new();
        for (what, count) in self.apps.values().flat_map(Counts::parts) {
            *sums.entry(what).or_default() += count;
        }
        if sums.is_empty() {
            return None;
        }
        let parts = sums.into_iter().map(|(what, count)| what.words(count)).collect();
        Some(format!("{}: {}", plural(apps, "app"), sentence(parts, took)))
    }
}

impl Counts {
    /// Counts a job that has ended well; `instance` is the number of the unit, if it has one.
    fn ended(&mut self, instance: Option<u32>, unit: &UnitName, verb: &str) {
        match (instance, verb) {
            (Some(number), "start") => drop(self.started.insert(number)),
            (Some(number), "restart") => drop(self.restarted.insert(number)),
            (Some(number), "stop") => drop(self.stopped.insert(number)),
            (None, "start" | "restart") if unit.kind() == UnitKind::Socket => {
                self.opened.insert(unit.clone());
            }
            _ => {}
        }
    }

    fn submitted(&mut self, instance: u32, change: UnitJob, reason: JobReason) {
        match (change, reason) {
            (UnitJob::Restart, _) => self.replaced.insert(instance),
            (UnitJob::Start, JobReason::Surge | JobReason::Canary) => self.extra.insert(instance),
            (UnitJob::Start, _) => self.started.insert(instance),
            (UnitJob::Stop, JobReason::Surplus) => self.stopped.insert(instance),
            (UnitJob::Stop, _) => self.extra.remove(&instance),
        };
    }

    /// What was done and how often. Listeners count where nothing was done to instances: with instances that start, a
    /// listener opens as a matter of course.
    fn parts(&self) -> Vec<(What, usize)> {
        let all = [
            (What::Replaced, self.replaced.len()),
            (What::Started, self.started.union(&self.extra).count()),
            (What::Restarted, self.restarted.len()),
            (What::Stopped, self.stopped.len()),
            (What::Down, self.down.len()),
            (What::Up, self.up.len()),
            (What::Deleted, usize::from(self.deleted)),
        ];
        let mut parts: Vec<_> = all.into_iter().filter(|(_, count)| *count > 0).collect();
        if parts.is_empty() && !self.opened.is_empty() {
            parts.push((What::Opened, self.opened.len()));
        }
        parts
    }
}

impl What {
    fn words(self, count: usize) -> String {
        let what = match self {
            What::Replaced => "replaced",
            What::Started => "started",
            What::Restarted => "restarted",
            What::Stopped => "stopped",
            What::Down => "stopped already",
            What::Up => "running already",
            What::Deleted => "deleted",
            What::Opened => return format!("{} opened", plural(count, "listener")),
        };
        format!("{count} {what}")
    }
}

fn sentence(parts: Vec<String>, took: Option<Duration>) -> String {
    let what = if parts.is_empty() { "done".to_owned() } else { parts.join(", ") };
    match took {
        Some(took) => format!("{what} in {:.1} s", took.as_secs_f64()),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::rollout::Ticket;

    #[test]
    fn extra_instances_of_a_rollout_do_not_count() {
        let app = AppName::parse("api").unwrap();
        let mut counts = ActionCounts::default();
        for (instance, change, reason) in [
            (2, UnitJob::Start, JobReason::Canary),
            (0, UnitJob::Restart, JobReason::Outdated),
            (1, UnitJob::Restart, JobReason::Outdated),
            (2, UnitJob::Stop, JobReason::SurgeOver),
        ] {
            let command = Instruction::Submit { ticket: Ticket(1), instance, change, reason };
            counts.note(&Event::Rollout { app: app.clone(), command });
        }
        let took = Some(Duration::from_millis(2444));
        assert_eq!(counts.end(&app, took), "api: 2 replaced in 2.4 s");
        assert_eq!(counts.total(1, took), None);
        let web = AppName::parse("web").unwrap();
        let unit = web.instance_unit(0);
        counts.note(&Event::Unit { app: web.clone(), unit, verb: "start", failure: None });
        assert_eq!(counts.end(&web, None), "web: 1 started");
        assert_eq!(counts.total(2, took).unwrap(), "2 apps: 2 replaced, 1 started in 2.4 s");
        let other = AppName::parse("other").unwrap();
        assert_eq!(counts.end(&other, None), "other: done");
    }
    #[test]
    fn what_was_as_it_should_be_is_said() {
        let app = AppName::parse("api").unwrap();
        let mut counts = ActionCounts::default();
        assert!(counts.is_nothing(&app));
        let unit = UnitName::parse("api-3000.socket").unwrap();
        let opened = |unit| Event::Unit { app: app.clone(), unit, verb: "start", failure: None };
        counts.note(&opened(unit));
        assert_eq!(counts.end(&app, None), "api: 1 listener opened");
        counts.note_down(&app, 0);
        assert_eq!(counts.end(&app, None), "api: 1 stopped already");
        counts.apps.entry(app.clone()).or_default().deleted = true;
        assert_eq!(counts.end(&app, None), "api: 1 stopped already, deleted");
        let total = counts.total(2, None).unwrap();
        assert_eq!(total, "2 apps: 1 stopped already, 1 deleted");
    }
}
