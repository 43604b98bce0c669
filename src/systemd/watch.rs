//! Signals of the manager, as a queue that a driver reads with a deadline.
//!
//! The subscription is complete when [`Systemd::watch`] returns: whatever the manager says after
//! that is in the queue, in the manager's order. A task on the runtime of the bus library fills the
//! queue; it ends with the [`Watch`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Instant;

use zbus::message::Type;
use zbus::{Connection, Message, MessageStream, OwnedObjectPath, Variant};
use zruntime::{Shared, SharedRuntime, Task};

use super::query::{invocation, pid};
use super::{ANSWER, Error, ErrorKind, JobId, JobResult, Systemd, proxy};
use crate::unit::{ActiveState, UnitName};

/// What the manager said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A job is over; of any unit, watched or not, since the job may be one we just submitted.
    JobRemoved {
        /// The job.
        id: JobId,
        /// The unit's name, as the manager wrote it.
        unit: String,
        /// How it ended.
        result: JobResult,
    },
    /// Properties of a watched unit have new values.
    Changed {
        /// The unit.
        unit: UnitName,
        /// What changed; absent fields did not.
        changes: PropertyChanges,
    },
    /// The manager starts (`true`) or has finished (`false`) reading all unit files again.
    Reloading(bool),
    /// The connection broke: no more signals will come.
    Disconnected,
}

/// New values of the properties of a unit that a driver acts on. systemd repeats all values
/// whenever one changes; only those that are new are passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyChanges {
    /// `ActiveState`.
    pub active: Option<ActiveState>,
    /// `SubState`.
    pub sub: Option<String>,
    /// `MainPID`; the inner `None`: there is no main process any more.
    pub main_pid: Option<Option<u32>>,
    /// `NRestarts`: automatic restarts since the last start by hand.
    pub restarts: Option<u32>,
    /// `StatusText` of sd_notify(3).
    pub status_text: Option<String>,
    /// `InvocationID`, in hexadecimal; changes with every start.
    pub invocation: Option<String>,
    /// `Result` of the service.
    pub result: Option<String>,
}

impl PropertyChanges {
    /// Leaves out what was heard before, and remembers the rest.
    fn unheard(self, heard: &mut PropertyChanges) -> PropertyChanges {
        PropertyChanges {
            active: unheard(self.active, &mut heard.active),
            sub: unheard(self.sub, &mut heard.sub),
            main_pid: unheard(self.main_pid, &mut heard.main_pid),
            restarts: unheard(self.restarts, &mut heard.restarts),
            status_text: unheard(self.status_text, &mut heard.status_text),
            invocation: unheard(self.invocation, &mut heard.invocation),
            result: unheard(self.result, &mut heard.result),
        }
    }
}

fn unheard<T: Clone + PartialEq>(value: Option<T>, heard: &mut Option<T>) -> Option<T> {
    let new = value.filter(|value| heard.as_ref() != Some(value))?;
    *heard = Some(new.clone());
    Some(new)
}

/// A running subscription; ends when dropped.
#[derive(Debug)]
pub struct Watch {
    signals: Receiver<Signal>,
    /// Ends when it is dropped.
    _pump: Task<(), Shared>,
    connection: Connection,
    rules: Vec<String>,
}

impl Systemd {
    /// Subscribes to the ends of all jobs, to reloads, and to changes of these units.
    ///
    /// # Errors
    /// The bus or the manager refuse, or the connection broke.
    pub fn watch<'a>(&self, units: impl IntoIterator<Item = &'a UnitName>) -> Result<Watch, Error> {
        let doing = "watch the units";
        let units: HashMap<String, UnitName> =
            units.into_iter().map(|unit| (proxy::unit_path(unit.as_str()), unit.clone())).collect();
        let connection = self.connection()?;
        let rules = if connection.is_bus() { rules(!units.is_empty()) } else { Vec::new() };
        let (sender, signals) = mpsc::channel();
        // The queue is filled from before the subscription on, so that nothing falls in between.
        let incoming = MessageStream::from(&connection);
        let runtime = SharedRuntime::current()
            .map_err(|e| Error::new(ErrorKind::Other, doing, e.to_string()))?;
        let pump = runtime.spawn("signals of the manager", pump(incoming, units, sender));
        let watch = Watch { signals, _pump: pump, connection, rules: rules.clone() };
        let mut calls: Vec<_> =
            rules.iter().map(|rule| proxy::bus("AddMatch", &rule.as_str())).collect();
        calls.push(proxy::manager("Subscribe", &()));
        let calls = calls.into_iter().collect::<zbus::Result<Vec<_>>>();
        let calls = calls.map_err(|e| Error::from_bus(doing, &e))?;
        // Asked over the bus: `Subscribe` counts for the connection that sends it.
        for reply in self.on_bus(doing, &calls, Instant::now() + ANSWER)? {
            match reply {
                Err(error) if !already_subscribed(&error) => {
                    return Err(Error::from_bus(doing, &error));
                }
                _ => {}
            }
        }
        Ok(watch)
    }
}

