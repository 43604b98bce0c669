//! Jobs: submitted unit by unit, so that polkit rules see the unit and the verb; awaited together.
//!
//! The subscription stands before the first job is submitted, results are matched by the job, and
//! one that arrives before the reply to its own submission is kept. A unit that the manager
//! refuses is one outcome among the others, never the end of the batch.
//!
//! Which process a finished job led to is asked, not derived. systemd counts `NRestarts` on when a
//! start by hand overtakes a restart of its own, and merges the two jobs: neither the counter nor
//! the order of what was seen tells the process that we started from one that it started. A look
//! after the job's end does, and every wait begins with that process.

use std::collections::HashMap;
use std::time::Instant;

use zbus::{Message, OwnedObjectPath};

use super::job::{JobId, JobKind, JobMode, JobOutcome};
use super::watch::Signal;
use super::{ANSWER, Error, ErrorKind, Systemd, proxy};
use crate::unit::UnitName;

impl Systemd {
    /// Queues one job and returns without waiting for its end. To learn of that, have a
    /// [`Watch`](super::Watch) before.
    ///
    /// # Errors
    /// No such unit, masked, broken, not permitted, or the manager does not answer.
    pub fn submit(&self, kind: JobKind, unit: &UnitName, mode: JobMode) -> Result<JobId, Error> {
        let mut submitted = self.submit_all(&[(kind, unit.clone())], mode)?;
        submitted.pop().unwrap_or_else(|| Err(Error::timeout(&kind.to_string())))
    }

    /// Queues many jobs, sent together; one result for each, in their order.
    ///
    /// # Errors
    /// The connection broke or the manager does not answer at all.
    pub fn submit_all(
        &self,
        jobs: &[(JobKind, UnitName)],
        mode: JobMode,
    ) -> Result<Vec<Result<JobId, Error>>, Error> {
        let calls = jobs
            .iter()
            .map(|(kind, unit)| proxy::manager(kind.method(), &(unit.as_str(), mode.name())))
            .collect();
        let replies = self.ask_all("submit the jobs", calls, ANSWER)?;
        Ok(jobs
            .iter()
            .zip(replies)
            .map(|((kind, unit), reply)| job_of(*kind, unit, reply))
            .collect())
    }

    /// Runs jobs and waits for their ends; `seen` hears of each outcome as it happens, with its
    /// place among the jobs. The outcomes come in the order of the jobs.
    ///
    /// # Errors
    /// The connection broke, or the manager does not answer at all. What a job or a refusal says
    /// about one unit is an outcome.
    pub fn run_jobs(
        &self,
        jobs: &[(JobKind, UnitName)],
        mode: JobMode,
        deadline: Instant,
        seen: &mut dyn FnMut(usize, &JobOutcome),
    ) -> Result<Vec<JobOutcome>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let watch = self.watch(&[])?;
        let mut outcomes: Vec<JobOutcome> = vec![JobOutcome::Unfinished; jobs.len()];
        // Two requests for one unit may share a job.
        let mut pending: HashMap<JobId, Vec<usize>> = HashMap::new();
        for (place, submitted) in self.submit_all(jobs, mode)?.into_iter().enumerate() {
            match submitted {
                Ok(id) => pending.entry(id).or_default().push(place),
                Err(error) => {
                    outcomes[place] = JobOutcome::Refused(error);
                    seen(place, &outcomes[place]);
                }
            }
        }
        while !pending.is_empty() {
            match watch.next(deadline) {
                None => break,
                Some(Signal::JobRemoved { id, result, .. }) => {
                    for place in pending.remove(&id).unwrap_or_default() {
                        outcomes[place] = JobOutcome::Ended(result.clone());
                        seen(place, &outcomes[place]);
                    }
                }
                Some(Signal::Disconnected) => {
                    return Err(Error::new(ErrorKind::Disconnected, "wait for the jobs", ""));
                }
                // Neither says anything about a job.
                Some(Signal::Changed { .. } | Signal::Reloading(_)) => {}
            }
        }
        Ok(outcomes)
    }
}

fn job_of(kind: JobKind, unit: &UnitName, reply: zbus::Result<Message>) -> Result<JobId, Error> {
    let doing = kind.to_string();
    let failed = |e: zbus::Error| Error::from_bus(&doing, &e).about(unit.as_str());
    let reply = reply.map_err(failed)?;
    let path: OwnedObjectPath = reply.body().deserialize().map_err(failed)?;
    JobId::of_path(path.as_str())
        .ok_or_else(|| Error::new(ErrorKind::Other, &doing, path.as_str()).about(unit.as_str()))
}
