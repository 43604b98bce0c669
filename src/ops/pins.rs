//! Pins instances that serve to the definition that they run, while the canary of a new one is waited for (`plan/pins.rs`
//! says which, `disk/pins.rs` how), and unpins them. It decides neither when a definition is proven nor what starts.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::sight::monotonic;
use super::{Context, Error, under_way};
use crate::clock::Timestamp;
use crate::disk;
use crate::ecosystem::AppName;
use crate::plan::{AppPlan, Observed, ObservedApp, ObservedFile, Plan};
use crate::rollout::Policy;

/// What a plan has changed in pins; the manager has yet to read it.
#[derive(Default)]
pub(super) struct Changed {
    /// Left by a run that was killed, and of no more use.
    gone: Vec<(AppName, BTreeSet<u32>)>,
    /// New ones.
    made: Vec<(AppName, BTreeSet<u32>)>,
}

/// Pins what a plan has to, before the manager reads the new template. What a killed run has pinned and this one still
/// replaces stays so.
pub(super) fn put(
    context: &Context,
    plan: &Plan,
    observed: &Observed,
    policies: &BTreeMap<AppName, Policy>,
) -> Result<Changed, Error> {
    let mut changed = Changed::default();
    for app in &plan.apps {
        if let Err(error) = put_app(context, app, observed, policies.get(&app.app), &mut changed) {
            changed.undo(context);
            return Err(error);
        }
    }
    Ok(changed)
}

fn put_app(
    context: &Context,
    plan: &AppPlan,
    observed: &Observed,
    policy: Option<&Policy>,
    changed: &mut Changed,
) -> Result<(), Error> {
    let (app, layout) = (&plan.app, &context.layout);
    let Some(found) = observed.apps.get(app) else { return Ok(()) };
    let recorded = || found.units.policy(app);
    let wanted = plan.to_pin(found, &policy.cloned().unwrap_or_else(recorded));
    let there = disk::pinned(layout, app);
    let gone: BTreeSet<u32> = there.difference(&wanted).copied().collect();
    if !gone.is_empty() {
        disk::note_unread(layout, app)?;
        disk::unpin(layout, app, &gone)?;
        changed.gone.push((app.clone(), gone));
    }
    let Some(former) = plan.former_template(found) else { return Ok(()) };
    let new = wanted.difference(&there).copied().collect();
    let new = disk::pinnable(layout, app, new);
    if !new.is_empty() {
        disk::note_unread(layout, app)?;
        changed.made.push((app.clone(), new.clone()));
        disk::pin(layout, app, &new, &former.file())?;
    }
    Ok(())
}

/// The template that serves, where it is not the one that was found in force: a rollout that was killed had begun to
/// replace it by one that never proved itself, and what fails now must not go back to that.
pub(super) fn proven_template(
    context: &Context,
    app: &AppName,
    found: &ObservedApp,
) -> Option<ObservedFile> {
    let pinned = disk::pinned_template(&context.layout, app, &found.links)?;
    let in_force = found.units.get(&app.template_unit());
    Some(pinned).filter(|pinned| in_force.is_none_or(|file| file.text != pinned.text))
}

impl Changed {
    /// Whether the manager has to read its units for these.
    pub(super) fn any(&self) -> bool {
        !self.made.is_empty() || !self.gone.is_empty()
    }

    /// The plan is not carried out, and the manager has read nothing of it: the new ones go. Those that stay all the same
    /// the next command removes.
    pub(super) fn undo(&self, context: &Context) {
        for (app, new) in &self.made {
            if disk::unpin(&context.layout, app, new).is_ok() {
                let _ = disk::forget_pinned(&context.layout, app, new);
            }
        }
    }

    /// It has.
    pub(super) fn read(&self, context: &Context) -> Result<(), Error> {
        let now = Timestamp::now().realtime_usec;
        for (app, gone) in &self.gone {
            disk::note_unpinned(&context.layout, app, gone, now)?;
        }
        Ok(())
    }
}

