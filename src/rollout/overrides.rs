//! What a command line says differently from the ecosystem file, and what a policy becomes by that.

use std::time::Duration;

use super::policy::Policy;
use crate::ecosystem::{AppName, OnFailure, Share};

/// What a command line says differently from the ecosystem file, for one rollout.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Extra instances.
    pub max_surge: Option<Share>,
    /// Instances that may be missing.
    pub max_unavailable: Option<Share>,
    /// How long an instance must stay ready.
    pub min_ready: Option<Duration>,
    /// How long an instance may take to get ready.
    pub listen_timeout: Option<Duration>,
    /// How long an instance may drain.
    pub kill_timeout: Option<Duration>,
    /// What follows a failure.
    pub on_failure: Option<OnFailure>,
    /// After a timeout, restart the others all the same.
    pub force: bool,
}

impl Overrides {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        let spans = [self.min_ready, self.listen_timeout, self.kill_timeout];
        self.max_surge.is_none()
            && self.max_unavailable.is_none()
            && spans.iter().all(Option::is_none)
            && self.on_failure.is_none()
            && !self.force
    }
}

impl Policy {
    /// The policy with these changes, or what is impossible about them.
    ///
    /// # Errors
    /// A sentence: a limit beyond the unit's own, which would end the instance first, or amounts
    /// that make no sense.
    pub fn with(&self, app: &AppName, overrides: &Overrides) -> Result<Policy, String> {
        for (flag, key, asked, own) in [
            ("--listen-timeout", "listen_timeout", overrides.listen_timeout, self.listen_timeout),
            ("--kill-timeout", "kill_timeout", overrides.kill_timeout, self.kill_timeout),
        ] {
            if asked.is_some_and(|asked| asked > own) {
                let own = own.as_millis();
                return Err(format!(
                    "{flag} is longer than the {own} ms after which systemd itself ends an \
                     instance of {app}; write `{key}` into the ecosystem file and apply it"
                ));
            }
        }
        let changed = Policy {
            checks: self.checks,
            max_surge: overrides.max_surge.unwrap_or(self.max_surge),
            max_unavailable: overrides.max_unavailable.unwrap_or(self.max_unavailable),
            min_ready: overrides.min_ready.unwrap_or(self.min_ready),
            listen_timeout: overrides.listen_timeout.unwrap_or(self.listen_timeout),
            kill_timeout: overrides.kill_timeout.unwrap_or(self.kill_timeout),
            on_failure: overrides.on_failure.unwrap_or(self.on_failure),
            force: overrides.force || self.force,
            kill_after: overrides.kill_timeout.or(self.kill_after),
        };
        let problems: Vec<String> = changed.problems().iter().map(ToString::to_string).collect();
        if problems.is_empty() { Ok(changed) } else { Err(problems.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn flags_change_the_policy_within_the_limits_of_the_unit() {
        let app = AppName::parse("api").unwrap();
        let policy = Policy::default();
        let flags = Overrides {
            max_surge: Some(Share::Percent(50)),
            kill_timeout: Some(Duration::from_secs(1)),
            force: true,
            ..Overrides::default()
        };
        let changed = policy.with(&app, &flags).unwrap();
        assert_eq!(changed.max_surge, Share::Percent(50));
        assert_eq!(changed.kill_timeout, Duration::from_secs(1));
        assert!(changed.force);
        assert_eq!(changed.max_unavailable, policy.max_unavailable);
        let flags = Overrides {
            listen_timeout: Some(policy.listen_timeout + Duration::from_millis(1)),
            ..Overrides::default()
        };
        assert!(policy.with(&app, &flags).unwrap_err().contains("write `listen_timeout`"));
        let flags =
            Overrides { max_unavailable: Some(Share::Percent(101)), ..Overrides::default() };
        assert!(policy.with(&app, &flags).is_err());
    }
}
