//! What became of an app that a verb worked on. It never says so: `report` does.

use std::collections::BTreeMap;
use std::fmt;

use super::Error;
use crate::disk::Lock;
use crate::ecosystem::AppName;
use crate::rollout::{InstanceFault, NotServing, Outcome};
use crate::systemd;
use crate::unit::UnitName;

/// What became of one app.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// How its rollout ended, if it had one.
    pub rollout: Option<Outcome>,
    /// Units that are not where they should be, and why.
    pub failures: Vec<(UnitName, UnitFailure)>,
    /// Steps that were left out because somebody asked to stop.
    pub left_out: usize,
}

/// What became of apps. Other commands wait for them until this is dropped, so that what is looked at
/// to tell how it went is still what this command has left.
#[derive(Debug)]
pub struct Finished {
    /// What became of each app.
    pub done: BTreeMap<AppName, Done>,
    _lock: Option<Lock>,
}

impl Finished {
    pub(super) fn new(done: BTreeMap<AppName, Done>, lock: Option<Lock>) -> Finished {
        Finished { done, _lock: lock }
    }
}

/// Why a unit is not where it should be.
#[derive(Clone, Debug)]
pub enum UnitFailure {
    /// A job came to nothing; the manager's word for it.
    Job(String),
    /// Its start was ended by something else than its process: what is known of that may be of a run before.
    Start(InstanceFault),
    /// Another job took the place of its stop: what is known of its process explains nothing.
    StillWanted,
    /// The manager does not permit its job.
    Denied(systemd::Error),
    /// It came up, or should have, and did not stay.
    Lost(NotServing),
    /// Its rollout could not go on: the whole sentence, with the app and the next command.
    Rollout(String),
}

impl fmt::Display for UnitFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(why) | Self::Rollout(why) => f.write_str(why),
            Self::Start(why) => why.fmt(f),
            Self::Denied(error) => error.fmt(f),
            Self::Lost(lost) => lost.fmt(f),
            Self::StillWanted => {
                f.write_str("was not stopped: another job, such as a start, came in between")
            }
        }
    }
}

impl Done {
    /// Whether the app is where it should be.
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
            && self.left_out == 0
            && matches!(self.rollout, None | Some(Outcome::Complete))
    }

    /// Whether nothing but the group failed to start. Its instances came up then, and what ended them since is the reason.
    pub(super) fn lacks_group_alone(&self, app: &AppName) -> bool {
        let [(unit, UnitFailure::Job(_))] = self.failures.as_slice() else { return false };
        let others = Done { failures: Vec::new(), ..self.clone() };
        *unit == app.group_unit() && others.is_success()
    }

    /// Leaves out that the group failed where its instances did, of which more is known.
    pub(super) fn blame_instances(&mut self, app: &AppName) {
        let group = app.group_unit();
        if self.failures.iter().any(|(unit, _)| app.instance_of(unit).is_some()) {
            let consequence = |why: &UnitFailure| matches!(why, UnitFailure::Job(_));
            self.failures.retain(|(unit, why)| *unit != group || !consequence(why));
        }
    }

    /// The first unit whose job the manager does not permit, of all that failed.
    pub fn denied(&self) -> Option<(&UnitName, &systemd::Error)> {
        self.failures.iter().find_map(|(unit, why)| match why {
            UnitFailure::Denied(error) => Some((unit, error)),
            _ => None,
        })
    }

    /// Whether somebody asked to stop before the end.
    pub fn is_interrupted(&self) -> bool {
        self.left_out > 0 || matches!(self.rollout, Some(Outcome::Interrupted { .. }))
    }

    /// The end of a rollout. That one could not go on says nothing about other apps.
    pub(super) fn of(result: Result<Outcome, Error>) -> Result<Done, Error> {
        match result {
            Ok(outcome) => Ok(Done { rollout: Some(outcome), ..Done::default() }),
            Err(error) => match error.rolled_out() {
                Some(app) => {
                    let next = error.hint().map(|next| format!("; next: {next}"));
                    let why = UnitFailure::Rollout(format!("{error}{}", next.unwrap_or_default()));
                    let failures = vec![(app.group_unit(), why)];
                    Ok(Done { failures, ..Done::default() })
                }
                None => Err(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_group_that_fails_with_its_instances_is_no_failure_of_its_own() {
        let app = AppName::parse("api").unwrap();
        let job = || UnitFailure::Job("failed".to_owned());
        let mut done = Done { failures: vec![(app.group_unit(), job())], ..Done::default() };
        assert!(done.lacks_group_alone(&app) && !done.is_success());
        done.blame_instances(&app);
        assert_eq!(done.failures.len(), 1);
        done.failures.push((app.instance_unit(0), UnitFailure::Lost(NotServing::NotListening)));
        assert!(!done.lacks_group_alone(&app));
        done.blame_instances(&app);
        let units: Vec<&str> = done.failures.iter().map(|(unit, _)| unit.as_str()).collect();
        assert_eq!(units, ["api@0.service"]);
        // What the manager does not permit is said.
        done.failures.push((app.group_unit(), UnitFailure::StillWanted));
        done.blame_instances(&app);
        assert_eq!(done.failures.len(), 2);
    }
}
