//! Moves an app from a running PM2 to units of its own, and back. It never writes PM2's files itself.
//!
//! A port that PM2's process listens on cannot be opened by systemd as long as it does. Where the kernel allows
//! it, the two share it for a moment: root copies the listening socket of PM2's process (pidfd_getfd(2)), makes it
//! its own (fchown(2)) and one that shares its port (`SO_REUSEPORT`), which the kernel asks of both sockets, and of
//! the same user; systemd opens the port with `ReusePort=yes`. A program of one instruction
//! (`SO_ATTACH_REUSEPORT_CBPF`), there before the port opens, says who gets new clients: PM2's process until the
//! instances are ready, then they.
//! What PM2's process has begun it finishes (`clusterctl-exec --drain`), and PM2 stops it last.
//!
//! Elsewhere the port is closed for the moment between PM2's stop and systemd's start; what is told is its
//! upper bound, since a listener that lets nobody in any more still looks like one.

mod back;
mod migrate;
mod shared;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::import::RunningPm2;
use super::{ApplyRequest, Context, ControlVerb, Done, Error, Event, Sink, apply, control, delete};
use crate::ecosystem::{App, AppName, ListenAddress};
use crate::import::{Pm2Process, Refusal};
use crate::ops::Selected;
use crate::unit::{UnitKind, UnitName};

pub use back::{Returned, give_back};
use shared::Shared;

/// How a port came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// The app listens on nothing.
    NoPort,
    /// Both listened for a moment: nobody was refused.
    Shared {
        /// How long PM2's processes took to finish what they had begun.
        drained: Duration,
    },
    /// It was closed for so long at most: from the request to stop PM2's processes until the manager listened.
    Closed(Duration),
}

/// What became of one app.
#[derive(Debug)]
pub struct Moved {
    /// How its port came over.
    pub passage: Passage,
    /// Why it could not be shared, where it was not.
    pub why: Option<String>,
    /// What became of its units.
    pub done: Done,
    /// Why PM2 did not stop its processes.
    pub left_running: Option<Refusal>,
}

/// Moves one app: `request` defines it alone. PM2's processes run on where its units do not come to serve.
///
/// # Errors
/// A file cannot be read or written, or the manager not be asked.
pub fn take_over(
    context: &mut Context,
    pm2: &RunningPm2,
    processes: &[Pm2Process],
    request: ApplyRequest,
    sink: Sink<'_>,
) -> Result<Option<Moved>, Error> {
    let Some((name, app)) = request.ecosystem.apps.first_key_value() else { return Ok(None) };
    let (name, app) = (name.clone(), app.clone());
    let own: Vec<&Pm2Process> =
        processes.iter().filter(|process| process.name == name.as_str()).collect();
    let held = held(&app);
    let passage =
        if held.is_empty() { Ok(None) } else { Shared::begin(context, pm2, &own, &app).map(Some) };
    // Beside PM2's sockets it opens at once, else when PM2 has stopped its processes, one after the other.
    context.others_let_go = match passage {
        Ok(_) => None,
        Err(_) => Some(crate::limits::EVALUATION),
    };
    let moved = match passage {
        Ok(shared) => beside(context, pm2, &own, request, (&name, &app), shared, sink),
        Err(why) => {
            let moved = after(context, pm2, &own, request, &name, sink);
            moved.map(|moved| Moved { why: Some(why), ..moved })
        }
    };
    context.others_let_go = None;
    moved.map(Some)
}

/// Listeners of an app on which something listens now.
fn held(app: &App) -> BTreeSet<ListenAddress> {
    let all = crate::host::listening();
    let addresses = app.listeners.iter().map(|listener| listener.address.clone());
    addresses.filter(|address| is_held(address, &all)).collect()
}

/// Whether one of these is, or is in the way of, an address.
fn is_held(address: &ListenAddress, all: &[ListenAddress]) -> bool {
    all.iter().any(|held| held.conflicts_with(address))
}

