//! What the manager knows about units: one batch of questions for any number of units.
//!
//! States are a snapshot; nothing is cached. A unit that does not exist is a state too
//! ([`LoadState::NotFound`]), no error.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use zbus::{Message, OwnedObjectPath, OwnedVariant, Variant};

use super::{ANSWER, Error, JobId, Systemd, proxy};
use crate::unit::UnitName;

/// Whether a unit's file could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LoadState {
    /// It was.
    Loaded,
    /// There is none.
    #[default]
    NotFound,
    /// It is a link to /dev/null.
    Masked,
    /// A setting is missing or impossible; the unit cannot start.
    BadSetting,
    /// It could not be read.
    Error,
    /// A word that a newer manager uses.
    Other(String),
}

impl LoadState {
    fn from_text(text: &str) -> LoadState {
        match text {
            "loaded" => LoadState::Loaded,
            "not-found" => LoadState::NotFound,
            "masked" => LoadState::Masked,
            "bad-setting" => LoadState::BadSetting,
            "error" => LoadState::Error,
            other => LoadState::Other(other.to_owned()),
        }
    }
}

/// The high-level state of a unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ActiveState {
    /// Running; a service with `Type=notify` has said that it is ready.
    Active,
    /// Running, and reading its configuration again.
    Reloading,
    /// Stopped.
    #[default]
    Inactive,
    /// Stopped, and not because anybody asked.
    Failed,
    /// Starting, or waiting to be restarted.
    Activating,
    /// Stopping.
    Deactivating,
    /// A word that a newer manager uses.
    Other(String),
}

impl ActiveState {
    pub(super) fn from_text(text: &str) -> ActiveState {
        match text {
            "active" => ActiveState::Active,
            "reloading" => ActiveState::Reloading,
            "inactive" => ActiveState::Inactive,
            "failed" => ActiveState::Failed,
            "activating" => ActiveState::Activating,
            "deactivating" => ActiveState::Deactivating,
            other => ActiveState::Other(other.to_owned()),
        }
    }
}

/// One line of `systemctl list-units`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name; of any kind, hence no [`UnitName`].
    pub name: String,
    /// Whether its file could be read.
    pub load: LoadState,
    /// Its state.
    pub active: ActiveState,
    /// Its state in the words of its kind, such as `running` or `auto-restart`.
    pub sub: String,
    /// The job that is queued for it.
    pub job: Option<QueuedJob>,
}

/// A job in the manager's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its number.
    pub id: JobId,
    /// `start`, `stop`, `restart`, `reload`, `verify-active` …
    pub kind: String,
}

/// A moment, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Microseconds since 1970.
    pub realtime_usec: u64,
    /// Microseconds of `CLOCK_MONOTONIC`; does not jump.
    pub monotonic_usec: u64,
}

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It returned this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
}

/// A group of properties of [`InstanceState`]; each costs time to fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// `main_pid`, `restarts`, `result`, `started`.
    Process,
    /// `exited`, `exit`.
    Exit,
    /// `memory`, `cpu_nsec`.
    Usage,
    /// `active_since`, `inactive_since`.
    Since,
    /// `status_text`, `invocation`.
    Status,
    /// `need_reload`, `unit_file_state`, `fragment`, `drop_ins`, `user`.
    Definition,
}

impl Field {
    /// Everything.
    pub const ALL: [Field; 6] =
        [Field::Process, Field::Exit, Field::Usage, Field::Since, Field::Status, Field::Definition];

    fn properties(self) -> &'static [(&'static str, &'static str)] {
        use proxy::{SERVICE_UNIT, UNIT};
        match self {
            Field::Process => &[
                (SERVICE_UNIT, "MainPID"),
                (SERVICE_UNIT, "NRestarts"),
                (SERVICE_UNIT, "Result"),
                (SERVICE_UNIT, "ExecMainStartTimestamp"),
                (SERVICE_UNIT, "ExecMainStartTimestampMonotonic"),
            ],
            Field::Exit => &[
                (SERVICE_UNIT, "ExecMainExitTimestamp"),
                (SERVICE_UNIT, "ExecMainExitTimestampMonotonic"),
                (SERVICE_UNIT, "ExecMainCode"),
                (SERVICE_UNIT, "ExecMainStatus"),
            ],
            Field::Usage => &[(SERVICE_UNIT, "MemoryCurrent"), (SERVICE_UNIT, "CPUUsageNSec")],
            Field::Since => &[
                (UNIT, "ActiveEnterTimestamp"),
                (UNIT, "ActiveEnterTimestampMonotonic"),
                (UNIT, "InactiveEnterTimestamp"),
                (UNIT, "InactiveEnterTimestampMonotonic"),
            ],
            Field::Status => &[(SERVICE_UNIT, "StatusText"), (UNIT, "InvocationID")],
            Field::Definition => &[
                (UNIT, "NeedDaemonReload"),
                (UNIT, "UnitFileState"),
                (UNIT, "FragmentPath"),
                (UNIT, "DropInPaths"),
                (SERVICE_UNIT, "User"),
            ],
        }
    }
}

