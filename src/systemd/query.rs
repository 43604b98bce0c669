//! Questions about units: one batch of messages for any number of units.
//!
//! States are a snapshot; nothing is cached. A unit that does not exist is a state too
//! ([`LoadState::NotFound`]), no error.
//!
//! Measured on 252 and 257 with 100 instances: one property of each costs 2.3 to 3 ms, all of the
//! service interface 22 and 32 ms, all of the unit interface 8 and 53 ms, `systemctl show` 59 and
//! 129 ms. Hence single properties, and the whole service interface from `WHOLESALE` on.

use std::collections::HashMap;
use std::path::PathBuf;

use zbus::{Message, OwnedObjectPath, OwnedVariant, Variant};

use super::field::{Field, Property};
use super::proxy::{SERVICE_UNIT, SOCKET_UNIT, UNIT};
use super::state::{Exit, InstanceState, Listed, LoadState, QueuedJob, SocketState};
use super::{ANSWER, Error, JobId, Systemd, proxy};
use crate::clock::Timestamp;
use crate::unit::{ActiveState, UnitName};

/// From so many properties of the service interface on, all of them come cheaper.
const WHOLESALE: usize = 10;

/// The values of one unit.
type Fetched = HashMap<&'static str, OwnedVariant>;

type ListedRow =
    (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

impl Systemd {
    /// Loaded units whose names match one of the patterns (`api@*.service`).
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn list(&self, patterns: &[String]) -> Result<Vec<Listed>, Error> {
        let none: &[&str] = &[];
        let call = proxy::manager("ListUnitsByPatterns", &(none, patterns));
        read_list(&self.ask("list the units", call)?)
    }

    /// The states of service units, in the order of the names.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn instances(
        &self,
        names: &[UnitName],
        fields: &[Field],
    ) -> Result<Vec<InstanceState>, Error> {
        let wanted: Vec<_> = fields.iter().flat_map(|field| field.properties()).copied().collect();
        let rows = self.properties("read the state of the instances", names, &wanted)?;
        let states =
            rows.into_iter().map(|(listed, values)| instance_state(listed, &Values(values)));
        let mut states: Vec<InstanceState> = states.collect();
        self.refused(fields, names.iter().map(UnitName::as_str).zip(&mut states).collect())?;
        Ok(states)
    }

    /// Puts `assert` in the place of the result of the last run where the start since then was refused
    /// by an assertion, which leaves that result as it was.
    fn refused(
        &self,
        fields: &[Field],
        states: Vec<(&str, &mut InstanceState)>,
    ) -> Result<(), Error> {
        let down = |(_, state): &(&str, &mut InstanceState)| state.active == ActiveState::Inactive;
        let mut down: Vec<_> = states.into_iter().filter(down).collect();
        if down.is_empty() || !fields.contains(&Field::Result) {
            return Ok(());
        }
        let asked = down.iter().flat_map(|(unit, _)| {
            ["AssertResult", "AssertTimestampMonotonic"].map(|name| proxy::get(unit, UNIT, name))
        });
        let doing = "read the state of the instances";
        let replies = self.ask_all(doing, asked.collect(), ANSWER)?;
        for ((_, state), replies) in down.iter_mut().zip(replies.chunks(2)) {
            let value = |place: usize| {
                let reply = replies.get(place)?.as_ref().ok()?;
                reply.body().deserialize::<OwnedVariant>().ok()
            };
            let met = value(0).and_then(|value| bool::try_from(value).ok());
            let looked = value(1).and_then(|value| u64::try_from(value).ok());
            if met == Some(false) && looked.is_some_and(|time| time > 0) {
                "assert".clone_into(&mut state.result);
            }
        }
        Ok(())
    }

    /// More about units that [`list`](Systemd::list) has just told of: one question less.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn details(
        &self,
        listed: Vec<Listed>,
        fields: &[Field],
    ) -> Result<Vec<InstanceState>, Error> {
        let wanted: Vec<_> = fields.iter().flat_map(|field| field.properties()).copied().collect();
        let questions = questions(&wanted);
        let calls = listed
            .iter()
            .flat_map(|row| questions.iter().map(|question| question.ask(&row.name)))
            .collect();
        let doing = "read the state of the instances";
        let mut replies = self.ask_all(doing, calls, ANSWER)?.into_iter();
        let names: Vec<String> = listed.iter().map(|row| row.name.clone()).collect();
        let rows = fetch(listed, &questions, &mut replies);
        let states =
            rows.into_iter().map(|(listed, values)| instance_state(listed, &Values(values)));
        let mut states: Vec<InstanceState> = states.collect();
        self.refused(fields, names.iter().map(String::as_str).zip(&mut states).collect())?;
        Ok(states)
    }

    /// `StatusText` of a service: what it last said of itself with sd_notify(3).
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn status_text(&self, unit: &UnitName) -> Result<String, Error> {
        let doing = "ask for a status";
        let call = proxy::get(unit.as_str(), proxy::SERVICE_UNIT, "StatusText");
        let reply = self.ask(doing, call).map_err(|e| e.about(unit.as_str()))?;
        text(&reply).map_err(|e| Error::from_bus(doing, &e))
    }

    /// How the last `ExecReload=` of a service ended: `success`, `exit-code`, `signal` …
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn reload_result(&self, unit: &UnitName) -> Result<String, Error> {
        let doing = "ask how a reload ended";
        let call = proxy::get(unit.as_str(), proxy::SERVICE_UNIT, "ReloadResult");
        let reply = self.ask(doing, call).map_err(|e| e.about(unit.as_str()))?;
        text(&reply).map_err(|e| Error::from_bus(doing, &e))
    }

    /// The states of socket units, in the order of the names.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn sockets(&self, names: &[UnitName]) -> Result<Vec<SocketState>, Error> {
        let wanted =
            [(SOCKET_UNIT, "Result"), (SOCKET_UNIT, "Listen"), (SOCKET_UNIT, "NConnections")];
        let rows = self.properties("read the state of the listeners", names, &wanted)?;
        Ok(rows.into_iter().map(|(listed, values)| socket_state(listed, &Values(values))).collect())
    }

    /// A moment that a unit tells in a property of its kind, such as `NextElapseUSecRealtime` of a timer:
    /// microseconds since 1970; `None` while there is none.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn moment(&self, name: &UnitName, property: &'static str) -> Result<Option<u64>, Error> {
        let wanted = [(proxy::interface(name.kind()), property)];
        let rows = self.properties("read when a unit acts", std::slice::from_ref(name), &wanted)?;
        let value = rows.into_iter().next().and_then(|(_, values)| {
            values.get(property).and_then(|v| v.downcast_ref::<u64>().ok())
        });
        Ok(value.filter(|micros| *micros != 0 && *micros != u64::MAX))
    }

    /// One row per name: what `ListUnitsByNames` says, and these properties.
    fn properties(
        &self,
        doing: &str,
        names: &[UnitName],
        wanted: &[Property],
    ) -> Result<Vec<(Listed, Fetched)>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        let questions = questions(wanted);
        let mut calls = vec![proxy::manager("ListUnitsByNames", &texts)];
        for name in &texts {
            calls.extend(questions.iter().map(|question| question.ask(name)));
        }
        let mut replies = self.ask_all(doing, calls, ANSWER)?.into_iter();
        let first = replies.next().ok_or_else(|| Error::timeout(doing))?;
        let listed = read_list(&first.map_err(|e| Error::from_bus(doing, &e))?)?;
        Ok(fetch(match_names(names, listed), &questions, &mut replies))
    }
}