/// Removes what killed rollouts of these apps have left; for who may not it stays. A rollout that is under way keeps its
/// pins.
pub(super) fn sweep<'a>(
    context: &Context,
    apps: impl IntoIterator<Item = &'a AppName>,
) -> Result<(), Error> {
    let noted = disk::with_pins(&context.layout);
    for app in apps.into_iter().filter(|app| noted.contains(*app)) {
        let left = disk::pinned(&context.layout, app);
        if left.is_empty() || !under_way(context, std::slice::from_ref(app))?.is_empty() {
            continue;
        }
        match release(context, app, &left) {
            Err(Error::Disk(error)) if error.is_permission() => {}
            released => drop(released?),
        }
    }
    Ok(())
}

/// Gives when it was done, on the monotonic clock.
fn release(context: &Context, app: &AppName, numbers: &BTreeSet<u32>) -> Result<u64, Error> {
    disk::note_unread(&context.layout, app)?;
    disk::unpin(&context.layout, app, numbers)?;
    context.reread_units()?;
    disk::forget_unread(&context.layout, app);
    disk::note_unpinned(&context.layout, app, numbers, Timestamp::now().realtime_usec)?;
    Ok(monotonic())
}

/// The pins of one app during its rollout. None is left when it ends, however it does.
pub(super) struct Pins<'a> {
    context: &'a Context,
    app: &'a AppName,
    held: RefCell<BTreeSet<u32>>,
    /// When others were removed, on the monotonic clock.
    since: RefCell<BTreeMap<u32, u64>>,
    over: Cell<bool>,
}

impl<'a> Pins<'a> {
    /// Those that are in place.
    pub(super) fn found(context: &'a Context, app: &'a AppName) -> Pins<'a> {
        let held = RefCell::new(disk::pinned(&context.layout, app));
        Pins { context, app, held, since: RefCell::default(), over: Cell::new(false) }
    }

    /// The instances that are pinned.
    pub(super) fn held(&self) -> BTreeSet<u32> {
        self.held.borrow().clone()
    }

    /// Starts of an instance up to this moment of the monotonic clock ran the former definition.
    pub(super) fn former_until(&self, number: u32) -> u64 {
        if self.held.borrow().contains(&number) {
            return u64::MAX;
        }
        self.since.borrow().get(&number).copied().unwrap_or_default()
    }

    /// Removes these, and gives since when the manager knows.
    pub(super) fn release(&self, numbers: &BTreeSet<u32>) -> Result<u64, Error> {
        if numbers.is_empty() {
            return Ok(monotonic());
        }
        let since = release(self.context, self.app, numbers)?;
        self.held.borrow_mut().retain(|number| !numbers.contains(number));
        self.since.borrow_mut().extend(numbers.iter().map(|number| (*number, since)));
        Ok(since)
    }

    /// The former template is in place again: its instances need no pins. The caller has the manager read that, and then
    /// says so by [`Pins::put_back`].
    pub(super) fn take_away(&self) -> Result<(), disk::Error> {
        disk::unpin(&self.context.layout, self.app, &self.held.borrow())
    }

    /// The manager has read the former template.
    pub(super) fn put_back(&self) {
        self.held.borrow_mut().clear();
        disk::forget_pins(&self.context.layout, self.app);
    }

    /// These instances have been replaced, and run what their units say.
    ///
    /// # Errors
    /// A pin cannot be removed.
    pub(super) fn settle(&self, replaced: &BTreeSet<u32>) -> Result<(), Error> {
        self.release(&self.held())?;
        disk::forget_pinned(&self.context.layout, self.app, replaced)?;
        self.over.set(true);
        Ok(())
    }
}

impl Drop for Pins<'_> {
    fn drop(&mut self) {
        if !self.over.get() {
            // What cannot be removed now the next command removes.
            let _ = self.release(&self.held());
        }
    }
}
