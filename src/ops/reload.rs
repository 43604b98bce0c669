//! Replaces the instances of apps whose units did not change: a code deploy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::load::load;
use super::parallel::parallel;
use super::request::{Request, Task};
use super::witness::witnessed;
use super::{Context, Done, Error, Selected, Sink, delegate};
use crate::ecosystem::{AppName, OnFailure, Share};
use crate::plan::OwnedUnits;
use crate::rollout::Policy;
use crate::translate::MARK;

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

    /// The policy with these changes, or what is impossible about them.
    ///
    /// # Errors
    /// A sentence: a limit beyond the unit's own, which would end the instance first, or amounts
    /// that make no sense.
    pub fn on(&self, app: &AppName, policy: &Policy) -> Result<Policy, String> {
        for (flag, key, asked, own) in [
            ("--listen-timeout", "listen_timeout", self.listen_timeout, policy.listen_timeout),
            ("--kill-timeout", "kill_timeout", self.kill_timeout, policy.kill_timeout),
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
            max_surge: self.max_surge.unwrap_or(policy.max_surge),
            max_unavailable: self.max_unavailable.unwrap_or(policy.max_unavailable),
            min_ready: self.min_ready.unwrap_or(policy.min_ready),
            listen_timeout: self.listen_timeout.unwrap_or(policy.listen_timeout),
            kill_timeout: self.kill_timeout.unwrap_or(policy.kill_timeout),
            on_failure: self.on_failure.unwrap_or(policy.on_failure),
            force: self.force || policy.force,
        };
        match changed.problems().first() {
            Some(problem) => Err(problem.to_string()),
            None => Ok(changed),
        }
    }
}

/// The app's rollout settings, as the last apply recorded them in the group unit.
pub fn recorded_policy(app: &AppName, units: &OwnedUnits) -> Policy {
    let group = units.parsed(&app.group_unit());
    let recorded = |key: &str| group?.get(MARK, key).map(str::to_owned);
    let millis = |key: &str| Some(Duration::from_millis(recorded(key)?.parse().ok()?));
    let default = Policy::default();
    Policy {
        max_surge: recorded("MaxSurge").and_then(|v| v.parse().ok()).unwrap_or(default.max_surge),
        max_unavailable: recorded("MaxUnavailable")
            .and_then(|v| v.parse().ok())
            .unwrap_or(default.max_unavailable),
        min_ready: millis("MinReadyMs").unwrap_or(default.min_ready),
        listen_timeout: millis("ListenTimeoutMs").unwrap_or(default.listen_timeout),
        kill_timeout: millis("KillTimeoutMs").unwrap_or(default.kill_timeout),
        on_failure: match recorded("OnFailure").as_deref() {
            Some("pause") => OnFailure::Pause,
            _ => default.on_failure,
        },
        force: false,
    }
}

/// One app to reload.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The app.
    pub app: AppName,
    /// These instances; `None` is all of them.
    pub instances: Option<BTreeSet<u32>>,
    /// How, if not as recorded.
    pub policy: Option<Policy>,
    /// Kills a draining instance earlier than its unit would.
    pub kill_after: Option<Duration>,
}

/// Selected apps and instances, app by app.
pub fn reloads(selected: &[Selected]) -> Vec<Reload> {
    let mut by_app: BTreeMap<AppName, Option<BTreeSet<u32>>> = BTreeMap::new();
    for one in selected {
        let instances = by_app.entry(one.app.clone()).or_insert_with(|| Some(BTreeSet::new()));
        match one.instance {
            None => *instances = None,
            Some(number) => drop(instances.as_mut().map(|all| all.insert(number))),
        }
    }
    let reload = |(app, instances)| Reload { app, instances, policy: None, kill_after: None };
    by_app.into_iter().map(reload).collect()
}

/// Rolls over the instances of apps, all apps at the same time.
///
/// # Errors
/// The manager cannot be asked. What becomes of instances is in the result.
pub fn reload(
    context: &Context,
    reloads: &[Reload],
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let work = |reload: &Reload, sink: Sink<'_>| {
        let request = Request {
            task: Task::Reload { instances: reload.instances.clone() },
            policy: reload.policy.clone(),
            kill_after: reload.kill_after,
            former: Vec::new(),
            links: None,
        };
        Ok((reload.app.clone(), Done::of(delegate(context, &reload.app, &request, sink))?))
    };
    let names: Vec<AppName> = reloads.iter().map(|reload| reload.app.clone()).collect();
    load(context, names.iter().cloned(), sink)?;
    witnessed(context, &names, || parallel(reloads, &work, &|| context.noticed(), sink))
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
        let changed = flags.on(&app, &policy).unwrap();
        assert_eq!(changed.max_surge, Share::Percent(50));
        assert_eq!(changed.kill_timeout, Duration::from_secs(1));
        assert!(changed.force);
        assert_eq!(changed.max_unavailable, policy.max_unavailable);
        let flags = Overrides {
            listen_timeout: Some(policy.listen_timeout + Duration::from_millis(1)),
            ..Overrides::default()
        };
        assert!(flags.on(&app, &policy).unwrap_err().contains("write `listen_timeout`"));
        let flags =
            Overrides { max_unavailable: Some(Share::Percent(101)), ..Overrides::default() };
        assert!(flags.on(&app, &policy).is_err());
    }

    #[test]
    fn instances_of_one_app_are_one_reload() {
        let one = |app: &str, instance| Selected { app: AppName::parse(app).unwrap(), instance };
        let found = reloads(&[one("api", Some(1)), one("api", Some(2)), one("web", None)]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].instances, Some([1, 2].into()));
        assert_eq!(found[1].instances, None);
    }
}
