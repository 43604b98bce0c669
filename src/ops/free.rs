//! Waits until listeners of apps that go are closed, so that others can open on their addresses. It
//! closes none itself.
//!
//! A renamed app waits for the close of the old listener, not for the end of the old instances. Two
//! socket units cannot share an address, nor can one hand its queue to the other: connections are
//! refused for that moment.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Context, Done, Error, UnitFailure};
use crate::ecosystem::ListenAddress;
use crate::host;
use crate::plan::{AppPlan, ChangeKind, FileChange, FileId};
use crate::systemd::Signal;
use crate::unit::{UnitFile, UnitName};

/// How often is asked where no signal comes: connections are refused meanwhile.
const GLANCE: Duration = Duration::from_millis(50);

/// Waits until these listeners are closed, until `end` at the latest. Those that are still open
/// then are noted as failures; says whether there is none and nobody asked to stop.
///
/// # Errors
/// The manager cannot be asked.
pub(super) fn closed(
    context: &Context,
    listeners: &BTreeSet<UnitName>,
    end: Instant,
    done: &mut Done,
) -> Result<bool, Error> {
    if listeners.is_empty() {
        return Ok(true);
    }
    // Subscribe before the first look, so that nothing happens unseen in between.
    let watch = context.systemd.watch(listeners)?;
    loop {
        let open = open(context, listeners)?;
        if open.is_empty() {
            return Ok(true);
        }
        if context.is_interrupted() {
            return Ok(false);
        }
        if Instant::now() >= end {
            let why = || UnitFailure::Job("is still open".to_owned());
            done.failures.extend(open.into_iter().map(|unit| (unit, why())));
            return Ok(false);
        }
        if let Some(Signal::Disconnected) = watch.next(end.min(Instant::now() + GLANCE)) {
            return Err(crate::systemd::Error::disconnected("follow the listeners").into());
        }
    }
}

/// Waits until the kernel lets go of the addresses that an app is about to open: usually for a moment, since
/// the manager closes a listener before those who hold copies of it are refused new clients
/// (`units/close`). Whoever else holds one is named by the start that fails.
pub(super) fn released(context: &Context, app: &AppPlan) {
    let end = Instant::now() + context.others_let_go.unwrap_or(crate::limits::ADDRESS_FREE);
    let addresses: Vec<ListenAddress> = app.files.iter().filter_map(opened).collect();
    let held = || {
        let all = host::listening();
        addresses.iter().any(|address| all.iter().any(|held| held.conflicts_with(address)))
    };
    while Instant::now() < end && held() && !context.is_interrupted() {
        // The kernel tells nobody when the last copy of a listener stops listening.
        std::thread::sleep(GLANCE);
    }
}

/// The address of a listener whose unit is new.
fn opened(file: &FileChange) -> Option<ListenAddress> {
    let (FileId::Unit(unit), ChangeKind::Create { text }) = (&file.file, &file.change) else {
        return None;
    };
    ListenAddress::of_socket_unit(&UnitFile::parse(unit.clone(), text))
}

fn open(context: &Context, listeners: &BTreeSet<UnitName>) -> Result<Vec<UnitName>, Error> {
    let patterns: Vec<String> =
        listeners.iter().map(|unit| unit.as_str().replace('\\', "\\\\")).collect();
    let listed = context.systemd.list(&patterns)?.into_iter();
    let open = listed.filter(|unit| !unit.active.is_down());
    Ok(open.filter_map(|unit| UnitName::parse(&unit.name).ok()).collect())
}
