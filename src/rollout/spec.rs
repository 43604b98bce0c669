//! What a rollout starts from and what it shall reach. Never how.

use std::collections::BTreeMap;

use super::event::{Sight, State};
use super::policy::Policy;

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
}

impl Spec {
    /// Some instances run the new definition and some the old one: an earlier rollout was interrupted.
    pub(super) fn mixed(&self) -> bool {
        let alive = || self.current.values().filter(|seen| seen.sight.state != State::Dead);
        alive().any(|seen| seen.outdated) && alive().any(|seen| !seen.outdated)
    }
}