impl Watch {
    /// The next signal, or `None` at the deadline.
    pub fn next(&self, deadline: Instant) -> Option<Signal> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.signals.recv_timeout(left) {
            Ok(signal) => Some(signal),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => Some(Signal::Disconnected),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let calls: Vec<Message> = self
            .rules
            .iter()
            .filter_map(|rule| proxy::bus_quietly("RemoveMatch", &rule.as_str()).ok())
            .collect();
        // Without the bus there is no rule left to remove.
        let _ = zbus::block_on(self.connection.send_all(&calls));
    }
}

fn already_subscribed(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..)
        if name.as_str() == "org.freedesktop.systemd1.AlreadySubscribed")
}

fn rules(units: bool) -> Vec<String> {
    let manager = |member| {
        format!(
            "type='signal',sender='{}',path='{}',interface='{}',member='{member}'",
            proxy::SERVICE,
            proxy::MANAGER_PATH,
            proxy::MANAGER
        )
    };
    let mut rules = vec![manager("JobRemoved"), manager("Reloading")];
    if units {
        rules.push(format!(
            "type='signal',sender='{}',path_namespace='{}',interface='{}',\
             member='PropertiesChanged'",
            proxy::SERVICE,
            proxy::UNIT_PATHS,
            proxy::PROPERTIES
        ));
    }
    rules
}

async fn pump(
    mut incoming: MessageStream,
    units: HashMap<String, UnitName>,
    queue: Sender<Signal>,
) {
    let mut heard = HashMap::new();
    loop {
        let sent = match proxy::next(&mut incoming).await {
            Ok(message) => match read_signal(&message, &units, &mut heard) {
                Some(signal) => queue.send(signal),
                None => continue,
            },
            Err(_) => {
                let _ = queue.send(Signal::Disconnected);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The signal in a message; `None` for everything that is not for us.
fn read_signal(
    message: &Message,
    units: &HashMap<String, UnitName>,
    heard: &mut HashMap<UnitName, PropertyChanges>,
) -> Option<Signal> {
    let header = message.header();
    // The manager broadcasts its signals: one that is addressed to us alone is forged.
    let genuine = message.message_type() == Type::Signal && header.destination().is_none();
    if !genuine {
        return None;
    }
    let interface = header.interface()?.as_str();
    let path = header.path()?.as_str();
    match (interface, header.member()?.as_str()) {
        (proxy::MANAGER, "JobRemoved") => read_job_removed(message),
        (proxy::MANAGER, "Reloading") => {
            message.body().deserialize::<bool>().ok().map(Signal::Reloading)
        }
        (proxy::PROPERTIES, "PropertiesChanged") => {
            let unit = units.get(path)?.clone();
            let changes = read_changes(message)?.unheard(heard.entry(unit.clone()).or_default());
            (changes != PropertyChanges::default()).then_some(Signal::Changed { unit, changes })
        }
        _ => None,
    }
}

fn read_job_removed(message: &Message) -> Option<Signal> {
    let body = message.body();
    let (_, path, unit, result): (u32, OwnedObjectPath, String, String) =
        body.deserialize().ok()?;
    let id = JobId::of_path(path.as_str())?;
    Some(Signal::JobRemoved { id, unit, result: JobResult::from_text(&result) })
}

fn read_changes(message: &Message) -> Option<PropertyChanges> {
    let body = message.body();
    let (_, values, _): (&str, BTreeMap<&str, Variant<'_>>, HashSet<&str>) =
        body.deserialize().ok()?;
    let text = |name| values.get(name).and_then(|v| v.downcast_ref::<&str>().ok());
    let number = |name| values.get(name).and_then(|v| v.downcast_ref::<u32>().ok());
    Some(PropertyChanges {
        active: text("ActiveState").map(ActiveState::from_text),
        sub: text("SubState").map(str::to_owned),
        main_pid: number("MainPID").map(pid),
        restarts: number("NRestarts"),
        status_text: text("StatusText").map(str::to_owned),
        invocation: values.get("InvocationID").and_then(invocation),
        result: text("Result").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_repeats_is_no_news() {
        let active = |state: &str| Some(ActiveState::from_text(state));
        let mut heard = PropertyChanges::default();
        let first = PropertyChanges {
            active: active("active"),
            main_pid: Some(None),
            ..PropertyChanges::default()
        };
        assert_eq!(first.clone().unheard(&mut heard), first);
        assert_eq!(first.clone().unheard(&mut heard), PropertyChanges::default());
        let next = PropertyChanges { main_pid: Some(Some(7)), ..first.clone() };
        let news = PropertyChanges { main_pid: Some(Some(7)), ..PropertyChanges::default() };
        assert_eq!(next.unheard(&mut heard), news);
        assert_eq!(first.unheard(&mut heard).main_pid, Some(None), "back again is news too");
    }
}
