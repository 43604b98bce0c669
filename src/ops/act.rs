//! Plan → Outcome. As dumb as possible: files, one daemon-reload, then the steps in their order,
//! different apps at the same time. It can be killed anywhere; the next apply goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::parallel::parallel;
use super::request::{Former, Request, Task};
use super::stay::{Stay, may_end, stay};
use super::witness::witnessed;
use super::{Context, Error, Event, Sink, delegate, ended, recorded_policy};
use crate::disk::{self, Lock};
use crate::ecosystem::AppName;
use crate::plan::{self, Action, AppPlan, Change, FileChange, FileId, Observed, Plan, check};
use crate::rollout::{Expected, Outcome, Policy};
use crate::systemd::{ActiveState, JobKind, JobMode, JobOutcome, Systemd};
use crate::unit::{UnitKind, UnitName};

/// What became of one app.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// How its rollout ended, if it had one.
    pub rollout: Option<Outcome>,
    /// Units that are not where they should be, and why.
    pub failures: Vec<(UnitName, String)>,
    /// Steps that were left out because somebody asked to stop.
    pub left_out: usize,
}

impl Done {
    /// Whether the app is where it should be.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
            && self.left_out == 0
            && matches!(self.rollout, None | Some(Outcome::Complete))
    }

    /// Whether somebody asked to stop before the end.
    pub fn is_interrupted(&self) -> bool {
        self.left_out > 0 || matches!(self.rollout, Some(Outcome::Interrupted { .. }))
    }

    /// The end of a rollout. That one could not go on says nothing about other apps.
    pub(super) fn of(result: Result<Outcome, Error>) -> Result<Done, Error> {
        match result {
            Ok(outcome) => Ok(Done { rollout: Some(outcome), ..Done::default() }),
            Err(error) => match error.rolled_out() {
                Some(app) => {
                    let failures = vec![(app.group_unit(), error.to_string())];
                    Ok(Done { failures, ..Done::default() })
                }
                None => Err(error),
            },
        }
    }
}

/// Time that the manager may need beyond an app's own limits.
const MARGIN: Duration = Duration::from_secs(30);

/// Carries out a plan.
///
/// # Errors
/// A file could not be written or the manager not be asked: what was done until then stays, and
/// the next apply completes it. What became of units is in the result.
pub fn act(
    context: &Context,
    plan: &Plan,
    observed: &Observed,
    policies: &BTreeMap<AppName, Manner>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    if let Some(violation) = check(plan).into_iter().next() {
        return Err(Error::Plan(violation));
    }
    let shared = Lock::shared(&context.layout.state)?;
    disk::install_handover(&context.layout.state, &crate::embedded_files())?;
    let written = write(context, plan)?;
    // A command for another app need not wait for the instances of this one.
    drop(shared);
    sink(Event::Written(written));
    if written > 0 {
        context.systemd.daemon_reload()?;
        sink(Event::Reloaded);
    }
    let done = run_apps(context, plan, observed, policies, sink)?;
    let _shared = Lock::shared(&context.layout.state)?;
    remove(context, plan, &done)?;
    Ok(done)
}

/// Files before links: a link to a unit that is not there yet would be a broken boot.
fn write(context: &Context, plan: &Plan) -> Result<usize, Error> {
    let mut written = 0;
    for app in plan.apps.iter().filter(|app| !app.removes_app()) {
        let mut files: Vec<&FileChange> =
            app.files.iter().filter(|f| !matches!(f.change, Change::Remove { .. })).collect();
        files.sort_by_key(|change| order(&change.file));
        for change in files {
            disk::apply_file(&context.layout, &app.app, change)?;
            written += 1;
        }
        for link in &app.links {
            disk::apply_link(&context.layout, &app.app, link)?;
            written += 1;
        }
    }
    Ok(written)
}

/// What others refer to comes first, so that a power cut leaves no unit that lacks something.
fn order(file: &FileId) -> u8 {
    match file {
        FileId::Environment => 0,
        FileId::Unit(name) if name.kind() != UnitKind::Service => 1,
        FileId::Unit(name) if name.is_template() => 2,
        FileId::Unit(_) => 3,
    }
}

fn run_apps(
    context: &Context,
    plan: &Plan,
    observed: &Observed,
    policies: &BTreeMap<AppName, Manner>,
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let busy: Vec<&AppPlan> = plan.apps.iter().filter(|app| !app.steps.is_empty()).collect();
    let work = |app: &&AppPlan, sink: Sink<'_>| {
        let found = observed.apps.get(&app.app);
        // An app that goes is not in the file: its units know how long it may drain.
        let recorded = || {
            let policy = found.map(|found| recorded_policy(&app.app, &found.units));
            Manner { policy: policy.unwrap_or_default(), kill_after: None }
        };
        let manner = policies.get(&app.app).cloned().unwrap_or_else(recorded);
        let run =
            AppRun { context, app, found, policy: manner.policy, kill_after: manner.kill_after };
        Ok((app.app.clone(), run.steps(sink)?))
    };
    let names: Vec<AppName> = busy.iter().map(|app| app.app.clone()).collect();
    witnessed(context, &names, || parallel(&busy, &work, sink))
}

