//! Runs of instances that were found to be well, so that the next look at one need not ask the manager again what cannot
//! have changed: a run keeps its start and the moment from which it was ready for as long as it lasts.
//!
//! The manager gives each run a number of its own, and says it in a link beside its sockets (`unit_export_invocation_id()`).
//! A note says something of an instance only while that number is the same; whether the run still lasts, the manager is
//! asked. Notes lie below the runtime directory. It judges no run.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::{Error, Layout, write_atomic};
use crate::clock::Timestamp;
use crate::unit::UnitName;

/// What stays the same about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotedRun {
    /// Start of its main process, on both clocks: that of the day may be set.
    pub started: Timestamp,
    /// Since when it is ready, microseconds of `CLOCK_MONOTONIC`.
    pub ready_since: u64,
}

/// The number of the run that the manager started last of an instance; `None` where the manager says none.
pub fn invocation(layout: &Layout, unit: &UnitName) -> Option<String> {
    let link = layout.invocations.as_ref()?.join(format!("invocation:{unit}"));
    let number = fs::read_link(link).ok()?.into_os_string().into_string().ok()?;
    let plain = number.len() == 32 && number.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain.then_some(number)
}

/// Runs that were found to be well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotedRuns(HashMap<UnitName, (String, NotedRun)>);

impl NotedRuns {
    /// Reads the notes; there are none where they cannot be read.
    pub fn read(layout: &Layout) -> NotedRuns {
        let text = match layout.invocations {
            Some(_) => fs::read_to_string(path(layout)).unwrap_or_default(),
            None => String::new(),
        };
        let line = |line: &str| {
            let mut words = line.split(' ');
            let (unit, number) = (UnitName::parse(words.next()?).ok()?, words.next()?.to_owned());
            let mut time = || words.next()?.parse().ok();
            let started = Timestamp { realtime_usec: time()?, monotonic_usec: time()? };
            Some((unit, (number, NotedRun { started, ready_since: time()? })))
        };
        NotedRuns(text.lines().filter_map(line).collect())
    }

    /// What was found of the run that an instance has now.
    pub fn current(&self, layout: &Layout, unit: &UnitName) -> Option<NotedRun> {
        let (number, run) = self.0.get(unit)?;
        (invocation(layout, unit).as_ref() == Some(number)).then_some(*run)
    }

    /// Adds what was found of runs by their numbers, and forgets runs that are over.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn note(
        mut self,
        layout: &Layout,
        found: impl IntoIterator<Item = (UnitName, String, NotedRun)>,
    ) -> Result<(), Error> {
        self.0.extend(found.into_iter().map(|(unit, number, run)| (unit, (number, run))));
        let mut text = String::new();
        for (unit, (number, run)) in &self.0 {
            if invocation(layout, unit).as_ref() == Some(number) {
                let NotedRun { started: Timestamp { realtime_usec, monotonic_usec }, ready_since } =
                    run;
                let _ = writeln!(
                    text,
                    "{unit} {number} {realtime_usec} {monotonic_usec} {ready_since}"
                );
            }
        }
        write_atomic(&path(layout), text.as_bytes(), 0o644, None)
    }
}

fn path(layout: &Layout) -> PathBuf {
    layout.runtime.join("runs")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_run_is_known_until_another_one_begins() {
        let root = tempfile::tempdir().unwrap();
        let links = root.path().join("units");
        fs::create_dir(&links).unwrap();
        let runtime = root.path().join("run");
        let layout = Layout { runtime, invocations: Some(links.clone()), ..Layout::system() };
        let unit = |number: u32| UnitName::parse(&format!("api@{number}.service")).unwrap();
        let begin = |number: u32, run: char| {
            let link = links.join(format!("invocation:{}", unit(number)));
            let _ = fs::remove_file(&link);
            symlink(run.to_string().repeat(32), link).unwrap();
        };
        let run = |realtime_usec| NotedRun {
            started: Timestamp { realtime_usec, monotonic_usec: realtime_usec + 2 },
            ready_since: realtime_usec + 1,
        };
        let note = |number: u32, started| {
            let run = (unit(number), invocation(&layout, &unit(number)).unwrap(), run(started));
            NotedRuns::read(&layout).note(&layout, [run]).unwrap();
        };
        let known = |number: u32| NotedRuns::read(&layout).current(&layout, &unit(number));
        begin(0, 'a');
        begin(1, 'b');
        assert_eq!((known(0), known(1)), (None, None));
        note(0, 5);
        note(1, 7);
        assert_eq!((known(0), known(1)), (Some(run(5)), Some(run(7))));
        begin(0, 'c');
        assert_eq!((known(0), known(1)), (None, Some(run(7))));
        // What is over is not kept.
        note(1, 8);
        assert!(!fs::read_to_string(layout.runtime.join("runs")).unwrap().contains("api@0"));
        fs::write(layout.runtime.join("runs"), "api@1.service b\n\nx\n").unwrap();
        assert_eq!(known(1), None);
        // A manager that says no numbers.
        note(1, 8);
        assert_eq!(NotedRuns::read(&Layout { invocations: None, ..layout }), NotedRuns::default());
    }
}
