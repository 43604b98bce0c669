//! A look at an instance in the words of `rollout`, and the clock that its times are on. It never
//! asks the manager.

use crate::rollout::{Serial, Sight, State};
use crate::systemd::Glimpse;
use crate::unit::ActiveState;

/// Now, in microseconds, on the clock of `ExecMainStartTimestampMonotonic`.
pub(super) fn monotonic() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let micros = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1000;
    u64::try_from(micros).unwrap_or(0)
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
