//! Stops apps and removes their units.

use std::collections::BTreeMap;

use super::act::act;
use super::lock::lock;
use super::{Context, Error, Event, Finished, Sink, observe};
use crate::ecosystem::AppName;
use crate::plan::{self, Plan};

/// Stops these apps and removes everything of theirs. The plan is an event.
///
/// # Errors
/// The unit directory cannot be read or written, or the manager not be asked. What became of units
/// is in the result.
pub fn delete(context: &Context, apps: &[AppName], sink: Sink<'_>) -> Result<Finished, Error> {
    let lock = lock(context, apps, sink)?;
    let observed = observe(context)?;
    let removals = apps.iter().filter_map(|app| {
        Some(plan::removal(app, observed.apps.get(app)?, plan::StepReason::Deleted))
    });
    let plan = Plan { apps: removals.collect(), gone: Vec::new() };
    sink(Event::Planned { plan: plan.clone(), all_well: true });
    let done = act(context, &plan, &observed, &BTreeMap::new(), sink)?;
    Ok(Finished::new(done, Some(lock)))
}
