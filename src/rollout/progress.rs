//! What a live view needs to know of a running rollout. Never text or colour.

use super::time::Time;

/// The rollout at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing as a whole.
    pub stage: Stage,
    /// Asked to stop between two instances.
    pub interrupted: bool,
    /// Every instance it knows of, in order.
    pub instances: Vec<InstanceProgress>,
}

/// What a rollout is doing as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceProgress {
    /// Its number.
    pub instance: u32,
    /// Lives only during the rollout, or goes with it.
    pub extra: bool,
    /// What it does.
    pub phase: Phase,
    /// Since when.
    pub since: Time,
}

/// What one instance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
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
