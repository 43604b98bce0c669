//! What a rollout asks of the manager about instances and jobs. Never changes anything.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Driver;
use crate::ops::sight::sight;
use crate::ops::{Error, Event};
use crate::rollout::{Rollout, RolloutEvent as Input, RolloutJobResult, State};
use crate::systemd::{self, Glimpse, JobId, PropertyChanges, Signal};
use crate::unit::{ActiveState, UnitName};

impl Driver<'_> {
    /// Asks for what may have happened unseen: ends of jobs, and the state of every instance.
    pub(super) fn look_at_all(
        &mut self,
        machine: &mut Rollout,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let pending: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in pending {
            if self.systemd.job_info(id)?.is_some() {
                continue;
            }
            let Some((instance, ticket)) = self.jobs.remove(&id) else { continue };
            let failed = self.glimpse(instance)?.active == ActiveState::Failed;
            let result = if failed { systemd::JobResult::Failed } else { systemd::JobResult::Done };
            let result = self.job_result(instance, &result)?;
            self.feed(machine, Input::JobDone { instance, ticket, result }, sink)?;
        }
        let numbers: BTreeSet<u32> = self.units.keys().copied().collect();
        self.look_at(&numbers, machine, sink)
    }

    /// Instances of which something changed that a look would tell, by all changes that have been told by now: a look
    /// is of what is, and one for several changes tells the same.
    pub(super) fn changes(
        &mut self,
        first: (UnitName, PropertyChanges),
    ) -> Result<BTreeSet<u32>, Error> {
        let mut changed = BTreeSet::new();
        let mut next = Some(first);
        while let Some((unit, changes)) = next.take() {
            match self.numbers.get(&unit) {
                Some(&number) => {
                    changed.extend(matters(&changes).then_some(number));
                    self.results.extend(changes.result.map(|result| (number, result)));
                }
                // The close unit is the first that a stop takes down.
                None => self.end_if_overtaken()?,
            }
            match self.signal(Instant::now()) {
                Some(Signal::Changed { unit, changes }) => next = Some((unit, changes)),
                Some(other) => self.heard.push_front(other),
                None => {}
            }
        }
        Ok(changed)
    }

    /// The next signal, or `None` at the deadline.
    pub(super) fn signal(&mut self, until: Instant) -> Option<Signal> {
        self.heard.pop_front().or_else(|| self.watch.next(until))
    }

    /// Leaves out what the manager has told of its reloads until now: it may read its units faster than instances are
    /// looked at, and one look is enough for all of these. The ends of jobs do not wait behind them.
    pub(super) fn skip_reloads(&mut self) {
        self.heard.retain(|signal| !matches!(signal, Signal::Reloading(_)));
        while let Some(signal) = self.watch.next(Instant::now()) {
            let ended = matches!(signal, Signal::Disconnected);
            if !matches!(signal, Signal::Reloading(_)) {
                self.heard.push_back(signal);
            }
            if ended {
                return;
            }
        }
    }

    /// Looks at several instances with one question.
    pub(super) fn look_at(
        &mut self,
        numbers: &BTreeSet<u32>,
        machine: &mut Rollout,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let units: Vec<UnitName> =
            numbers.iter().map(|number| self.app.instance_unit(*number)).collect();
        let seen = self.systemd.sights(&units)?;
        for (&instance, seen) in numbers.iter().zip(&seen) {
            self.feed(machine, Input::Seen { instance, sight: sight(seen) }, sink)?;
        }
        Ok(())
    }

    pub(super) fn look(
        &mut self,
        instance: u32,
        machine: &mut Rollout,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        self.look_at(&BTreeSet::from([instance]), machine, sink)
    }

    /// As `look`, and at the listeners of the instance, which the manager does not see.
    pub(super) fn look_closely(
        &mut self,
        instance: u32,
        machine: &mut Rollout,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let before = sight(&self.glimpse(instance)?);
        let ready = before.state == State::Ready;
        let input = match ready.then(|| (self.unready)(instance)).flatten() {
            // The look at the listeners takes time: the state is read once more.
            Some(what) => match sight(&self.glimpse(instance)?) {
                sight if sight == before => Input::NotListening { instance, sight, what },
                sight => Input::Seen { instance, sight },
            },
            None => Input::Seen { instance, sight: before },
        };
        self.feed(machine, input, sink)
    }

    pub(super) fn glimpse(&self, instance: u32) -> Result<Glimpse, Error> {
        Ok(self.systemd.glimpse(&self.app.instance_unit(instance))?)
    }

    /// systemd calls the job of a slow start `failed`, and only the unit's result `timeout`.
    pub(super) fn job_result(
        &self,
        instance: u32,
        result: &systemd::JobResult,
    ) -> Result<RolloutJobResult, Error> {
        Ok(match result {
            systemd::JobResult::Done => RolloutJobResult::Done,
            systemd::JobResult::Failed => {
                let told = self.results.get(&instance).is_some_and(|result| result == "timeout");
                match told || self.glimpse(instance)?.result == "timeout" {
                    true => RolloutJobResult::Timeout,
                    false => RolloutJobResult::Failed,
                }
            }
            systemd::JobResult::Timeout => RolloutJobResult::Timeout,
            systemd::JobResult::Canceled => {
                self.end_if_turned()?;
                RolloutJobResult::Canceled
            }
            systemd::JobResult::Dependency => RolloutJobResult::Dependency,
            systemd::JobResult::Skipped => RolloutJobResult::Skipped,
            other => RolloutJobResult::Other(other.to_string()),
        })
    }
}

/// Whether a look would tell something new: the state that the unit is in, or the process that it is about.
/// What an instance says of itself, and each step within a state, is nothing to ask the manager about.
fn matters(changes: &PropertyChanges) -> bool {
    let waits = |sub: &str| sub.starts_with("auto-restart");
    changes.active.is_some()
        || changes.sub.as_deref().is_some_and(waits)
        || changes.main_pid.is_some_and(|pid| pid.is_some())
        || changes.restarts.is_some()
        || changes.invocation.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_instance_says_of_itself_is_no_reason_to_look() {
        let none = PropertyChanges::default;
        assert!(!matters(&PropertyChanges { status_text: Some("busy".into()), ..none() }));
        assert!(!matters(&PropertyChanges { sub: Some("start-pre".into()), ..none() }));
        assert!(!matters(&PropertyChanges { main_pid: Some(None), ..none() }));
        assert!(matters(&PropertyChanges { sub: Some("auto-restart-queued".into()), ..none() }));
        assert!(matters(&PropertyChanges { main_pid: Some(Some(7)), ..none() }));
        assert!(matters(&PropertyChanges { active: Some(ActiveState::Active), ..none() }));
        assert!(matters(&PropertyChanges { restarts: Some(1), ..none() }));
    }
}
