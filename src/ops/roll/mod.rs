//! Drives one rollout: the machine's commands become jobs, the manager's signals become events.
//!
//! Holds no policy. It waits for signals with the machine's own deadline, never by sleeping.

mod ending;
mod looks;
mod pins;
mod telling;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::sight::{monotonic, sight};
use super::{Error, Event, ended};
use crate::ecosystem::AppName;
use crate::host;
use crate::rollout::{
    Doubt, Former, FoundInstance, Instruction, JobReason, Outcome, Policy, Rollout,
    RolloutEvent as Input, RolloutJobResult, Serial, Spec, State, Ticket, Time, UnitJob,
};
use crate::systemd::{self, ErrorKind, JobId, JobKind, JobMode, KillWhom, Signal, Systemd, Watch};
use crate::unit::UnitName;

/// A rollout of one app.
#[derive(Clone, Debug)]
pub(super) struct RollSpec {
    /// The app.
    pub app: AppName,
    /// Instances whose process must be replaced.
    pub outdated: BTreeSet<u32>,
    /// Instances that exist, running or not, besides 0 to `wanted` less one.
    pub known: BTreeSet<u32>,
    /// How many instances there were meant to be before.
    pub before: u32,
    /// How many there shall be.
    pub wanted: u32,
    /// Somebody chose which are replaced: the others may run something older.
    pub chosen: bool,
    /// Instances that the manager starts from the former definition.
    pub pinned: BTreeSet<u32>,
    /// How to get there.
    pub policy: Policy,
}

/// What a rollout does besides asking the manager.
pub(super) struct RolloutHooks<'a> {
    /// Puts the former definition back and has it loaded, if there is one.
    pub restore: Option<Restore<'a>>,
    /// Asked between two signals: whether to stop.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Whether the manager ends this process, since the app is stopped or restarted.
    pub ended: &'a dyn Fn() -> bool,
    /// Whether the app is stopped below its group, which has then been seen to.
    pub overtaken: &'a dyn Fn() -> Result<bool, Error>,
    /// Told of every start before it is asked for; why it must not be.
    pub starts: StartHook<'a>,
    /// Has the manager start instances from the new definition; gives since when, on the monotonic clock.
    pub unpin: UnpinHook<'a>,
    /// Why nobody can rely on an instance that is ready by the manager's word.
    pub unready: &'a dyn Fn(u32) -> Option<String>,
}

/// Told of a start, and why it is wanted, before it is asked for.
pub(super) type StartHook<'a> = &'a dyn Fn(&UnitName, JobReason) -> Result<(), String>;

/// Has the manager start instances from the new definition; gives since when, on the monotonic clock.
pub(super) type UnpinHook<'a> = &'a dyn Fn(&BTreeSet<u32>) -> Result<u64, Error>;

/// Puts the former definition back and has it loaded.
pub(super) type Restore<'a> = &'a mut (dyn FnMut() -> Result<(), Error> + 'a);

/// Runs a rollout to its end.
///
/// # Errors
/// The manager cannot be asked, or ends this process. What becomes of instances is the outcome.
pub(super) fn roll<'a>(
    systemd: &'a Systemd,
    spec: RollSpec,
    hooks: RolloutHooks<'a>,
    sink: &mut dyn FnMut(Event),
) -> Result<Outcome, Error> {
    let (before, wanted) = (spec.before, spec.wanted);
    let surge_of = |instances| spec.policy.limits(instances).surge;
    let surge = surge_of(spec.wanted).max(surge_of(spec.before));
    let highest = spec.known.last().map_or(0, |last| last + 1).max(spec.wanted).max(spec.before);
    // The machine numbers surge instances from the first free one on.
    let numbers: Vec<u32> = (0..highest + surge).collect();
    let units: BTreeMap<u32, UnitName> =
        numbers.iter().map(|number| (*number, spec.app.instance_unit(*number))).collect();
    // Subscribe before the first look, so that nothing happens unseen in between.
    let watch = systemd.watch(units.values().chain([&spec.app.close_unit()]))?;
    let mut driver = Driver {
        systemd,
        watch,
        app: spec.app.clone(),
        numbers: units.iter().map(|(number, unit)| (unit.clone(), *number)).collect(),
        units,
        jobs: HashMap::new(),
        early: HashMap::new(),
        begun: Instant::now(),
        restore: hooks.restore,
        overtaken: hooks.overtaken,
        kept: wanted.max(before),
        starts: hooks.starts,
        unpin: hooks.unpin,
        still_pinned: BTreeSet::new(),
        unready: hooks.unready,
        kill_after: spec.policy.kill_after,
        results: BTreeMap::new(),
        draining: BTreeMap::new(),
        told: (None, true),
        heard: VecDeque::new(),
    };
    let together = systemd.together();
    driver.end_if_overtaken()?;
    let current = driver.current(&spec)?;
    let spec = Spec {
        current,
        before: spec.before,
        wanted: spec.wanted,
        policy: spec.policy,
        former: match driver.restore {
            None => Former::Nothing,
            Some(_) if spec.outdated.iter().all(|number| *number >= spec.wanted) => Former::Number,
            Some(_) => Former::Definition,
        },
        starts_at_once: host::usable_cpus(),
        chosen: spec.chosen,
        pinned: spec.pinned,
    };
    let (mut machine, commands) = Rollout::new(spec, driver.now());
    driver.carry_out(&mut machine, commands, sink)?;
    drop(together);
    let mut asked = false;
    while machine.outcome().is_none() {
        if (hooks.ended)() {
            driver.end_extra();
            return Err(Error::Lost(driver.app));
        }
        if !asked && (hooks.interrupted)() {
            asked = true;
            driver.feed(&mut machine, Input::Interrupt, sink)?;
            continue;
        }
        driver.wait(&mut machine, sink)?;
    }
    driver.tell_now(&machine, sink);
    let outcome = machine.outcome().cloned().unwrap_or(Outcome::Complete);
    let kept = if outcome == Outcome::Complete { wanted } else { wanted.max(before) };
    ended::forget(systemd, [&driver.app], |_, number| number >= kept)?;
    Ok(outcome)
}

