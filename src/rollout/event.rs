//! What the driver tells the machine. Never what to do about it.

use std::collections::BTreeSet;

use super::command::Ticket;
use super::outcome::RolloutJobResult;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolloutEvent {
    /// A submitted job ended, or could not be submitted.
    JobDone {
        /// The instance it was for.
        instance: u32,
        /// The ticket of the command that asked for the job.
        ticket: Ticket,
        /// How it ended.
        result: RolloutJobResult,
    },
    /// How an instance looks: the answer to [`Look`](super::Command::Look), or a change that was signalled.
    Seen {
        /// The instance.
        instance: u32,
        /// What was seen.
        sight: Sight,
    },
    /// The answer to [`Look`](super::Command::Look) about an instance that is ready by its manager's word, and that nobody
    /// can rely on.
    NotListening {
        /// The instance.
        instance: u32,
        /// What was seen.
        sight: Sight,
        /// What it does instead, as the predicate of its name.
        what: String,
    },
    /// The manager starts these instances from the new definition, as of this moment of the monotonic clock.
    Unpinned {
        /// The instances.
        instances: BTreeSet<u32>,
        /// Processes that started later run the new definition.
        since: Serial,
    },
    /// The old unit files are in place again and loaded, as of this moment of the monotonic clock; or the reason why
    /// not. Processes that started later run the old definition.
    DefinitionRestored(Result<Serial, String>),
    /// Nothing happened until [`deadline`](super::Rollout::deadline).
    Tick,
    /// Somebody asks to stop between two instances.
    Interrupt,
}

/// When the main process of a sighting was started, in microseconds of the monotonic clock
/// (`ExecMainStartTimestampMonotonic`); 0 if there never was one. It tells a process from its successor, and which
/// definition it was started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Serial(pub u64);

/// What a look at an instance shows. Both are of one moment: the state of a process together with the serial of the
/// next one would be a death that never was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// The state of the unit.
    pub state: State,
    /// Which process this is about: the running one, else the last one.
    pub serial: Serial,
}

/// The state of one instance, in the order in which a process goes through them: of two sightings with the same
/// serial, the one with the greater state is the later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Started, not ready yet.
    Starting,
    /// Serves. A reload of its own (`reloading`) counts as ready.
    Ready,
    /// Drains.
    Stopping,
    /// Exited by itself; systemd will start it again.
    Restarting,
    /// No process, and none will come by itself.
    Dead,
}

impl Sight {
    /// Sightings of one instance are totally ordered; see [`State`].
    pub(super) fn rank(&self) -> (Serial, State) {
        (self.serial, self.state)
    }
}
