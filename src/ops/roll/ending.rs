//! How a rollout ends when somebody stops or restarts the app meanwhile.

use super::Driver;
use crate::ops::Error;
use crate::systemd::{JobKind, JobMode};

impl Driver<'_> {
    /// Stops the instances that the rollout has added: a restart of the app would go on with them, and
    /// nobody would ever end them. Where all are stopped, nothing is refused that matters.
    pub(super) fn end_extra(&self) {
        for (number, unit) in self.units.range(self.kept..) {
            // An instance whose start job has not begun is still down.
            let starts = self.jobs.values().any(|(instance, _)| instance == number);
            let there = self.systemd.glimpse(unit).is_ok_and(|seen| !seen.active.is_down());
            if starts || there {
                let _ = self.systemd.submit(JobKind::Stop, unit, JobMode::Replace);
            }
        }
    }

    pub(super) fn end_if_overtaken(&self) -> Result<(), Error> {
        if (self.overtaken)()? {
            self.end_extra();
            return Err(Error::Stopped(self.app.clone()));
        }
        Ok(())
    }
}
