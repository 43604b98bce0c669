//! Whether an instance is started once more, after which pause, and what is noted of it. Pure: the
//! tracer's file asks the manager, sleeps and writes (`clusterctl-exec --guard`).
//!
//! A start limit would take the listener down with the instance; this ends the restarts of the
//! instance alone. A run counts when it was ready for too short a time, or never; a longer run,
//! or a start by hand, begins anew.

use super::contract::GuardNotes;

/// Short runs in a row from which on each restart pauses although nobody asked for a pause: the first
/// restarts serve clients again at once, a loop of them would only take a CPU from others.
const HASTY: u32 = 2;
/// Pause from [`HASTY`] short runs on, in milliseconds, while the loop may still end by itself.
const SHORT_PAUSE: u64 = 100;
/// Short runs from which on a loop counts as lasting: only apps with `max_restarts = "unlimited"` or a
/// larger number get here.
const LASTING: u32 = 17;
/// Pause from [`LASTING`] short runs on, in milliseconds.
const LONG_PAUSE: u64 = 1000;

/// What the definition of the app says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Short runs in a row after which the instance gives up; `None`: it never does.
    pub max: Option<u32>,
    /// Milliseconds of being ready that make a run.
    pub least_uptime: u64,
    /// Milliseconds before each restart; 0: as few as do no harm. `None`: the manager has made the pause.
    pub delay: Option<u64>,
    /// The first of the growing pauses in milliseconds, and the longest; 0: they do not grow.
    pub backoff: (u64, u64),
}

/// What the manager says of the unit. Times are microseconds of `CLOCK_MONOTONIC`, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Automatic restarts since the last start by hand, this one among them.
    pub restarts: u32,
    /// When it last became ready.
    pub ready: u64,
    /// When it last ceased to be ready.
    pub left: u64,
}

/// Why there is no further start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It ended, and no restart is wanted.
    NoRestarts,
    /// So many runs in a row were too short.
    ShortRuns(u32),
}

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartVerdict {
    /// It goes on after so many milliseconds.
    Start(GuardNotes, u64),
    /// The instance gives up.
    GiveUp(GuardNotes, Reason),
}

/// What is noted of a start by hand that was announced, or of the first since boot; `None` where the
/// manager is to be asked.
#[must_use]
pub fn by_hand(notes: Option<GuardNotes>) -> Option<GuardNotes> {
    let seen = match notes {
        None => 0,
        Some(GuardNotes { seen, announced: true, .. }) => seen,
        Some(_) => return None,
    };
    Some(GuardNotes { seen, short_runs: Some(0), restarts: 0, announced: false })
}

/// Decides about a start.
#[must_use]
pub fn decide(notes: GuardNotes, past: Past, rules: Rules) -> StartVerdict {
    // After it gave up, only a start by hand leads here.
    let restarts = if notes.short_runs.is_some() { past.restarts } else { 0 };
    let ready_for = past.left.saturating_sub(past.ready) / 1000;
    let short = past.ready <= notes.seen || ready_for < rules.least_uptime;
    let count = match notes.short_runs {
        Some(count) if restarts > 0 && short => count.saturating_add(1),
        _ => 0,
    };
    let noted =
        |short_runs| GuardNotes { seen: past.ready, short_runs, restarts, announced: false };
    match rules.max {
        Some(0) if restarts > 0 => StartVerdict::GiveUp(noted(None), Reason::NoRestarts),
        Some(max) if max > 0 && count >= max => {
            StartVerdict::GiveUp(noted(None), Reason::ShortRuns(count))
        }
        _ => StartVerdict::Start(
            noted(Some(count)),
            if restarts > 0 { pause(count, rules) } else { 0 },
        ),
    }
}