/// Each unit with its share of the replies.
fn fetch(
    listed: Vec<Listed>,
    questions: &[Question],
    replies: &mut dyn Iterator<Item = zbus::Result<Message>>,
) -> Vec<(Listed, Fetched)> {
    let mut rows = Vec::with_capacity(listed.len());
    for row in listed {
        let mut values = HashMap::new();
        for (question, reply) in questions.iter().zip(&mut *replies) {
            // A unit that was never loaded has no properties of its kind.
            if let Ok(reply) = reply {
                question.read(&reply, &mut values);
            }
        }
        rows.push((row, values));
    }
    rows
}

/// How a set of properties is fetched.
enum Question {
    One(Property),
    Whole { interface: &'static str, wanted: Vec<&'static str> },
}

fn questions(wanted: &[Property]) -> Vec<Question> {
    let (service, mut rest): (Vec<Property>, Vec<Property>) =
        wanted.iter().partition(|(interface, _)| *interface == SERVICE_UNIT);
    let mut questions = Vec::new();
    if service.len() >= WHOLESALE {
        let wanted = service.into_iter().map(|(_, name)| name).collect();
        questions.push(Question::Whole { interface: SERVICE_UNIT, wanted });
    } else {
        rest.extend(service);
    }
    questions.extend(rest.into_iter().map(Question::One));
    questions
}

impl Question {
    fn ask(&self, unit: &str) -> zbus::Result<Message> {
        match self {
            Question::One((interface, name)) => proxy::get(unit, interface, name),
            Question::Whole { interface, .. } => proxy::get_all(unit, interface),
        }
    }

    fn read(&self, reply: &Message, values: &mut Fetched) {
        let body = reply.body();
        match self {
            Question::One((_, name)) => {
                values.extend(body.deserialize().ok().map(|value| (*name, value)));
            }
            Question::Whole { wanted, .. } => {
                let all: HashMap<&str, Variant<'_>> = body.deserialize().unwrap_or_default();
                values.extend(
                    wanted
                        .iter()
                        .filter_map(|name| Some((*name, all.get(name)?.try_to_owned().ok()?))),
                );
            }
        }
    }
}

/// The rows in the order of the names. The manager answers in that order, but under the names that
/// aliases stand for.
fn match_names(names: &[UnitName], listed: Vec<Listed>) -> Vec<Listed> {
    if listed.len() == names.len() {
        return listed;
    }
    let mut by_name: HashMap<String, Listed> =
        listed.into_iter().map(|row| (row.name.clone(), row)).collect();
    names
        .iter()
        .map(|name| by_name.remove(name.as_str()).unwrap_or_else(|| Listed::absent(name)))
        .collect()
}

