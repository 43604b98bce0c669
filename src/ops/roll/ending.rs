//! How a rollout ends when somebody stops or restarts the app meanwhile.

use super::Driver;
use crate::ops::Error;
use crate::systemd::{JobKind, JobMode};
use crate::unit::ActiveState;

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

    /// Ends when the app is stopped or restarted, as who does so will tell this process in a moment: with that the manager
    /// has cancelled a start of ours, which is no failure of the instance, and nothing is gone back to.
    pub(super) fn end_if_turned(&self) -> Result<(), Error> {
        let rows = self.systemd.list(&[self.app.group_unit().to_string()])?;
        let turned = rows.iter().any(|row| {
            let turns = |kind: &str| kind == "stop" || kind.contains("restart");
            row.active == ActiveState::Deactivating
                || row.job.as_ref().is_some_and(|job| turns(&job.kind))
        });
        if turned {
            self.end_extra();
            return Err(Error::Lost(self.app.clone()));
        }
        Ok(())
    }

    pub(super) fn end_if_overtaken(&self) -> Result<(), Error> {
        if (self.overtaken)()? {
            self.end_extra();
            return Err(Error::Stopped(self.app.clone()));
        }
        Ok(())
    }
}
