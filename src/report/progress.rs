//! Events as lines: plain sentences, or JSON lines.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Paint, Style, printable};
use crate::ecosystem::AppName;
use crate::ops::{Done, Event, Story, UnitFailure};
use crate::plan::reason::Reason;
use crate::rollout::{
    Command, Failure, JobResult, Left, Lost, Outcome, Phase, Progress, Stage, Time, Why,
};

/// One line for an event, if it is worth one.
pub fn line(event: &Event, style: &Style) -> Option<String> {
    match event {
        Event::Waiting => Some("waiting for another clusterctl to finish".to_owned()),
        Event::Written(_) | Event::Reloaded | Event::Progress { .. } => None,
        Event::Loaded => {
            Some("systemd has read the unit files again: those on disk were newer".to_owned())
        }
        Event::Unread => Some(
            "warning: unit files on disk are newer than what is in force: systemctl daemon-reload"
                .to_owned(),
        ),
        Event::Elsewhere { app, instance, text } => {
            let text = printable(text);
            Some(format!("  {app}@{instance} is not ready yet: {text}; waiting on"))
        }
        Event::Warning { app, text } => Some(format!("warning: {app}: {}", printable(text))),
        Event::UnderWay { app, text } => {
            let text = if text.is_empty() { "a rollout is under way" } else { text.as_str() };
            Some(format!("{app}: waiting: {}", printable(text)))
        }
        Event::Interrupted { app } => Some(format!(
            "{app}: stopping between two instances; Ctrl-C again leaves it to systemd"
        )),
        Event::Unit { unit, verb, failure: None, .. } => {
            let done = match *verb {
                "start" => "started",
                "stop" => "stopped",
                "restart" => "restarted",
                "reload" => "reloaded",
                other => other,
            };
            Some(format!("{} {unit} {done}", style.paint(Paint::Good, "✓")))
        }
        Event::Unit { unit, verb, failure: Some(why), .. } => {
            let why = printable(&why.to_string());
            Some(format!("{} {unit}: {verb}: {why}", style.paint(Paint::Bad, "✗")))
        }
        Event::Rollout { app, command } => match command {
            Command::Submit { instance, change, reason, .. } => {
                let why = style.paint(Paint::Dim, &printable(&format!("({reason})")));
                Some(format!("  {change} {app}@{instance} {why}"))
            }
            Command::RestoreDefinition { because } => {
                let mark = style.paint(Paint::Bad, "✗");
                let because = match because.why {
                    // Whether it died or was stopped by somebody is known once the journal has it.
                    Why::Died | Why::DiedLater => {
                        format!("instance {} did not stay ready", because.instance)
                    }
                    _ => printable(&because.to_string()),
                };
                Some(format!("{mark} {app}: {because}: putting the former definition back"))
            }
            Command::Look { .. } => None,
        },
    }
}

/// The same as data; one object a line.
pub fn json(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Waiting => json!({"event": "waiting"}),
        Event::Written(count) => json!({"event": "written", "files": count}),
        Event::Reloaded => json!({"event": "reloaded"}),
        Event::Loaded => json!({"event": "loaded"}),
        Event::Unread => json!({"event": "unread"}),
        Event::Warning { app, text } => {
            json!({"event": "warning", "app": app.as_str(), "text": text})
        }
        Event::Unit { app, unit, verb, failure } => json!({
            "event": "unit", "app": app.as_str(), "unit": unit.as_str(), "verb": verb,
            "failure": failure,
        }),
        Event::Rollout { app, command: Command::Submit { instance, change, reason, .. } } => {
            json!({
                "event": "rollout", "app": app.as_str(), "instance": instance,
                "change": change.to_string(), "because": reason.to_string(),
            })
        }
        Event::Rollout { app, command: Command::RestoreDefinition { because } } => json!({
            "event": "restore", "app": app.as_str(), "because": because.to_string(),
        }),
        Event::Progress { app, at, progress } => json!({
            "event": "progress", "app": app.as_str(), "seconds": at.0.as_secs_f64(),
            "stage": stage(progress), "instances": progress.instances.iter().map(|one| json!({
                "instance": one.instance, "state": phase(one.phase), "extra": one.extra,
                "seconds": at.since(one.since).as_secs_f64(),
            })).collect::<Vec<_>>(),
        }),
        Event::Elsewhere { app, instance, text } => json!({
            "event": "not-ready", "app": app.as_str(), "instance": instance, "text": text,
        }),
        Event::UnderWay { app, text } => {
            json!({"event": "waiting", "app": app.as_str(), "status": text})
        }
        Event::Interrupted { app } => json!({"event": "interrupted", "app": app.as_str()}),
        Event::Rollout { command: Command::Look { .. }, .. } => return None,
    })
}

/// Instances of more than this many are counted, not listed.
const LISTED: usize = crate::limits::INSTANCES_LISTED;

