//! Replaces the instances of an app whose units did not change: a code deploy.

use std::time::Duration;

use super::{Context, Done, Error, RollSpec, Sink, observe, roll};
use crate::ecosystem::{AppName, OnFailure};
use crate::plan::ObservedApp;
use crate::rollout::Policy;
use crate::translate::MARK;
use crate::unit::{UnitFile, UnitName};

/// Rolls over all instances of an app.
///
/// # Errors
/// The manager cannot be asked. What becomes of instances is in the result.
pub fn reload(context: &Context, app: &AppName, sink: Sink<'_>) -> Result<Done, Error> {
    let observed = observe(context)?;
    let Some(found) = observed.apps.get(app) else { return Ok(Done::default()) };
    let enabled = u32::try_from(found.links.len()).unwrap_or(u32::MAX).max(1);
    let spec = RollSpec {
        app: app.clone(),
        outdated: found.instances.keys().copied().collect(),
        known: found.instances.keys().copied().collect(),
        before: enabled,
        wanted: enabled,
        policy: policy(app, found),
    };
    let outcome = roll(&context.systemd, spec, None, &|| false, sink)?;
    Ok(Done { rollout: Some(outcome), failures: Vec::new() })
}

/// The app's rollout settings, as the last apply recorded them in the group unit.
pub(super) fn policy(app: &AppName, found: &ObservedApp) -> Policy {
    let parsed = |name: UnitName| {
        let file = found.units.get(&name)?;
        Some(UnitFile::parse(name, &file.text))
    };
    let group = parsed(app.group_unit());
    let recorded = |key: &str| group.as_ref()?.get(MARK, key).map(str::to_owned);
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
