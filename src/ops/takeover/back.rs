//! The way back: units stop, and PM2 starts its processes again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{RunningPm2, is_held, restart, undo};
use crate::disk::FoundApp;
use crate::ecosystem::{AppName, ListenAddress};
use crate::host;
use crate::import::{Pm2Process, Refusal};
use crate::ops::{Context, Error, Sink};

/// What became of one app.
#[derive(Debug)]
pub struct Returned {
    /// How long its ports were closed at most: from the request to close them until PM2's process listens, since
    /// a listener that lets nobody in any more still looks like one. `None` without a port.
    pub closed: Option<Duration>,
    /// Why PM2 did not start its processes.
    pub refused: Option<Refusal>,
}

/// How long PM2's processes may take to listen again.
const LISTENS: Duration = crate::limits::PM2_LISTENS;

/// How often it is looked whether they do: the kernel tells nobody.
const GLANCE: Duration = Duration::from_millis(10);

/// Gives an app back: its units go, and PM2's processes take the port as soon as it is free. Both are begun at the
/// same time, since PM2's command line takes longer to start than a port to close.
///
/// # Errors
/// A file cannot be read or written, or the manager not be asked.
pub fn give_back(
    context: &Context,
    pm2: &RunningPm2,
    processes: &[Pm2Process],
    name: &AppName,
    found: &FoundApp,
    sink: Sink<'_>,
) -> Result<Returned, Error> {
    let own: Vec<&Pm2Process> =
        processes.iter().filter(|process| process.name == name.as_str()).collect();
    let addresses: BTreeSet<ListenAddress> =
        found.units.listeners().filter_map(ListenAddress::of_socket_unit).collect();
    let begun = Instant::now();
    let (refused, undone) = std::thread::scope(|scope| {
        let starting = scope.spawn(|| restart(pm2, &own));
        let undone = undo(context, name, sink);
        (starting.join().ok().and_then(Result::err), undone)
    });
    undone?;
    let end = Instant::now() + LISTENS;
    while refused.is_none() && !is_open(&addresses) && Instant::now() < end {
        // The kernel tells nobody when a listener opens.
        std::thread::sleep(GLANCE);
    }
    let closed = begun.elapsed();
    Ok(Returned { closed: (!addresses.is_empty()).then_some(closed), refused })
}

/// Whether each is listened on.
fn is_open(addresses: &BTreeSet<ListenAddress>) -> bool {
    let all = host::listening();
    addresses.iter().all(|address| is_held(address, &all))
}
