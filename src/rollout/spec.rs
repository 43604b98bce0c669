//! What a rollout starts from and what it shall reach. Never how.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{Sight, State};
use super::policy::Policy;
use super::slot::{Life, Slot, StartedFrom, Wait};
use super::time::Time;

/// What a rollout starts from and what it shall reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The instances that exist, by number; those left out count as dead.
    pub current: BTreeMap<u32, FoundInstance>,
    /// How many instances there were meant to be before: what a rollback goes back to.
    pub before: u32,
    /// How many instances there shall be, `0..wanted`.
    pub wanted: u32,
    /// How to get there.
    pub policy: Policy,
    /// What there is to put back when it fails.
    pub former: Former,
    /// Instances that the manager starts from the old definition until [`Unpin`](super::Instruction::Unpin).
    pub pinned: BTreeSet<u32>,
    /// How many instances may be in the first moments of a start at a time: as many as there are processors. More would
    /// take time from one another, and from those that serve.
    pub starts_at_once: u32,
    /// Somebody chose which instances are replaced: the others run something older, and prove nothing.
    pub chosen: bool,
}

/// What there is to put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Former {
    /// Nothing: after a code deploy, whose units did not change.
    Nothing,
    /// The number of instances; the definition is the same.
    Number,
    /// The old definition, and the number.
    Definition,
}

/// One instance before the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundInstance {
    /// How it looks.
    pub sight: Sight,
    /// Whether its process must be replaced; without meaning for dead ones.
    pub outdated: bool,
}

impl FoundInstance {
    pub(super) fn ready(&self) -> bool {
        self.sight.state == State::Ready
    }

    /// The slot with which the instance enters the machine. With `resumed`, an earlier rollout was interrupted:
    /// an instance of the new definition may have got ready a moment ago, and has to stay ready until that time.
    pub(super) fn slot(&self, resumed: Option<Time>, now: Time) -> Slot {
        let made = if self.outdated { StartedFrom::Old } else { StartedFrom::New };
        let resumed = resumed.filter(|_| !self.outdated);
        let (made, life) = match (self.sight.state, resumed) {
            (State::Dead, _) => (StartedFrom::New, Life::Gone),
            (State::Ready, Some(until)) if until > now => {
                (made, Life::Settling(Wait::until(until)))
            }
            (State::Ready, _) => (made, Life::Serving),
            (State::Starting | State::Stopping | State::Restarting, _) => (made, Life::Down),
        };
        let mut slot = Slot::found(&self.sight, made, life, now);
        slot.fresh = resumed.is_some() && slot.alive();
        slot.settled = slot.serving();
        slot
    }
}

impl Spec {
    /// Some instances run the new definition and some the old one: an earlier rollout was interrupted.
    pub(super) fn mixed(&self) -> bool {
        if self.chosen {
            return false;
        }
        let alive = || self.current.values().filter(|seen| seen.sight.state != State::Dead);
        alive().any(|seen| seen.outdated) && alive().any(|seen| !seen.outdated)
    }
}
