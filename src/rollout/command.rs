//! What the machine asks the driver to do, each with its reason. Never does it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::outcome::Failure;

/// Number of a submitted job; the driver hands it back with the job's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u64);

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Instruction {
    /// Submit a job, without waiting for its end. A job that cannot be submitted is answered with
    /// [`JobDone`](super::Event::JobDone) as well.
    Submit {
        /// To be handed back with the result.
        ticket: Ticket,
        /// The instance.
        instance: u32,
        /// Which job.
        change: UnitJob,
        /// Why.
        reason: JobReason,
    },
    /// Read the state of an instance and answer with [`Seen`](super::RolloutEvent::Seen), after any signal that was sent
    /// before the state was read: in the order of the bus.
    Look {
        /// The instance.
        instance: u32,
        /// Why the machine wants to know.
        doubt: Doubt,
    },
    /// Have the manager start these instances from the new definition from now on, and answer with
    /// [`Unpinned`](super::RolloutEvent::Unpinned): until then they come back with the old one when they die.
    Unpin {
        /// The instances.
        instances: BTreeSet<u32>,
    },
    /// Put the old unit files back, have them loaded, and answer with
    /// [`DefinitionRestored`](super::Event::DefinitionRestored).
    RestoreDefinition {
        /// What went wrong.
        because: Failure,
    },
}

/// The job to submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UnitJob {
    /// Start, or join a start under way.
    Start,
    /// Stop drains, then start.
    Restart,
    /// Drain and stop.
    Stop,
}

/// Why a job is submitted; reads as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JobReason {
    /// The first of the new definition: only if it gets ready are others touched.
    Canary,
    /// Serves in the place of those being replaced.
    Surge,
    /// Wanted, but not there.
    Missing,
    /// Has the right definition, but is not ready.
    NotReady,
    /// Runs what is no longer wanted.
    Outdated,
    /// Was replaced before the failure.
    RollBack,
    /// Something was not ready in time, and the rollout is forced.
    Forced,
    /// More instances than wanted.
    Surplus,
    /// The rollout needs no extra instance any more.
    SurgeOver,
    /// An extra instance that did not get ready.
    SurgeFailed,
}

/// Why the machine wants to look; reads as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Doubt {
    /// Its start or restart was reported done: which process is it, and is it still ready?
    Started,
    /// The end of a start or restart should have been reported by now.
    StartOverdue,
    /// The end of a stop should have been reported by now.
    StopOverdue,
    /// The stop job did not end well.
    StopFailed,
    /// It has been ready long enough, if it still is.
    StillReady,
    /// All have been ready long enough, if all still are.
    RollCall,
    /// It was lost and should be back by now.
    RecoveryOverdue,
}

/// As in `systemctl`.
impl fmt::Display for UnitJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
        })
    }
}

impl fmt::Display for JobReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canary => "canary of the new definition",
            Self::Surge => "serves while others are replaced",
            Self::Missing => "wanted but not running",
            Self::NotReady => "running but not ready",
            Self::Outdated => "outdated",
            Self::RollBack => "back to the old definition",
            Self::Forced => "forced after a timeout",
            Self::Surplus => "more instances than wanted",
            Self::SurgeOver => "no extra instance needed any more",
            Self::SurgeFailed => "extra instance did not get ready",
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "reported ready; is it?",
            Self::StartOverdue => "not reported ready in time",
            Self::StopOverdue => "not reported stopped in time",
            Self::StopFailed => "stop did not end well",
            Self::StillReady => "ready for long enough?",
            Self::RollCall => "all of them still ready?",
            Self::RecoveryOverdue => "not back in time",
        })
    }
}

/// One line for logs and stories.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit { instance, change, reason, ticket: _ } => {
                write!(f, "{change} {instance}: {reason}")
            }
            Self::Look { instance, doubt } => write!(f, "look {instance}: {doubt}"),
            Self::Unpin { instances } => {
                let numbers: Vec<String> = instances.iter().map(u32::to_string).collect();
                write!(f, "unpin {}", numbers.join(" "))
            }
            Self::RestoreDefinition { because } => {
                write!(f, "restore the old definition: {because}")
            }
        }
    }
}
