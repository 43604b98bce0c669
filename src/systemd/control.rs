//! Requests that make no job: signals, failed states, live settings, processes, queued jobs.

use std::collections::HashMap;

use zbus::{Message, OwnedObjectPath, Variant};

use super::{ANSWER, Error, ErrorKind, JobId, Systemd, proxy};
use crate::unit::UnitName;

/// Which processes of a unit get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KillWhom {
    /// The main process.
    Main,
    /// The process of `ExecStartPre=`, `ExecReload=` and the like.
    Control,
    /// All processes in the unit's cgroup.
    All,
}

/// A process of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitProcess {
    /// The process.
    pub pid: u32,
    /// Its cgroup, from the root of the hierarchy.
    pub cgroup: String,
    /// Its command line, for reading.
    pub command: String,
}

/// A job that is in the manager's queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobInfo {
    /// The unit that it is for.
    pub unit: String,
    /// `start`, `stop`, `restart`, `reload` …
    pub kind: String,
    /// It runs; otherwise it waits for others.
    pub running: bool,
}

impl Systemd {
    /// Sends a signal, by its number.
    ///
    /// # Errors
    /// No such unit, no process, not permitted.
    pub fn kill(&self, unit: &UnitName, whom: KillWhom, signal: i32) -> Result<(), Error> {
        let whom = match whom {
            KillWhom::Main => "main",
            KillWhom::Control => "control",
            KillWhom::All => "all",
        };
        let call = proxy::manager("KillUnit", &(unit.as_str(), whom, signal));
        self.ask("signal", call).map(drop).map_err(|e| e.about(unit.as_str()))
    }

    /// Forgets that a unit failed.
    ///
    /// # Errors
    /// The unit is not loaded, or not permitted.
    pub fn reset_failed(&self, unit: &UnitName) -> Result<(), Error> {
        let call = proxy::manager("ResetFailedUnit", &unit.as_str());
        self.ask("reset", call).map(drop).map_err(|e| e.about(unit.as_str()))
    }

    /// Forgets that any of these units failed, in one batch. Those that cannot be reset stay as they are.
    pub fn reset_all_failed(&self, units: &[UnitName]) {
        if !units.is_empty() {
            let calls = units.iter().map(|unit| proxy::manager("ResetFailedUnit", &unit.as_str()));
            let _ = self.ask_all("reset", calls.collect(), ANSWER);
        }
    }

    /// The processes of a unit and of the cgroups below it.
    ///
    /// # Errors
    /// No such unit, or not permitted.
    pub fn processes(&self, unit: &UnitName) -> Result<Vec<UnitProcess>, Error> {
        let doing = "list the processes";
        let failed = |e: Error| e.about(unit.as_str());
        let reply =
            self.ask(doing, proxy::manager("GetUnitProcesses", &unit.as_str())).map_err(failed)?;
        let body = reply.body();
        let rows: Vec<(String, u32, String)> =
            body.deserialize().map_err(|e| failed(Error::from_bus(doing, &e)))?;
        Ok(rows
            .into_iter()
            .map(|(cgroup, pid, command)| UnitProcess { pid, cgroup, command })
            .collect())
    }

    /// A job that is still queued or running; `None` when it is over.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn job_info(&self, id: JobId) -> Result<Option<JobInfo>, Error> {
        let doing = "ask for a job";
        let call = Message::method_call(id.path(), "GetAll")
            .destination(proxy::SERVICE)
            .interface(proxy::PROPERTIES)
            .build(&"org.freedesktop.systemd1.Job");
        let reply = match self.ask(doing, call) {
            Ok(reply) => reply,
            Err(error) if error.kind() == ErrorKind::Gone => return Ok(None),
            Err(error) => return Err(error),
        };
        let body = reply.body();
        let values: HashMap<&str, Variant<'_>> =
            body.deserialize().map_err(|e| Error::from_bus(doing, &e))?;
        let text = |name| values.get(name).and_then(|v| v.downcast_ref::<String>().ok());
        let unit = values.get("Unit").and_then(|v| v.try_clone().ok());
        let (unit, _): (String, OwnedObjectPath) =
            unit.and_then(|v| v.downcast().ok()).unwrap_or_default();
        Ok(Some(JobInfo {
            unit,
            kind: text("JobType").unwrap_or_default(),
            running: text("State").as_deref() == Some("running"),
        }))
    }
}