/// How a rollout stands, a few lines for a terminal.
pub fn live(app: &AppName, at: Time, progress: &Progress, style: &Style) -> String {
    let seconds = |time: Duration| format!("{:.1}s", time.as_secs_f64());
    let stage = style.paint(Paint::Bold, &format!("{app}: {}", stage(progress)));
    let mut text = format!("{stage} {}\n", style.paint(Paint::Dim, &seconds(at.0)));
    let there: Vec<_> = progress.instances.iter().filter(|i| i.phase != Phase::Gone).collect();
    if there.len() > LISTED {
        let _ = writeln!(text, "  {}", counted(progress));
        return text;
    }
    for one in there {
        let since = style.paint(Paint::Dim, &seconds(at.since(one.since)));
        let paint = match one.phase {
            Phase::Done => Paint::Good,
            Phase::Failed => Paint::Bad,
            Phase::Old | Phase::Down | Phase::Gone => Paint::Dim,
            Phase::Draining | Phase::Starting | Phase::Settling | Phase::Recovering => Paint::Warn,
        };
        let phase = style.paint(paint, &format!("{:<10}", phase(one.phase)));
        let extra = if one.extra { " (extra)" } else { "" };
        let _ = writeln!(text, "  {app}@{} {phase} {since}{extra}", one.instance);
    }
    text
}

/// How a rollout stands, in one line: what `systemctl status` shows.
pub fn status(progress: &Progress) -> String {
    format!("{}: {}", stage(progress), counted(progress))
}

fn stage(progress: &Progress) -> &'static str {
    match progress.stage {
        _ if progress.interrupted && progress.stage != Stage::Finished => "stopping the rollout",
        Stage::Rolling => "rollout",
        Stage::Forced => "forced rollout",
        Stage::Aborting => "rollout failed, stopping",
        Stage::Restoring | Stage::RollingBack => "rolling back",
        Stage::Leaving => "cleaning up",
        Stage::Finished => "rollout over",
    }
}

/// `2 done, 1 draining @2, 1 old`.
fn counted(progress: &Progress) -> String {
    let mut parts = Vec::new();
    for wanted in [
        Phase::Done,
        Phase::Settling,
        Phase::Starting,
        Phase::Draining,
        Phase::Recovering,
        Phase::Failed,
        Phase::Down,
        Phase::Old,
    ] {
        let found: Vec<u32> =
            progress.instances.iter().filter(|i| i.phase == wanted).map(|i| i.instance).collect();
        if found.is_empty() {
            continue;
        }
        let mut part = format!("{} {}", found.len(), phase(wanted));
        if !matches!(wanted, Phase::Done | Phase::Old) {
            part.extend(found.iter().take(LISTED).map(|number| format!(" @{number}")));
        }
        parts.push(part);
    }
    if parts.is_empty() { "nothing runs".to_owned() } else { parts.join(", ") }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Old => "old",
        Phase::Down => "down",
        Phase::Draining => "draining",
        Phase::Starting => "starting",
        Phase::Settling => "ready",
        Phase::Recovering => "recovering",
        Phase::Done => "done",
        Phase::Failed => "failed",
        Phase::Gone => "gone",
    }
}

/// How an app ended up, with the instance to look at when it did not go well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence.
    pub text: String,
    /// Whether the app is where it should be.
    pub good: bool,
    /// The instance whose log tells more.
    pub look_at: Option<u32>,
}

/// The same as data: the lines that matter, then the sentence.
pub fn ended(app: &AppName, verdict: &Verdict, story: &Story) -> Vec<Value> {
    let instance = verdict.look_at;
    let lines = story.lines.iter().filter(|_| instance.is_some()).map(
        |line| json!({"event": "log", "app": app.as_str(), "instance": instance, "line": line}),
    );
    let next = story.reason.as_ref().and_then(|reason| reason.next.clone());
    let done = json!({
        "event": "done", "app": app.as_str(), "success": verdict.good, "text": verdict.text,
        "instance": instance, "files": story.files, "next": next,
    });
    lines.chain([done]).collect()
}

/// The instance whose failure decided how an app ended up.
pub fn failed_instance(app: &AppName, done: &Done) -> Option<u32> {
    if !done.failures.is_empty() {
        // The group and the instances fail together; the instance says why.
        return done.failures.iter().find_map(|(unit, _)| app.instance_of(unit));
    }
    match done.rollout.as_ref()? {
        Outcome::Complete => None,
        Outcome::Forced { because, .. }
        | Outcome::Failed { because, .. }
        | Outcome::RolledBack { because, .. } => Some(because.instance),
        Outcome::Interrupted { because, .. } => because.as_ref().map(|why| why.instance),
    }
}