/// Milliseconds before a restart after so many short runs.
fn pause(count: u32, rules: Rules) -> u64 {
    let (first, longest) = rules.backoff;
    match (rules.delay, count) {
        (None, _) => 0,
        // Who served well before is started again at once.
        _ if first > 0 && count == 0 => 0,
        _ if first > 0 => {
            // Each short run waits half as long again as the one before, as in PM2.
            let grow = |pause: u64| (pause < longest).then_some(pause.saturating_mul(3) / 2);
            (1..count).try_fold(first, |pause, _| grow(pause)).unwrap_or(longest).min(longest)
        }
        (Some(0), LASTING..) => LONG_PAUSE,
        (Some(0), HASTY..) => SHORT_PAUSE,
        (Some(delay), _) => delay,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const RULES: Rules =
        Rules { max: Some(3), least_uptime: 1000, delay: Some(0), backoff: (0, 0) };

    fn notes(seen: u64, short_runs: u32) -> GuardNotes {
        GuardNotes { seen, short_runs: Some(short_runs), restarts: 1, announced: false }
    }

    fn past(restarts: u32, ready: u64, left: u64) -> Past {
        Past { restarts, ready, left }
    }

    /// Short runs that are noted, and the pause; `None`: it gives up.
    fn next(notes: GuardNotes, past: Past, rules: Rules) -> Option<(u32, u64)> {
        match decide(notes, past, rules) {
            StartVerdict::Start(noted, pause) => Some((noted.short_runs.unwrap(), pause)),
            StartVerdict::GiveUp(noted, _) => {
                assert_eq!(noted.short_runs, None);
                None
            }
        }
    }

    #[test]
    fn a_run_counts_that_was_ready_for_too_short_or_never() {
        assert_eq!(next(notes(0, 0), past(1, 5_000, 5_000 + 999_999), RULES), Some((1, 0)));
        assert_eq!(next(notes(0, 1), past(2, 5_000, 5_000 + 1_000_000), RULES), Some((0, 0)));
        // What the manager tells is the readiness of a run before.
        assert_eq!(next(notes(5_000, 0), past(2, 5_000, 9_000_000), RULES), Some((1, 0)));
        assert_eq!(next(notes(0, 0), past(1, 0, 0), RULES), Some((1, 0)));
    }

    #[test]
    fn a_start_by_hand_begins_anew() {
        assert_eq!(next(notes(0, 2), past(0, 5_000, 6_000), RULES), Some((0, 0)));
        let gave_up = GuardNotes { short_runs: None, ..notes(0, 0) };
        assert_eq!(next(gave_up, past(9, 5_000, 6_000), RULES), Some((0, 0)));
        let first = GuardNotes { seen: 0, short_runs: Some(0), restarts: 0, announced: false };
        assert_eq!(by_hand(None), Some(first));
        let announced = GuardNotes { announced: true, ..notes(7, 2) };
        assert_eq!(by_hand(Some(announced)), Some(GuardNotes { seen: 7, ..first }));
        assert_eq!(by_hand(Some(notes(7, 2))), None);
    }

    #[test]
    fn it_gives_up_at_the_number_of_short_runs() {
        let third = decide(notes(0, 2), past(3, 5_000, 6_000), RULES);
        assert!(matches!(third, StartVerdict::GiveUp(_, Reason::ShortRuns(3))), "{third:?}");
        let never = Rules { max: Some(0), ..RULES };
        let first = decide(notes(0, 0), past(1, 5_000, 9_000_000), never);
        assert!(matches!(first, StartVerdict::GiveUp(_, Reason::NoRestarts)), "{first:?}");
        assert_eq!(next(notes(0, 0), past(0, 5_000, 6_000), never), Some((0, 0)));
        let always = Rules { max: None, ..RULES };
        assert_eq!(next(notes(0, 9_999), past(9, 5_000, 6_000), always), Some((10_000, 1000)));
    }

    #[test]
    fn a_loop_pauses_and_a_single_crash_does_not() {
        let all = Rules { max: None, ..RULES };
        let after = |count| next(notes(0, count - 1), past(count, 5_000, 6_000), all).unwrap().1;
        assert_eq!([1, 2, 3, 16, 17, 400].map(after), [0, 100, 100, 100, 1000, 1000]);
        assert_eq!(next(notes(0, 0), past(7, 5_000, 9_000_000), all), Some((0, 0)));
    }

    #[test]
    fn pauses_are_those_that_are_asked_for() {
        let fixed = Rules { max: None, delay: Some(250), ..RULES };
        assert_eq!([0, 1, 20].map(|count| super::pause(count, fixed)), [250; 3]);
        let made = Rules { delay: None, ..fixed };
        assert_eq!([0, 1, 20].map(|count| super::pause(count, made)), [0; 3]);
        assert_eq!(
            next(notes(0, 0), past(0, 0, 0), fixed),
            Some((0, 0)),
            "not before a first start"
        );
        let growing = Rules { backoff: (100, 1000), ..RULES };
        let pauses = [1, 2, 3, 4, 7, 8, 99].map(|count| super::pause(count, growing));
        assert_eq!(pauses, [100, 150, 225, 337, 1000, 1000, 1000]);
        assert_eq!(super::pause(0, growing), 0);
    }
}
