//! Has the manager start instances from the new definition before a job of ours does. It decides nothing: the machine says
//! when.

use std::collections::BTreeSet;

use super::{Driver, Event};
use crate::ops::Error;
use crate::rollout::{JobReason, Rollout, RolloutEvent as Input, Serial};

impl Driver<'_> {
    /// Unpins instances, or says why that cannot be: of a file system alone, since a manager that does not answer ends
    /// the rollout anyway.
    pub(super) fn unpin(
        &mut self,
        machine: &mut Rollout,
        instances: BTreeSet<u32>,
        sink: &mut dyn FnMut(Event),
    ) -> Result<Result<(), String>, Error> {
        match (self.unpin)(&instances) {
            Ok(since) => {
                self.still_pinned.retain(|number| !instances.contains(number));
                let since = Serial(since);
                self.feed(machine, Input::Unpinned { instances, since }, sink)?;
                Ok(Ok(()))
            }
            Err(Error::Disk(error)) => {
                self.still_pinned.extend(instances);
                Ok(Err(format!("it is pinned to the former definition: {error}")))
            }
            Err(error) => Err(error),
        }
    }

    /// What has to be so before an instance is started, or why it cannot be: from a pin it would start as it was.
    pub(super) fn may_start(
        &mut self,
        machine: &mut Rollout,
        instance: u32,
        reason: JobReason,
        sink: &mut dyn FnMut(Event),
    ) -> Result<Result<(), String>, Error> {
        if self.still_pinned.contains(&instance)
            && let Err(why) = self.unpin(machine, BTreeSet::from([instance]), sink)?
        {
            return Ok(Err(why));
        }
        Ok((self.starts)(&self.app.instance_unit(instance), reason))
    }
}