struct Driver<'a> {
    systemd: &'a Systemd,
    watch: Watch,
    app: AppName,
    units: BTreeMap<u32, UnitName>,
    numbers: HashMap<UnitName, u32>,
    /// Jobs under way.
    jobs: HashMap<JobId, (u32, Ticket)>,
    /// Results that came before the reply to their submission.
    early: HashMap<JobId, systemd::JobResult>,
    begun: Instant,
    restore: Option<Restore<'a>>,
    overtaken: &'a dyn Fn() -> Result<bool, Error>,
    /// How many instances stay when the rollout is ended.
    kept: u32,
    starts: StartHook<'a>,
    unpin: UnpinHook<'a>,
    /// Those that could not be unpinned.
    still_pinned: BTreeSet<u32>,
    unready: &'a dyn Fn(u32) -> Option<String>,
    kill_after: Option<Duration>,
    /// What the manager last told of the results of runs since our last job: by the end of the job it may have begun the
    /// next run.
    results: BTreeMap<u32, String>,
    /// Instances that drain, until when, and which process it is.
    draining: BTreeMap<u32, (Instant, Serial)>,
    /// When it was last told how the rollout stands, and whether that is still all.
    told: (Option<Instant>, bool),
    /// Signals that are yet to be seen to.
    heard: VecDeque<Signal>,
}

/// How often a waiting driver looks whether it is interrupted.
const GLANCE: Duration = Duration::from_millis(200);

