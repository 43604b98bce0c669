//! Collects what is known of an instance that failed: from the journal, its log files, the manager,
//! and what it was seen to do. `plan::reason` puts it into words.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::look::{listeners, look};
use super::template::{log_paths, user_of};
use super::{Context, missing};
use crate::disk;
use crate::ecosystem::AppName;
use crate::host;
use crate::plan::OwnedUnits;
use crate::plan::reason::{
    self, Evidence, FailureReason, HeldAddress, InstanceSight, ProcessEnd, Unheld, excerpt,
};
use crate::systemd::{Author, Exit, Field, InstanceState, Journal, JournalEntry, LoadState};
use crate::unit::{ActiveState, UnitFile, UnitName, quote};

/// Why an instance failed, and the lines that show it.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// In words; `None` when it did not fail.
    pub reason: Option<FailureReason>,
    /// The lines that matter, those that name the error first.
    pub lines: Vec<String>,
    /// Files that the instance writes to besides the journal.
    pub files: Vec<PathBuf>,
}

/// How many lines say enough about a failure.
const LINES: usize = crate::limits::FAILURE_LINES;

/// How many entries of the journal are looked at, and how many if those do not reach back to the start
/// that failed: sixteen restarts of a program that prints a stack trace are five hundred.
const ENTRIES: [u64; 2] = crate::limits::FAILURE_ENTRIES;

/// How long the journal may take to tell of what the manager has just told of.
const JOURNAL: Duration = Duration::from_millis(500);

/// `SD_MESSAGE_UNIT_STARTED` of sd-messages.h: the end of a start job.
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";

/// `SD_MESSAGE_UNIT_STOPPING`: somebody wants it to stop, or to restart.
const STOPPING: &str = "de5b426a63be47a7b6ac3eaac82e2f6f";

/// `SD_MESSAGE_UNIT_SUCCESS`: it ended without a complaint.
const WELL: &str = "7ad2d189f7e94e70a38c781354912448";

/// `SD_MESSAGE_SPAWN_FAILED`: a process could not be set up.
const SPAWN_FAILED: &str = "641257651c1b4ec9a8624d7a40a9e1e7";

/// What became of the last run of an instance that failed after this moment. Who asks about several
/// instances asks [`Stories`].
pub fn story(context: &Context, app: &AppName, number: u32, since: SystemTime) -> Story {
    // Units that cannot be read tell nothing; the journal and the manager still do.
    let units = disk::scan_app(&context.layout, app).ok().flatten().unwrap_or_default().units;
    Stories::new(context).story(app, &units, number, since)
}

/// What became of several instances: it opens the journal once, and reads no unit that its caller has read.
#[derive(Debug)]
pub struct Stories<'a> {
    context: &'a Context,
    /// `None` before the first question, and where the journal cannot be opened.
    journal: Option<Journal>,
}

