//! Facts about an instance that failed → one sentence that says why. Pure: `ops` collects the facts.
//!
//! The sentence is the predicate of "api@0": "was not ready in time: it listens on …". What nobody
//! has words for is said in systemd's own.
//!
//! Why an instance failed is decided in one pure module (`plan::reason`) from what `ops::reason`
//! collects: the structured fields of the manager's messages in the journal, by invocation, since a
//! unit's own properties are those of the next restart by the time that anybody asks; lines of the
//! program and of its log files; sockets and system calls of its processes. What an instance does
//! that is not ready can only be seen while it lives, so a thread of the waiting command
//! (`ops::witness`) looks eight times within `listen_timeout`, and never at an instance that is
//! quicker than that.

mod codes;
mod excerpt;
mod unheld;

use std::time::Duration;

use crate::ecosystem::{ListenAddress, Scope};

pub use excerpt::{excerpt, naming};
pub use unheld::{Claim, Unheld};

/// What is said of an instance that is masked while it runs.
pub const MASKED_AND_UP: &str = "is masked: it runs, and cannot start again";

/// The beginning of what `await-health` says of an instance, by which its line is known in the journal.
pub const UNHEALTHY: &str = "did not pass its health check: ";
/// The same of `rollout.check`.
pub const UNCHECKED: &str = "did not pass `rollout.check`: ";

/// How a main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// It returned this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What an instance that is not ready does, as seen from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstanceSight {
    /// Its processes, the main one first.
    pub processes: Vec<SeenProcess>,
    /// How long the main process had run by then.
    pub age: Duration,
}

impl InstanceSight {
    /// Whether it tells more of why an instance does not get ready than an earlier look, maybe at an earlier try: what
    /// listens tells most, and what a try does when it has just begun, it only does on its way.
    pub fn tells_more_than(&self, earlier: &InstanceSight) -> bool {
        let listens = |sight: &InstanceSight| {
            sight.processes.iter().any(|process| !process.listens.is_empty())
        };
        match (listens(self), listens(earlier)) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => self.age.saturating_mul(2) >= earlier.age,
        }
    }
}

/// One process of an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenProcess {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// What it listens on by itself, besides what systemd handed over.
    pub listens: Vec<ListenAddress>,
    /// What it waits for, after "it waits": "in connect() to 127.0.0.1:5432".
    pub waits: Option<String>,
}

/// An address that somebody else holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldAddress {
    /// The port that the instance wanted.
    pub port: u16,
    /// Who has it: "kk@0", "`nginx` (pid 812)".
    pub by: String,
    /// Whether that is an instance of the same app.
    pub sibling: bool,
}

/// Everything that is known of a run that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The manager's word (`Result=`): `exit-code`, `timeout` …
    pub result: String,
    /// How the main process ended.
    pub end: Option<ProcessEnd>,
    /// Whether it had become ready before.
    pub was_ready: bool,
    /// Whether `restart-guard` has given up.
    pub gave_up: bool,
    /// Somebody asked the manager to stop or restart it.
    pub stopped: bool,
    /// A command that runs after the start of the program failed.
    pub after_start_failed: bool,
    /// A file of variables could not be read, so that nothing was started.
    pub unreadable: bool,
    /// The unit is masked.
    pub masked: bool,
    /// What the instance wrote in its last run, oldest line first.
    pub lines: Vec<String>,
    /// Addresses that systemd holds for the app.
    pub listeners: Vec<ListenAddress>,
    /// What the instance did while it was not ready.
    pub sight: Option<InstanceSight>,
    /// Who has the port that it wanted.
    pub held: Option<HeldAddress>,
    /// A program that is executed and is not there.
    pub missing: Option<String>,
    /// The release that is missing with it.
    pub release: Option<String>,
    /// It runs and is ready, and holds not all of its listeners.
    pub unheld: Option<Unheld>,
}

impl Evidence {
    /// A program that shall run on has ended by itself, and complains of nothing.
    fn ended_well(&self) -> bool {
        let unasked = self.end == Some(ProcessEnd::Code(0)) && !self.stopped;
        unasked && matches!(self.result.as_str(), "success" | "")
    }

    /// Which check it did not pass and why, if that ended its start.
    fn unhealthy(&self) -> Option<(&'static str, &str)> {
        let mut lines = self.lines.iter().rev().filter(|_| self.after_start_failed);
        lines.find_map(|line| {
            [UNHEALTHY, UNCHECKED]
                .into_iter()
                .find_map(|check| Some((check, line.split_once(check)?.1.trim())))
        })
    }

    /// The first process ended well before the instance was ready: the program went to the background.
    fn is_daemon(&self) -> bool {
        let well = matches!(self.end, None | Some(ProcessEnd::Code(0)));
        let silent = self.held.is_none() && naming(&self.lines).is_none();
        self.result == "protocol" && well && silent && !self.was_ready
    }
}

/// Why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReason {
    /// The predicate of the instance's name.
    pub text: String,
    /// The next command, where there is a better one than to read the log.
    pub next: Option<String>,
}

/// What somebody else did to an instance while it was waited for.
const STOPPED: &str = "was stopped meanwhile by somebody else";