impl Driver<'_> {
    fn now(&self) -> Time {
        Time(self.begun.elapsed())
    }

    fn current(&self, spec: &RollSpec) -> Result<BTreeMap<u32, FoundInstance>, Error> {
        let mut current = BTreeMap::new();
        let units: Vec<UnitName> = self.units.values().cloned().collect();
        let seen = self.systemd.sights(&units)?;
        for (number, seen) in self.units.keys().copied().zip(&seen) {
            let sight = sight(seen);
            if sight.state != State::Dead {
                let outdated = spec.outdated.contains(&number);
                current.insert(number, FoundInstance { sight, outdated });
            }
        }
        Ok(current)
    }

    fn wait(&mut self, machine: &mut Rollout, sink: &mut dyn FnMut(Event)) -> Result<(), Error> {
        let glance = self.kill_overdue()?;
        let deadline = machine.deadline().map(|time| self.begun + time.0);
        let until = deadline.map_or(glance, |deadline| deadline.min(glance));
        let signal = self.signal(until);
        let _together = self.systemd.together();
        match signal {
            None if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                self.feed(machine, Input::Tick, sink)
            }
            None => {
                self.tell_the_rest(machine, sink);
                Ok(())
            }
            Some(Signal::JobRemoved { id, result, .. }) => match self.jobs.remove(&id) {
                Some((instance, ticket)) => {
                    let result = self.job_result(instance, &result)?;
                    self.feed(machine, Input::JobDone { instance, ticket, result }, sink)
                }
                // Either not ours, or its submission has not been answered yet.
                None => {
                    self.early.insert(id, result);
                    Ok(())
                }
            },
            Some(Signal::Changed { unit, changes }) => {
                let changed = self.changes((unit, changes))?;
                self.look_at(&changed, machine, sink)
            }
            // What happened while the manager was started anew it has told nobody.
            Some(Signal::Reloading(false)) => {
                self.skip_reloads();
                self.end_if_overtaken()?;
                self.look_at_all(machine, sink)
            }
            Some(Signal::Reloading(true)) => Ok(()),
            Some(Signal::Disconnected) => {
                Err(Error::Systemd(systemd::Error::disconnected("follow the rollout")))
            }
        }
    }

    /// Kills what drains longer than asked for; returns when to look again.
    fn kill_overdue(&mut self) -> Result<Instant, Error> {
        let now = Instant::now();
        let overdue: Vec<u32> =
            self.draining.iter().filter(|(_, (until, _))| *until <= now).map(|(n, _)| *n).collect();
        for number in overdue {
            let Some((_, serial)) = self.draining.remove(&number) else { continue };
            let seen = sight(&self.glimpse(number)?);
            if seen.serial == serial && seen.state == State::Stopping {
                let unit = self.app.instance_unit(number);
                let sigkill = rustix::process::Signal::KILL.as_raw();
                // It may have exited this moment.
                let _ = self.systemd.kill(&unit, KillWhom::All, sigkill);
            }
        }
        let next = self.draining.values().map(|(until, _)| *until).min();
        Ok(next.map_or(now + GLANCE, |next| next.min(now + GLANCE)))
    }

    fn feed(
        &mut self,
        machine: &mut Rollout,
        input: Input,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let commands = machine.handle(self.now(), input);
        self.carry_out(machine, commands, sink)
    }

    fn carry_out(
        &mut self,
        machine: &mut Rollout,
        commands: Vec<Instruction>,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        // Several looks follow one another here, as at a roll call; what is waited for is waited for elsewhere.
        let _together = self.systemd.together();
        for command in commands {
            sink(Event::Rollout { app: self.app.clone(), command: command.clone() });
            match command {
                Instruction::Submit { ticket, instance, change, reason } => {
                    if change != UnitJob::Stop
                        && let Err(why) = self.may_start(machine, instance, reason, sink)?
                    {
                        let result = RolloutJobResult::Refused(why);
                        self.feed(machine, Input::JobDone { instance, ticket, result }, sink)?;
                        continue;
                    }
                    self.submit(machine, instance, ticket, change, sink)?;
                }
                Instruction::Look { instance, doubt: Doubt::StillReady | Doubt::RollCall } => {
                    self.look_closely(instance, machine, sink)?;
                }
                Instruction::Look { instance, .. } => self.look(instance, machine, sink)?,
                Instruction::Unpin { instances } => {
                    // Where that fails it is tried again before one of them is started.
                    let _ = self.unpin(machine, instances, sink)?;
                }
                Instruction::RestoreDefinition { .. } => {
                    let result = match self.restore.as_mut() {
                        Some(restore) => {
                            restore().map(|()| Serial(monotonic())).map_err(|e| e.to_string())
                        }
                        None => Err("there is no former definition".to_owned()),
                    };
                    self.feed(machine, Input::DefinitionRestored(result), sink)?;
                }
            }
        }
        self.tell(machine, sink);
        Ok(())
    }

    fn submit(
        &mut self,
        machine: &mut Rollout,
        instance: u32,
        ticket: Ticket,
        change: UnitJob,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let kind = match change {
            UnitJob::Start => JobKind::Start,
            UnitJob::Restart => JobKind::Restart,
            UnitJob::Stop => JobKind::Stop,
        };
        let unit = self.app.instance_unit(instance);
        if let Some(span) = self.kill_after.filter(|_| change != UnitJob::Start) {
            let serial = Serial(self.glimpse(instance)?.started);
            self.draining.insert(instance, (Instant::now() + span, serial));
        }
        if change != UnitJob::Stop {
            self.results.remove(&instance);
        }
        let submitted = match change {
            UnitJob::Stop => self.systemd.submit(kind, &unit, JobMode::Replace),
            // systemd counts on over a start by hand that overtakes a restart of its own.
            _ => self.systemd.submit_anew(kind, &unit, JobMode::Replace),
        };
        match submitted {
            Ok(id) => match self.early.remove(&id) {
                Some(result) => {
                    let result = self.job_result(instance, &result)?;
                    self.feed(machine, Input::JobDone { instance, ticket, result }, sink)
                }
                None => {
                    self.jobs.insert(id, (instance, ticket));
                    Ok(())
                }
            },
            Err(error) if error.is_broken_off() => Err(error.into()),
            Err(error) => {
                let result = match error.kind() {
                    // The job may be there all the same.
                    ErrorKind::Disconnected | ErrorKind::Timeout | ErrorKind::NoManager => {
                        RolloutJobResult::Other(error.to_string())
                    }
                    _ => RolloutJobResult::Refused(error.to_string()),
                };
                self.feed(machine, Input::JobDone { instance, ticket, result }, sink)
            }
        }
    }
}