impl<'a> Stories<'a> {
    /// Opens nothing yet.
    pub fn new(context: &'a Context) -> Stories<'a> {
        Stories { context, journal: None }
    }

    /// What became of the last run of an instance that failed after this moment; `units` are those of its app.
    pub fn story(
        &mut self,
        app: &AppName,
        units: &OwnedUnits,
        number: u32,
        since: SystemTime,
    ) -> Story {
        let context = self.context;
        let unit = app.instance_unit(number);
        let fields = [Field::Result, Field::Exit, Field::MainPid];
        let state = context.systemd.instances(std::slice::from_ref(&unit), &fields);
        let state = state.ok().and_then(|mut states| states.pop()).unwrap_or_default();
        let template = units.parsed(&app.template_unit());
        let logs = template.map(log_paths).unwrap_or_default();
        let of_it = logs.into_iter().filter(|log| log.instance.is_none_or(|own| own == number));
        let files: Vec<PathBuf> = of_it.map(|log| log.path).collect();
        let told = self.journal().and_then(|journal| told(journal, &unit, since));
        let mut evidence = told.unwrap_or_default();
        evidence.masked = state.load == LoadState::Masked;
        if evidence.result.is_empty() && state.active != ActiveState::Active {
            evidence.result.clone_from(&state.result);
            evidence.end = state.exit.map(end);
        }
        let gone = template.and_then(lacking_folder);
        if state.result == "assert" || state.result == "exec-condition" && gone.is_some() {
            // Nothing of it ran, not even the guard: what the journal tells is of a run before.
            evidence.result = "assert".to_owned();
            (evidence.end, evidence.was_ready) = (None, false);
            evidence.release = gone.as_deref().and_then(missing::release);
            evidence.missing = gone.map(|path| path.display().to_string());
        }
        let user = template.and_then(user_of);
        evidence.lines.extend(files.iter().flat_map(|file| tail(file, user, since)));
        evidence.listeners = listeners(units);
        evidence.sight = sight(context, app, number, &state);
        let of_start = || template.and_then(|unit| missing::of_start(unit, &evidence));
        evidence.missing = evidence.missing.clone().or_else(of_start);
        evidence.held = held(context, app, number, &evidence.lines);
        evidence.unheld = unheld(context, app, units, number, &state);
        if evidence.unheld.is_some() && evidence.sight.is_none() {
            evidence.sight = look(context, &unit).ok();
        }
        let reason = reason::reason(unit.as_str(), context.layout.scope, &evidence);
        Story { reason, lines: excerpt(&evidence.lines, LINES), files }
    }

    /// The journal, with what was selected before; `None` where it cannot be read.
    pub(super) fn journal(&mut self) -> Option<&mut Journal> {
        if self.journal.is_none() {
            host::sync_journal();
            self.journal = Journal::open(self.context.layout.scope).ok();
        }
        self.journal.as_mut()
    }
}

/// What an instance does that is not ready: as it was seen while its start was waited for, else as
/// it is seen now.
fn sight(
    context: &Context,
    app: &AppName,
    number: u32,
    state: &InstanceState,
) -> Option<InstanceSight> {
    let seen = context.sights().get(&app.instance_unit(number)).cloned();
    let starting = state.active == ActiveState::Activating && !state.sub.starts_with("auto-");
    seen.or_else(|| starting.then(|| look(context, &app.instance_unit(number)).ok()).flatten())
}

/// Bytes of a log file that are looked at.
const TAIL: u64 = crate::limits::FAILURE_TAIL;

/// The last lines of a file that was written to after this moment.
fn tail(path: &Path, user: Option<u32>, since: SystemTime) -> Vec<String> {
    let read = || -> std::io::Result<Vec<String>> {
        let mut file = host::text::open_log(path, user)?;
        let meta = file.metadata()?;
        if meta.modified()? < since {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(meta.len().saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        Ok(lines[lines.len().saturating_sub(4 * LINES)..].to_vec())
    };
    // What cannot be read says nothing; the failure itself is what matters.
    read().unwrap_or_default()
}

/// One run of an instance, as the journal tells of it.
#[derive(Default)]
struct JournalRun {
    invocation: String,
    /// It ended without a complaint of the manager.
    well: bool,
    evidence: Evidence,
}

/// The last run that failed.
fn told(journal: &mut Journal, unit: &UnitName, since: SystemTime) -> Option<Evidence> {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    journal.select(std::slice::from_ref(unit)).ok()?;
    let mut runs: Vec<JournalRun> = read_runs(journal, since)?;
    // The manager's signal may come before the journal has the entries of the same moment.
    let failed = |runs: &[JournalRun]| runs.iter().any(|run| !run.evidence.result.is_empty());
    let deadline = Instant::now() + JOURNAL;
    while since > 0
        && !failed(&runs)
        && let Ok(Some(entry)) = journal.follow(deadline)
    {
        note(&mut runs, &entry);
    }
    let gave_up = runs.iter().any(|run| run.evidence.gave_up);
    let bad = |run: &&JournalRun| match (run.evidence.result.as_str(), run.evidence.end) {
        ("", _) => false,
        // What keeps the manager from starting the guard.
        ("exec-condition", end) => end.is_some_and(reason::is_of_manager),
        _ => true,
    };
    // Who waits for a start wants to know of that one, and not of the restarts that followed. The process that it
    // replaced has ended well too. Later, the last end is what counts, and not what another app of that name did.
    let run = match since {
        0 => runs.iter().rev().find(|run| run.well || bad(run)).filter(|run| !run.evidence.stopped),
        _ => runs.iter().find(bad).or(runs.iter().find(|run| run.well && run.evidence.was_ready)),
    };
    let known = || runs.iter().rev().find(|run| run.evidence.end.is_some());
    let run = run.or_else(|| known().filter(|_| since > 0 || !runs.iter().any(|run| run.well)));
    let run = run.or(runs.last())?;
    let mut evidence = run.evidence.clone();
    if run.well && !evidence.stopped {
        // The journal has no entry for an exit with code 0.
        evidence.end = evidence.end.or(Some(ProcessEnd::Code(0)));
        evidence.result = "success".to_owned();
    }
    evidence.gave_up = gave_up;
    if evidence.lines.is_empty() {
        evidence.lines = runs.into_iter().flat_map(|run| run.evidence.lines).collect();
    }
    Some(evidence)
}

/// The runs since a moment, in microseconds since 1970. The first one is complete, as long as the
/// journal is.
fn read_runs(journal: &mut Journal, since: u128) -> Option<Vec<JournalRun>> {
    let mut runs = Vec::new();
    for count in ENTRIES {
        journal.rewind(Some(count)).ok()?;
        runs.clear();
        let mut seen = 0;
        let mut reaches_back = since == 0;
        while let Ok(Some(entry)) = journal.read() {
            seen += 1;
            if u128::from(entry.realtime_usec) >= since {
                note(&mut runs, &entry);
            } else {
                reaches_back = true;
            }
        }
        if reaches_back || seen < count {
            return Some(runs);
        }
    }
    // The beginning of the first run is out of reach, and with it perhaps the line that says why.
    if runs.len() > 1 {
        runs.remove(0);
    }
    Some(runs)
}

/// Whether the manager wrote an entry, or its child that sets up a process of the unit and has not
/// become the program yet: it has the manager's user, which journald itself notes.
fn is_of_manager(entry: &JournalEntry, field: &dyn Fn(&str) -> Option<String>) -> bool {
    let own = rustix::process::geteuid().as_raw().to_string();
    let user = field("_UID");
    entry.author == Author::Manager || user.is_some_and(|user| user == "0" || user == own)
}

fn note(runs: &mut Vec<JournalRun>, entry: &JournalEntry) {
    let names = match entry.author {
        Author::Unit => ["_SYSTEMD_INVOCATION_ID", "_SYSTEMD_INVOCATION_ID"],
        Author::Manager => ["INVOCATION_ID", "USER_INVOCATION_ID"],
    };
    let field = |wanted: &str| {
        let found = entry.fields.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let invocation = names.into_iter().find_map(field).unwrap_or_default();
    if runs.last().is_none_or(|run| run.invocation != invocation) {
        runs.push(JournalRun { invocation, ..JournalRun::default() });
    }
    let Some(JournalRun { evidence, well, .. }) = runs.last_mut() else { return };
    if entry.author == Author::Manager {
        *well |= field("MESSAGE_ID").as_deref() == Some(WELL);
        evidence.stopped |= field("MESSAGE_ID").as_deref() == Some(STOPPING);
    }
    if field("MESSAGE_ID").as_deref() == Some(SPAWN_FAILED) && is_of_manager(entry, &field) {
        // Also of the guard: what keeps that from running keeps the program from it.
        let text = String::from_utf8_lossy(&entry.message).into_owned();
        let step = text.split("Failed at step ").nth(1).and_then(|rest| rest.split(' ').next());
        evidence.end = step.and_then(reason::code_of_step).map(ProcessEnd::Code);
        return;
    }
    if entry.author == Author::Unit {
        let text = String::from_utf8_lossy(&entry.message).into_owned();
        // The guard's line is replaced by `gave_up`.
        evidence.gave_up |= text.starts_with("gave up: ");
        if !text.starts_with("gave up: ") {
            evidence.lines.push(text);
        }
        return;
    }
    if let Some(result) = field("UNIT_RESULT") {
        evidence.gave_up |= result == "exec-condition";
        evidence.result = result;
    }
    let started = field("MESSAGE_ID").as_deref() == Some(STARTED);
    evidence.was_ready |= started && field("JOB_RESULT").as_deref() == Some("done");
    let status = field("EXIT_STATUS").and_then(|status| status.parse().ok());
    let command = field("COMMAND");
    evidence.unreadable |= command.as_deref() == Some("ExecCondition") && status == Some(255);
    evidence.after_start_failed |= command.as_deref() == Some("ExecStartPost") && status != Some(0);
    // What keeps the manager from starting the guard keeps it from starting the program.
    let main = command.is_none_or(|command| command == "ExecStart")
        || status.is_some_and(|status| (200..255).contains(&status));
    if let (true, Some(status), Some(code)) = (main, status, field("EXIT_CODE")) {
        let exited = code == "exited";
        evidence.end =
            Some(if exited { ProcessEnd::Code(status) } else { ProcessEnd::Signal(status) });
    }
}

fn end(exit: Exit) -> ProcessEnd {
    match exit {
        Exit::Status(code) => ProcessEnd::Code(code),
        Exit::Signal(signal) => ProcessEnd::Signal(signal),
    }
}

/// A folder without which no instance is started: that it is not there, if so.
fn lacking_folder(template: &UnitFile) -> Option<PathBuf> {
    let cwd = template.get("Service", "WorkingDirectory");
    let folders = cwd.into_iter().chain(template.all("Unit", "AssertPathIsDirectory"));
    let mut folders = folders.map(quote::unescaped).map(PathBuf::from);
    folders.find(|path| matches!(path.try_exists(), Ok(false)))
}

/// Listeners that an instance does not hold which is ready.
fn unheld(
    context: &Context,
    app: &AppName,
    units: &OwnedUnits,
    number: u32,
    state: &InstanceState,
) -> Option<Unheld> {
    if state.active != ActiveState::Active {
        return None;
    }
    let lacks = super::held::unheld_of(context, app, units, [number]).remove(&number)?;
    lacks.is_unready().then_some(lacks)
}

/// Who has the port that the instance says is in use.
fn held(context: &Context, app: &AppName, number: u32, lines: &[String]) -> Option<HeldAddress> {
    let said = reason::port_in_use(lines)?;
    let ports: BTreeSet<u16> = match said {
        Some(port) => [port].into(),
        // The program does not name the port: ports on which instances of the app listen by themselves.
        None => ports_of_instances(context, app, number),
    };
    ports.into_iter().find_map(|port| {
        let (holder, instance) = host::holder_of_port(&context.layout, port)?;
        let sibling = instance.filter(|(other, _)| other == app);
        let by = sibling.as_ref().map(|(app, number)| format!("{app}@{number}"));
        Some(HeldAddress { port, sibling: by.is_some(), by: by.unwrap_or(holder.who) })
    })
}

fn ports_of_instances(context: &Context, app: &AppName, number: u32) -> BTreeSet<u16> {
    let listed = context.systemd.list(&[format!("{app}@*.service")]).unwrap_or_default();
    let units = listed.iter().filter_map(|row| UnitName::parse(&row.name).ok());
    let others = units.filter(|unit| app.instance_of(unit).is_some_and(|other| other != number));
    let sights = others.filter_map(|unit| look(context, &unit).ok());
    let processes = sights.flat_map(|sight| sight.processes);
    processes.flat_map(|process| process.listens).filter_map(|address| address.port()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_end_of_a_log_file_is_looked_at() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let owner = Some(rustix::process::geteuid().as_raw());
        let first = |length: u64| {
            let rest = "x".repeat(usize::try_from(length).unwrap() - "first\n".len());
            std::fs::write(file.path(), format!("first\n{rest}")).unwrap();
            tail(file.path(), owner, UNIX_EPOCH).swap_remove(0)
        };
        assert_eq!(first(TAIL), "first");
        assert_eq!(first(TAIL + 1), "irst");
        assert!(tail(file.path(), owner, SystemTime::now() + Duration::from_secs(9)).is_empty());
    }
}
