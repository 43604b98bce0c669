//! The steps of one app's plan, one after the other: jobs and rollouts, and what is to stay ready afterwards. It never writes a file, and takes the steps in the order of the plan.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::followed::FollowedStarts;
use super::job::{failure, report_unit, run_jobs};
use super::pins::proven_template;
use super::request::{FormerFile, Request, Task};
use super::stay::{Stay, is_job, may_end};
use super::{Context, Done, Error, Event, Sink, UnitFailure, delegate, ended, free};
use crate::disk;
use crate::ecosystem::Role;
use crate::plan::{Action, AppPlan, FileChange, FileId, ObservedApp, ObservedFile};
use crate::rollout::{Expected, Outcome, Policy};
use crate::systemd::{JobKind, JobMode, JobOutcome, JobResult};
use crate::unit::{ActiveState, UnitName};

/// How often units that go are stopped, if others cancel that.
const STOPS: u32 = 5;

/// Time that the manager may need beyond an app's own limits.
const MARGIN: Duration = crate::limits::JOB_MARGIN;

/// The same for each of the jobs that it has at a time: it takes them one after the other.
const EACH: Duration = crate::limits::JOB_EACH;

/// One app, what is planned for it, and how its rollout goes.
pub(super) struct AppRun<'a> {
    pub context: &'a Context,
    pub app: &'a AppPlan,
    pub found: Option<&'a ObservedApp>,
    pub policy: Policy,
    /// When apps that go have closed their listeners at the latest.
    pub freed: Instant,
}

/// How long the jobs of an app may take.
pub(super) fn limit(policy: &Policy) -> Duration {
    policy.listen_timeout + policy.kill_timeout * 2 + MARGIN
}

