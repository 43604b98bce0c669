//! How careful a rollout is: amounts, waits, and what follows a failure. Never knows what runs at the moment.
//!
//! Flags shorten a rollout's timeouts and never lengthen them: the unit's own `TimeoutStartSec=`
//! and `TimeoutStopSec=` would end the instance first. `--kill-timeout` kills from the driver.
//!
//! `max_surge` is 1 by default: memory for one more process is what most machines have, and
//! readiness decides how long a rollout takes. `max_surge = "100%"` replaces all at once, as far as the
//! processors go: see `pace`.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ecosystem::{App, OnFailure, RolloutSettings, Share};
use crate::limits::INSTANCES;
use crate::translate::Record;

/// How one app is rolled out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Extra instances while the rollout lasts. A percentage is rounded up.
    pub max_surge: Share,
    /// How many of the wanted instances may be missing at a time. A percentage is rounded down; if this and
    /// `max_surge` both come to nothing, one may be missing.
    pub max_unavailable: Share,
    /// How long an instance must stay ready before it counts.
    pub min_ready: Duration,
    /// How long an instance may take to get ready.
    pub listen_timeout: Duration,
    /// How long an instance may take to drain and exit.
    pub kill_timeout: Duration,
    /// What follows a failure.
    pub on_failure: OnFailure,
    /// After an instance was not ready in time, restart the others all the same, at once and without care.
    pub force: bool,
    /// Kills a draining instance after this time, when that is earlier than its unit would.
    #[serde(default)]
    pub kill_after: Option<Duration>,
    /// Whether instances that start before the definition is proven are checked by a program of the app.
    #[serde(default)]
    pub checks: bool,
}

/// What the ecosystem file means where it says nothing: so go the rollouts of apps whose group remembers less,
/// as after an older version.
impl Default for Policy {
    fn default() -> Self {
        let RolloutSettings { max_surge, max_unavailable, min_ready, on_failure } =
            RolloutSettings::default();
        Self {
            max_surge,
            max_unavailable,
            min_ready,
            listen_timeout: RolloutSettings::LISTEN_TIMEOUT,
            kill_timeout: RolloutSettings::KILL_TIMEOUT,
            on_failure,
            force: false,
            kill_after: None,
            checks: false,
        }
    }
}

impl Policy {
    /// What the ecosystem says about an app.
    #[must_use]
    pub fn of(app: &App) -> Self {
        let RolloutSettings { max_surge, max_unavailable, min_ready, on_failure } = app.rollout;
        Self {
            max_surge,
            max_unavailable,
            min_ready,
            listen_timeout: app.process.listen_timeout,
            kill_timeout: app.process.kill_timeout,
            on_failure,
            force: false,
            kill_after: None,
            checks: !app.reloads.check.is_empty(),
        }
    }

    /// What the last apply recorded in the group unit of an app; the defaults for what is missing.
    #[must_use]
    pub fn read(record: &Record) -> Self {
        let (group, default) = (&record.group, Self::default());
        Self {
            max_surge: group.max_surge.unwrap_or(default.max_surge),
            max_unavailable: group.max_unavailable.unwrap_or(default.max_unavailable),
            min_ready: group.min_ready.unwrap_or(default.min_ready),
            listen_timeout: group.listen_timeout.unwrap_or(default.listen_timeout),
            kill_timeout: group.kill_timeout.unwrap_or(default.kill_timeout),
            on_failure: group.on_failure.unwrap_or(default.on_failure),
            checks: group.checks,
            ..default
        }
    }

    /// What the amounts come to with `wanted` instances.
    ///
    /// With the default, 4 instances: up to 5 processes, never fewer than 4 that serve. With `max_surge = "25%"`,
    /// `max_unavailable = "25%"`, 10 instances: up to 13 processes, never fewer than 8 that serve, 5 replaced at a time.
    #[must_use]
    pub fn limits(&self, wanted: u32) -> Limits {
        let surge = rounded_up(self.max_surge, wanted);
        let unavailable = rounded_down(self.max_unavailable, wanted).min(wanted);
        if surge == 0 && unavailable == 0 {
            return Limits { surge, unavailable: 1 };
        }
        Limits { surge, unavailable }
    }

    /// Everything about this policy that makes no sense.
    #[must_use]
    pub fn problems(&self) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        for (key, share) in
            [("max_surge", self.max_surge), ("max_unavailable", self.max_unavailable)]
        {
            let (number, most) = match share {
                Share::Percent(percent) => (percent, 100),
                Share::Count(count) => (count, INSTANCES),
            };
            if number > most {
                problems.push(PolicyProblem::TooMany { key, share });
            }
        }
        if self.listen_timeout.is_zero() {
            problems.push(PolicyProblem::NoTimeToListen);
        }
        for (key, span) in [
            ("min_ready", self.min_ready),
            ("listen_timeout", self.listen_timeout),
            ("kill_timeout", self.kill_timeout),
        ] {
            if span > LONGEST {
                problems.push(PolicyProblem::TooLong { key, span });
            }
        }
        problems
    }
}

