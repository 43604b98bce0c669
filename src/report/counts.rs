//! What a verb has done to each app, counted from what it reported: the sentence at its end. It asks
//! no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::ecosystem::AppName;
use crate::ops::Event;
use crate::plan::plural;
use crate::rollout::{Instruction, JobReason, UnitJob};
use crate::unit::UnitName;

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
    /// Extra instances, which end with the rollout unless they are wanted.
    extra: BTreeSet<u32>,
}

impl ActionCounts {
    /// Counts what an event tells.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Unit { app, unit, verb, failure: None } => {
                let Some(number) = app.instance_of(unit) else { return };
                let counts = self.apps.entry(app.clone()).or_default();
                match *verb {
                    "start" => counts.started.insert(number),
                    "restart" => counts.restarted.insert(number),
                    "stop" => counts.stopped.insert(number),
                    _ => false,
                };
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

    /// Counts an instance that nothing had to be done for.
    pub fn note_up(&mut self, app: &AppName, unit: &UnitName) {
        if let Some(number) = app.instance_of(unit) {
            self.apps.entry(app.clone()).or_default().up.insert(number);
        }
    }

    /// How many instances of an app were replaced by a rollout.
    pub fn replaced(&self, app: &AppName) -> usize {
        self.apps.get(app).map_or(0, |counts| counts.replaced.len())
    }

    /// `api: 4 replaced in 2.4 s`.
    pub fn end(&self, app: &AppName, took: Option<Duration>) -> String {
        let counts = self.apps.get(app).cloned().unwrap_or_default();
        format!("{app}: {}", sentence(&counts.parts(), took))
    }

    /// The sentence about all apps together, where there are several: `3 apps: 8 replaced in 5.1 s`.
    pub fn total(&self, apps: usize, took: Option<Duration>) -> Option<String> {
        if apps < 2 {
            return None;
        }
        let mut sums = BTreeMap::new();
        for (at, (what, count)) in self.apps.values().flat_map(Counts::parts_in_order) {
            sums.entry(at).or_insert((what, 0)).1 += count;
        }
        let sums: Vec<(&'static str, usize)> = sums.into_values().collect();
        Some(format!("{}: {}", plural(apps, "app"), sentence(&sums, took)))
    }
}

impl Counts {
    fn submitted(&mut self, instance: u32, change: UnitJob, reason: JobReason) {
        match (change, reason) {
            (UnitJob::Restart, _) => self.replaced.insert(instance),
            (UnitJob::Start, JobReason::Surge | JobReason::Canary) => self.extra.insert(instance),
            (UnitJob::Start, _) => self.started.insert(instance),
            (UnitJob::Stop, JobReason::Surplus) => self.stopped.insert(instance),
            (UnitJob::Stop, _) => self.extra.remove(&instance),
        };
    }

    fn parts(&self) -> Vec<(&'static str, usize)> {
        self.parts_in_order().map(|(_, part)| part).collect()
    }

    fn parts_in_order(&self) -> impl Iterator<Item = (usize, (&'static str, usize))> + use<> {
        let started = self.started.union(&self.extra).count();
        let all = [
            ("replaced", self.replaced.len()),
            ("started", started),
            ("restarted", self.restarted.len()),
            ("stopped", self.stopped.len()),
            ("running already", self.up.len()),
        ];
        all.into_iter().enumerate().filter(|(_, (_, count))| *count > 0)
    }
}

fn sentence(parts: &[(&'static str, usize)], took: Option<Duration>) -> String {
    let parts: Vec<String> = parts.iter().map(|(what, count)| format!("{count} {what}")).collect();
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
}
