//! Asks for a rollout and follows it: the group's reload job performs it, and goes on when the
//! command that asked is gone. Decides nothing about instances.
//!
//! A second reload joins the first one's job and runs after it (`job_install()` in systemd's
//! job.c); the caller of the first does not wait for the second.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use super::perform::carry_out;
use super::request::{ReportLine, Request, Task};
use super::resume::again;
use super::settle::settled;
use super::{Context, Error, Event, Sink};
use crate::disk::Exchange;
use crate::ecosystem::AppName;
use crate::plan::ObservedApp;
use crate::rollout::{Outcome, Progress, Time};
use crate::systemd::{self, JobId, JobKind, JobMode, JobResult, KillWhom, Signal, Watch};
use crate::unit::{ActiveState, UnitName};

/// How often a report is read, and an interrupt noticed.
const GLANCE: Duration = Duration::from_millis(50);

/// How often a view is told the time.
const TICK: Duration = Duration::from_secs(1);

/// How long a job may take to end after its process has said that it is over: that still reads in the journal why
/// instances failed, which takes its time on a busy machine.
const JOB_END: Duration = Duration::from_secs(2);

/// How often a request that another job left over is handed in again.
const TRIES: u32 = 3;

/// Has a rollout performed and waits for its end.
///
/// # Errors
/// The manager cannot be asked, or the process that performs it died.
pub fn delegate(
    context: &Context,
    app: &AppName,
    request: &Request,
    sink: Sink<'_>,
) -> Result<Outcome, Error> {
    let exchange = Exchange::of(&context.layout, app);
    let id = Exchange::new_id();
    let unwritable = |error: serde_json::Error| Error::Unwritable(app.clone(), error.to_string());
    let text = serde_json::to_vec(request).map_err(unwritable)?;
    if matches!(request.task, Task::Change { .. }) {
        // We hold the app's lock: a request that is there belongs to a command that is gone.
        exchange.withdraw_orphans();
    }
    // Before the request is there, which nobody would follow, and a later job take up.
    let watch = context.systemd.watch([])?;
    match exchange.ask(&id, &text) {
        // A caller whom polkit lets reload, and who may not write the request, gets a plain reload.
        Err(error) if error.is_permission() && request.is_plain() => {
            return follow_blindly(context, app);
        }
        result => result?,
    }
    let mut follower = Follower {
        context,
        watch,
        app,
        group: app.group_unit(),
        report: Report { exchange: &exchange, id: &id, file: None, line: String::new() },
        outcome: None,
        ceded: false,
        told: false,
        last: None,
    };
    let mut result = None;
    for tries in 1..=TRIES {
        let ended = follower.run(sink);
        result = ended.as_ref().ok().cloned().flatten();
        match (ended, exchange.is_pending(&id)) {
            // Another reload job ended as ours, without having seen the request.
            (Ok(Some(JobResult::Done)), true) => continue,
            // The job never reached the process, or it belongs to another version.
            (Ok(_), true) => {
                // The app may be restarting: then its job takes the request up afterwards.
                let found = settled(context, app)?;
                if is_up(&found) && tries < TRIES {
                    continue;
                }
                if exchange.withdraw(&id) {
                    if is_stopped(&found) {
                        return Err(Error::Stopped(app.clone()));
                    }
                    return carry_out(context, app, request, sink);
                }
                break;
            }
            (Err(error), _) => {
                exchange.withdraw(&id);
                return Err(error);
            }
            (Ok(_), _) => break,
        }
    }
    match follower.outcome {
        Some(outcome) => outcome,
        None if is_stopped(&settled(context, app)?) => Err(Error::Stopped(app.clone())),
        None if follower.ceded => Err(Error::Lost(app.clone())),
        None => Err(unreported(context, app, result)?),
    }
}

/// What became of a rollout that has not told its end: its process was ended, or it could not write.
fn unreported(context: &Context, app: &AppName, result: Option<JobResult>) -> Result<Error, Error> {
    let ended = || context.systemd.reload_result(&app.group_unit());
    let by_itself = match result {
        Some(JobResult::Done | JobResult::Failed) => {
            ["success", "exit-code"].contains(&ended()?.as_str())
        }
        _ => false,
    };
    Ok(if by_itself { Error::Unreported(app.clone()) } else { Error::Lost(app.clone()) })
}

fn is_up(found: &Option<ObservedApp>) -> bool {
    found.as_ref().is_some_and(|found| found.group.is_active())
}

/// Whether somebody stops or has stopped the app: then no instance of it may be started. A group that
/// is down by itself while instances run has been left to them.
fn is_stopped(found: &Option<ObservedApp>) -> bool {
    let Some(found) = found else { return true };
    match found.group {
        ActiveState::Deactivating => true,
        group if group.is_down() => !found.instances.values().any(|one| one.active.is_up()),
        _ => false,
    }
}

/// Reloads the group and knows only how its job ended.
fn follow_blindly(context: &Context, app: &AppName) -> Result<Outcome, Error> {
    let watch = context.systemd.watch([])?;
    let job = context.systemd.submit(JobKind::Reload, &app.group_unit(), JobMode::Replace)?;
    loop {
        match watch.next(Instant::now() + Duration::from_secs(1)) {
            Some(Signal::JobRemoved { id, result, .. }) if id == job => {
                let done = result == JobResult::Done;
                return if done { Ok(Outcome::Complete) } else { Err(Error::Reload(app.clone())) };
            }
            Some(Signal::Disconnected) => return Err(Error::Lost(app.clone())),
            _ => {}
        }
    }
}