/// The instances start while PM2's processes serve; those stop last.
fn beside(
    context: &mut Context,
    pm2: &RunningPm2,
    own: &[&Pm2Process],
    request: ApplyRequest,
    (name, app): (&AppName, &App),
    mut shared: Option<Shared>,
    sink: Sink<'_>,
) -> Result<Moved, Error> {
    let done = {
        let mut opened = |event: Event| {
            if let (Some(unit), Some(shared)) = (opens(&event), &mut shared) {
                shared.opened(unit);
            }
            sink(event);
        };
        applied(context, name, request, &mut opened)
    };
    let served = done.as_ref().is_ok_and(Done::is_success);
    let mut left_running = None;
    let mut drained = Duration::ZERO;
    if served {
        let begun = Instant::now();
        if let Some(shared) = &shared {
            shared.turn(own, app.process.kill_timeout);
        }
        drained = begun.elapsed();
        left_running = stop(pm2, own).err();
    } else if let Some(shared) = &shared {
        shared.turn_back();
        undo(context, name, sink)?;
    }
    let passage = match shared {
        Some(shared) => {
            shared.end(context)?;
            Passage::Shared { drained }
        }
        None => Passage::NoPort,
    };
    Ok(Moved { passage, why: None, done: done?, left_running })
}

/// PM2's processes stop first, at the same time as the units are written; the port is opened at once then.
fn after(
    context: &mut Context,
    pm2: &RunningPm2,
    own: &[&Pm2Process],
    request: ApplyRequest,
    name: &AppName,
    sink: Sink<'_>,
) -> Result<Moved, Error> {
    let begun = Instant::now();
    let mut opened = None;
    let (stopped, done) = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| stop(pm2, own));
        let mut told = |event: Event| {
            if opens(&event).is_some_and(|unit| unit.kind() == UnitKind::Socket) {
                opened = Some(begun.elapsed());
            }
            sink(event);
        };
        let done = applied(context, name, request, &mut told);
        (stopping.join(), done)
    });
    let left_running = stopped.ok().and_then(Result::err);
    let served = done.as_ref().is_ok_and(Done::is_success);
    if !served {
        undo(context, name, sink)?;
        // PM2's process served until now, and goes on serving.
        let _ = restart(pm2, own);
    }
    let closed = opened.filter(|_| served).unwrap_or_else(|| begun.elapsed());
    Ok(Moved { passage: Passage::Closed(closed), why: None, done: done?, left_running })
}

/// The unit that has started by an event.
fn opens(event: &Event) -> Option<&UnitName> {
    match event {
        Event::Unit { unit, verb: "start", failure: None, .. } => Some(unit),
        _ => None,
    }
}

fn applied(
    context: &mut Context,
    name: &AppName,
    request: ApplyRequest,
    sink: Sink<'_>,
) -> Result<Done, Error> {
    let mut applied = apply(context, request, sink)?;
    std::mem::replace(&mut applied.recorded, Ok(()))?;
    Ok(applied.finished.done.remove(name).unwrap_or_default())
}

/// Takes units away that did not come to serve.
fn undo(context: &Context, name: &AppName, sink: Sink<'_>) -> Result<(), Error> {
    let selected = [Selected { app: name.clone(), instance: None }];
    drop(control(context, ControlVerb::Stop, &selected, sink)?);
    // Whose end was told is not told again.
    let mut rest = |event: Event| match event {
        Event::Unit { failure: None, .. } => {}
        event => sink(event),
    };
    drop(delete(context, std::slice::from_ref(name), &mut rest)?);
    Ok(())
}

fn stop(pm2: &RunningPm2, own: &[&Pm2Process]) -> Result<(), Refusal> {
    act(pm2, "stop", own)
}

fn restart(pm2: &RunningPm2, own: &[&Pm2Process]) -> Result<(), Refusal> {
    act(pm2, "restart", own)
}

fn act(pm2: &RunningPm2, verb: &str, own: &[&Pm2Process]) -> Result<(), Refusal> {
    let ids: Vec<String> = own.iter().map(|process| process.id.to_string()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let words: Vec<&str> = [verb].into_iter().chain(ids.iter().map(String::as_str)).collect();
    pm2.run(&words).map(drop)
}
