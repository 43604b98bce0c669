//! Replaces the instances of apps whose units did not change: a code deploy.

use std::collections::{BTreeMap, BTreeSet};

use super::load::load;
use super::parallel::parallel;
use super::request::{Request, Task};
use super::witness::witnessed;
use super::{Context, Done, Error, Selected, Sink, delegate};
use crate::ecosystem::AppName;
use crate::rollout::Policy;

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
    let reload = |(app, instances)| Reload { app, instances, policy: None };
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
    fn instances_of_one_app_are_one_reload() {
        let one = |app: &str, instance| Selected { app: AppName::parse(app).unwrap(), instance };
        let found = reloads(&[one("api", Some(1)), one("api", Some(2)), one("web", None)]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].instances, Some([1, 2].into()));
        assert_eq!(found[1].instances, None);
    }
}
