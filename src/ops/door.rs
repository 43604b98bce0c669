//! Reaches one instance of an app through its door, and says in words why that cannot be done.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::door_paths::{mark, path};
use super::unreached::Unreached;
use super::{Context, Row};
use crate::disk::FoundApp;
use crate::door_client::{self, Door, DoorError, DoorState};
use crate::ecosystem::{AppName, ListenAddress, is_tcp};
use crate::handover::contract::{BALANCE, BALANCE_CLIENT, BALANCE_EVEN, DOOR};
use crate::host;
use crate::unit::UnitFile;

/// What the values of `balance` do.
const EVEN: &str = "even: the instance with the fewest connections takes the next one";
const CLIENT: &str = "client: each client's address belongs to one instance";
const QUEUE: &str = "queue: whichever instance asks first takes the next one";

/// How long a door may take to answer: the library does nothing before it but look at the command.
const ANSWER: Duration = crate::limits::DOOR;

/// A connection to one instance.
#[derive(Debug)]
pub struct Reached {
    /// Our end.
    pub stream: TcpStream,
    /// The listener, as a client would write it: `localhost:3000`.
    pub host: String,
}

fn door(context: &Context, app: &AppName, number: u32) -> Door {
    Door::at(&path(context, app, number))
}

/// Takes an instance out of rotation, and tells what it still has to do, if it says so.
///
/// # Errors
/// It cannot be reached.
pub fn drain(
    context: &Context,
    app: &AppName,
    found: &FoundApp,
    row: &Row,
) -> Result<Option<DoorState>, Unreached> {
    let door = door(context, app, row.instance);
    door.close(ANSWER).map_err(|error| unreached(app, found, row, &error))?;
    if let Some(path) = row.pid.map(|pid| mark(context, app, row.instance, pid)) {
        // In a folder of the app's user: a link that he put there is not followed. A mark that cannot be made
        // is missed by `list` alone.
        let _ = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    }
    Ok(door.state(ANSWER).ok())
}

