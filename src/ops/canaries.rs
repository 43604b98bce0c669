//! Marks the instances that a rollout starts before it knows anything of the new definition, for the check of
//! `rollout.check` in their own start. It never starts, checks or replaces an instance.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::sight::monotonic;
use super::{Context, RollSpec};
use crate::disk;
use crate::limits;
use crate::rollout::{JobReason, Policy};
use crate::unit::UnitName;

/// The marks of one rollout; they end with it.
pub(super) struct Canaries<'a> {
    context: &'a Context,
    /// How long an instance may take to start.
    span: Duration,
    marked: RefCell<Vec<UnitName>>,
    /// The definition is proven, or has failed.
    over: Cell<bool>,
}

impl<'a> Canaries<'a> {
    /// Nothing is marked yet. Where no instance is replaced, as in a change of their number alone, the definition was
    /// proven when it came into force.
    pub(super) fn new(context: &'a Context, spec: &RollSpec) -> Canaries<'a> {
        let Policy { listen_timeout, kill_timeout, checks, .. } = spec.policy;
        // It may have to wait for the end of the former process, and may be started again.
        let span = listen_timeout.saturating_mul(2) + kill_timeout + limits::JOB_MARGIN;
        let over = Cell::new(!checks || spec.outdated.is_empty());
        Canaries { context, span, marked: RefCell::default(), over }
    }

    /// An instance is about to be started.
    ///
    /// # Errors
    /// It cannot be marked, so that it would get clients without its check.
    pub(super) fn before(&self, unit: &UnitName, reason: JobReason) -> Result<(), String> {
        match reason {
            JobReason::Canary | JobReason::Surge | JobReason::Missing | JobReason::NotReady => {
                self.mark(unit)
            }
            // Instances that serve are replaced when one has proven the definition, or when none has to.
            _ => {
                self.end();
                Ok(())
            }
        }
    }

    fn mark(&self, unit: &UnitName) -> Result<(), String> {
        if self.over.get() {
            return Ok(());
        }
        let until = monotonic().saturating_add(micros(self.span));
        disk::mark_canary(&self.context.layout, unit, until)
            .map_err(|error| format!("its check cannot be asked for: {error}"))?;
        self.marked.borrow_mut().push(unit.clone());
        Ok(())
    }

    /// No instance is checked from now on.
    pub(super) fn end(&self) {
        self.over.set(true);
        for unit in self.marked.borrow_mut().drain(..) {
            disk::unmark_canary(&self.context.layout, &unit);
        }
    }
}

impl Drop for Canaries<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
