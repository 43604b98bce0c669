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
use crate::limits;
use crate::unit::UnitName;

/// Hears of ends of jobs, each with its place among the jobs.
pub type EndedJobs<'a> = &'a mut dyn FnMut(&[(usize, JobOutcome)]);

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

    /// Queues a start or restart of a unit whose failures and restarts are forgotten first, in one batch. Who may
    /// not have them forgotten may perhaps start it.
    ///
    /// # Errors
    /// As [`Systemd::submit`].
    pub fn submit_anew(
        &self,
        kind: JobKind,
        unit: &UnitName,
        mode: JobMode,
    ) -> Result<JobId, Error> {
        let calls = vec![
            proxy::manager("ResetFailedUnit", &unit.as_str()),
            proxy::manager(kind.method(), &(unit.as_str(), mode.name())),
        ];
        let reply = self.ask_all("submit the jobs", calls, ANSWER)?.pop();
        reply.map_or_else(
            || Err(Error::timeout(&kind.to_string())),
            |reply| job_of(kind, unit, reply),
        )
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
        self.run_jobs_in_batches(jobs, mode, deadline, &mut |ended| {
            ended.iter().for_each(|(place, outcome)| seen(*place, outcome));
        })
    }

    /// The same; `seen` hears of all outcomes together that have come by the time it is told: of hundreds of
    /// jobs at once, whoever asks about each end asks a few questions about many.
    ///
    /// # Errors
    /// As [`Systemd::run_jobs`].
    pub fn run_jobs_in_batches(
        &self,
        jobs: &[(JobKind, UnitName)],
        mode: JobMode,
        deadline: Instant,
        seen: EndedJobs<'_>,
    ) -> Result<Vec<JobOutcome>, Error> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let watch = self.watch(&[])?;
        let mut outcomes: Vec<JobOutcome> = vec![JobOutcome::Unfinished; jobs.len()];
        let mut under_way = UnderWay::default();
        loop {
            self.submit_next(jobs, mode, &mut under_way)?;
            let UnderWay { pending, ended, .. } = &mut under_way;
            // Whatever has been said by now, without waiting.
            let until =
                if ended.is_empty() && !pending.is_empty() { deadline } else { Instant::now() };
            let late = match watch.next(until).filter(|_| !pending.is_empty()) {
                Some(Signal::JobRemoved { id, result, .. }) => {
                    let places = pending.remove(&id).unwrap_or_default();
                    ended
                        .extend(places.into_iter().map(|p| (p, JobOutcome::Ended(result.clone()))));
                    continue;
                }
                Some(Signal::Disconnected) => {
                    return Err(Error::new(ErrorKind::Disconnected, "wait for the jobs", ""));
                }
                // These signals say nothing about the end of a job.
                Some(Signal::Changed { .. } | Signal::Reloading(_)) => continue,
                None => ended.is_empty(),
            };
            if !ended.is_empty() {
                seen(ended);
            }
            for (place, outcome) in ended.drain(..) {
                outcomes[place] = outcome;
            }
            if late || pending.is_empty() && under_way.next == jobs.len() {
                return Ok(outcomes);
            }
        }
    }

    /// Submits as many of the jobs that are left as may be pending with the others.
    fn submit_next(
        &self,
        jobs: &[(JobKind, UnitName)],
        mode: JobMode,
        under_way: &mut UnderWay,
    ) -> Result<(), Error> {
        let window = if self.direct.is_some() { jobs.len() } else { limits::JOBS_ON_BUS };
        let left = jobs.len() - under_way.next;
        let room = window.saturating_sub(under_way.pending.len()).min(left);
        // Half of them at least: each submission is a round trip.
        if room == 0 || room < left.min(window / 2) {
            return Ok(());
        }
        let first = under_way.next;
        under_way.next += room;
        let submitted = self.submit_all(&jobs[first..first + room], mode)?;
        for (place, submitted) in (first..).zip(submitted) {
            match submitted {
                Ok(id) => under_way.pending.entry(id).or_default().push(place),
                Err(error) => under_way.ended.push((place, JobOutcome::Refused(error))),
            }
        }
        Ok(())
    }
}

/// How far a batch of jobs has come.
#[derive(Default)]
struct UnderWay {
    /// The first that is yet to be submitted.
    next: usize,
    /// Those that are to end. Two requests for one unit may share a job.
    pending: HashMap<JobId, Vec<usize>>,
    /// Those that have ended, and that nobody was told of yet.
    ended: Vec<(usize, JobOutcome)>,
}

fn job_of(kind: JobKind, unit: &UnitName, reply: zbus::Result<Message>) -> Result<JobId, Error> {
    let doing = kind.to_string();
    let failed = |e: zbus::Error| Error::from_bus(&doing, &e).about(unit.as_str());
    let reply = reply.map_err(failed)?;
    let path: OwnedObjectPath = reply.body().deserialize().map_err(failed)?;
    JobId::of_path(path.as_str())
        .ok_or_else(|| Error::new(ErrorKind::Other, &doing, path.as_str()).about(unit.as_str()))
}
