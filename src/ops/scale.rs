//! Changes the number of instances of an app that is applied.

use std::collections::BTreeSet;

use super::links::link_difference;
use super::load::load;
use super::lock::lock;
use super::pins;
use super::request::{Request, Task};
use super::settle::settled;
use super::witness::witnessed;
use super::{Context, Done, Error, Event, Finished, Sink, delegate, log_owner};
use crate::disk;
use crate::ecosystem::{AppName, MAX_INSTANCES, Scope};
use crate::plan::LinkChange;

/// How the number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaling {
    /// To exactly so many.
    To(u32),
    /// So many more.
    More(u32),
    /// So many fewer.
    Fewer(u32),
}

impl Scaling {
    /// The new number; `None` when an app cannot have so many.
    pub fn apply(self, now: u32) -> Option<u32> {
        let number = u32::try_from(self.asked(now)).ok()?;
        (1..=MAX_INSTANCES).contains(&number).then_some(number)
    }

    /// The number that is asked for, whether an app can have so many or not.
    fn asked(self, now: u32) -> i64 {
        match self {
            Scaling::To(number) => i64::from(number),
            Scaling::More(more) => i64::from(now) + i64::from(more),
            Scaling::Fewer(fewer) => i64::from(now) - i64::from(fewer),
        }
    }
}

/// Enables and starts, or drains and disables, what the new number asks for.
///
/// # Errors
/// An app cannot have so many instances, links cannot be written, or the manager not be asked. What becomes of instances is in the
/// result.
pub fn scale(
    context: &Context,
    app: &AppName,
    change: Scaling,
    sink: Sink<'_>,
) -> Result<Finished, Error> {
    let lock = lock(context, [app], sink)?;
    let done = locked(context, app, change, sink)?;
    Ok(Finished::new([(app.clone(), done)].into(), Some(lock)))
}

fn locked(
    context: &Context,
    app: &AppName,
    change: Scaling,
    sink: Sink<'_>,
) -> Result<Done, Error> {
    let Some(mut found) = settled(context, app)? else { return Ok(Done::default()) };
    pins::sweep(context, [app])?;
    let former = found.links.clone();
    let before = u32::try_from(found.links.len()).unwrap_or(u32::MAX);
    let Some(wanted) = change.apply(before) else {
        let asked = change.asked(before);
        return Err(Error::Number { app: app.clone(), now: before, asked });
    };
    if context.layout.scope == Scope::System {
        let template = found.units.parsed(&app.template_unit());
        log_owner::give_all(app, &found.units, wanted, template, sink);
    }
    let links = link_changes(&found.links, wanted);
    relink(context, app, &links, sink)?;
    if !found.group.is_up() {
        // A stopped app stays stopped and starts with the new number, unless it has just started with the
        // former one.
        match settled(context, app)? {
            Some(now) if now.group.is_up() => found = now,
            _ => return Ok(Done::default()),
        }
    }
    let request = Request {
        task: Task::Change {
            outdated: BTreeSet::new(),
            known: found.instances.keys().copied().collect(),
            before: before.max(1),
            wanted,
        },
        policy: Some(found.units.policy(app)),
        former: Vec::new(),
        links: Some(former),
    };
    let run = || delegate(context, app, &request, sink);
    Done::of(witnessed(context, std::slice::from_ref(app), run))
}

/// Puts links in force, and whatever else of the app is not.
fn relink(
    context: &Context,
    app: &AppName,
    links: &[LinkChange],
    sink: Sink<'_>,
) -> Result<(), Error> {
    if !links.is_empty() {
        disk::note_unread(&context.layout, app)?;
        disk::apply_links(&context.layout, app, links)?;
        sink(Event::Written(links.len()));
        context.reread_units()?;
        disk::forget_unread(&context.layout, app);
        sink(Event::Reloaded);
    }
    load(context, [app.clone()], sink)
}

/// What makes 0 to `wanted` less one the enabled ones.
fn link_changes(links: &BTreeSet<u32>, wanted: u32) -> Vec<LinkChange> {
    link_difference(links, &(0..wanted).collect())
}
