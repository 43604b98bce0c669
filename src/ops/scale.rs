//! Changes the number of instances of an app that is applied.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::load::load;
use super::request::{Request, Task};
use super::witness::witnessed;
use super::{Context, Done, Error, Event, Sink, delegate, observe, recorded_policy};
use crate::disk;
use crate::ecosystem::{AppName, MAX_INSTANCES};
use crate::plan::{Active, LinkChange, LinkId, Observed};

/// How often an app is looked at that is being started or stopped, should a signal get lost.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How the number changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// To exactly so many.
    To(u32),
    /// So many more.
    More(u32),
    /// So many fewer.
    Fewer(u32),
}

impl Change {
    /// The new number; `None` when an app cannot have so many.
    pub fn apply(self, now: u32) -> Option<u32> {
        let number = u32::try_from(self.asked(now)).ok()?;
        (1..=MAX_INSTANCES).contains(&number).then_some(number)
    }

    /// The number that is asked for, whether an app can have so many or not.
    fn asked(self, now: u32) -> i64 {
        match self {
            Change::To(number) => i64::from(number),
            Change::More(more) => i64::from(now) + i64::from(more),
            Change::Fewer(fewer) => i64::from(now) - i64::from(fewer),
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
    change: Change,
    sink: Sink<'_>,
) -> Result<Done, Error> {
    let observed = settled(context, app)?;
    let Some(found) = observed.apps.get(app) else { return Ok(Done::default()) };
    let before = u32::try_from(found.links.len()).unwrap_or(u32::MAX);
    let Some(wanted) = change.apply(before) else {
        let asked = change.asked(before);
        return Err(Error::Number { app: app.clone(), now: before, asked });
    };
    let links = link_changes(&found.links, wanted);
    relink(context, app, &links, sink)?;
    if !found.group.is_up() {
        // A stopped app stays stopped; it starts with the new number.
        return Ok(Done::default());
    }
    let request = Request {
        task: Task::Change {
            outdated: BTreeSet::new(),
            known: found.instances.keys().copied().collect(),
            before: before.max(1),
            wanted,
        },
        policy: Some(recorded_policy(app, &found.units)),
        kill_after: None,
        former: Vec::new(),
        links: Some(found.links.clone()),
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
        for link in links {
            disk::apply_link(&context.layout, app, link)?;
        }
        sink(Event::Written(links.len()));
        context.systemd.daemon_reload()?;
        disk::forget_unread(&context.layout, app);
        sink(Event::Reloaded);
    }
    load(context, [app.clone()], sink)
}

/// Everything of ours, once the app is neither being started nor stopped: one that is restarted is
/// both, and goes on with the new number.
fn settled(context: &Context, app: &AppName) -> Result<Observed, Error> {
    let watch = context.systemd.watch([&app.group_unit()])?;
    loop {
        let observed = observe(context)?;
        let group = observed.apps.get(app).map(|found| found.group);
        if !matches!(group, Some(Active::Activating | Active::Deactivating)) {
            return Ok(observed);
        }
        let _ = watch.next(Instant::now() + LOOK_EVERY);
    }
}

/// What makes 0 to `wanted` less one the enabled ones.
fn link_changes(links: &BTreeSet<u32>, wanted: u32) -> Vec<LinkChange> {
    link_difference(links, &(0..wanted).collect())
}

/// What makes `wanted` the enabled ones.
pub(super) fn link_difference(links: &BTreeSet<u32>, wanted: &BTreeSet<u32>) -> Vec<LinkChange> {
    let change = |make: bool| move |n: &u32| LinkChange { link: LinkId::Instance(*n), make };
    let mut changes: Vec<LinkChange> = wanted.difference(links).map(change(true)).collect();
    changes.extend(links.difference(wanted).map(change(false)));
    changes
}
