//! What a failure does: it is noted at its instance, and where the rollout stands decides whether the former
//! definition is put back. It never submits a job: `steps` does.

use std::time::Duration;

use crate::ecosystem::OnFailure;

use super::command::Instruction;
use super::event::Serial;
use super::machine::{Course, EarlyEnd, Rollout};
use super::outcome::{Failure, InstanceFault, Trouble};
use super::slot::Life;
use super::spec::Former;
use super::time::Time;

/// How long writing the old unit files and a daemon-reload may take; systemd itself gives its generators 90 s.
const RESTORE: Duration = crate::limits::RESTORE;

impl Rollout {
    /// An instance did not do what it should; what follows depends on where the rollout stands.
    pub(super) fn fail(&mut self, instance: u32, why: InstanceFault, now: Time) {
        let stuck = why == InstanceFault::StopTimeout;
        if let Some(slot) = self.slots.get_mut(&instance) {
            let life = match () {
                () if stuck => Life::Stuck,
                () if matches!(why, InstanceFault::NotListening(_)) => Life::Failed,
                // Our start timed out, but systemd's next automatic restart got ready.
                () if slot.adopt_ready() => Life::Serving,
                () => Life::Failed,
            };
            slot.enter(life, now);
        }
        self.follow_failure(Failure { instance, why }, now);
    }

    pub(super) fn follow_failure(&mut self, failure: Failure, now: Time) {
        let stuck = failure.why == InstanceFault::StopTimeout;
        match &self.course {
            Course::Rolling if self.policy.force && failure.why.is_timeout() => {
                self.course = Course::Forced(failure);
            }
            Course::Rolling => {
                // An instance that will not stop says nothing against the definition: all were replaced by then.
                let former = self.former != Former::Nothing;
                let back = self.policy.on_failure == OnFailure::Rollback && former && !stuck;
                self.course = Course::Aborting { because: failure, back };
            }
            Course::RollingBack(because) => {
                self.course = Course::Leaving(EarlyEnd::Failed {
                    because: because.clone(),
                    then: Some(Trouble::Rollback(failure)),
                });
            }
            // Only the first failure decides; this one shows in the state of its instance.
            Course::Forced(_) | Course::Aborting { .. } | Course::Restoring { .. } => {}
            Course::Leaving(_) | Course::Finished(_) => {}
        }
        if !self.under_way() {
            self.stop_waiting(now);
        }
    }

    /// Nothing more is planned, so nobody waits for instances to settle or to come back.
    pub(super) fn stop_waiting(&mut self, now: Time) {
        for slot in self.slots.values_mut() {
            match slot.life {
                Life::Settling(_) => slot.enter(Life::Serving, now),
                Life::Recovering(_) => slot.enter(Life::Down, now),
                Life::Busy(_) | Life::Gone | Life::Serving => {}
                Life::Down | Life::Failed | Life::Stuck => {}
            }
        }
    }

    /// Asks for the former definition to be put in place again.
    pub(super) fn restore(&mut self, because: Failure, now: Time, out: &mut Vec<Instruction>) {
        out.push(Instruction::RestoreDefinition { because: because.clone() });
        self.course = Course::Restoring { because, until: now + RESTORE };
    }

    /// The answer to the wish that the former definition be put in place again.
    pub(super) fn definition_restored(&mut self, result: Result<Serial, String>) {
        let Course::Restoring { because, .. } = &self.course else {
            // A repeated answer, or one that came after the deadline.
            return;
        };
        let because = because.clone();
        self.restored = result.as_ref().ok().copied();
        if self.restored.is_some() {
            self.pinned.clear();
        }
        let stuck = self.slots.iter().find(|(_, slot)| slot.life == Life::Stuck);
        self.course = match (result, stuck) {
            (Ok(_), None) => Course::RollingBack(because),
            (Ok(_), Some((&instance, _))) => Course::Leaving(EarlyEnd::Failed {
                because,
                then: Some(Trouble::Rollback(Failure {
                    instance,
                    why: InstanceFault::StopTimeout,
                })),
            }),
            (Err(error), _) => {
                Course::Leaving(EarlyEnd::Failed { because, then: Some(Trouble::Restore(error)) })
            }
        };
    }
}
