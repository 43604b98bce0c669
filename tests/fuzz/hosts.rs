//! What hosts of a fleet say, and what deployments do, through what prints it.

use clusterctl::fleet::{Facts, NoAnswer, Refusal};
use clusterctl::ops::DeployEvent;
use clusterctl::report::{self, Style, fleet::HostRows};
use serde_json::{Value, json};

/// An answer to `list` in which every value is hostile, also where a number belongs.
fn listed(text: &str) -> Value {
    let row = json!({
        "app": text, "instance": text, "status": text, "pid": text, "restarts": text, "cpu_percent": 1.5,
        "memory_bytes": 7, "listeners": [text, text], "uptime_seconds": text, "rollout": text, text: text,
    });
    json!({"instances": [row], "apps": {text: {"version": text, "outdated": [text]}}})
}

/// Events of a command there, whatever they are about.
fn events(text: &str) -> Vec<Value> {
    let kinds = [
        "progress",
        "rollout",
        "unit",
        "waiting",
        "restore",
        "release",
        "hook",
        "output",
        "not-ready",
        "log",
        "done",
    ];
    let event = |kind: &&str| {
        json!({
            "event": kind, "app": text, "stage": text, "change": text, "instance": text, "verb": text,
            "unit": text, "status": text, "release": text, "hook": text, "line": text, "text": text,
            "next": text, "success": false, "instances": [{"state": text}],
        })
    };
    kinds.iter().map(event).collect()
}

fn deployments(text: &str) -> Vec<DeployEvent> {
    let (own, id) = (|| text.to_owned(), "20261130-044512-0123456789ab".to_owned());
    vec![
        DeployEvent::Waiting { command: own() },
        DeployEvent::Making {
            id: id.clone(),
            folder: text.into(),
            from: own(),
            files: 1,
            bytes: 1,
        },
        DeployEvent::Known { id: id.clone(), folder: text.into() },
        DeployEvent::Hook { key: "build", line: own() },
        DeployEvent::Said { key: "build", text: own() },
        DeployEvent::Current { link: text.into(), id },
    ]
}

/// All of it as text.
pub fn printed(text: &str, style: &Style) -> Vec<(&'static str, String)> {
    let refusal = Refusal::Newer { version: text.into(), format: 9 };
    let facts = Facts {
        host: text,
        begun: false,
        noise: &[],
        said: text,
        code: Some(1),
        silent: false,
        dropped: 0,
    };
    let hosts = [NoAnswer::of(facts), NoAnswer::refused(text, &refusal)].map(|no_answer| {
        HostRows { host: text.into(), list: Some(listed(text)), why: Some(no_answer.why) }
    });
    let lost = HostRows { list: None, ..hosts[0].clone() };
    let all = [hosts.to_vec(), vec![lost]].concat();
    let events = events(text);
    let lines = |found: Vec<String>| found.join("\n");
    // A text of several lines is one there as well.
    let flat = text.replace('\n', "x");
    let told = [(flat.clone(), flat.clone()), (text.to_owned(), flat.clone())];
    vec![
        ("apps of hosts", report::fleet::apps(&all, style)),
        ("instances of hosts", report::fleet::instances(&all, style)),
        ("alike", report::fleet::alike(&told, style)),
        ("section", report::fleet::section(text, &flat, style)),
        ("at work", lines(events.iter().filter_map(report::fleet::at_work).collect())),
        ("ended", report::fleet::ended(&events, false)),
        ("evidence", lines(report::fleet::evidence(&events))),
        ("order", report::fleet::order(&[vec![text, text]], style)),
        (
            "deploy",
            lines(
                deployments(text)
                    .iter()
                    .map(|one| report::deploy::line(one, false, style))
                    .collect(),
            ),
        ),
    ]
}

/// All of it as data.
pub fn data(text: &str) -> Vec<(&'static str, Value)> {
    let hosts = clusterctl::fleet::rows(text, &listed(text)).into_iter().map(|row| ("rows", row));
    let deployed = deployments(text).into_iter();
    hosts
        .chain(deployed.filter_map(|one| Some(("deploy", report::deploy::json(&one, true)?))))
        .collect()
}
