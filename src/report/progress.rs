//! Events as lines: plain sentences, or JSON lines.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Paint, Style, printable};
use crate::ecosystem::AppName;
use crate::ops::Event;
use crate::rollout::{InstanceFault, InstancePhase, Instruction, Progress, Stage, Time};

/// One line for an event, if it is worth one. Listeners and groups are told of in full only.
pub fn line(event: &Event, full: bool, style: &Style) -> Option<String> {
    match event {
        Event::Waiting { app, command } => {
            let command = match command.as_str() {
                "" => "another clusterctl".to_owned(),
                command => printable(command),
            };
            let app = app.as_ref().map_or_else(String::new, |app| format!("{app}: "));
            Some(format!("{app}waiting for {command}"))
        }
        Event::Planned { .. } | Event::Written(_) => None,
        Event::Reloaded | Event::Progress { .. } => None,
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
        Event::Unit { app, unit, verb, failure: None } => {
            let instance = app.instance_of(unit);
            if instance.is_none() && !full {
                return None;
            }
            let done = match *verb {
                "start" => "started",
                "stop" => "stopped",
                "restart" => "restarted",
                "reload" => "reloaded",
                other => other,
            };
            let what =
                instance.map_or_else(|| unit.to_string(), |number| format!("{app}@{number}"));
            Some(format!("  {} {what} {done}", style.paint(Paint::Good, "✓")))
        }
        Event::Unit { unit, verb, failure: Some(why), .. } => {
            let why = printable(&why.to_string());
            Some(format!("  {} {unit}: {verb}: {why}", style.paint(Paint::Bad, "✗")))
        }
        Event::Rollout { app, command } => match command {
            Instruction::Submit { instance, change, reason, .. } => {
                let why = style.paint(Paint::Dim, &printable(&format!("({reason})")));
                Some(format!("  {change} {app}@{instance} {why}"))
            }
            Instruction::RestoreDefinition { because } => {
                let mark = style.paint(Paint::Bad, "✗");
                let because = match because.why {
                    // Whether the instance died or somebody stopped it, the journal tells a moment later.
                    InstanceFault::Died | InstanceFault::DiedLater => {
                        format!("instance {} did not stay ready", because.instance)
                    }
                    _ => printable(&because.to_string()),
                };
                Some(format!("{mark} {app}: {because}: putting the former definition back"))
            }
            Instruction::Look { .. } | Instruction::Unpin { .. } => None,
        },
    }
}

/// An event as JSON, one object a line; `None` for events that programs get otherwise or have no use for.
pub fn json(event: &Event) -> Option<Value> {
    Some(match event {
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
        Event::Rollout { app, command: Instruction::Submit { instance, change, reason, .. } } => {
            json!({
                "event": "rollout", "app": app.as_str(), "instance": instance,
                "change": change.to_string(), "because": reason.to_string(),
            })
        }
        Event::Rollout { app, command: Instruction::RestoreDefinition { because } } => json!({
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
        // The plan is data of its own, and who is waited for is told to people alone.
        Event::Planned { .. } | Event::Waiting { .. } => return None,
        Event::Rollout {
            command: Instruction::Look { .. } | Instruction::Unpin { .. }, ..
        } => {
            return None;
        }
    })
}

/// Instances of more than this many are counted, not listed.
const LISTED: usize = crate::limits::INSTANCES_LISTED;

/// How a rollout stands, a few lines for a terminal.
pub fn live(app: &AppName, at: Time, progress: &Progress, style: &Style) -> String {
    let seconds = |time: Duration| format!("{:.1}s", time.as_secs_f64());
    let stage = style.paint(Paint::Bold, &format!("{app}: {}", stage(progress)));
    let mut text = format!("{stage} {}\n", style.paint(Paint::Dim, &seconds(at.0)));
    let there: Vec<_> =
        progress.instances.iter().filter(|i| i.phase != InstancePhase::Gone).collect();
    if there.len() > LISTED {
        let _ = writeln!(text, "  {}", counted(progress));
        return text;
    }
    for one in there {
        let since = style.paint(Paint::Dim, &seconds(at.since(one.since)));
        let paint = match one.phase {
            InstancePhase::Done => Paint::Good,
            InstancePhase::Failed => Paint::Bad,
            InstancePhase::Old | InstancePhase::Down | InstancePhase::Gone => Paint::Dim,
            InstancePhase::Draining
            | InstancePhase::Starting
            | InstancePhase::Settling
            | InstancePhase::Recovering => Paint::Warn,
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
        InstancePhase::Done,
        InstancePhase::Settling,
        InstancePhase::Starting,
        InstancePhase::Draining,
        InstancePhase::Recovering,
        InstancePhase::Failed,
        InstancePhase::Down,
        InstancePhase::Old,
    ] {
        let found: Vec<u32> =
            progress.instances.iter().filter(|i| i.phase == wanted).map(|i| i.instance).collect();
        if found.is_empty() {
            continue;
        }
        let mut part = format!("{} {}", found.len(), phase(wanted));
        if !matches!(wanted, InstancePhase::Done | InstancePhase::Old) {
            part.extend(found.iter().take(LISTED).map(|number| format!(" @{number}")));
        }
        parts.push(part);
    }
    if parts.is_empty() { "nothing runs".to_owned() } else { parts.join(", ") }
}

fn phase(phase: InstancePhase) -> &'static str {
    match phase {
        InstancePhase::Old => "old",
        InstancePhase::Down => "down",
        InstancePhase::Draining => "draining",
        InstancePhase::Starting => "starting",
        InstancePhase::Settling => "ready",
        InstancePhase::Recovering => "recovering",
        InstancePhase::Done => "done",
        InstancePhase::Failed => "failed",
        InstancePhase::Gone => "gone",
    }
}