/// Puts an instance into rotation again.
///
/// # Errors
/// It cannot be reached.
pub fn undrain(
    context: &Context,
    app: &AppName,
    found: &FoundApp,
    row: &Row,
) -> Result<(), Unreached> {
    let door = door(context, app, row.instance);
    door.open(ANSWER).map_err(|error| unreached(app, found, row, &error))?;
    if let Some(path) = row.pid.map(|pid| mark(context, app, row.instance, pid)) {
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

/// Makes a connection to one instance, for the listener with this name or port, or the first one.
///
/// # Errors
/// It cannot be reached, or has no such listener.
pub fn reach(
    context: &Context,
    app: &AppName,
    found: &FoundApp,
    row: &Row,
    listener: Option<&str>,
) -> Result<Reached, Unreached> {
    let failed = |error: DoorError| unreached(app, found, row, &error);
    let listeners = tcp_listeners(found);
    let wanted = |(name, address): &&(String, SocketAddr)| {
        listener.is_none_or(|word| word == name || word == address.port().to_string())
    };
    let Some((_, address)) = listeners.iter().find(wanted) else {
        let why = match listener {
            Some(word) if !listeners.is_empty() => {
                let all: Vec<&str> = listeners.iter().map(|(name, _)| name.as_str()).collect();
                let word = word.escape_debug();
                format!("has no TCP listener `{word}`; it has: {}", all.join(", "))
            }
            _ => "has no TCP listener, and a door leads to no other".to_owned(),
        };
        return Err(Unreached { instance: name(app, row), why, next: None });
    };
    let (stream, accepted) = door_client::connection(address.ip(), ANSWER)
        .map_err(|error| failed(DoorError::Io(error)))?;
    door(context, app, row.instance).hand_in(&accepted, address.port(), ANSWER).map_err(failed)?;
    Ok(Reached { stream, host: format!("localhost:{}", address.port()) })
}

/// Names and addresses of the app's TCP listeners.
fn tcp_listeners(found: &FoundApp) -> Vec<(String, SocketAddr)> {
    let address = |unit: &UnitFile| {
        let address = ListenAddress::of_socket_unit(unit).filter(is_tcp)?;
        let name = unit.get("Socket", "FileDescriptorName").unwrap_or_default().to_owned();
        match address {
            ListenAddress::Inet { socket, .. } => Some((name, socket)),
            _ => None,
        }
    };
    found.units.listeners().filter_map(address).collect()
}

fn name(app: &AppName, row: &Row) -> String {
    format!("{app}@{}", row.instance)
}

/// Whether the template gives its instances a door.
pub(super) fn has_door(template: &UnitFile) -> bool {
    let mut lines = template.all("Service", "Environment");
    lines.any(|line| line.starts_with(&format!("\"{DOOR}=")))
}

/// In words, which of an app's instances takes a client, where that is not just whichever asks first.
pub(super) fn balance(app: &AppName, found: &FoundApp, template: &UnitFile) -> Option<String> {
    let mut lines = template.all("Service", "Environment");
    let words = [(BALANCE_EVEN, EVEN), (BALANCE_CLIENT, CLIENT)];
    let named = |line: &str| {
        let is = |word: &str| line == format!("\"{BALANCE}={word}\"");
        words.iter().find(|(word, _)| is(word)).map(|(_, text)| (*text).to_owned())
    };
    let traced = || {
        found.units.record(&app.template_unit()).traced_because.filter(|_| found.links.len() > 1)
    };
    lines.find_map(named).or_else(|| traced().map(|why| format!("{QUEUE} ({why})")))
}

/// In words, what keeps an instance from being reached.
fn unreached(app: &AppName, found: &FoundApp, row: &Row, error: &DoorError) -> Unreached {
    let template = found.units.parsed(&app.template_unit());
    let instance = name(app, row);
    let has = template.is_some_and(has_door);
    let describe = || Some(format!("clusterctl describe {instance}"));
    let (why, next) = match error {
        DoorError::Missing | DoorError::Deserted if !has => lacks(app, found),
        DoorError::Missing | DoorError::Deserted if started_before(row) => (
            "has no door yet: it started before its unit gave it one".to_owned(),
            Some(format!("clusterctl reload {app}")),
        ),
        DoorError::Missing | DoorError::Deserted => (
            "has no door: it does not listen yet, or the library is not in the process that does"
                .to_owned(),
            describe(),
        ),
        DoorError::Denied => (
            format!("has a door that only root and the user `{}` may use", row.user),
            Some(format!("sudo clusterctl …, or sudo -u {} clusterctl …", row.user)),
        ),
        DoorError::Silent => (
            "did not answer at its door in time: its process hangs, or is stopped".to_owned(),
            describe(),
        ),
        DoorError::Unknown => (
            "has a library of another version in its process".to_owned(),
            Some(format!("clusterctl reload {app}")),
        ),
        DoorError::Strange(_) | DoorError::Io(_) => {
            (format!("could not be reached: {error}"), describe())
        }
    };
    Unreached { instance, why, next }
}

/// Why instances of an app have no door by their units, and what gives them one.
fn lacks(app: &AppName, found: &FoundApp) -> (String, Option<String>) {
    match none_of(app, found) {
        Some(why) => (format!("has no door: {why}"), None),
        None if tcp_listeners(found).is_empty() => {
            ("has no TCP listener, and a door leads to no other".to_owned(), None)
        }
        None => {
            let next = Some("clusterctl apply".to_owned());
            ("has no door: write `door = true` into the ecosystem file".to_owned(), next)
        }
    }
}

/// Why instances of an app that listens on TCP can have no door, whatever is applied.
pub(super) fn none_of(app: &AppName, found: &FoundApp) -> Option<String> {
    if tcp_listeners(found).is_empty() {
        return None;
    }
    if let Some(why) = found.units.record(&app.template_unit()).traced_because {
        return Some(format!("nothing of clusterctl is in its process ({why})"));
    }
    let template = found.units.parsed(&app.template_unit())?;
    let mut lines = template.all("Service", "Environment");
    let loaded = lines.any(|line| line.starts_with("\"LD_PRELOAD="));
    (!loaded).then(|| "it takes its listeners natively, without the library".to_owned())
}

/// Whether the process of an instance was given no door; `false` where that cannot be seen.
fn started_before(row: &Row) -> bool {
    let variables = row.pid.and_then(|pid| host::variables(pid).ok());
    variables.is_some_and(|all| all.iter().all(|(name, _)| name != DOOR))
}
