//! Replaces the instances of apps whose units did not change: a code deploy.

use std::collections::{BTreeMap, BTreeSet};

use super::load::load_found;
use super::masked::refuse_masked;
use super::parallel::parallel;
use super::pins;
use super::request::{Request, Task};
use super::witness::witnessed_for;
use super::{Context, Done, Error, Selected, Sink, delegate};
use crate::ecosystem::AppName;
use crate::plan::Observed;
use crate::rollout::Policy;
use crate::unit::ActiveState;

/// One app to reload.
#[derive(Clone, Debug)]
pub struct Reload {
    /// The app.
    pub app: AppName,
    /// These instances; `None` is all of them.
    pub instances: Option<BTreeSet<u32>>,
    /// How, if not as recorded.
    pub policy: Option<Policy>,
}

/// Takes out the apps whose instances have all given up: they have ended as failed, and nobody has
/// stopped them. Nothing of them serves, so to replace their instances is to start them.
pub fn given_up(observed: &Observed, selected: Vec<Selected>) -> (Vec<Selected>, Vec<Selected>) {
    selected.into_iter().partition(|one| {
        let found = observed.apps.get(&one.app);
        one.instance.is_none() && found.is_some_and(|found| found.group == ActiveState::Failed)
    })
}

/// What can be reloaded of a selection.
#[derive(Debug, Default)]
pub struct Running {
    /// Apps that run.
    pub reloads: Vec<Reload>,
    /// Apps that are stopped, and that only `all` or a namespace means.
    pub left_alone: Vec<AppName>,
    /// An app that is stopped and was named: that is an error.
    pub stopped: Option<AppName>,
}

/// Leaves out apps that are stopped, up to one that is named. `named` are the selectors as written.
pub fn running(observed: &Observed, selected: &[Selected], named: &[String]) -> Running {
    let mut running = Running::default();
    for reload in reloads(selected) {
        let found = observed.apps.get(&reload.app);
        let up = found.is_some_and(|found| {
            found.group.is_up() || found.instances.values().any(|one| one.active.is_up())
        });
        let is_named = named.iter().any(|one| one.split('@').next() == Some(reload.app.as_str()));
        match (up, is_named) {
            (true, _) => running.reloads.push(reload),
            (false, true) => {
                running.stopped = Some(reload.app);
                break;
            }
            (false, false) => running.left_alone.push(reload.app),
        }
    }
    running
}

/// The first instance that is to be replaced and does not run, with those of its app that do.
pub fn not_running(
    observed: &Observed,
    reloads: &[Reload],
) -> Option<(AppName, u32, BTreeSet<u32>)> {
    reloads.iter().find_map(|reload| {
        let found = observed.apps.get(&reload.app)?;
        let up = found.instances.iter().filter(|(_, one)| one.active.is_up());
        let there: BTreeSet<u32> = up.map(|(number, _)| *number).collect();
        let asked = reload.instances.iter().flatten();
        let gone = asked.copied().find(|number| !there.contains(number))?;
        Some((reload.app.clone(), gone, there))
    })
}

/// Selected apps and instances, app by app.
fn reloads(selected: &[Selected]) -> Vec<Reload> {
    let mut by_app: BTreeMap<AppName, Option<BTreeSet<u32>>> = BTreeMap::new();
    for one in selected {
        let instances = by_app.entry(one.app.clone()).or_insert_with(|| Some(BTreeSet::new()));
        match one.instance {
            None => *instances = None,
            Some(number) => drop(instances.as_mut().map(|all| all.insert(number))),
        }
    }
    let reload = |(app, instances)| Reload { app, instances, policy: None };
    by_app.into_iter().map(reload).collect()
}

/// Rolls over the instances of apps, all apps at the same time. `observed` is how they have just been
/// found.
///
/// # Errors
/// The manager cannot be asked. What becomes of instances is in the result.
pub fn reload(
    context: &Context,
    observed: &Observed,
    reloads: &[Reload],
    sink: Sink<'_>,
) -> Result<BTreeMap<AppName, Done>, Error> {
    let chosen = reloads.iter().map(|one| (one.app.clone(), one.instances.clone())).collect();
    let together = context.together();
    refuse_masked(context, observed, &chosen)?;
    let work = |reload: &Reload, sink: Sink<'_>| {
        let request = Request {
            task: Task::Reload { instances: reload.instances.clone() },
            policy: reload.policy.clone(),
            former: Vec::new(),
            links: None,
        };
        Ok((reload.app.clone(), Done::of(delegate(context, &reload.app, &request, sink))?))
    };
    let names: Vec<AppName> = reloads.iter().map(|reload| reload.app.clone()).collect();
    pins::sweep(context, &names)?;
    load_found(context, observed, |app| names.contains(app), sink)?;
    let units = observed.apps.iter().filter(|(app, _)| names.contains(app));
    drop(together);
    let patience = units.map(|(app, found)| found.units.policy(app).listen_timeout).min();
    witnessed_for(context, &names, patience, || {
        parallel(reloads, &work, &|| context.noticed(), sink)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn instances_of_one_app_are_one_reload() {
        let one = |app: &str, instance| Selected { app: AppName::parse(app).unwrap(), instance };
        let found = reloads(&[one("api", Some(1)), one("api", Some(2)), one("web", None)]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].instances, Some([1, 2].into()));
        assert_eq!(found[1].instances, None);
    }
}