struct Follower<'a> {
    context: &'a Context,
    /// Tells of the end of the job.
    watch: Watch,
    app: &'a AppName,
    group: UnitName,
    report: Report<'a>,
    outcome: Option<Result<Outcome, Error>>,
    /// The process of the rollout was told to go, by whoever stops or restarts the app.
    ceded: bool,
    /// Whether it was told that somebody wants it to stop.
    told: bool,
    /// When the last progress was heard of, and what it was.
    last: Option<(Instant, Time, Progress)>,
}

impl Follower<'_> {
    /// Submits the job and follows it to its end; `None` when the manager refuses it.
    fn run(&mut self, sink: Sink<'_>) -> Result<Option<JobResult>, Error> {
        let systemd = &self.context.systemd;
        // `JobMode::Fail`: our reload must not replace a stop or start that is queued.
        let job = match systemd.submit(JobKind::Reload, &self.group, JobMode::Fail) {
            Ok(job) => job,
            Err(error) if error.is_permission() => return Err(error.into()),
            // Not running, masked, or being stopped: there is no job that could do it.
            Err(_) => return Ok(None),
        };
        let mut over = None;
        loop {
            let ended = self.wait(job)?;
            self.relay(sink);
            if ended.is_some() {
                return Ok(ended);
            }
            // A second request joins the job and keeps it from ending with ours (`job_install()`
            // in systemd's job.c runs it again).
            if self.outcome.is_some() && over.get_or_insert_with(Instant::now).elapsed() > JOB_END {
                return Ok(Some(JobResult::Done));
            }
            self.pass_interrupt(sink);
            self.tick(sink);
        }
    }

    /// A view that shows times wants to hear of them though nothing happens.
    fn tick(&mut self, sink: Sink<'_>) {
        let Some((heard, at, progress)) = &mut self.last else { return };
        let passed = heard.elapsed();
        if passed >= TICK {
            (*heard, *at) = (Instant::now(), *at + passed);
            sink(Event::Progress { app: self.app.clone(), at: *at, progress: progress.clone() });
        }
    }

    fn wait(&mut self, job: JobId) -> Result<Option<JobResult>, Error> {
        let until = Instant::now() + GLANCE;
        while let Some(signal) = self.watch.next(until) {
            match signal {
                Signal::JobRemoved { id, result, .. } if id == job => return Ok(Some(result)),
                Signal::Disconnected => {
                    return self.rejoin(systemd::Error::disconnected("follow the rollout"), job);
                }
                // The manager sends no signals for what happened while it was executing itself anew.
                Signal::Reloading(false) => {
                    return match self.over(job) {
                        Err(Error::Systemd(error)) if error.is_broken_off() => {
                            self.rejoin(error, job)
                        }
                        over => over,
                    };
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Follows the job over another connection.
    fn rejoin(&mut self, broken: systemd::Error, job: JobId) -> Result<Option<JobResult>, Error> {
        again(self.context, broken, || {
            self.watch = self.context.systemd.watch([])?;
            self.over(job)
        })
    }

    /// Whether the job has ended unheard; its report says how.
    fn over(&self, job: JobId) -> Result<Option<JobResult>, Error> {
        let there = self.context.systemd.job_info(job)?.is_some();
        Ok((!there).then_some(JobResult::Done))
    }

    fn relay(&mut self, sink: Sink<'_>) {
        while let Some(record) = self.report.next() {
            let app = self.app.clone();
            match record {
                ReportLine::Does(command) => sink(Event::Rollout { app, command }),
                ReportLine::Stands { at, progress } => {
                    self.last = Some((Instant::now(), at, progress.clone()));
                    sink(Event::Progress { app, at, progress });
                }
                ReportLine::Ended(outcome) => self.outcome = Some(Ok(outcome)),
                ReportLine::Broke(why) => self.outcome = Some(Err(Error::Broke(app, why))),
                ReportLine::Ceded => self.ceded = true,
            }
        }
    }

    /// Asks the process to stop between two instances; again until there is one to ask.
    fn pass_interrupt(&mut self, sink: Sink<'_>) {
        if self.told || !self.context.is_interrupted() {
            return;
        }
        let sigint = rustix::process::Signal::INT.as_raw();
        if self.context.systemd.kill(&self.group, KillWhom::Control, sigint).is_ok() {
            self.told = true;
            sink(Event::Interrupted { app: self.app.clone() });
        }
    }
}

/// Reads a report while it is being written.
struct Report<'a> {
    exchange: &'a Exchange,
    id: &'a str,
    file: Option<BufReader<File>>,
    /// The part of a line that is there.
    line: String,
}

impl Report<'_> {
    fn next(&mut self) -> Option<ReportLine> {
        if self.file.is_none() {
            self.file = self.exchange.report(self.id).map(BufReader::new);
        }
        let file = self.file.as_mut()?;
        file.read_line(&mut self.line).ok()?;
        if !self.line.ends_with('\n') {
            return None;
        }
        let record = serde_json::from_str(&self.line).ok();
        self.line.clear();
        record
    }
}

impl Request {
    /// Whether it asks for what the job does by itself.
    fn is_plain(&self) -> bool {
        matches!(self.task, Task::Reload { instances: None }) && self.policy.is_none()
    }
}
