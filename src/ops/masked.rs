//! Masked instances: a rollout could stop such an instance and not start it again, so it is refused before anything is
//! touched. What is masked while a rollout is under way, the rollout itself sees.

use std::collections::{BTreeMap, BTreeSet};

use super::loaded::{self, Loaded};
use super::{Context, Error};
use crate::ecosystem::AppName;
use crate::plan::{Action, Observed, Plan};
use crate::systemd::LoadState;

/// Which instances of an app are to be replaced; `None` is all that it has.
type Replaced = Option<BTreeSet<u32>>;

/// The instances that a plan replaces.
pub(super) fn replaced(plan: &Plan) -> BTreeMap<AppName, Replaced> {
    let of_app = |app: &crate::plan::AppPlan| {
        let replaced: BTreeSet<u32> = app
            .steps
            .iter()
            .filter_map(|step| match &step.action {
                Action::Roll { replace, .. } => Some(replace.iter().copied()),
                _ => None,
            })
            .flatten()
            .collect();
        (!replaced.is_empty()).then(|| (app.app.clone(), None))
    };
    plan.apps.iter().filter_map(of_app).collect()
}

/// Refuses where one of the instances that are to be replaced, or of those that shall run beside them, is masked.
///
/// # Errors
/// One is, or the manager does not answer.
pub(super) fn refuse_masked(
    context: &Context,
    observed: &Observed,
    replaced: &BTreeMap<AppName, Replaced>,
) -> Result<(), Error> {
    let loaded = loaded::instances(&context.systemd, replaced.keys())?;
    for (app, all) in &loaded {
        let chosen = replaced.get(*app).and_then(Option::as_ref);
        let enabled = observed.apps.get(*app).map(|found| &found.links);
        let masked = |one: &&Loaded| {
            let wanted = enabled.is_some_and(|links| links.contains(&one.number));
            let meant = chosen
                .map_or(wanted || !one.row.active.is_down(), |only| only.contains(&one.number));
            one.row.load == LoadState::Masked && meant
        };
        if let Some(one) = all.iter().find(masked) {
            return Err(Error::Masked(app.instance_unit(one.number)));
        }
    }
    Ok(())
}
