//! A look at an instance in the words of `rollout`, and the clock that its times are on. It never
//! asks the manager.

use crate::clock::Timestamp;
use crate::rollout::{Serial, Sight, State};
use crate::systemd::Glimpse;
use crate::unit::ActiveState;

/// Now, in microseconds, on the clock of `ExecMainStartTimestampMonotonic`.
pub(super) fn monotonic() -> u64 {
    Timestamp::now().monotonic_usec
}

/// What the machine sees of an instance.
pub(super) fn sight(seen: &Glimpse) -> Sight {
    let now = match seen.active {
        ActiveState::Activating if seen.sub.starts_with("auto-restart") => State::Restarting,
        ActiveState::Activating => State::Starting,
        ActiveState::Deactivating => State::Stopping,
        ActiveState::Inactive | ActiveState::Failed => State::Dead,
        _ => State::Ready,
    };
    Sight { state: now, serial: Serial(seen.started) }
}