/// A service unit, as far as the fields asked for; the rest is at its default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceState {
    /// Whether its file could be read. Always filled.
    pub load: LoadState,
    /// Its state. Always filled.
    pub active: ActiveState,
    /// `running`, `start`, `auto-restart`, `dead` … Always filled.
    pub sub: String,
    /// The job that is queued for it. Always filled.
    pub job: Option<QueuedJob>,
    /// The main process.
    pub main_pid: Option<u32>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// `success`, `exit-code`, `signal`, `timeout`, `exec-condition` … of the last run.
    pub result: String,
    /// When the main process started.
    pub started: Option<Timestamp>,
    /// When the last main process ended.
    pub exited: Option<Timestamp>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// Bytes of memory that its cgroup holds; `None` without the memory controller.
    pub memory: Option<u64>,
    /// CPU time that its cgroup used, in nanoseconds.
    pub cpu_nsec: Option<u64>,
    /// When it last became active.
    pub active_since: Option<Timestamp>,
    /// When it last became inactive.
    pub inactive_since: Option<Timestamp>,
    /// What it said of itself with sd_notify(3).
    pub status_text: String,
    /// The identity of this run, in hexadecimal.
    pub invocation: Option<String>,
    /// Its files changed since the manager read them.
    pub need_reload: bool,
    /// `enabled`, `disabled`, `indirect` …
    pub unit_file_state: String,
    /// Its unit file.
    pub fragment: Option<PathBuf>,
    /// Its drop-ins.
    pub drop_ins: Vec<PathBuf>,
    /// `User=`; empty for the manager's own.
    pub user: String,
}

/// A socket unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketState {
    /// Whether its file could be read.
    pub load: LoadState,
    /// Its state.
    pub active: ActiveState,
    /// `listening`, `running`, `failed` …
    pub sub: String,
    /// The job that is queued for it.
    pub job: Option<QueuedJob>,
    /// `success`, `resources`, `trigger-limit-hit`, `service-start-limit-hit` …
    pub result: String,
    /// Kind (`Stream`, `Datagram` …) and address of what it listens on.
    pub listen: Vec<(String, String)>,
    /// Connections of `Accept=yes` sockets.
    pub connections: u32,
}

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
        Ok(rows
            .into_iter()
            .map(|(listed, values)| instance_state(listed, &Values(values)))
            .collect())
    }

    /// The states of socket units, in the order of the names.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn sockets(&self, names: &[UnitName]) -> Result<Vec<SocketState>, Error> {
        use proxy::SOCKET_UNIT;
        let wanted =
            [(SOCKET_UNIT, "Result"), (SOCKET_UNIT, "Listen"), (SOCKET_UNIT, "NConnections")];
        let rows = self.properties("read the state of the listeners", names, &wanted)?;
        Ok(rows.into_iter().map(|(listed, values)| socket_state(listed, &Values(values))).collect())
    }

    /// One row per name: what `ListUnitsByNames` says, and these properties.
    fn properties(
        &self,
        doing: &str,
        names: &[UnitName],
        wanted: &[(&'static str, &'static str)],
    ) -> Result<Vec<(Listed, HashMap<&'static str, OwnedVariant>)>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        let mut calls = vec![proxy::manager("ListUnitsByNames", &texts)];
        for name in &texts {
            calls.extend(wanted.iter().map(|(on, property)| proxy::get(name, on, property)));
        }
        let mut replies = self.ask_all(doing, calls, Instant::now() + ANSWER)?.into_iter();
        let first = replies.next().ok_or_else(|| Error::timeout(doing))?;
        let list = read_list(&first.map_err(|e| Error::from_bus(doing, &e))?)?;
        let mut listed: HashMap<String, Listed> =
            list.into_iter().map(|row| (row.name.clone(), row)).collect();
        let mut rows = Vec::with_capacity(names.len());
        for name in texts {
            let values = wanted
                .iter()
                .zip(replies.by_ref())
                .filter_map(|((_, property), reply)| Some((*property, value(&reply.ok()?)?)))
                .collect();
            let row = listed.remove(name).unwrap_or_else(|| absent(name));
            rows.push((row, values));
        }
        Ok(rows)
    }
}

fn absent(name: &str) -> Listed {
    Listed {
        name: name.to_owned(),
        load: LoadState::NotFound,
        active: ActiveState::Inactive,
        sub: "dead".to_owned(),
        job: None,
    }
}

fn read_list(reply: &Message) -> Result<Vec<Listed>, Error> {
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

fn value(reply: &Message) -> Option<OwnedVariant> {
    reply.body().deserialize().ok()
}

/// The text in the reply to a `Get`.
pub(super) fn text(reply: &Message) -> zbus::Result<String> {
    let value: OwnedVariant = reply.body().deserialize()?;
    String::try_from(value)
}

struct Values(HashMap<&'static str, OwnedVariant>);

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
