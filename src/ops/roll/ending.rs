//! How a rollout ends when somebody stops or restarts the app meanwhile.

use std::time::{Duration, Instant};

use super::Driver;
use crate::ops::Error;
use crate::systemd::{JobKind, JobMode, Listed, Signal};
use crate::unit::{ActiveState, UnitName};

/// How long a rollout that is ended sees to it that its additional instances end.
const PATIENCE: Duration = Duration::from_secs(5);

impl Driver<'_> {
    /// Stops the instances that the rollout has added: a restart of the app would go on with them, and nobody would ever
    /// end them. Sees to it until they are down, since a second restart that comes before that takes the place of the stop.
    /// Where all are stopped, nothing is refused that matters.
    pub(super) fn end_extra(&self) {
        let until = Instant::now() + PATIENCE;
        let names: Vec<String> =
            self.units.range(self.kept..).map(|(_, u)| u.to_string()).collect();
        while let Ok(rows) = self.systemd.list(&names) {
            let is_gone = |row: &Listed| row.active.is_down() && row.job.is_none();
            let there: Vec<&Listed> = rows.iter().filter(|row| !is_gone(row)).collect();
            for row in &there {
                let stops = row.job.as_ref().is_some_and(|job| job.kind == "stop");
                if !stops && let Ok(unit) = UnitName::parse(&row.name) {
                    let _ = self.systemd.submit(JobKind::Stop, &unit, JobMode::Replace);
                }
            }
            // The end of an instance is told, and so is the end of a stop whose place another job takes.
            let over = there.is_empty() || Instant::now() >= until;
            self.systemd.let_go();
            if over || matches!(self.watch.next(until), None | Some(Signal::Disconnected)) {
                return;
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
