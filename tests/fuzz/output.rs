//! Every text from outside through everything that prints: no command reaches a terminal, and no line
//! is added.

use std::collections::BTreeMap;

use clusterctl::disk::{Definition, HistoryEntry};
use clusterctl::ecosystem::{AppName, Remark, Role};
use clusterctl::ops::{
    AskedAddress, Audit, Description, Event, ListenerState, Row, Status, UnitFact, UnitFacts,
};
use clusterctl::plan::audit::{Advice, Need};
use clusterctl::plan::doctor::{Finding, FindingSeverity};
use clusterctl::plan::{
    Action, AppPlan, ChangeKind, FileChange, FileId, Note, Plan, Step, StepReason,
};
use clusterctl::report::list::ListView;
use clusterctl::report::logs::LineForm;
use clusterctl::report::{self, Style};
use clusterctl::systemd::{Author, JournalEntry as OutputLine};
use proptest::prelude::*;

const COLOURS: Style = Style { color: true, boxes: true, width: 80 };

/// A program, a user or a file that wants to be obeyed by a terminal.
const HOSTILE: &str = "([a-z ]{0,3}(\x1b\\[2J|\x1b\\]0;t\x07|\x1b\\[32m|\u{9b}1m|\x07|\x08|\r|\n|\x7f|\u{202e}|\u{2028}|é)?){0,5}";

fn app() -> AppName {
    AppName::parse("api").unwrap()
}

fn units(text: &str) -> UnitFacts {
    let (unit, lines) = (text.into(), vec![text.into()]);
    let fact = UnitFact { unit, lines, next: Some(9), next_in_seconds: Some(1) };
    [(Role::Timer, fact)].into_iter().collect()
}

fn row(text: &str) -> Row {
    Row {
        app: "api".into(),
        namespace: text.into(),
        instance: 0,
        unit: text.into(),
        status: Status::Online,
        pid: Some(1),
        uptime_seconds: None,
        restarts: 0,
        cpu_seconds: None,
        cpu_percent: None,
        memory_bytes: None,
        user: text.into(),
        listeners: vec![text.into()],
        binds: BTreeMap::from([(text.into(), 3000)]),
        unheld: None,
        lost: vec![text.into()],
        enabled: true,
        units: units(text),
        rollout: Some(text.into()),
    }
}

fn description(text: &str) -> Description {
    let own = || text.to_owned();
    Description {
        app: "api".into(),
        namespace: own(),
        state: own(),
        boot: true,
        source: Some(own()),
        command: own(),
        cwd: own(),
        user: own(),
        environment_file: Some(own()),
        credentials: vec![own()],
        sandbox: own(),
        handover: own(),
        drained_by: own(),
        readiness: own(),
        settings: vec![(own(), own())],
        listeners: vec![ListenerState {
            name: own(),
            address: own(),
            only_v6: true,
            bind: Some(3000),
            unit: own(),
            state: own(),
        }],
        units: units(text),
        asked: vec![AskedAddress { asks_for: own(), gets: own() }],
        instances: vec![row(text)],
        reasons: BTreeMap::from([(0, own())]),
        stories: BTreeMap::new(),
        log_files: vec![own()],
        outdated: vec![0],
        files: vec![own()],
    }
}

fn history(text: &str) -> HistoryEntry {
    let definition = Definition {
        text: text.into(),
        source: Some(text.into()),
        base: text.into(),
        env: Some(text.into()),
        only: vec![text.into()],
    };
    let (user, verb, changes) = (text.into(), text.into(), vec![text.into()]);
    let files = BTreeMap::from([(text.into(), text.into())]);
    let others = vec![text.into()];
    HistoryEntry { number: 1, time: 0, user, verb, changes, definition, files, others }
}

fn plan(text: &str) -> Plan {
    let note = Note::Remark(Remark::Followed { link: text.into(), to: text.into() });
    let profile = Note::Profile { from: Some(text.into()), to: None };
    let file = FileId::Unit(app().template_unit());
    let (before, after) = (format!("[Unit]\nA={text}\n"), format!("[Unit]\nB={text}\n"));
    let change = ChangeKind::Replace { before, after, keep_time: false };
    let because = StepReason::Changed([text.to_owned()].into());
    let app = AppPlan {
        after: std::collections::BTreeSet::new(),
        app: app(),
        files: vec![FileChange { file, change }],
        links: Vec::new(),
        steps: vec![Step { action: Action::Start([0].into()), because }],
        notes: vec![note, profile],
        wanted: 1,
    };
    Plan { apps: vec![app], gone: Vec::new() }
}

