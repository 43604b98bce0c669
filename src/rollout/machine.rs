//! The machine's state, its entrance, and what ends a wait: job results and deadlines.
//! What is done next is decided in `steps`; what a sighting means, in `sight`; what a failure does, in `failure`.
//!
//! On the way back the old definition needs no canary: it ran a moment ago. A number that is put
//! back without a definition replaces nobody.
//!
//! An instance that drains holds its place in a rollout. With `max_surge = 1` there is memory for
//! one process more than N, and N must serve: once one of them drains, neither may another stop nor
//! another start, whatever is done with the numbers. Not counting those that drain, as Kubernetes
//! does, would take the memory of 2 N. So endless streams are bounded instead (`stream_timeout`),
//! and whoever has the memory says so (`max_surge = "100%"`): then all drain at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::command::{Doubt, Instruction, JobReason, Ticket, UnitJob};
use super::event::{RolloutEvent, Serial};
use super::outcome::{Failure, InstanceFault, Outcome, RolloutJobResult, Trouble};
use super::policy::{Limits, Policy};
use super::slot::{Job, Life, Slot, StartedFrom, Wait};
use super::spec::{Former, Spec};
use super::time::Time;

/// What a job may take beyond its own limits: forks, conditions, a busy manager.
const MARGIN: Duration = crate::limits::ROLLOUT_MARGIN;

/// How long the driver may take to answer a question.
const ANSWER: Duration = crate::limits::ROLLOUT_ANSWER;

/// One rollout of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    pub(super) wanted: u32,
    pub(super) before: u32,
    pub(super) policy: Policy,
    pub(super) former: Former,
    pub(super) slots: BTreeMap<u32, Slot>,
    pub(super) course: Course,
    /// Instances that the manager still starts from the old definition.
    pub(super) pinned: BTreeSet<u32>,
    /// Since when the old unit files are in place again.
    pub(super) restored: Option<Serial>,
    pub(super) interrupted: bool,
    /// All have been ready for `min_ready` together: from here on a death says nothing against the definition.
    pub(super) held: bool,
    /// When the last job of ours ended.
    pub(super) last_end: Time,
    tickets: u64,
    pub(super) served_at_start: u32,
    pub(super) starts_at_once: u32,
    /// When the next start may begin that was held back, because enough others had just begun.
    pub(super) held_back: Option<Time>,
}

/// Where the rollout stands, with what it must remember for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    Rolling,
    Forced(Failure),
    Aborting { because: Failure, back: bool },
    Restoring { because: Failure, until: Time },
    RollingBack(Failure),
    Leaving(EarlyEnd),
    Finished(Outcome),
}

/// The outcome of a rollout that ends early, kept until its last jobs have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EarlyEnd {
    Failed { because: Failure, then: Option<Trouble> },
    Interrupted(Option<Failure>),
}

impl Rollout {
    /// Begins a rollout. Nothing to do is [`Outcome::Complete`] at once, without a command.
    #[must_use]
    pub fn new(spec: Spec, now: Time) -> (Self, Vec<Instruction>) {
        let mixed = spec.mixed();
        let served = spec.current.values().filter(|seen| seen.ready()).count();
        let highest = spec.wanted.max(spec.before);
        let mut slots: BTreeMap<u32, Slot> =
            (0..highest).map(|number| (number, Slot::gone(now))).collect();
        let resumed = mixed.then(|| now + spec.policy.min_ready);
        for (&number, seen) in &spec.current {
            slots.insert(number, seen.slot(resumed, now));
        }
        for slot in slots.iter_mut().filter(|(number, _)| spec.pinned.contains(number)) {
            slot.1.old_until = Serial(u64::MAX);
        }
        let mut rollout = Self {
            wanted: spec.wanted,
            before: spec.before,
            policy: spec.policy,
            former: spec.former,
            slots,
            course: Course::Rolling,
            pinned: spec.pinned,
            restored: None,
            interrupted: false,
            held: false,
            last_end: now,
            tickets: 0,
            served_at_start: u32::try_from(served).unwrap_or(u32::MAX),
            starts_at_once: spec.starts_at_once,
            held_back: None,
        };
        let mut commands = Vec::new();
        rollout.step(now, &mut commands);
        (rollout, commands)
    }

