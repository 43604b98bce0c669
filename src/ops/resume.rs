//! A rollout goes on when the bus or the manager was restarted in the middle of it: connects again, and
//! rolls what is left. What is left is told by when each process started. Never replaces anybody itself.
//!
//! A process that started since the rollout began runs the wanted definition; after the former definition
//! was put back, one that started since then.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::canaries::Canaries;
use super::overtaken::finish_stop;
use super::pins::Pins;
use super::request::Request;
use super::roll::{self, Restore};
use super::sight::monotonic;
use super::{Context, Error, Event, RollSpec, Sink};
use crate::disk;
use crate::rollout::{Failure, Instruction, Outcome};
use crate::systemd;
use crate::unit::UnitName;

/// How long bus and manager may take to come back.
const PATIENCE: Duration = crate::limits::MANAGER_RETURNS;

/// How often they are looked for; nothing announces them to who has no connection.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a rollout is taken up again.
const TRIES: u32 = 5;

/// The definition that a failed rollout has put back.
struct Restored {
    /// When, in microseconds of `CLOCK_MONOTONIC`.
    at: u64,
    because: Failure,
}

/// What a rollout needs of whoever runs it.
pub(super) struct RequestHooks<'a> {
    /// Puts the former files of the request back.
    pub restore: &'a dyn Fn() -> Result<(), Error>,
    /// What keeps an instance that is ready by its unit from serving.
    pub unready: &'a dyn Fn(u32) -> Option<String>,
    /// What is pinned to the former definition.
    pub pins: &'a Pins<'a>,
}

/// Runs a rollout to its end, over as many connections as it takes.
pub(super) fn rolled(
    context: &Context,
    mut spec: RollSpec,
    request: &Request,
    given: &RequestHooks<'_>,
    sink: Sink<'_>,
) -> Result<Outcome, Error> {
    let begun = monotonic();
    let canaries = Canaries::new(context, &spec);
    let mut went_back: Option<Restored> = None;
    let mut tries = 0;
    loop {
        spec.pinned = given.pins.held();
        let result =
            one_connection(context, &spec, request, given, &mut went_back, &canaries, sink);
        let error = match result {
            Err(Error::Systemd(error)) if error.is_broken_off() && tries < TRIES => error,
            // The former definition runs again everywhere: the answer is still the failure.
            Ok(Outcome::Complete) => {
                let back = went_back.filter(|_| tries > 0);
                return Ok(back.map_or(Outcome::Complete, |back| Outcome::RolledBack {
                    because: back.because,
                    down: Vec::new(),
                }));
            }
            result => return result,
        };
        tries += 1;
        again(context, error, || {
            rest(context, &mut spec, (request, given.pins), begun, went_back.as_ref())
        })?;
    }
}

fn one_connection(
    context: &Context,
    spec: &RollSpec,
    request: &Request,
    given: &RequestHooks<'_>,
    went_back: &mut Option<Restored>,
    canaries: &Canaries<'_>,
    sink: Sink<'_>,
) -> Result<Outcome, Error> {
    let has_former = !request.former.is_empty() || request.links.is_some();
    let put_back = Cell::new(None);
    let mut restore_once = || {
        canaries.end();
        (given.restore)()?;
        put_back.set(Some(monotonic()));
        Ok(())
    };
    let forward: Option<Restore<'_>> =
        if has_former && went_back.is_none() { Some(&mut restore_once) } else { None };
    let hooks = roll::RolloutHooks {
        restore: forward,
        unready: given.unready,
        unpin: &|instances| given.pins.release(instances),
        interrupted: &|| context.is_interrupted(),
        ended: &|| context.end.load(Ordering::Relaxed),
        overtaken: &|| finish_stop(context, &spec.app),
        starts: &|unit, reason| {
            disk::announce_start(&context.layout, unit, monotonic());
            canaries.before(unit, reason)
        },
    };
    let mut because = None;
    let mut heard = |event: Event| {
        if let Event::Rollout { command: Instruction::RestoreDefinition { because: why }, .. } =
            &event
        {
            because = Some(why.clone());
        }
        sink(event);
    };
    let result = super::roll(&context.systemd, spec.clone(), hooks, &mut heard);
    if let (Some(at), Some(because)) = (put_back.get(), because) {
        *went_back = Some(Restored { at, because });
    }
    result
}

/// Waits until bus and manager answer again.
///
/// # Errors
/// They do not come back, which is told as the break that it is.
fn reconnect(context: &Context, broken: systemd::Error) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    while context.systemd.reconnect().is_err() {
        if Instant::now() > end {
            return Err(broken.into());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// Does what needs the manager, over as many connections as that takes.
pub(super) fn persist<T>(
    context: &Context,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    match work() {
        Err(Error::Systemd(error)) if error.is_broken_off() => again(context, error, work),
        result => result,
    }
}

/// Connects again after a break and does what has to follow; once more where the manager begins anew meanwhile.
pub(super) fn again<T>(
    context: &Context,
    mut broken: systemd::Error,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    for _ in 1..TRIES {
        reconnect(context, broken)?;
        match work() {
            Err(Error::Systemd(error)) if error.is_broken_off() => broken = error,
            result => return result,
        }
    }
    reconnect(context, broken)?;
    work()
}

/// What is left of a rollout: a process that started since it began, or since the former definition
/// was put back, is what it shall be. Instances beyond the wanted number go.
fn rest(
    context: &Context,
    spec: &mut RollSpec,
    (request, pins): (&Request, &Pins<'_>),
    begun: u64,
    went_back: Option<&Restored>,
) -> Result<(), Error> {
    let listed = context.systemd.list(&[format!("{}@*.service", spec.app)])?;
    let units = listed.iter().filter_map(|row| UnitName::parse(&row.name).ok());
    spec.known.extend(units.filter_map(|unit| spec.app.instance_of(&unit)));
    let since = match went_back {
        None => begun,
        Some(back) => {
            spec.wanted = spec.before;
            spec.policy.min_ready = Duration::ZERO;
            if !request.former.is_empty() {
                spec.outdated.clone_from(&spec.known);
            }
            back.at
        }
    };
    let mut left = BTreeSet::new();
    for number in &spec.outdated {
        let started = context.systemd.glimpse(&spec.app.instance_unit(*number))?.started;
        let former = went_back.is_none() && started <= pins.former_until(*number);
        if started < since || former {
            left.insert(*number);
        }
    }
    spec.outdated = left;
    Ok(())
}
