//! How careful a rollout is: amounts, waits, and what follows a failure. Never knows what runs at the moment.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of instances, or a share of those wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// So many instances.
    Count(u32),
    /// So many of a hundred.
    Percent(u32),
}

impl Amount {
    /// 3 of 10 at `25%`: half an instance more is a whole process more.
    fn rounded_up(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(percent, of, 99),
        }
    }

    /// 2 of 10 at `25%`: half an instance fewer would be one fewer than allowed.
    fn rounded_down(self, of: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(percent, of, 0),
        }
    }
}

fn share(percent: u32, of: u32, round: u64) -> u32 {
    let hundredths = u64::from(percent) * u64::from(of) + round;
    u32::try_from(hundredths / 100).unwrap_or(u32::MAX)
}

/// As written: `2` or `25%`.
impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl FromStr for Amount {
    type Err = PolicyProblem;

    fn from_str(text: &str) -> Result<Self, PolicyProblem> {
        let (digits, amount): (_, fn(u32) -> Self) = match text.strip_suffix('%') {
            Some(digits) => (digits, Self::Percent),
            None => (text, Self::Count),
        };
        // `u32::from_str` would also take a leading plus sign.
        let plain = digits.starts_with(|first: char| first.is_ascii_digit());
        match digits.parse() {
            Ok(number) if plain => Ok(amount(number)),
            _ => Err(PolicyProblem::NotAnAmount(text.to_owned())),
        }
    }
}

/// What follows when an instance does not get ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// The old definition is put back, and the instances replaced so far are replaced again.
    #[default]
    Rollback,
    /// Everything stays as it is, for somebody to look at.
    Pause,
}

/// How one app is rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Extra instances while the rollout lasts. A percentage is rounded up.
    pub max_surge: Amount,
    /// How many of the wanted instances may be missing at a time. A percentage is rounded down; if this and
    /// `max_surge` both come to nothing, one may be missing.
    pub max_unavailable: Amount,
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
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_surge: Amount::Count(1),
            max_unavailable: Amount::Count(0),
            min_ready: Duration::ZERO,
            listen_timeout: Duration::from_secs(30),
            kill_timeout: Duration::from_secs(10),
            on_failure: OnFailure::default(),
            force: false,
        }
    }
}

impl Policy {
    /// The policy of a restart: this one, but everything at once and without a canary.
    #[must_use]
    pub fn all_at_once(self) -> Self {
        Self { max_surge: Amount::Count(0), max_unavailable: Amount::Percent(100), ..self }
    }

    /// What the amounts come to with `wanted` instances.
    ///
    /// With the default, 4 instances: up to 5 processes, never fewer than 4 that serve. With `max_surge = "25%"`,
    /// `max_unavailable = "25%"`, 10 instances: up to 13 processes, never fewer than 8 that serve, 5 replaced at a time.
    #[must_use]
    pub fn limits(&self, wanted: u32) -> Limits {
        let surge = self.max_surge.rounded_up(wanted);
        let unavailable = self.max_unavailable.rounded_down(wanted).min(wanted);
        if surge == 0 && unavailable == 0 {
            return Limits { surge, unavailable: 1 };
        }
        Limits { surge, unavailable }
    }

    /// Everything about this policy that makes no sense.
    #[must_use]
    pub fn problems(&self) -> Vec<PolicyProblem> {
        let mut problems = Vec::new();
        if let Amount::Percent(percent) = self.max_unavailable
            && percent > 100
        {
            problems.push(PolicyProblem::UnavailableOverAll(percent));
        }
        match self.max_surge {
            Amount::Percent(percent) if percent > 100 => {
                problems.push(PolicyProblem::SurgeTooLarge(self.max_surge));
            }
            Amount::Count(count) if count > MOST_SURGE => {
                problems.push(PolicyProblem::SurgeTooLarge(self.max_surge));
            }
            Amount::Count(_) | Amount::Percent(_) => {}
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

/// More than this at once is a slip of the finger, not a wish.
const MOST_SURGE: u32 = 1000;

/// A rollout that may wait a day for one instance is one that nobody is waiting for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

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
    /// Neither a number nor a percentage.
    NotAnAmount(String),
    /// More than all instances cannot be missing.
    UnavailableOverAll(u32),
    /// More surge instances than anybody could want.
    SurgeTooLarge(Amount),
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
            Self::NotAnAmount(text) => {
                write!(f, "`{text}` is neither a number of instances nor a percentage")
            }
            Self::UnavailableOverAll(percent) => {
                write!(f, "max_unavailable = {percent}% is more than all instances")
            }
            Self::SurgeTooLarge(amount) => {
                write!(f, "max_surge = {amount} is far more than a rollout can use")
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
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn limits(surge: &str, unavailable: &str, wanted: u32) -> (u32, u32) {
        let policy = Policy {
            max_surge: surge.parse().unwrap(),
            max_unavailable: unavailable.parse().unwrap(),
            ..Policy::default()
        };
        let limits = policy.limits(wanted);
        (limits.surge, limits.unavailable)
    }

    #[test]
    fn surge_rounds_up_and_unavailable_rounds_down() {
        assert_eq!(limits("25%", "25%", 10), (3, 2));
        assert_eq!(limits("25%", "0", 1), (1, 0));
        assert_eq!(limits("1", "100%", 4), (1, 4));
    }

    #[test]
    fn both_nothing_is_one_unavailable() {
        assert_eq!(limits("0", "0", 4), (0, 1));
        assert_eq!(limits("0", "10%", 4), (0, 1));
    }

    #[test]
    fn no_more_than_all_are_unavailable() {
        assert_eq!(limits("0", "9", 4), (0, 4));
    }

    #[test]
    fn amounts_are_numbers_and_percentages_only() {
        for text in ["", "%", "-1", "+1", "1.5", "3 %", "many", "99999999999"] {
            assert_eq!(text.parse::<Amount>(), Err(PolicyProblem::NotAnAmount(text.to_owned())));
        }
        assert_eq!("25%".parse::<Amount>().unwrap().to_string(), "25%");
    }

    #[test]
    fn all_problems_at_once() {
        let policy = Policy {
            max_surge: Amount::Percent(200),
            max_unavailable: Amount::Percent(101),
            listen_timeout: Duration::ZERO,
            kill_timeout: Duration::from_secs(100_000),
            ..Policy::default()
        };
        assert_eq!(policy.problems().len(), 4);
        assert_eq!(Policy::default().problems(), []);
    }
}
