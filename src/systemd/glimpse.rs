//! The state of a service unit and of its process at one and the same moment. It changes nothing.
//!
//! The state of a unit and the start of its process are two questions, between which the manager may replace the process:
//! the state of the one and the start of the other would look like a death that never was. So the start is asked for
//! before and after everything else, and answers between which it changed are thrown away.
//! Questions of one batch are not answered at one moment either: the manager goes on between them.

use zbus::Message;

use super::proxy::{SERVICE_UNIT, UNIT};
use super::query::{read_list, text};
use super::{ANSWER, Error, Systemd, proxy};
use crate::unit::{ActiveState, UnitName};

/// A service unit at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glimpse {
    /// Its state.
    pub active: ActiveState,
    /// Its state in the words of its kind, such as `auto-restart`.
    pub sub: String,
    /// When its main process started, the running one or else the last one: microseconds of `CLOCK_MONOTONIC`, 0 if there
    /// never was one.
    pub started: u64,
    /// Since when it is active, on the same clock; 0 if it never was.
    pub ready_since: u64,
    /// Automatic restarts, as systemd counts them: a restart by hand does not always set that back.
    pub restarts: u32,
    /// `success`, `exit-code`, `signal`, `timeout` … of the last run.
    pub result: String,
}

/// How often the processes of a unit may be replaced under our eyes before we take what we see.
const TRIES: usize = 5;

impl Systemd {
    /// A service unit at one moment; one that is not loaded is inactive.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn glimpse(&self, unit: &UnitName) -> Result<Glimpse, Error> {
        let doing = "look at an instance";
        let name = unit.as_str();
        let started = || proxy::get(name, SERVICE_UNIT, "ExecMainStartTimestampMonotonic");
        let mut last = Glimpse::default();
        for _ in 0..TRIES {
            let calls = vec![
                started(),
                proxy::get(name, SERVICE_UNIT, "NRestarts"),
                proxy::manager("ListUnitsByNames", &[name].as_slice()),
                proxy::get(name, SERVICE_UNIT, "Result"),
                proxy::get(name, UNIT, "ActiveEnterTimestampMonotonic"),
                started(),
            ];
            let replies = self.ask_all(doing, calls, ANSWER)?;
            let [before, restarts, list, result, ready, after] = replies.as_slice() else {
                return Err(Error::timeout(doing));
            };
            let listed = list.as_ref().map_err(|e| Error::from_bus(doing, e))?;
            let row = read_list(listed)?.into_iter().next();
            let (active, sub) = row.map(|row| (row.active, row.sub)).unwrap_or_default();
            last = Glimpse {
                active,
                sub,
                started: number(after),
                ready_since: number(ready),
                restarts: number(restarts),
                result: result.as_ref().ok().and_then(|reply| text(reply).ok()).unwrap_or_default(),
            };
            if number::<u64>(before) == last.started {
                return Ok(last);
            }
        }
        // Of the newest process we know only that it was started; a signal will tell what becomes of it.
        Ok(Glimpse { active: ActiveState::Activating, sub: "start".to_owned(), ..last })
    }

    /// Many service units, each at one moment, in one batch.
    ///
    /// # Errors
    /// The manager does not answer.
    pub fn glimpses(&self, units: &[UnitName]) -> Result<Vec<Glimpse>, Error> {
        if units.is_empty() {
            return Ok(Vec::new());
        }
        let doing = "look at the instances";
        let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
        let started = |name| proxy::get(name, SERVICE_UNIT, "ExecMainStartTimestampMonotonic");
        let mut calls: Vec<zbus::Result<Message>> = Vec::with_capacity(5 * units.len() + 1);
        for name in &names {
            calls.push(started(name));
            calls.push(proxy::get(name, SERVICE_UNIT, "NRestarts"));
            calls.push(proxy::get(name, SERVICE_UNIT, "Result"));
            calls.push(proxy::get(name, UNIT, "ActiveEnterTimestampMonotonic"));
        }
        calls.push(proxy::manager("ListUnitsByNames", &names));
        calls.extend(names.iter().copied().map(started));
        let replies = self.ask_all(doing, calls, ANSWER)?;
        let (first, rest) = replies.split_at(replies.len().min(4 * units.len()));
        let [list, after @ ..] = rest else { return Err(Error::timeout(doing)) };
        let rows = read_list(list.as_ref().map_err(|e| Error::from_bus(doing, e))?)?;
        let seen = units.iter().zip(first.chunks(4)).zip(rows).zip(after);
        seen.map(|(((unit, replies), row), after)| {
            let [before, restarts, result, ready] = replies else {
                return Err(Error::timeout(doing));
            };
            // Its process was replaced between the first question and the last.
            if number::<u64>(before) != number::<u64>(after) {
                return self.glimpse(unit);
            }
            Ok(Glimpse {
                active: row.active,
                sub: row.sub,
                started: number(after),
                ready_since: number(ready),
                restarts: number(restarts),
                result: result.as_ref().ok().and_then(|reply| text(reply).ok()).unwrap_or_default(),
            })
        })
        .collect()
    }
}

/// A unit that was never loaded has no properties of its kind.
fn number<T: TryFrom<zbus::OwnedVariant> + Default>(reply: &zbus::Result<Message>) -> T {
    let value = reply.as_ref().ok().and_then(|reply| reply.body().deserialize().ok());
    value.and_then(|value| T::try_from(value).ok()).unwrap_or_default()
}