impl FailureReason {
    /// Whether the instance did nothing wrong, so that no words about a death belong before this.
    pub fn is_by_others(&self) -> bool {
        self.text == STOPPED
    }

    /// Whether the text says by itself that a start failed.
    pub fn is_whole(&self) -> bool {
        let begins = [
            "gave up",
            "is masked",
            "was not ready in time",
            "could not be started",
            "did not pass",
        ];
        begins.iter().any(|words| self.text.starts_with(words))
            || !self.text.contains("before it was ready")
    }
}

/// Puts the evidence into a sentence; `None` where nothing is known of a failure.
pub fn reason(unit: &str, scope: Scope, evidence: &Evidence) -> Option<FailureReason> {
    let flag = if scope == Scope::User { " --user" } else { "" };
    if evidence.masked {
        let next = Some(format!("systemctl{flag} unmask {unit}"));
        return Some(FailureReason { text: "is masked: it cannot start".to_owned(), next });
    }
    if let Some(unheld) = &evidence.unheld {
        let processes = evidence.sight.iter().flat_map(|sight| &sight.processes);
        let elsewhere: Vec<ListenAddress> = processes.flat_map(|one| one.listens.clone()).collect();
        return Some(FailureReason { text: unheld.text(&elsewhere), next: None });
    }
    let what = happened(evidence)?;
    let text = match because(evidence) {
        Some(why) => format!("{what}: {why}"),
        None => what,
    };
    let next = details(unit, flag, evidence);
    Some(FailureReason { text, next })
}

/// The code with which systemd ends a process when this step of its set-up fails, such as `CHDIR`.
pub fn code_of_step(step: &str) -> Option<i32> {
    (200..255).find(|code| codes::of_manager(*code).is_some_and(|(name, _)| name == step))
}

/// Whether the manager could not even start the program.
pub fn is_of_manager(end: ProcessEnd) -> bool {
    matches!(end, ProcessEnd::Code(code) if codes::of_manager(code).is_some())
}

/// A reason as the predicate of an instance that does not run: "gave up: it was killed by SIGKILL".
pub fn standing(reason: &FailureReason, gave_up: bool) -> String {
    let text = &reason.text;
    let whole = text.starts_with("gave up") || text.starts_with("is masked");
    let whole = whole || text.starts_with("could not be started");
    if gave_up && !whole { format!("gave up: it {text}") } else { text.clone() }
}

/// What brings a release that is gone back; else the manager's own account, where the program itself never ran.
fn details(unit: &str, flag: &str, evidence: &Evidence) -> Option<String> {
    if evidence.release.is_some() {
        let app = unit.split('@').next().unwrap_or(unit);
        return Some(format!(
            "clusterctl rollback {app}, or make the release again: clusterctl deploy …"
        ));
    }
    let before = evidence.end.is_some_and(is_of_manager);
    (before || evidence.result == "resources").then(|| format!("systemctl{flag} status {unit}"))
}

fn happened(evidence: &Evidence) -> Option<String> {
    if let Some((check, _)) = evidence.unhealthy() {
        return Some(check.trim_end_matches(": ").to_owned());
    }
    let when = if evidence.was_ready { "" } else { " before it was ready" };
    let ended = |end: Option<ProcessEnd>| match end {
        Some(ProcessEnd::Code(code)) => match codes::of_manager(code) {
            Some((name, words)) => format!("could not be started: {words} ({code}/{name})"),
            None => format!("ended with code {code}{when}"),
        },
        Some(ProcessEnd::Signal(signal)) => {
            format!("was killed by {}{when}", codes::signal(signal))
        }
        None => format!("ended{when}"),
    };
    Some(match evidence.result.as_str() {
        "timeout" if !evidence.was_ready => "was not ready in time".to_owned(),
        "timeout" => "did not end in time, and was killed".to_owned(),
        "watchdog" => "did not send its watchdog signal in time, and was killed".to_owned(),
        "oom-kill" => "was killed because it used more memory than it may".to_owned(),
        "core-dump" => match evidence.end {
            Some(ProcessEnd::Signal(signal)) => {
                format!("crashed with {}{when}", codes::signal(signal))
            }
            _ => format!("crashed{when}"),
        },
        "protocol" if evidence.is_daemon() => {
            let ended = ended(evidence.end);
            format!("{ended}, as programs do that go to the background")
        }
        "protocol" => ended(evidence.end),
        _ if evidence.unreadable => "could not be started".to_owned(),
        "assert" => match &evidence.release {
            Some(release) => format!("could not be started: its release {release} is gone"),
            None => "could not be started: a folder that it needs is not there".to_owned(),
        },
        "resources" => "could not be started: systemd lacks something it needs for it".to_owned(),
        "exec-condition" if evidence.end.is_none() => "gave up after too many restarts".to_owned(),
        "start-limit-hit" => "was started too often in a short time".to_owned(),
        "exit-code" | "signal" | "exec-condition" => ended(evidence.end),
        "success" | "" if evidence.was_ready && evidence.stopped => STOPPED.to_owned(),
        "success" | "" => match (evidence.gave_up, evidence.end) {
            (_, Some(end)) => ended(Some(end)),
            (true, None) => "gave up after too many restarts".to_owned(),
            (false, None) => return None,
        },
        other => format!("failed: systemd says `{other}`"),
    })
}

