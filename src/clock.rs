//! Moments, on the clock of the day and on the one that does not jump. Never waits, and sets no clock.

use rustix::time::ClockId;

use crate::limits;

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Microseconds since 1970.
    pub realtime_usec: u64,
    /// Microseconds of `CLOCK_MONOTONIC`; does not jump.
    pub monotonic_usec: u64,
}

impl Timestamp {
    /// This moment.
    #[must_use]
    pub fn now() -> Timestamp {
        Timestamp {
            realtime_usec: micros(ClockId::Realtime),
            monotonic_usec: micros(ClockId::Monotonic),
        }
    }

    /// This moment in the steps of the clock by which the kernel says when an inode changed.
    #[must_use]
    pub fn of_inodes() -> Timestamp {
        Timestamp { realtime_usec: micros(ClockId::RealtimeCoarse), ..Timestamp::now() }
    }

    /// Microseconds since 1970 by the clock of now, where somebody has set the clock back since: it is compared with times
    /// of what happened later.
    #[must_use]
    pub fn since_1970(self, now: Timestamp) -> u64 {
        let set_back = self
            .by_the_clock_of(now)
            .filter(|by_now| by_now.saturating_add(limits::CLOCK_SET) < self.realtime_usec);
        set_back.unwrap_or(self.realtime_usec)
    }

    /// Microseconds since 1970, by the clock of then or by that of now, whichever is earlier: somebody may have set the
    /// clock since. `None` for what is not over by the clock that does not jump.
    #[must_use]
    pub fn earliest(self, now: Timestamp) -> Option<u64> {
        Some(self.by_the_clock_of(now)?.min(self.realtime_usec))
    }

    fn by_the_clock_of(self, now: Timestamp) -> Option<u64> {
        now.realtime_usec.checked_sub(now.monotonic_usec.checked_sub(self.monotonic_usec)?)
    }
}

fn micros(clock: ClockId) -> u64 {
    let time = rustix::time::clock_gettime(clock);
    u64::try_from(time.tv_sec.saturating_mul(1_000_000) + time.tv_nsec / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000;
    const STARTED: Timestamp = Timestamp { realtime_usec: 10 * HOUR, monotonic_usec: HOUR };

    /// An hour later by the clock that does not jump.
    fn now(realtime_usec: u64) -> Timestamp {
        Timestamp { realtime_usec, monotonic_usec: 2 * HOUR }
    }

    #[test]
    fn a_start_is_told_by_the_clock_of_now_where_that_was_set_back() {
        assert_eq!(STARTED.since_1970(now(11 * HOUR)), 10 * HOUR);
        assert_eq!(STARTED.since_1970(now(11 * HOUR - 1_000_000)), 10 * HOUR, "it drifts");
        assert_eq!(STARTED.since_1970(now(8 * HOUR)), 7 * HOUR, "it was set back");
        assert_eq!(STARTED.since_1970(now(15 * HOUR)), 10 * HOUR, "it was set forward");
        let unknown = Timestamp { monotonic_usec: 3 * HOUR, ..STARTED };
        assert_eq!(unknown.since_1970(now(8 * HOUR)), 10 * HOUR);
    }

    #[test]
    fn the_earliest_of_two_clocks_is_told() {
        assert_eq!(STARTED.earliest(now(11 * HOUR)), Some(10 * HOUR));
        assert_eq!(STARTED.earliest(now(8 * HOUR)), Some(7 * HOUR), "it was set back");
        assert_eq!(STARTED.earliest(now(15 * HOUR)), Some(10 * HOUR), "it was set forward");
        let ahead = Timestamp { monotonic_usec: 3 * HOUR, ..STARTED };
        assert_eq!(ahead.earliest(now(11 * HOUR)), None);
    }
}