/// 25% of 10 is 3: half an instance more is a whole process more.
fn rounded_up(share: Share, of: u32) -> u32 {
    match share {
        Share::Count(count) => count,
        Share::Percent(percent) => hundredths(percent, of, 99),
    }
}

/// 25% of 10 is 2: half an instance fewer would be one fewer than allowed.
fn rounded_down(share: Share, of: u32) -> u32 {
    match share {
        Share::Count(count) => count,
        Share::Percent(percent) => hundredths(percent, of, 0),
    }
}

fn hundredths(percent: u32, of: u32, round: u64) -> u32 {
    let exact = u64::from(percent) * u64::from(of) + round;
    u32::try_from(exact / 100).unwrap_or(u32::MAX)
}

/// A rollout that may wait a day for one instance is one that nobody is waiting for.
const LONGEST: Duration = crate::limits::ROLLOUT_TIMEOUT;

/// The amounts of a policy in instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Extra instances at most.
    pub surge: u32,
    /// Wanted instances that may be missing at most.
    pub unavailable: u32,
}

impl Limits {
    /// How many instances are replaced in place at a time.
    #[must_use]
    pub const fn batch(self) -> u32 {
        let batch = self.surge.saturating_add(self.unavailable);
        if batch == 0 { 1 } else { batch }
    }
}

/// Why a policy makes no sense; reads as a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyProblem {
    /// More than all instances, or than an app can have.
    TooMany {
        /// Which one.
        key: &'static str,
        /// How many it would be.
        share: Share,
    },
    /// Nothing gets ready in no time.
    NoTimeToListen,
    /// A wait of more than a day.
    TooLong {
        /// Which one.
        key: &'static str,
        /// How long it would be.
        span: Duration,
    },
}

impl fmt::Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { key, share: share @ Share::Percent(_) } => {
                write!(f, "{key} = {share} is more than all instances (100%)")
            }
            Self::TooMany { key, share } => {
                write!(f, "{key} = {share} is more than an app can have ({INSTANCES})")
            }
            Self::NoTimeToListen => write!(f, "listen_timeout = 0 leaves no time to get ready"),
            Self::TooLong { key, span } => {
                write!(f, "{key} = {}s is longer than a day", span.as_secs())
            }
        }
    }
}

impl std::error::Error for PolicyProblem {}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_surge: Share, max_unavailable: Share, wanted: u32) -> (u32, u32) {
        let policy = Policy { max_surge, max_unavailable, ..Policy::default() };
        let limits = policy.limits(wanted);
        (limits.surge, limits.unavailable)
    }

    #[test]
    fn surge_rounds_up_and_unavailable_rounds_down() {
        assert_eq!(limits(Share::Percent(25), Share::Percent(25), 10), (3, 2));
        assert_eq!(limits(Share::Percent(25), Share::Count(0), 1), (1, 0));
        assert_eq!(limits(Share::Count(1), Share::Percent(100), 4), (1, 4));
    }

    #[test]
    fn both_nothing_is_one_unavailable() {
        assert_eq!(limits(Share::Count(0), Share::Count(0), 4), (0, 1));
        assert_eq!(limits(Share::Count(0), Share::Percent(10), 4), (0, 1));
    }

    #[test]
    fn no_more_than_all_are_unavailable() {
        assert_eq!(limits(Share::Count(0), Share::Count(9), 4), (0, 4));
    }

    #[test]
    fn flags_end_where_the_file_does_and_where_nobody_would_wait_any_more() {
        let with = |surge: u32, span: Duration| {
            let max_surge = Share::Count(surge);
            Policy { max_surge, kill_timeout: span, ..Policy::default() }.problems().len()
        };
        assert_eq!(with(INSTANCES, LONGEST), 0);
        assert_eq!(with(INSTANCES + 1, LONGEST), 1);
        assert_eq!(with(INSTANCES, LONGEST + Duration::from_millis(1)), 1);
    }

    #[test]
    fn all_problems_at_once() {
        let policy = Policy {
            max_surge: Share::Percent(200),
            max_unavailable: Share::Percent(101),
            listen_timeout: Duration::ZERO,
            kill_timeout: Duration::from_secs(100_000),
            ..Policy::default()
        };
        assert_eq!(policy.problems().len(), 4);
        assert_eq!(Policy::default().problems(), []);
    }
}
