//! The process of a group's reload job: takes up a request, drives the rollout, writes its report.
//!
//! It runs below systemd, so that it goes on when the terminal of whoever asked is lost, and
//! systemd runs only one of them per app.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::hooks;
use super::links::link_difference;
use super::load::load;
use super::observe::observe_app;
use super::overtaken::finish_stop;
use super::pins::Pins;
use super::request::{FormerFile, ReportLine, Request, Task};
use super::resume::{self, persist, rolled};
use super::witness::witnessed;
use super::{Context, Error, Event, RollSpec, Sink, held};
use crate::disk::{self, Exchange, Lock};
use crate::ecosystem::{AppName, OnFailure, Role};
use crate::rollout::Outcome;
use crate::systemd::{JobKind, JobMode};
use crate::unit::UnitName;

/// How long a listener may take to open.
const PATIENCE: Duration = crate::limits::LISTENER_OPENS;

/// Performs the oldest request for an app, or a plain reload if there is none.
///
/// # Errors
/// The manager cannot be asked. What becomes of instances is the outcome.
pub fn perform(context: &Context, app: &AppName, sink: Sink<'_>) -> Result<Outcome, Error> {
    let exchange = Exchange::of(&context.layout, app);
    let pending = exchange.pending()?;
    let asked = pending.is_some();
    let (id, request) = match pending {
        Some((id, bytes)) => match serde_json::from_slice(&bytes) {
            // Removing the request tells the command that asked that it was taken up.
            Ok(request) if exchange.withdraw(&id) => (id, request),
            // Another version of clusterctl wrote the request; its command will see that nobody took it up.
            _ => return Err(Error::Request(app.clone())),
        },
        None => (Exchange::new_id(), Request::reload()),
    };
    let mut reporter = exchange.reporter(&id);
    let mut record = |record: &ReportLine| {
        // A line that cannot be written is kept, and tried again with the next one.
        if let Ok(line) = serde_json::to_string(record) {
            let _ = reporter.line(&line);
        }
    };
    let mut both = |event: Event| {
        match &event {
            Event::Rollout { command, .. } => record(&ReportLine::Does(command.clone())),
            Event::Progress { at, progress, .. } => {
                record(&ReportLine::Stands { at: *at, progress: progress.clone() });
            }
            _ => {}
        }
        sink(event);
    };
    // A command that writes a request has had the manager read the units already.
    let ready = if asked { Ok(()) } else { load(context, [app.clone()], &mut both) };
    let result = ready.and_then(|()| carry_out(context, app, &request, &mut both));
    match &result {
        Ok(outcome) => record(&ReportLine::Ended(outcome.clone())),
        // The command that follows the report finds out whether the app was stopped or restarted.
        Err(Error::Lost(_) | Error::Stopped(_)) => record(&ReportLine::Ceded),
        Err(error) => record(&ReportLine::Broke(error.to_string())),
    }
    match reporter.flush() {
        // The command that waits for the report cannot read it: the journal says why.
        Err(error) if asked && result.is_ok() => Err(error.into()),
        _ => result,
    }
}

/// Drives a request in this process.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn carry_out(
    context: &Context,
    app: &AppName,
    request: &Request,
    sink: Sink<'_>,
) -> Result<Outcome, Error> {
    let together = context.together();
    let pins = Pins::found(context, app);
    if persist(context, || finish_stop(context, app))? {
        return Err(Error::Stopped(app.clone()));
    }
    if matches!(request.task, Task::Reload { .. }) {
        // A killed rollout has left them.
        pins.release(&pins.held())?;
    }
    let lost = match request.task {
        Task::Reload { instances: None } => lost(context, app)?,
        _ => Vec::new(),
    };
    let Some(spec) = persist(context, || roll_spec(context, app, request))? else {
        return Ok(Outcome::Complete);
    };
    drop(together);
    reopen(context, lost)?;
    let hooked = match &request.task {
        Task::Reload { instances } => instances.is_none(),
        Task::Change { outdated, .. } => !outdated.is_empty(),
    };
    if hooked && let Err(why) = hooks::run(context, app, Role::BeforeReload)? {
        if !request.former.is_empty() && spec.policy.on_failure == OnFailure::Rollback {
            restore(context, app, request, &pins)?;
        }
        return Err(Error::Broke(app.clone(), format!("{why}; nothing was replaced")));
    }
    let replaced = spec.outdated.clone();
    let units = OnceCell::new();
    let unready = |number| {
        let read = || disk::scan_app(&context.layout, app).ok()?.map(|found| found.units);
        held::unready(context, app, units.get_or_init(read).as_ref()?, number)
    };
    let restore = || restore(context, app, request, &pins);
    let given = resume::RequestHooks { restore: &restore, unready: &unready, pins: &pins };
    let run = || rolled(context, spec, request, &given, sink);
    let outcome = witnessed(context, std::slice::from_ref(app), run)?;
    if outcome == Outcome::Complete {
        persist(context, || pins.settle(&replaced))?;
    }
    if hooked
        && outcome == Outcome::Complete
        && let Err(why) = hooks::run(context, app, Role::AfterReload)?
    {
        return Err(Error::Broke(app.clone(), format!("every instance was replaced, then {why}")));
    }
    Ok(outcome)
}

