//! A service manager without processes: what is started is ready at once, unless a test wants
//! otherwise. It stays the same from one command line to the next.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use zbus::{Message, OwnedObjectPath, Variant};

use crate::fake::{Outbox, Row, Script, job, unit_path};

/// What units are.
#[derive(Default)]
pub struct Manager {
    /// `ActiveState` of each unit that was ever started, and the number of its last start.
    units: BTreeMap<String, (&'static str, u64)>,
    /// Where unit files are, and the links that make a group start its instances.
    folder: PathBuf,
    jobs: u32,
    /// The caller may not change anything.
    pub denies: bool,
    /// Main processes of units that run.
    pub pids: BTreeMap<String, u32>,
    /// How often each unit was started again by itself.
    pub restarts: u32,
    /// Units that do not start.
    pub broken: BTreeSet<String>,
    /// What the manager says wherever it uses words of its own, of units or of programs.
    pub words: Option<&'static str>,
}

/// The manager that every connection of a stage speaks to.
pub struct Shared(pub Arc<Mutex<Manager>>);

impl Manager {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Sets the state of a unit.
    pub fn set(&mut self, unit: &str, active: &'static str) {
        let (_, starts) = self.units.get(unit).copied().unwrap_or_default();
        let starts = starts + u64::from(active == "active");
        self.units.insert(unit.to_owned(), (active, starts));
    }

    /// Units that follow another one: the instances of a group, and its listeners when it stops.
    fn followers(&self, unit: &str, stops: bool) -> Vec<String> {
        let Some(app) = unit.strip_suffix(".service").filter(|name| !name.contains('@')) else {
            return Vec::new();
        };
        if stops {
            let of_app = |name: &&String| name.starts_with(app) && *name != unit;
            return self.units.keys().filter(of_app).cloned().collect();
        }
        let links = std::fs::read_dir(self.folder.join(format!("{unit}.wants")));
        let names = links.into_iter().flatten().flatten();
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn submit(&mut self, call: &Message, out: &mut Outbox) {
        let (name, _): (String, String) = call.body().deserialize().unwrap();
        let stops = call.header().member().unwrap().as_str() == "StopUnit";
        let broken = !stops && self.broken.contains(&name);
        let state = match (stops, broken) {
            (true, _) => "inactive",
            (false, true) => "failed",
            (false, false) => "active",
        };
        for unit in self.followers(&name, stops).into_iter().chain([name.clone()]) {
            self.set(&unit, state);
        }
        self.jobs += 1;
        out.reply(call, &job(self.jobs));
        let failed = self.words.unwrap_or("failed");
        out.job_removed(self.jobs, &name, if broken { failed } else { "done" });
    }

    fn row(&self, name: &str) -> Row {
        let active = self.units.get(name).map_or("inactive", |(active, _)| active);
        let sub = match active {
            "active" if name.ends_with(".socket") => "listening",
            "active" => "running",
            "failed" => "failed",
            _ => "dead",
        };
        let path = OwnedObjectPath::try_from("/org/freedesktop/systemd1/unit/x").unwrap();
        let name = name.to_owned();
        let description = self.words.map_or(name.clone(), str::to_owned);
        (name, description, "loaded", active, sub, String::new(), path, 0, "", job(0))
    }

    fn property(&self, call: &Message) -> Option<Variant<'static>> {
        let (_, name): (String, String) = call.body().deserialize().unwrap();
        let of = call.header().path().unwrap().as_str().to_owned();
        let unit = self.units.iter().find(|(name, _)| unit_path(name) == of);
        let starts = unit.map_or(0, |(_, (_, starts))| *starts);
        Some(match name.as_str() {
            "Version" => Variant::from("252"),
            "Result" => Variant::from(self.words.unwrap_or("success")),
            "StatusText" => Variant::from(self.words.unwrap_or_default()),
            "NRestarts" => Variant::from(self.restarts),
            "MainPID" => {
                Variant::from(unit.and_then(|(name, _)| self.pids.get(name)).copied().unwrap_or(0))
            }
            "NeedDaemonReload" => Variant::from(false),
            "ActiveEnterTimestampMonotonic" => Variant::from(starts),
            // In the future, by either clock, so that every process is newer than the files that it was started from.
            "ExecMainStartTimestampMonotonic"
            | "ExecMainStartTimestamp"
            | "ActiveEnterTimestamp" => {
                Variant::from(if starts == 0 { 0 } else { 4_000_000_000_000_000 + starts })
            }
            _ => return None,
        })
    }

    fn loaded(&self, patterns: &[String]) -> Vec<Row> {
        let up = self.units.iter().filter(|(_, (active, _))| *active != "inactive");
        let wanted = |name: &&String| patterns.iter().any(|pattern| matches(pattern, name));
        up.map(|(name, _)| name).filter(wanted).map(|name| self.row(name)).collect()
    }
}

/// fnmatch(3), as far as unit names need it.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = pattern.replace("\\\\", "\\");
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

impl Script for Shared {
    fn call(&mut self, call: &Message, out: &mut Outbox) {
        let mut manager = self.0.lock().unwrap();
        let header = call.header();
        let member = header.member().unwrap().as_str();
        let changes = ["Unit", "Reload"].iter().any(|end| member.ends_with(end));
        match member {
            _ if changes && manager.denies => {
                let said = manager.words.unwrap_or("Permission denied");
                out.error(call, "org.freedesktop.DBus.Error.AccessDenied", said);
            }
            "StartUnit" | "RestartUnit" | "StopUnit" => manager.submit(call, out),
            "Reload" | "Subscribe" | "ResetFailedUnit" | "KillUnit" | "SetUnitProperties" => {
                if member == "ResetFailedUnit" {
                    manager.restarts = 0;
                }
                out.reply(call, &());
            }
            "Get" => match manager.property(call) {
                Some(value) => out.reply(call, &value),
                None => out.error(call, "org.freedesktop.DBus.Error.UnknownProperty", member),
            },
            "ListUnitsByNames" => {
                let names: Vec<String> = call.body().deserialize().unwrap();
                let rows: Vec<Row> = names.iter().map(|name| manager.row(name)).collect();
                out.reply(call, &rows);
            }
            "ListUnitsByPatterns" => {
                let (_, patterns): (Vec<String>, Vec<String>) = call.body().deserialize().unwrap();
                out.reply(call, &manager.loaded(&patterns));
            }
            // There is no reload job: who asks drives the rollout.
            _ => {
                let said = manager.words.unwrap_or("no such unit");
                out.error(call, "org.freedesktop.systemd1.NoSuchUnit", said);
            }
        }
    }
}