fn line(text: &str) -> OutputLine {
    OutputLine {
        realtime_usec: 1,
        unit: format!("{text}@0.service"),
        author: Author::Unit,
        pid: None,
        priority: 3,
        message: text.replace('\n', "").into_bytes(),
        fields: vec![("MESSAGE".into(), text.as_bytes().to_vec()), (text.into(), vec![0x9b])],
    }
}

fn events(text: &str) -> Vec<Event> {
    let unit = app().instance_unit(0);
    vec![
        Event::UnderWay { app: app(), text: text.into() },
        Event::Warning { app: app(), text: text.into() },
        Event::Unit { app: app(), unit, verb: "start", failure: Some(text.into()) },
    ]
}

fn audited(text: &str) -> Audit {
    let own = || text.to_owned();
    let need = Need { directive: own(), because: own() };
    Audit {
        app: "api".into(),
        sandbox: own(),
        user: own(),
        exposure: None,
        open: vec![own()],
        instances: 1,
        unseen: Some(own()),
        advice: Advice { needs: vec![need], lines: vec![own()], notes: vec![own()] },
    }
}

/// Everything that is printed as text, with the number of lines that it has for a harmless text.
fn printed(text: &str, style: &Style) -> Vec<(&'static str, String)> {
    let finding = Finding {
        severity: FindingSeverity::Problem,
        app: None,
        check: "x",
        text: text.into(),
        mend: Some(text.into()),
    };
    let events: Vec<String> = events(text)
        .iter()
        .filter_map(|event| report::progress::line(event, true, style))
        .collect();
    vec![
        ("list", report::list::text(&[row(text)], &ListView::default(), style)),
        ("describe", report::describe::text(&description(text), style)),
        ("history", report::history::text(&[history(text)], 1, style)),
        ("plan", report::plan::text(&plan(text), style)),
        ("doctor", report::doctor::text(&[finding], style)),
        ("audit", report::audit::text(&audited(text), style)),
        ("logs", report::logs::line(&line(text), &LineForm::default(), style)),
        ("events", events.join("\n")),
    ]
}

fn data(text: &str) -> Vec<(&'static str, serde_json::Value)> {
    let mut all = vec![
        ("list", report::list::json(&[row(text)], &ListView::default())),
        ("describe", serde_json::to_value(description(text)).unwrap()),
        ("history", report::history::json(&[history(text)])),
        ("plan", report::plan::json(&plan(text))),
        ("logs", report::logs::json(&line(text))),
    ];
    all.extend(
        events(text).iter().filter_map(|event| Some(("event", report::progress::json(event)?))),
    );
    all
}

fn is_command(c: char) -> bool {
    c.is_control() && !"\t\n".contains(c) || ('\u{2028}'..='\u{202e}').contains(&c)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_from_outside_is_a_command_to_a_terminal(text in HOSTILE) {
        let harmless: String = text.chars().map(|c| if c.is_control() { 'x' } else { c }).collect();
        for (view, out) in printed(&text, &Style::PLAIN) {
            prop_assert!(!out.contains(is_command), "{view}: {out:?}");
        }
        let (with, without) = (printed(&text, &COLOURS), printed(&harmless, &COLOURS));
        for ((view, out), (_, plain)) in with.iter().zip(&without) {
            // The only escapes are our own colours, and a line feed in the text adds no line.
            prop_assert_eq!(out.matches('\x1b').count(), plain.matches('\x1b').count(), "{}: {:?}", view, out);
            prop_assert_eq!(out.matches('\n').count(), plain.matches('\n').count(), "{}: {:?}", view, out);
        }
        let diff = report::plan::diff(&plan(&text));
        prop_assert!(!diff.contains(is_command), "{diff:?}");
        for (view, value) in data(&text) {
            let out = report::json_line(&value);
            prop_assert!(!out.contains(|c: char| c.is_control() || is_command(c)), "{view}: {out:?}");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap(), value, "{}", view);
        }
    }
}
