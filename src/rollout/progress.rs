//! What a live view needs to know of a running rollout. Never text or colour.

use serde::{Deserialize, Serialize};

use super::command::UnitJob;
use super::machine::{Course, Rollout};
use super::outcome::StillRunning;
use super::slot::{Job, Life, Slot, StartedFrom};
use super::time::Time;

/// The rollout at this moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is doing as a whole.
    pub stage: Stage,
    /// Asked to stop between two instances.
    pub interrupted: bool,
    /// Every instance it knows of, in order.
    pub instances: Vec<InstanceProgress>,
}

/// What a rollout is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// On the way to what is wanted.
    Rolling,
    /// On the way to what is wanted, without care.
    Forced,
    /// Stopped by a failure; waits for what is under way.
    Aborting,
    /// Waits for the old unit files.
    Restoring,
    /// On the way back.
    RollingBack,
    /// Removes what is left of it.
    Leaving,
    /// Over.
    Finished,
}

/// One instance at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceProgress {
    /// Its number.
    pub instance: u32,
    /// Lives only during the rollout, or goes with it.
    pub extra: bool,
    /// What it does.
    pub phase: InstancePhase,
    /// Since when.
    pub since: Time,
}

/// What one instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum InstancePhase {
    /// Serves, and will be replaced.
    Old,
    /// Does not serve, and nothing has been done about it yet.
    Down,
    /// Drains, to be replaced or removed.
    Draining,
    /// Starts.
    Starting,
    /// Is ready, but has not been so for `min_ready`.
    Settling,
    /// Was lost; expected back.
    Recovering,
    /// Serves with the wanted definition.
    Done,
    /// Did not get ready, or would not stop.
    Failed,
    /// Is not there (any more).
    Gone,
}

impl Rollout {
    /// The rollout at this moment, for a live view.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let instances = self.slots.iter().map(|(&instance, slot)| InstanceProgress {
            instance,
            extra: instance >= self.target(),
            phase: self.phase(slot),
            since: slot.since,
        });
        Progress {
            stage: match self.course {
                Course::Rolling => Stage::Rolling,
                Course::Forced(_) => Stage::Forced,
                Course::Aborting { .. } => Stage::Aborting,
                Course::Restoring { .. } => Stage::Restoring,
                Course::RollingBack(_) => Stage::RollingBack,
                Course::Leaving(_) => Stage::Leaving,
                Course::Finished(_) => Stage::Finished,
            },
            interrupted: self.interrupted,
            instances: instances.collect(),
        }
    }

    fn phase(&self, slot: &Slot) -> InstancePhase {
        match slot.life {
            Life::Gone => InstancePhase::Gone,
            // In a roll call it serves all the time.
            Life::Settling(_) if !slot.settled => InstancePhase::Settling,
            Life::Serving | Life::Settling(_) if slot.made == self.goal() => InstancePhase::Done,
            Life::Serving | Life::Settling(_) => InstancePhase::Old,
            Life::Down => InstancePhase::Down,
            Life::Busy(Job { change: UnitJob::Stop, .. }) => InstancePhase::Draining,
            Life::Busy(job) if job.starting => InstancePhase::Starting,
            Life::Busy(_) => InstancePhase::Draining,
            Life::Recovering(_) => InstancePhase::Recovering,
            Life::Failed | Life::Stuck => InstancePhase::Failed,
        }
    }

    /// What runs now, when it ends early.
    pub(super) fn left(&self) -> StillRunning {
        let mut left = StillRunning::default();
        for (&number, slot) in self.slots.iter().filter(|(_, slot)| slot.alive()) {
            let group = match slot.made {
                _ if number >= self.lasting() => &mut left.surge,
                StartedFrom::New => &mut left.new,
                StartedFrom::Old => &mut left.old,
            };
            group.push(number);
            if !slot.serving() {
                left.unready.push(number);
            }
        }
        left
    }
}
