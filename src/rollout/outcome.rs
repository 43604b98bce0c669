//! How a rollout ended. A failure of the world is data here, never an `Err`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a rollout ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Exactly the wanted instances run, all with the wanted definition. Those that the rollout started have been ready
    /// for `min_ready`, and still were when it ended.
    Complete,
    /// A timeout was overruled: everything was restarted, ready or not.
    Forced {
        /// What was not ready in time first.
        because: Failure,
        /// Wanted instances that are not ready at the end.
        unready: Vec<u32>,
    },
    /// It stopped at a failure; nothing that still served was touched after it.
    Failed {
        /// What went wrong.
        because: Failure,
        /// What went wrong on the way back, if that was tried.
        then: Option<Trouble>,
        /// What runs now.
        left: StillRunning,
    },
    /// It stopped at a failure, and what it had replaced runs the old definition again.
    RolledBack {
        /// What went wrong.
        because: Failure,
        /// Wanted instances that do not serve, for another reason: the rollout did not touch them.
        #[serde(default)]
        down: Vec<u32>,
    },
    /// It stopped between two instances because somebody asked for it.
    Interrupted {
        /// What had gone wrong by then, if anything.
        because: Option<Failure>,
        /// What runs now.
        left: StillRunning,
    },
}

/// How a job ended, in systemd's words where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RolloutJobResult {
    /// The instance is ready (start, restart), or gone (stop).
    Done,
    /// The process exited or gave up before it was ready.
    Failed,
    /// It took too long. For a service systemd calls the job `failed` and the *unit's* result `timeout`: the driver
    /// has to look there to tell a slow start from a broken one.
    Timeout,
    /// Somebody else asked for the opposite meanwhile.
    Canceled,
    /// Something it requires did not start.
    Dependency,
    /// A condition was not met.
    Skipped,
    /// There is no job, and why: systemd refuses it, as for a masked unit. Nothing was done to the instance.
    Refused(String),
    /// Any other result.
    Other(String),
}

/// An instance that did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The instance.
    pub instance: u32,
    /// What it did instead.
    pub why: InstanceFault,
}

/// What an instance did wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceFault {
    /// The job that starts it did not end well.
    Job(RolloutJobResult),
    /// Not ready in time, although nothing failed.
    StartTimeout,
    /// Ready, and dead again within `min_ready`.
    Died,
    /// Ready for `min_ready`, and dead before the last of the others was.
    DiedLater,
    /// Ready, and without the listeners that made it so; what it does instead, as a predicate.
    NotListening(String),
    /// Nobody could say whether it was still ready.
    NoAnswer,
    /// Was lost during the rollout and did not come back in time.
    NotBack,
    /// Would not stop.
    StopTimeout,
}

impl InstanceFault {
    /// Whether more time might have helped.
    #[must_use]
    pub const fn is_timeout(&self) -> bool {
        match self {
            Self::Job(RolloutJobResult::Timeout) | Self::StartTimeout => true,
            Self::Job(_) | Self::Died | Self::DiedLater | Self::NotListening(_) => false,
            Self::NoAnswer | Self::NotBack | Self::StopTimeout => false,
        }
    }
}

/// What went wrong after the first failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// The old unit files could not be put back.
    Restore(String),
    /// The driver never answered whether they were.
    RestoreTimeout,
    /// An instance did not get ready with the old definition either.
    Rollback(Failure),
}

/// What runs when a rollout ends early; every running instance is in exactly one of `new`, `old` and `surge`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StillRunning {
    /// Run the new definition.
    pub new: Vec<u32>,
    /// Run the old definition.
    pub old: Vec<u32>,
    /// Extra instances, kept because too few others serve; the next rollout finds and removes them.
    pub surge: Vec<u32>,
    /// Those of all the above that are not ready.
    pub unready: Vec<u32>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "instance {} {}", self.instance, self.why)
    }
}

impl fmt::Display for InstanceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(RolloutJobResult::Done) => f.write_str("was done but is not ready"),
            Self::Job(RolloutJobResult::Failed) => f.write_str("failed to start"),
            Self::Job(RolloutJobResult::Timeout) | Self::StartTimeout => {
                f.write_str("was not ready in time")
            }
            Self::Job(RolloutJobResult::Canceled) => f.write_str("was stopped by somebody else"),
            Self::Job(RolloutJobResult::Dependency) => f.write_str("lacks something it requires"),
            Self::Job(RolloutJobResult::Skipped) => f.write_str("was skipped by a condition"),
            Self::Job(RolloutJobResult::Refused(result) | RolloutJobResult::Other(result)) => {
                write!(f, "could not be started ({result})")
            }
            Self::Died => f.write_str("died soon after it was ready"),
            Self::DiedLater => f.write_str("died while the others were replaced"),
            Self::NotListening(what) => f.write_str(what),
            Self::NoAnswer => f.write_str("did not show whether it is still ready"),
            Self::NotBack => f.write_str("was lost and did not come back in time"),
            Self::StopTimeout => f.write_str("would not stop"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(error) => write!(f, "the old definition could not be put back: {error}"),
            Self::RestoreTimeout => f.write_str("the old definition was not put back in time"),
            Self::Rollback(failure) => write!(f, "on the way back {failure}"),
        }
    }
}
