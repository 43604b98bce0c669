//! What a rollout asks of the manager about instances and jobs. Never changes anything.

use super::Driver;
use crate::ops::sight::sight;
use crate::ops::{Error, Event};
use crate::rollout::{Rollout, RolloutEvent as Input, RolloutJobResult, State};
use crate::systemd::{self, Glimpse, JobId};
use crate::unit::ActiveState;

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
        let numbers: Vec<u32> = self.units.keys().copied().collect();
        for number in numbers {
            self.look(number, machine, sink)?;
        }
        Ok(())
    }

    pub(super) fn look(
        &mut self,
        instance: u32,
        machine: &mut Rollout,
        sink: &mut dyn FnMut(Event),
    ) -> Result<(), Error> {
        let sight = sight(&self.glimpse(instance)?);
        self.feed(machine, Input::Seen { instance, sight }, sink)
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
            systemd::JobResult::Canceled => RolloutJobResult::Canceled,
            systemd::JobResult::Dependency => RolloutJobResult::Dependency,
            systemd::JobResult::Skipped => RolloutJobResult::Skipped,
            other => RolloutJobResult::Other(other.to_string()),
        })
    }
}