/// How one app's rollout goes.
#[derive(Clone, Debug, Default)]
pub struct Manner {
    /// Amounts, waits, and what follows a failure.
    pub policy: Policy,
    /// Kills a draining instance earlier than its unit would.
    pub kill_after: Option<Duration>,
}

/// Files that nothing runs from any more. One that something still needs stays for the next apply.
fn remove(context: &Context, plan: &Plan, done: &BTreeMap<AppName, Done>) -> Result<(), Error> {
    let mut reload = false;
    for app in &plan.apps {
        if done.get(&app.app).is_some_and(|done| !done.is_success()) {
            continue;
        }
        if app.removes_app() {
            reload = true;
            for link in &app.links {
                disk::apply_link(&context.layout, &app.app, link)?;
            }
        }
        for change in app.files.iter().filter(|f| matches!(f.change, Change::Remove { .. })) {
            disk::apply_file(&context.layout, &app.app, change)?;
        }
    }
    if reload {
        context.systemd.daemon_reload()?;
    }
    Ok(())
}

struct AppRun<'a> {
    context: &'a Context,
    app: &'a AppPlan,
    found: Option<&'a plan::ObservedApp>,
    policy: Policy,
    kill_after: Option<Duration>,
}

impl AppRun<'_> {
    fn steps(&self, sink: Sink<'_>) -> Result<Done, Error> {
        let mut done = Done::default();
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
        if done.is_success() {
            self.stay(&mut done)?;
        }
        Ok(done)
    }

    /// Waits until what was started here has stayed ready; a rollout has seen to that itself.
    fn stay(&self, done: &mut Done) -> Result<(), Error> {
        let started = self.app.steps.iter().filter_map(|step| match &step.action {
            Action::Start(numbers) | Action::Rebind { start: numbers, .. } => Some(numbers),
            Action::Open(_) | Action::Close(_) | Action::Roll { .. } | Action::Stop => None,
        });
        let numbers: BTreeSet<u32> = started.flatten().copied().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let expected = Expected {
            min_ready: self.policy.min_ready,
            patience: None,
            may_end: may_end(&self.app.app, self.template()),
        };
        stay(self.context, &Stay { app: &self.app.app, numbers, expected }, done)
    }

    /// The template as it is in force.
    fn template(&self) -> Option<&str> {
        let template = self.app.app.template_unit();
        let written = self.app.files.iter().find_map(|file| match (&file.file, &file.change) {
            (FileId::Unit(unit), Change::Create { text } | Change::Replace { after: text, .. })
                if *unit == template =>
            {
                Some(text)
            }
            _ => None,
        });
        let found = || self.found?.units.get(&template).map(|file| &file.text);
        written.or_else(found).map(String::as_str)
    }

    fn step(&self, action: &Action, done: &mut Done, sink: Sink<'_>) -> Result<(), Error> {
        match action {
            Action::Open(unit) => self.jobs(&[(JobKind::Start, unit.clone())], done, sink),
            Action::Close(unit) => self.jobs(&[(JobKind::Stop, unit.clone())], done, sink),
            Action::Start(instances) => self.start(instances.iter().copied(), done, sink),
            Action::Roll { replace, stop, .. } => {
                let rolled = Done::of(self.roll(replace, stop, sink))?;
                done.rollout = rolled.rollout;
                done.failures.extend(rolled.failures);
                Ok(())
            }
            Action::Rebind { close, start, .. } => {
                self.jobs(&[(JobKind::Stop, self.app.app.group_unit())], done, sink)?;
                let close: Vec<_> = close.iter().map(|u| (JobKind::Stop, u.clone())).collect();
                self.jobs(&close, done, sink)?;
                if done.is_success() {
                    self.start(start.iter().copied(), done, sink)?;
                }
                Ok(())
            }
            Action::Stop => self.stop_all(done, sink),
        }
    }

    fn start(
        &self,
        instances: impl Iterator<Item = u32>,
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let name = &self.app.app;
        let mut jobs = vec![(JobKind::Start, name.group_unit())];
        if disk::scan(&self.context.layout)?.get(name).is_some_and(|found| found.is_job(name)) {
            // The group starts them; a second start would run again what has ended by then.
            self.jobs(&jobs, done, sink)?;
            return self.failed_jobs(instances, done);
        }
        jobs.extend(instances.map(|number| (JobKind::Start, name.instance_unit(number))));
        self.jobs(&jobs, done, sink)
    }

    /// Instances that the group has started and that failed.
    fn failed_jobs(
        &self,
        instances: impl Iterator<Item = u32>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let units: Vec<UnitName> =
            instances.map(|number| self.app.app.instance_unit(number)).collect();
        let states = self.context.systemd.instances(&units, &[])?;
        let failed = units.into_iter().zip(states);
        let failed = failed.filter(|(_, state)| state.active == ActiveState::Failed);
        done.failures.extend(failed.map(|(unit, _)| (unit, "failed".to_owned())));
        Ok(())
    }

    /// The listeners last: while the stop of one waits for instances, the manager accepts its
    /// clients to drop them. The group closes them in time.
    fn stop_all(&self, done: &mut Done, sink: Sink<'_>) -> Result<(), Error> {
        let name = &self.app.app;
        let Some(found) = self.found else { return Ok(()) };
        let instances = found.instances.keys().map(|number| name.instance_unit(*number));
        let first: Vec<UnitName> = [name.group_unit()].into_iter().chain(instances).collect();
        let mut last: Vec<UnitName> = found.listeners.keys().cloned().collect();
        if !last.is_empty() {
            last.extend([name.wake_unit(), name.close_unit()]);
        }
        last.push(name.slice_unit());
        for units in [first, last] {
            let jobs: Vec<_> = units.iter().map(|unit| (JobKind::Stop, unit.clone())).collect();
            self.jobs(&jobs, done, sink)?;
            // One that failed would be listed for ever, under a name without a file.
            for unit in &units {
                let _ = self.context.systemd.reset_failed(unit);
            }
        }
        Ok(ended::forget(&self.context.systemd, name, |_| true)?)
    }

    fn jobs(
        &self,
        jobs: &[(JobKind, UnitName)],
        done: &mut Done,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let limit = self.policy.listen_timeout + self.policy.kill_timeout * 2 + MARGIN;
        let mut seen = |place: usize, outcome: &JobOutcome| {
            report_unit(&self.app.app, &jobs[place], outcome, sink);
        };
        let systemd: &Systemd = &self.context.systemd;
        let outcomes =
            systemd.run_jobs(jobs, JobMode::Replace, Instant::now() + limit, &mut seen)?;
        for ((_, unit), outcome) in jobs.iter().zip(&outcomes) {
            done.failures.extend(failure(outcome).map(|why| (unit.clone(), why)));
        }
        Ok(())
    }

    fn roll(
        &self,
        replace: &BTreeSet<u32>,
        stop: &BTreeSet<u32>,
        sink: Sink<'_>,
    ) -> Result<Outcome, Error> {
        let known = self.found.map(|found| found.instances.keys().copied().collect());
        let before = self.found.map_or(0, |found| found.links.len() as u32);
        let request = Request {
            task: Task::Change {
                outdated: replace.union(stop).copied().collect(),
                known: known.unwrap_or_default(),
                before: before.max(1),
                wanted: self.app.wanted,
            },
            policy: Some(self.policy.clone()),
            kill_after: self.kill_after,
            former: self.former(),
            links: self.found.filter(|found| !found.links.is_empty()).map(|f| f.links.clone()),
        };
        self.activate_close();
        delegate(self.context, &self.app.app, &request, sink)
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

    /// The former files of what changes.
    fn former(&self) -> Vec<Former> {
        let Some(found) = self.found else { return Vec::new() };
        // New files do no harm, and a listener may be open already.
        let replaced = self.app.files.iter().filter(|f| matches!(f.change, Change::Replace { .. }));
        replaced
            .filter_map(|change| {
                let former = match &change.file {
                    FileId::Unit(name) => found.units.get(name),
                    FileId::Environment => found.environment.as_ref(),
                };
                Some(Former { file: change.file.clone(), content: former?.clone() })
            })
            .collect()
    }
}

fn verb(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Start => "start",
        JobKind::Stop => "stop",
        JobKind::Restart | JobKind::TryRestart => "restart",
        JobKind::Reload | JobKind::ReloadOrRestart | JobKind::ReloadOrTryRestart => "reload",
    }
}

/// Tells how one job ended.
pub(super) fn report_unit(
    app: &AppName,
    (kind, unit): &(JobKind, UnitName),
    outcome: &JobOutcome,
    sink: Sink<'_>,
) {
    let failure = failure(outcome);
    sink(Event::Unit { app: app.clone(), unit: unit.clone(), verb: verb(*kind), failure });
}

/// Why a job did not bring its unit where it should be; a unit that is not loaded is stopped.
pub(super) fn failure(outcome: &JobOutcome) -> Option<String> {
    use crate::systemd::ErrorKind;
    match outcome {
        outcome if outcome.is_success() => None,
        JobOutcome::Ended(result) => Some(result.to_string()),
        JobOutcome::Refused(error) if error.kind() == ErrorKind::NoSuchUnit => None,
        JobOutcome::Refused(error) => Some(error.to_string()),
        JobOutcome::Unfinished => Some("has not ended in time".to_owned()),
    }
}