impl AppRun<'_> {
    /// Takes the steps until one fails or somebody asks to stop.
    ///
    /// # Errors
    /// The manager cannot be asked. What became of units is in the result.
    pub(super) fn steps(&self, sink: Sink<'_>) -> Result<Done, Error> {
        let mut done = Done::default();
        if !free::closed(self.context, &self.app.after, self.freed, &mut done)? {
            if done.is_success() {
                done.left_out = self.app.steps.len();
            }
            return Ok(done);
        }
        if !self.app.after.is_empty() || self.context.others_let_go.is_some() {
            free::released(self.context, self.app);
        }
        for (place, step) in self.app.steps.iter().enumerate() {
            if self.context.is_interrupted() {
                done.left_out = self.app.steps.len() - place;
                break;
            }
            self.step(&step.action, &mut done, sink)?;
            if !done.is_success() {
                // What follows, such as closing a listener, relies on this step.
                break;
            }
        }
        Ok(done)
    }

    /// What was started here and is to stay ready; a rollout has seen to that itself.
    pub(super) fn to_stay(&self) -> Option<Stay<'_>> {
        let numbers = self.app.starts();
        if numbers.is_empty() {
            return None;
        }
        let expected = Expected {
            min_ready: self.policy.min_ready,
            patience: None,
            may_end: may_end(&self.app.app, self.app.template(self.found)),
        };
        Some(Stay { app: &self.app.app, numbers, expected, units: None })
    }

    fn step(&self, action: &Action, done: &mut Done, sink: Sink<'_>) -> Result<(), Error> {
        match action {
            Action::Open(unit) => self.jobs(&[(JobKind::Start, unit.clone())], done, sink),
            Action::Reopen(unit) => {
                // The instances require it, and shall go on.
                let mode = JobMode::IgnoreDependencies;
                self.jobs_in(mode, &[(JobKind::Restart, unit.clone())], done, sink)
            }
            Action::Close(unit) => self.jobs(&[(JobKind::Stop, unit.clone())], done, sink),
            Action::Start(instances) => self.start(instances.iter().copied(), done, sink),
            Action::Roll { replace, stop, .. } => {
                let rolled = Done::of(self.roll(replace, stop, sink))?;
                done.rollout = rolled.rollout;
                done.failures.extend(rolled.failures);
                Ok(())
            }
            Action::Rebind { close, open, start } => {
                self.rebind(close, open, done, sink)?;
                if done.is_success() {
                    self.start(start.iter().copied(), done, sink)?;
                }
                Ok(())
            }
            Action::Stop => self.stop_all(done, sink),
        }
    }

    /// Ends with the old listeners closed. Those of streams give way to the new ones while instances
    /// still finish what they have begun: a script of the group starts it again by then.
    fn rebind(
        &self,
        close: &BTreeSet<UnitName>,
        open: &BTreeSet<UnitName>,
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let name = &self.app.app;
        // An address that an instance listens on by itself is free when that has ended.
        let held = self.found.is_some_and(|found| !open.is_disjoint(&found.held));
        if !close.is_empty() && !held {
            disk::note_move(&self.context.layout, name, close)?;
        }
        let group = [(JobKind::Stop, name.group_unit())];
        let overtaken = |outcome: &JobOutcome| {
            matches!(outcome, JobOutcome::Ended(JobResult::Canceled)) && !close.is_empty()
        };
        let outcomes = self.run(JobMode::Replace, &group, &|outcome| !overtaken(outcome), sink);
        // The script has taken it away, unless the group was not up.
        disk::forget_move(&self.context.layout, name);
        let outcomes = outcomes?.into_iter().filter(|outcome| !overtaken(outcome)).collect();
        note_failures(&group, outcomes, done);
        let close: Vec<_> = close.iter().map(|unit| (JobKind::Stop, unit.clone())).collect();
        self.jobs(&close, done, sink)
    }

    fn start(
        &self,
        instances: impl Iterator<Item = u32>,
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let name = &self.app.app;
        let mut jobs = vec![(JobKind::Start, name.group_unit())];
        if is_job(name, self.app.template(self.found)) {
            // The group starts them; a second start would run again what has ended by then.
            self.jobs(&jobs, done, sink)?;
            return self.jobs_begun(instances, done, sink);
        }
        jobs.extend(instances.map(|number| (JobKind::Start, name.instance_unit(number))));
        self.jobs(&jobs, done, sink)
    }

    /// Tells of the instances that the group has started, and notes those that failed.
    fn jobs_begun(
        &self,
        instances: impl Iterator<Item = u32>,
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let app = &self.app.app;
        let units: Vec<UnitName> = instances.map(|number| app.instance_unit(number)).collect();
        let states = self.context.systemd.instances(&units, &[])?;
        for (unit, state) in units.into_iter().zip(states) {
            if state.active == ActiveState::Failed {
                done.failures.push((unit, UnitFailure::Job("failed".to_owned())));
            } else if !state.active.is_down() {
                sink(Event::Unit { app: app.clone(), unit, verb: "start", failure: None });
            }
        }
        Ok(())
    }

    /// Stops units that go. Somebody who restarts them meanwhile cancels that, and is too late.
    fn stop_for_good(
        &self,
        units: &[UnitName],
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let mut jobs: Vec<_> = units.iter().map(|unit| (JobKind::Stop, unit.clone())).collect();
        for left in (0..STOPS).rev() {
            let again = |outcome: &JobOutcome| {
                left > 0 && matches!(outcome, JobOutcome::Ended(JobResult::Canceled))
            };
            let outcomes = self.run(JobMode::Replace, &jobs, &|outcome| !again(outcome), sink)?;
            let (canceled, ended): (Vec<_>, Vec<_>) =
                jobs.into_iter().zip(outcomes).partition(|(_, outcome)| again(outcome));
            let (ended, outcomes): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
            note_failures(&ended, outcomes, done);
            jobs = canceled.into_iter().map(|(job, _)| job).collect();
            if jobs.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// The group with its instances first, listeners and all others last: while the stop of one waits for instances, the manager accepts its
    /// clients to drop them. The group closes them in time.
    fn stop_all(&self, done: &mut Done, sink: Sink<'_>) -> Result<(), Error> {
        let name = &self.app.app;
        let Some(found) = self.found else { return Ok(()) };
        let instances = found.instances.keys().map(|number| name.instance_unit(*number));
        let first: Vec<UnitName> = [name.group_unit()].into_iter().chain(instances).collect();
        let mut others: Vec<_> = found.units.values().collect();
        others.retain(|file| !matches!(file.role, Role::Group | Role::Instance));
        others.sort_by_key(|file| file.role);
        let last: Vec<UnitName> = others.iter().map(|file| file.unit.name.clone()).collect();
        for units in [first, last] {
            self.stop_for_good(&units, done, sink)?;
            // One that failed would be listed for ever, under a name without a file.
            self.context.systemd.reset_all_failed(&units);
        }
        Ok(ended::forget(&self.context.systemd, [name], |_, _| true)?)
    }

    fn jobs(
        &self,
        jobs: &[(JobKind, UnitName)],
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        self.jobs_in(JobMode::Replace, jobs, done, sink)
    }

    fn jobs_in(
        &self,
        mode: JobMode,
        jobs: &[(JobKind, UnitName)],
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let outcomes = self.run(mode, jobs, &|_| true, sink)?;
        note_failures(jobs, outcomes, done);
        Ok(())
    }

    /// Runs jobs, and reports those ends that are worth it.
    fn run(
        &self,
        mode: JobMode,
        jobs: &[(JobKind, UnitName)],
        worth: &dyn Fn(&JobOutcome) -> bool,
        sink: Sink<'_>,
    ) -> Result<Vec<JobOutcome>, Error> {
        let jobs_at_once = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        let limit = limit(&self.policy) + EACH.saturating_mul(jobs_at_once);
        let mut followed = FollowedStarts::begin(self.context, jobs);
        let mut seen = |place: usize, outcome: &JobOutcome| {
            followed.ended(&jobs[place], outcome);
            if worth(outcome) {
                report_unit(&self.app.app, &jobs[place], outcome, sink);
            }
        };
        run_jobs(&self.context.systemd, jobs, mode, Instant::now() + limit, &mut seen)
    }

    fn roll(
        &self,
        replace: &BTreeSet<u32>,
        stop: &BTreeSet<u32>,
        sink: Sink<'_>,
    ) -> Result<Outcome, Error> {
        let known = self.found.map(|found| found.instances.keys().copied().collect());
        let before = self.found.map_or(0, |found| found.links.len() as u32);
        let former = self.former().into_iter();
        let former = former.map(|(file, content)| FormerFile { file, content }).collect();
        let request = Request {
            task: Task::Change {
                outdated: replace.union(stop).copied().collect(),
                known: known.unwrap_or_default(),
                before: before.max(1),
                wanted: self.app.wanted,
            },
            policy: Some(self.policy.clone()),
            former,
            links: self.found.filter(|found| !found.links.is_empty()).map(|f| f.links.clone()),
        };
        self.activate_close();
        delegate(self.context, &self.app.app, &request, sink)
    }

    /// The files that a rollout which fails puts back.
    fn former(&self) -> Vec<(FileId, ObservedFile)> {
        let Some(found) = self.found else { return Vec::new() };
        let mut former = self.app.former(found);
        if let Some(served) = proven_template(self.context, &self.app.app, found) {
            let template = FileId::Unit(self.app.app.template_unit());
            former.retain(|(file, _)| *file != template);
            former.push((template, served));
        }
        former
    }

    /// An app that was started before it had this unit has it from the next rollout on.
    fn activate_close(&self) {
        let close = self.app.app.close_unit();
        let new = |file: &FileChange| file.file == FileId::Unit(close.clone());
        if self.app.files.iter().any(new) {
            // Without it a stop loses clients, as before; that is no reason to end a rollout.
            let _ = self.context.systemd.submit(JobKind::Start, &close, JobMode::Replace);
        }
    }
}

fn note_failures(jobs: &[(JobKind, UnitName)], outcomes: Vec<JobOutcome>, done: &mut Done) {
    for ((kind, unit), outcome) in jobs.iter().zip(&outcomes) {
        done.failures.extend(failure(*kind, outcome).map(|why| (unit.clone(), why)));
    }
}
