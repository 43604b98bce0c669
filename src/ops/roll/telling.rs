//! How a rollout stands, told to whoever follows it. Asks nobody anything.

use std::time::Instant;

use super::Driver;
use crate::limits;
use crate::ops::Event;
use crate::rollout::Rollout;

impl Driver<'_> {
    /// Tells how the rollout stands. Every instance is in that, so each of many is told of less often:
    /// what it costs to tell grows with their number, and not with its square.
    pub(super) fn tell(&mut self, machine: &Rollout, sink: &mut dyn FnMut(Event)) {
        let pause = limits::progress_pause(self.units.len());
        if self.told.0.is_some_and(|told| told.elapsed() < pause) {
            self.told.1 = false;
        } else {
            self.tell_now(machine, sink);
        }
    }

    /// What was not told at its time is told as soon as nothing happens.
    pub(super) fn tell_the_rest(&mut self, machine: &Rollout, sink: &mut dyn FnMut(Event)) {
        if !self.told.1 {
            self.tell(machine, sink);
        }
    }

    pub(super) fn tell_now(&mut self, machine: &Rollout, sink: &mut dyn FnMut(Event)) {
        let (app, at) = (self.app.clone(), self.now());
        sink(Event::Progress { app, at, progress: machine.progress() });
        self.told = (Some(Instant::now()), true);
    }
}
