//! What a sighting of an instance means. Never submits anything.
//!
//! While a job of ours is under way its result decides, not what is seen meanwhile: a sighting can belong to the process
//! before it, or to one that systemd started by itself. Once the job is done, or its deadline has passed, the machine asks,
//! and the answer decides.

use super::command::UnitJob;
use super::event::{Serial, Sight, State};
use super::machine::{Course, Rollout};
use super::outcome::{InstanceFault, RolloutJobResult};
use super::slot::{Job, Life, Slot, StartedFrom, Wait, Whose};
use super::time::Time;

impl Rollout {
    pub(super) fn seen(&mut self, instance: u32, sight: &Sight, now: Time) {
        let Some(slot) = self.slots.get_mut(&instance) else {
            // No instance of this rollout.
            return;
        };
        if !slot.note(sight) {
            // Older than the latest sighting.
            return;
        }
        match slot.life {
            Life::Busy(job) => self.seen_busy(instance, job, sight, now),
            Life::Settling(wait) => self.seen_settling(instance, wait, sight, now),
            Life::Recovering(_) => self.seen_recovering(instance, sight, now),
            Life::Serving => self.seen_serving(instance, sight, now),
            Life::Down | Life::Failed => self.seen_idle(instance, sight, now),
            Life::Stuck if sight.state == State::Dead => slot.enter(Life::Gone, now),
            // The instance would not stop before, and still runs.
            Life::Stuck => {}
            // A late sighting of the process that we stopped, or somebody else has started the instance.
            Life::Gone => {}
        }
    }

    /// An instance that was asked about is ready and gave up what made it so. On the way back the old definition is taken
    /// as it is.
    pub(super) fn not_listening(&mut self, instance: u32, sight: &Sight, what: String, now: Time) {
        let asked = self.slots.get_mut(&instance).is_some_and(|slot| {
            let asked = matches!(slot.life, Life::Settling(wait) if wait.asked);
            asked && slot.whose(sight) == Whose::Own && slot.note(sight)
        });
        if asked && self.course == Course::Rolling {
            self.fail(instance, InstanceFault::NotListening(what), now);
        } else {
            self.seen(instance, sight, now);
        }
    }

    fn seen_busy(&mut self, instance: u32, job: Job, sight: &Sight, now: Time) {
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        if job.change == UnitJob::Stop {
            if job.wait.asked && sight.state == State::Dead {
                slot.enter(Life::Gone, now);
            }
            return;
        }
        let whose = slot.whose(sight);
        if whose == Whose::Former {
            if job.done && job.wait.asked && sight.state == State::Dead {
                // Done, and no process came of it: something kept the manager from starting one.
                self.fail(instance, InstanceFault::Job(RolloutJobResult::Skipped), now);
            }
            // A sighting of the process that is being replaced.
            return;
        }
        match sight.state {
            State::Ready if job.wait.asked => {
                slot.adopt(sight);
                slot.confirmed = slot.asked_at;
                self.became_ready(instance, now);
            }
            // The job was done, so the process was ready: it has died since.
            _ if job.done => self.fail(instance, InstanceFault::Died, now),
            State::Starting if !job.starting => {
                slot.enter(Life::Busy(Job { starting: true, ..job }), now)
            }
            State::Restarting | State::Dead if job.wait.asked => {
                self.fail(instance, InstanceFault::Job(RolloutJobResult::Failed), now);
            }
            // The job's result, or the answer after its deadline, will tell.
            State::Starting | State::Ready | State::Stopping | State::Restarting | State::Dead => {}
        }
    }

    fn seen_settling(&mut self, instance: u32, wait: Wait, sight: &Sight, now: Time) {
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        match (slot.whose(sight), sight.state) {
            (Whose::Own, State::Ready) if wait.asked => self.stayed_ready(instance, now),
            // Known already, or late news from before it was ready.
            (Whose::Own, State::Ready | State::Starting) | (Whose::Former, _) => {}
            (Whose::Own, State::Stopping | State::Restarting | State::Dead)
            | (Whose::Successor, _)
                if slot.settled =>
            {
                // The roll call asks about it once more.
                slot.life = Life::Serving;
                self.seen_serving(instance, sight, now);
            }
            (Whose::Own, State::Stopping | State::Restarting | State::Dead)
            | (Whose::Successor, _) => self.fail(instance, InstanceFault::Died, now),
        }
    }

    fn seen_recovering(&mut self, instance: u32, sight: &Sight, now: Time) {
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        if sight.state == State::Ready {
            slot.adopt(sight);
            self.became_ready(instance, now);
        }
    }

    fn seen_serving(&mut self, instance: u32, sight: &Sight, now: Time) {
        let restored = self.old_since();
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        match (slot.whose(sight), sight.state) {
            // Known already, or late news from before it was ready.
            (Whose::Own, State::Ready | State::Starting) | (Whose::Former, _) => {}
            (Whose::Own, State::Stopping | State::Restarting | State::Dead) => {
                self.lose(instance, now)
            }
            (Whose::Successor, State::Ready) => {
                // The process died and systemd started the next one before a signal came.
                let another = reborn(slot, restored, sight);
                if self.on_probation(instance) {
                    self.fail(instance, InstanceFault::DiedLater, now);
                } else if another || self.slots.get(&instance).is_some_and(|slot| slot.fresh) {
                    self.became_ready(instance, now);
                }
            }
            (
                Whose::Successor,
                State::Starting | State::Stopping | State::Restarting | State::Dead,
            ) => {
                reborn(slot, restored, sight);
                self.lose(instance, now);
            }
        }
    }

    fn seen_idle(&mut self, instance: u32, sight: &Sight, now: Time) {
        let (restored, back) = (self.old_since(), self.going_back());
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        let changed = match slot.whose(sight) {
            // A sighting of an earlier process.
            Whose::Former => return,
            Whose::Own => {
                if sight.state == State::Ready {
                    slot.adopt(sight);
                }
                false
            }
            Whose::Successor => reborn(slot, restored, sight),
        };
        // Found half started with the new definition: this is the first time that it is ready.
        let settles = slot.made == StartedFrom::New && !back;
        match (slot.life, sight.state) {
            (_, State::Ready) if changed || settles => self.became_ready(instance, now),
            (_, State::Ready) => slot.enter(Life::Serving, now),
            (Life::Down, State::Starting) if changed => self.lose(instance, now),
            // Still not ready.
            (_, State::Starting | State::Stopping | State::Restarting | State::Dead) => {}
        }
    }

    /// An instance no longer serves, and not by our doing: expected back if the end needs it, else left alone.
    fn lose(&mut self, instance: u32, now: Time) {
        let goal = self.goal();
        if self.on_probation(instance) {
            return self.fail(instance, InstanceFault::DiedLater, now);
        }
        let wait = self.recovery(now);
        let back = self.going_back();
        let forward = self.course == Course::Rolling;
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        let needed = slot.made == goal && (forward || back && slot.touched);
        slot.enter(if needed { Life::Recovering(wait) } else { Life::Down }, now);
    }
}

/// systemd started the instance anew, with the definition that was loaded then. Says whether that is another one than
/// before.
fn reborn(slot: &mut Slot, restored: Option<Serial>, sight: &Sight) -> bool {
    slot.adopt(sight);
    let old = restored.is_some_and(|restored| sight.serial > restored);
    // A pinned instance is what it was before.
    let old = old || sight.serial <= slot.old_until;
    let made = if old { StartedFrom::Old } else { StartedFrom::New };
    std::mem::replace(&mut slot.made, made) != made
}