pub(super) fn read_list(reply: &Message) -> Result<Vec<Listed>, Error> {
    let body = reply.body();
    let rows: Vec<ListedRow> =
        body.deserialize().map_err(|e| Error::from_bus("list the units", &e))?;
    Ok(rows.into_iter().map(listed).collect())
}

fn listed(row: ListedRow) -> Listed {
    let (name, _, load, active, sub, _, _, job, kind, _) = row;
    Listed {
        name,
        load: LoadState::from_text(&load),
        active: ActiveState::from_text(&active),
        sub,
        job: (job != 0).then_some(QueuedJob { id: JobId(job), kind }),
    }
}

/// The text in the reply to a `Get`.
pub(super) fn text(reply: &Message) -> zbus::Result<String> {
    let value: OwnedVariant = reply.body().deserialize()?;
    String::try_from(value)
}

struct Values(Fetched);

impl Values {
    fn text(&self, name: &str) -> String {
        let value = self.0.get(name).and_then(|v| v.downcast_ref::<&str>().ok());
        value.unwrap_or_default().to_owned()
    }

    fn u32(&self, name: &str) -> u32 {
        self.0.get(name).and_then(|v| v.downcast_ref().ok()).unwrap_or_default()
    }

    fn i32(&self, name: &str) -> i32 {
        self.0.get(name).and_then(|v| v.downcast_ref().ok()).unwrap_or_default()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(|v| v.downcast_ref().ok()).unwrap_or_default()
    }

    /// A number for which all ones means "unknown".
    fn known(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.downcast_ref().ok().filter(|number| *number != u64::MAX)
    }

    fn time(&self, realtime: &str, monotonic: &str) -> Option<Timestamp> {
        let realtime_usec = self.known(realtime).filter(|usec| *usec != 0)?;
        Some(Timestamp { realtime_usec, monotonic_usec: self.known(monotonic)? })
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let value = self.0.get(name).and_then(|v| v.try_clone().ok());
        value.and_then(|v| Vec::try_from(v).ok()).unwrap_or_default()
    }
}

fn instance_state(listed: Listed, values: &Values) -> InstanceState {
    InstanceState {
        load: listed.load,
        active: listed.active,
        sub: listed.sub,
        job: listed.job,
        main_pid: pid(values.u32("MainPID")),
        restarts: values.u32("NRestarts"),
        result: values.text("Result"),
        started: values.time("ExecMainStartTimestamp", "ExecMainStartTimestampMonotonic"),
        exited: values.time("ExecMainExitTimestamp", "ExecMainExitTimestampMonotonic"),
        exit: exit(values.i32("ExecMainCode"), values.i32("ExecMainStatus")),
        memory: values.known("MemoryCurrent"),
        cpu_nsec: values.known("CPUUsageNSec"),
        active_since: values.time("ActiveEnterTimestamp", "ActiveEnterTimestampMonotonic"),
        inactive_since: values.time("InactiveEnterTimestamp", "InactiveEnterTimestampMonotonic"),
        status_text: values.text("StatusText"),
        invocation: values.0.get("InvocationID").and_then(|v| invocation(v)),
        need_reload: values.flag("NeedDaemonReload"),
        unit_file_state: values.text("UnitFileState"),
        fragment: Some(values.text("FragmentPath")).filter(|p| !p.is_empty()).map(PathBuf::from),
        drop_ins: values.texts("DropInPaths").into_iter().map(PathBuf::from).collect(),
        user: values.text("User"),
    }
}

fn socket_state(listed: Listed, values: &Values) -> SocketState {
    let listen = values.0.get("Listen").and_then(|v| v.try_clone().ok());
    SocketState {
        load: listed.load,
        active: listed.active,
        sub: listed.sub,
        job: listed.job,
        result: values.text("Result"),
        listen: listen.and_then(|v| Vec::try_from(v).ok()).unwrap_or_default(),
        connections: values.u32("NConnections"),
    }
}

pub(super) fn pid(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

/// The sixteen bytes of an `InvocationID` in hexadecimal; `None` of a unit that never ran.
pub(super) fn invocation(value: &Variant<'_>) -> Option<String> {
    let bytes: Vec<u8> = Vec::try_from(value.try_clone().ok()?).ok()?;
    let known = bytes.iter().any(|byte| *byte != 0);
    known.then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `ExecMainCode` is the `CLD_…` of waitid(2).
fn exit(code: i32, status: i32) -> Option<Exit> {
    const CLD_EXITED: i32 = 1;
    const CLD_KILLED: i32 = 2;
    const CLD_DUMPED: i32 = 3;
    match code {
        CLD_EXITED => Some(Exit::Status(status)),
        CLD_KILLED | CLD_DUMPED => Some(Exit::Signal(status)),
        _ => None,
    }
}