/// How an instance that came up was lost, where its end completes the sentence.
fn ended_later<'a>(app: &AppName, done: &'a Done, number: u32) -> Option<&'a Lost> {
    let mut all = done.failures.iter();
    match &all.find(|(unit, _)| app.instance_of(unit) == Some(number))?.1 {
        UnitFailure::Lost(lost @ (Lost::Died | Lost::Loops { .. })) => Some(lost),
        UnitFailure::Lost(_) | UnitFailure::Job(_) | UnitFailure::Rollout(_) => None,
    }
}

/// Puts the end of an app's steps into a sentence. `reason` is why that instance failed.
pub fn verdict(app: &AppName, done: &Done, reason: Option<&Reason>) -> Verdict {
    if let Some((unit, why)) = done.failures.first() {
        let more = match done.failures.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let instance = failed_instance(app, done);
        let text = match (reason, instance) {
            (Some(reason), Some(number)) if reason.is_by_others() => {
                format!("{app}@{number} {}", reason.text)
            }
            (Some(reason), Some(number)) => match ended_later(app, done, number) {
                Some(lost) => format!("{app}@{number} {lost}: it {}", reason.text),
                None if reason.is_whole() => format!("{app}@{number} {}", reason.text),
                None => format!("{app}@{number} failed to start: it {}", reason.text),
            },
            _ if matches!(why, UnitFailure::Rollout(_)) => why.to_string(),
            _ => format!("{app}: {unit} {why}{more}"),
        };
        return Verdict { text, good: false, look_at: instance };
    }
    if done.left_out > 0 {
        let text = format!("{app}: interrupted; the same command goes on from here");
        return Verdict { text, good: false, look_at: None };
    }
    match &done.rollout {
        None | Some(Outcome::Complete) => {
            Verdict { text: format!("{app}: done"), good: true, look_at: None }
        }
        Some(outcome) => {
            let (text, look_at) = bad_outcome(app, outcome, reason);
            Verdict { text, good: false, look_at }
        }
    }
}

/// What an instance did wrong, and why.
fn failure(app: &AppName, failure: &Failure, reason: Option<&Reason>) -> String {
    let Failure { instance, why } = failure;
    let start = matches!(
        why,
        Why::Job(
            JobResult::Failed
                | JobResult::Timeout
                | JobResult::Skipped
                | JobResult::Refused(_)
                | JobResult::Other(_)
        ) | Why::StartTimeout
    );
    match reason {
        // It was stopped since: what is known of its end is no reason.
        _ if matches!(why, Why::NotListening(_)) => format!("{app}@{instance} {why}"),
        Some(reason) if reason.is_by_others() || start && reason.is_whole() => {
            format!("{app}@{instance} {}", reason.text)
        }
        Some(reason) => format!("{app}@{instance} {why}: it {}", reason.text),
        None => format!("{app}@{instance} {why}"),
    }
}

fn bad_outcome(app: &AppName, outcome: &Outcome, reason: Option<&Reason>) -> (String, Option<u32>) {
    let of = |why: &Failure| failure(app, why, reason);
    match outcome {
        Outcome::Complete => (format!("{app}: done"), None),
        Outcome::Forced { because, unready } => {
            let text = format!("{}; restarted by force, {} not ready", of(because), unready.len());
            (text, Some(because.instance))
        }
        Outcome::Failed { because, then, left } => {
            let then = then.as_ref().map_or(String::new(), |then| format!("; {then}"));
            let text = format!("{}{then}; {}", of(because), what_runs(left));
            (text, Some(because.instance))
        }
        Outcome::RolledBack { because, down } => {
            let text = match &down[..] {
                [] => format!("{}; the former definition runs everywhere again", of(because)),
                down => format!(
                    "{}; the former definition is in force again, and {} not run: clusterctl start {app}",
                    of(because),
                    match down {
                        [one] => format!("@{one} does"),
                        more => format!("{} do", numbered(more)),
                    }
                ),
            };
            (text, Some(because.instance))
        }
        Outcome::Interrupted { because, left } => {
            let because =
                because.as_ref().map_or(String::new(), |why| format!(" after {}", of(why)));
            let again = "the same command goes on from here";
            (format!("{app}: interrupted{because}; {}; {again}", what_runs(left)), None)
        }
    }
}

fn numbered(instances: &[u32]) -> String {
    instances.iter().map(|number| format!("@{number}")).collect::<Vec<_>>().join(" ")
}

fn what_runs(left: &Left) -> String {
    let mut parts = Vec::new();
    for (what, numbers) in [
        ("old", &left.old),
        ("new", &left.new),
        ("extra", &left.surge),
        ("not ready", &left.unready),
    ] {
        if !numbers.is_empty() {
            parts.push(format!("{what}: {}", numbered(numbers)));
        }
    }
    if parts.is_empty() { "nothing runs".to_owned() } else { format!("now {}", parts.join(", ")) }
}