/// What is to be rolled; `None` where there is no such app any more.
fn roll_spec(
    context: &Context,
    app: &AppName,
    request: &Request,
) -> Result<Option<RollSpec>, Error> {
    match &request.task {
        Task::Reload { instances } => reload_spec(context, app, request, instances),
        Task::Change { outdated, known, before, wanted } => Ok(Some(RollSpec {
            app: app.clone(),
            outdated: outdated.clone(),
            known: known.clone(),
            before: *before,
            wanted: *wanted,
            chosen: false,
            pinned: BTreeSet::new(),
            policy: request.policy.clone().unwrap_or_default(),
        })),
    }
}

/// Listeners whose path no longer leads to them.
fn lost(context: &Context, app: &AppName) -> Result<Vec<UnitName>, Error> {
    let observed = observe_app(context, app)?;
    Ok(observed.into_iter().flat_map(|found| found.lost).collect())
}

/// Opens lost listeners anew: the instances are about to be replaced, and no client reaches the former ones there.
fn reopen(context: &Context, lost: Vec<UnitName>) -> Result<(), Error> {
    let jobs: Vec<_> = lost.into_iter().map(|unit| (JobKind::Restart, unit)).collect();
    if !jobs.is_empty() {
        // Instances require their listeners, and must not be stopped with them.
        let mode = JobMode::IgnoreDependencies;
        context.systemd.run_jobs(&jobs, mode, Instant::now() + PATIENCE, &mut |_, _| {})?;
    }
    Ok(())
}

fn reload_spec(
    context: &Context,
    app: &AppName,
    request: &Request,
    instances: &Option<BTreeSet<u32>>,
) -> Result<Option<RollSpec>, Error> {
    let Some(found) = observe_app(context, app)? else { return Ok(None) };
    let enabled = u32::try_from(found.links.len()).unwrap_or(u32::MAX).max(1);
    let known: BTreeSet<u32> = found.instances.keys().copied().collect();
    // An instance of a job that has ended well is not run again unless its definition has changed.
    let over = |number: &u32| {
        let completed = found.instances.get(number).is_some_and(|one| one.completed);
        completed && !found.is_outdated(*number)
    };
    let outdated = || known.iter().copied().filter(|number| !over(number)).collect();
    Ok(Some(RollSpec {
        app: app.clone(),
        outdated: instances.clone().unwrap_or_else(outdated),
        known: known.clone(),
        before: enabled,
        wanted: enabled,
        chosen: instances.is_some(),
        pinned: BTreeSet::new(),
        policy: request.policy.clone().unwrap_or_else(|| found.units.policy(app)),
    }))
}

/// Puts the former files back, with their times: instances that still run the former definition
/// must not look outdated afterwards. The number of instances goes back as well.
fn restore(
    context: &Context,
    app: &AppName,
    request: &Request,
    pins: &Pins<'_>,
) -> Result<(), Error> {
    let shared = Lock::shared(&context.layout.state)?;
    // Only who is killed before the manager has read the files needs the note.
    let _ = disk::note_unread(&context.layout, app);
    for FormerFile { file, content } in &request.former {
        disk::restore_file(&context.layout, app, file, content)?;
    }
    // Where they stay they say what the template says, until the next command takes them away.
    let released = pins.take_away();
    if let Some(former) = &request.links {
        let found = disk::scan_app(&context.layout, app)?;
        let links = found.map(|found| found.links).unwrap_or_default();
        disk::apply_links(&context.layout, app, &link_difference(&links, former))?;
    }
    drop(shared);
    persist(context, || Ok(context.reread_units()?))?;
    disk::forget_unread(&context.layout, app);
    if released.is_ok() {
        pins.put_back();
    }
    Ok(())
}