fn because(evidence: &Evidence) -> Option<String> {
    if let Some((_, why)) = evidence.unhealthy() {
        return Some(why.to_owned());
    }
    if let Some(missing) = &evidence.missing {
        if missing.ends_with('\r') {
            let text = "its first line ends in CR LF, as on Windows: save the file with LF";
            return Some(text.to_owned());
        }
        return Some(format!("`{missing}` does not exist"));
    }
    let unread = |line: &&String| line.contains("failed to read the environment file");
    if let Some(line) = evidence.lines.iter().rev().find(unread).filter(|_| evidence.unreadable) {
        return Some(line.trim().trim_start_matches("clusterctl: ").to_owned());
    }
    if let Some(held) = &evidence.held {
        let HeldAddress { port, by, sibling } = held;
        let advice = if *sibling { format!(": write `listen = {port}`") } else { String::new() };
        return Some(format!("its port {port} is held by {by}{advice}"));
    }
    if evidence.result == "timeout" && !evidence.was_ready {
        return waited(evidence);
    }
    if evidence.is_daemon() {
        return Some("let it run in the foreground".to_owned());
    }
    if evidence.ended_well() {
        let text = "a program that goes to the background has to stay in the foreground, and one whose work is \
                    done then needs `autorestart = false`";
        return naming(&evidence.lines)
            .map(|line| line.trim().to_owned())
            .or(Some(text.to_owned()));
    }
    naming(&evidence.lines).map(|line| line.trim().to_owned())
}

/// What an instance did instead of getting ready.
fn waited(evidence: &Evidence) -> Option<String> {
    let sight = evidence.sight.as_ref()?;
    let asked = "not a tty|not a terminal|inappropriate ioctl for device|/dev/tty|must be run in a terminal";
    let terminal = |line: &String| {
        let line = line.to_lowercase();
        asked.split('|').any(|words| line.contains(words))
    };
    let mut parts = listening(sight, &evidence.listeners);
    if parts.is_empty() && !evidence.listeners.is_empty() {
        parts.push("it listens on nothing".to_owned());
    }
    if sight.processes.is_empty() {
        parts = vec!["no process of it was left".to_owned()];
    }
    let waits = sight.processes.iter().find_map(|process| process.waits.as_ref());
    if evidence.lines.iter().any(terminal) {
        parts.push("it asked for a terminal".to_owned());
    } else if let Some(waits) = waits {
        parts.push(format!("it waits {waits}"));
    } else if evidence.listeners.is_empty() {
        parts
            .push("it did not say that it is ready (READY=1, or process.send('ready'))".to_owned());
    }
    Some(parts.join("; "))
}

/// What an instance listens on by itself that has listeners and takes none of them: "it listens on 4444, not on 3000".
pub fn elsewhere(sight: &InstanceSight, listeners: &[ListenAddress]) -> Option<String> {
    let parts = if listeners.is_empty() { Vec::new() } else { listening(sight, listeners) };
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// One part for each process that listens on something by itself.
fn listening(sight: &InstanceSight, listeners: &[ListenAddress]) -> Vec<String> {
    let mut parts = Vec::new();
    for (place, process) in sight.processes.iter().enumerate() {
        if let Some(first) = process.listens.first() {
            let who =
                if place == 0 { "it".to_owned() } else { format!("its child {}", process.pid) };
            let others = process.listens[1..].iter().map(|address| format!(", {}", short(address)));
            let all: String = others.collect();
            parts.push(format!("{who} listens on {}{all}{}", short(first), wanted(listeners)));
        }
    }
    parts
}

fn wanted(listeners: &[ListenAddress]) -> String {
    let listeners: Vec<String> = listeners.iter().map(short).collect();
    if listeners.is_empty() { String::new() } else { format!(", not on {}", listeners.join(", ")) }
}

/// As it may be written under `listen`.
fn short(address: &ListenAddress) -> String {
    let text = address.to_string();
    text.strip_prefix("[::]:").map_or(text.clone(), str::to_owned)
}

/// Smaller numbers in a message are times and codes rather than ports.
const LEAST_PORT: u16 = 80;

/// Whether a program says that a port is in use, and which one, if it says so.
pub fn port_in_use(lines: &[String]) -> Option<Option<u16>> {
    let marks =
        ["EADDRINUSE", "ddress already in use", "ort is already allocated", "is already in use"];
    let line = lines.iter().rev().find(|line| marks.iter().any(|mark| line.contains(mark)))?;
    // Other numbers stand in such lines too, such as `[Errno 98]`.
    let line = line.to_lowercase();
    let marked = [":::", "]:", ":", "port ", "port: ", ", "];
    let found = marked.iter().find_map(|mark| {
        line.rmatch_indices(mark).find_map(|(at, _)| {
            let rest = &line[at + mark.len()..];
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            rest[..digits].parse().ok().filter(|port| *port >= LEAST_PORT)
        })
    });
    Some(found)
}
