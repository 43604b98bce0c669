//! What a rollout starts from and what it shall reach. Never how.

use std::collections::BTreeMap;

use super::event::{Sight, State};
use super::policy::Policy;
use super::slot::{Definition, Life, Slot, Wait};
use super::time::Time;

/// What a rollout starts from and what it shall reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The instances that exist, by number; those left out count as dead.
    pub current: BTreeMap<u32, Observed>,
    /// How many instances there were meant to be before: what a rollback goes back to.
    pub before: u32,
    /// How many instances there shall be, `0..wanted`.
    pub wanted: u32,
    /// How to get there.
    pub policy: Policy,
    /// Whether there is an old definition to put back. Not so after a code deploy, whose units did not change.
    pub can_restore: bool,
}

/// One instance before the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observed {
    /// How it looks.
    pub sight: Sight,
    /// Whether its process must be replaced; without meaning for dead ones.
    pub outdated: bool,
}

impl Observed {
    pub(super) fn ready(&self) -> bool {
        self.sight.state == State::Ready
    }

    /// How it enters the machine; until `settle` if it may have got ready a moment ago.
    pub(super) fn slot(&self, settle: Option<Time>, now: Time) -> Slot {
        let made = if self.outdated { Definition::Old } else { Definition::New };
        let (made, life) = match (self.sight.state, settle) {
            (State::Dead, _) => (Definition::New, Life::Gone),
            // Ready, but perhaps not for long: the rollout that started it was interrupted.
            (State::Ready, Some(until)) if !self.outdated => {
                (made, Life::Settling(Wait::until(until)))
            }
            (State::Ready, _) => (made, Life::Serving),
            (State::Starting | State::Stopping | State::Restarting, _) => (made, Life::Down),
        };
        Slot::found(&self.sight, made, life, now)
    }
}

impl Spec {
    /// Some instances run the new definition and some the old one: an earlier rollout was interrupted.
    pub(super) fn mixed(&self) -> bool {
        let alive = || self.current.values().filter(|seen| seen.sight.state != State::Dead);
        alive().any(|seen| seen.outdated) && alive().any(|seen| !seen.outdated)
    }
}