    /// Takes in one event, and answers what to do now, in this order.
    #[must_use = "the commands are to be carried out"]
    pub fn handle(&mut self, now: Time, event: RolloutEvent) -> Vec<Instruction> {
        let mut commands = Vec::new();
        match event {
            // The rollout is over: a late answer or job result changes nothing.
            _ if self.outcome().is_some() => return commands,
            RolloutEvent::JobDone { instance, ticket, result } => {
                self.job_done(instance, ticket, result, now, &mut commands)
            }
            RolloutEvent::Seen { instance, sight } => self.seen(instance, &sight, now),
            RolloutEvent::NotListening { instance, sight, what } => {
                self.not_listening(instance, &sight, what, now);
            }
            RolloutEvent::Unpinned { instances, since } => self.unpinned(&instances, since),
            RolloutEvent::DefinitionRestored(result) => self.definition_restored(result),
            RolloutEvent::Tick => self.tick(now, &mut commands),
            RolloutEvent::Interrupt => self.interrupted = true,
        }
        self.step(now, &mut commands);
        commands
    }

    /// When to send [`RolloutEvent::Tick`] at the latest; none once it is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        let restoring = match self.course {
            Course::Finished(_) => return None,
            Course::Restoring { until, .. } => Some(until),
            Course::Rolling | Course::Forced(_) | Course::Aborting { .. } => None,
            Course::RollingBack(_) | Course::Leaving(_) => None,
        };
        let waits = self.slots.values().filter_map(|slot| Some(slot.wait()?.until));
        waits.chain(restoring).chain(self.held_back).min()
    }

    /// How it ended; none while it lasts.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.course {
            Course::Finished(outcome) => Some(outcome),
            Course::Rolling | Course::Forced(_) | Course::Aborting { .. } => None,
            Course::Restoring { .. } | Course::RollingBack(_) | Course::Leaving(_) => None,
        }
    }

    fn job_done(
        &mut self,
        instance: u32,
        ticket: Ticket,
        result: RolloutJobResult,
        now: Time,
        out: &mut Vec<Instruction>,
    ) {
        let Some(slot) = self.slots.get_mut(&instance) else {
            // No instance of this rollout.
            return;
        };
        let Life::Busy(job) = slot.life else {
            // A repeated result, or one that the answer to a question has already settled.
            return;
        };
        if job.ticket != ticket {
            // The late result of an earlier job.
            return;
        }
        self.last_end = now;
        match (job.change, result) {
            (UnitJob::Stop, RolloutJobResult::Done) => slot.enter(Life::Gone, now),
            (UnitJob::Stop, _) => self.ask(instance, Doubt::StopFailed, now, out),
            // Which process it is cannot be told from what was seen meanwhile: systemd may have had a restart of its
            // own in its queue, and counts on where one of ours overtakes it.
            (UnitJob::Start | UnitJob::Restart, RolloutJobResult::Done) => {
                slot.life = Life::Busy(Job { done: true, ..job });
                self.ask(instance, Doubt::Started, now, out);
            }
            (UnitJob::Start | UnitJob::Restart, result @ RolloutJobResult::Refused(_)) => {
                slot.refuse();
                self.follow_failure(Failure { instance, why: InstanceFault::Job(result) }, now);
            }
            (UnitJob::Start | UnitJob::Restart, result) => {
                self.fail(instance, InstanceFault::Job(result), now)
            }
        }
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Instruction>) {
        if let Course::Restoring { because, until } = &self.course
            && *until <= now
        {
            self.course = Course::Leaving(EarlyEnd::Failed {
                because: because.clone(),
                then: Some(Trouble::RestoreTimeout),
            });
        }
        let overdue = |slot: &Slot| slot.wait().is_some_and(|wait| wait.until <= now);
        let due: Vec<u32> = self.numbers(overdue).collect();
        for instance in due {
            // A failure on the way ends the waits of those that merely settle or recover.
            if self.slots.get(&instance).is_some_and(overdue) {
                self.expire(instance, now, out);
            }
        }
    }

    fn expire(&mut self, instance: u32, now: Time, out: &mut Vec<Instruction>) {
        let Some(slot) = self.slots.get(&instance) else { return };
        let (doubt, why) = match slot.life {
            Life::Busy(Job { change: UnitJob::Stop, .. }) => {
                (Doubt::StopOverdue, InstanceFault::StopTimeout)
            }
            Life::Busy(Job { done: true, .. }) => (Doubt::Started, InstanceFault::NoAnswer),
            Life::Busy(_) => (Doubt::StartOverdue, InstanceFault::StartTimeout),
            Life::Settling(_) => (Doubt::StillReady, InstanceFault::NoAnswer),
            Life::Recovering(_) => (Doubt::RecoveryOverdue, InstanceFault::NotBack),
            Life::Gone | Life::Serving | Life::Down | Life::Failed | Life::Stuck => return,
        };
        if slot.wait().is_some_and(|wait| wait.asked) {
            self.fail(instance, why, now);
        } else {
            self.ask(instance, doubt, now, out);
        }
    }

    pub(super) fn ask(
        &mut self,
        instance: u32,
        doubt: Doubt,
        now: Time,
        out: &mut Vec<Instruction>,
    ) {
        if let Some(slot) = self.slots.get_mut(&instance) {
            slot.set_wait(Wait { until: now + ANSWER, asked: true });
            slot.asked_at = now;
            out.push(Instruction::Look { instance, doubt });
        }
    }

    pub(super) fn submit(
        &mut self,
        instance: u32,
        change: UnitJob,
        reason: JobReason,
        now: Time,
        out: &mut Vec<Instruction>,
    ) {
        let start = self.policy.listen_timeout + self.policy.kill_timeout;
        let span = if change == UnitJob::Stop { self.policy.kill_timeout } else { start };
        if change != UnitJob::Stop && self.pinned.contains(&instance) {
            self.unpin(BTreeSet::from([instance]), out);
        }
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        let made = self.loaded();
        let slot = self.slots.entry(instance).or_insert_with(|| Slot::gone(now));
        let job = Job {
            change,
            ticket,
            wait: Wait::until(now + span + MARGIN),
            since: now,
            starting: change == UnitJob::Start,
            done: false,
        };
        slot.submit(job, made, now);
        out.push(Instruction::Submit { ticket, instance, change, reason });
    }

    /// How long a lost instance may take to come back.
    pub(super) fn recovery(&self, now: Time) -> Wait {
        Wait::until(now + self.policy.listen_timeout + self.policy.kill_timeout + MARGIN)
    }

    pub(super) fn limits(&self) -> Limits {
        self.policy.limits(self.target())
    }

    /// The definition that every instance shall run in the end.
    pub(super) fn goal(&self) -> StartedFrom {
        match self.course {
            _ if self.former == Former::Number => StartedFrom::New,
            Course::Restoring { .. } | Course::RollingBack(_) => StartedFrom::Old,
            Course::Rolling | Course::Forced(_) | Course::Aborting { .. } => StartedFrom::New,
            Course::Leaving(_) | Course::Finished(_) => self.loaded(),
        }
    }

    /// The definition that a process started now would run.
    fn loaded(&self) -> StartedFrom {
        if self.old_since().is_some() { StartedFrom::Old } else { StartedFrom::New }
    }

    /// Processes that started after this one run the old definition again.
    pub(super) fn old_since(&self) -> Option<Serial> {
        self.restored.filter(|_| self.former != Former::Number)
    }

    pub(super) fn going_back(&self) -> bool {
        matches!(self.course, Course::RollingBack(_))
    }

    /// Instances are being replaced with care.
    pub(super) fn under_way(&self) -> bool {
        matches!(self.course, Course::Rolling | Course::RollingBack(_))
    }

    /// How many instances there shall be in the end.
    pub(super) fn target(&self) -> u32 {
        let back = match self.course {
            Course::Restoring { .. } | Course::RollingBack(_) => true,
            Course::Rolling | Course::Forced(_) | Course::Aborting { .. } => false,
            Course::Leaving(_) | Course::Finished(_) => self.restored.is_some(),
        };
        if back { self.before } else { self.wanted }
    }

    /// Whether an instance that the rollout left alone is what it was before, on the way back.
    pub(super) fn is_former(&self, slot: &Slot) -> bool {
        self.former == Former::Number || slot.made == StartedFrom::Old
    }

    /// Numbers from here on exist only for the rollout.
    pub(super) fn lasting(&self) -> u32 {
        self.wanted.max(self.before)
    }

    pub(super) fn numbers(
        &self,
        which: impl Fn(&Slot) -> bool,
    ) -> impl DoubleEndedIterator<Item = u32> {
        let hits = self.slots.iter().filter(move |(_, slot)| which(slot));
        hits.map(|(&number, _)| number)
    }
}
