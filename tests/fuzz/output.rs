//! Every text from outside through everything that prints: no command reaches a terminal, and no line
//! is added.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;
use std::time::UNIX_EPOCH;

use clusterctl::cli::Ui;
use clusterctl::disk::{Definition, FoundApp, HistoryEntry, Ids};
use clusterctl::ecosystem::{AppName, Remark, Role};
use clusterctl::ops::{
    AskedAddress, Description, Done, Event, ListenerState, Row, Status, Story, UnitFact, UnitFacts,
    UnitFailure,
};
use clusterctl::plan::doctor::{Finding, FindingSeverity};
use clusterctl::plan::reason::FailureReason;
use clusterctl::plan::{
    Action, AppPlan, ChangeKind, FileChange, FileId, Note, ObservedFile, OwnedUnits, Plan, Step,
    StepReason,
};
use clusterctl::report::history::HealthNote;
use clusterctl::report::list::ListView;
use clusterctl::report::logs::LineForm;
use clusterctl::report::{self, AppVerdict, Style};
use clusterctl::rollout::{Failure, InstanceFault, Outcome, RolloutJobResult, StillRunning};
use clusterctl::systemd::{Author, JournalEntry as OutputLine};
use proptest::prelude::*;

use crate::hosts;
use crate::whole::{audited, metrics};

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

pub fn row(text: &str) -> Row {
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
        connections: Some(3),
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
        no_door: Some(own()),
        balance: Some(own()),
        drained_by: own(),
        readiness: own(),
        clients: Some(own()),
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
        unhealthy: vec![(0, own())],
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

fn health_note(text: &str) -> HealthNote {
    HealthNote { time: 0, app: text.into(), why: text.into() }
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

/// The list that programs of PM2 read, of an app whose units are hostile.
fn jlist(text: &str) -> serde_json::Value {
    let mut units = OwnedUnits::default();
    let template = format!("[Service]\nWorkingDirectory={text}\nRestart={text}\n");
    let group = format!("[X-Clusterctl]\nApp=api\nProgram={text}\nScript={text}\n");
    for (name, text) in [(app().template_unit(), template), (app().group_unit(), group)] {
        units.insert(name, ObservedFile { text, modified: 0 });
    }
    let found = FoundApp { units, namespace: text.into(), ..FoundApp::default() };
    report::jlist::json(&[row(text)], &[(app(), found)].into(), &Ids::default(), UNIX_EPOCH)
}

/// Every way in which a start or a rollout fails with words from outside.
fn verdicts(text: &str) -> Vec<(AppVerdict, Story)> {
    let own = || text.to_owned();
    let reason = FailureReason { text: own(), next: None };
    let story = Story { reason: Some(reason), lines: vec![own()], files: vec![text.into()] };
    let faults = [
        InstanceFault::Job(RolloutJobResult::Refused(own())),
        InstanceFault::Job(RolloutJobResult::Other(own())),
        InstanceFault::Job(RolloutJobResult::Failed),
        InstanceFault::NotListening(own()),
        InstanceFault::Died,
    ];
    let rolled = faults.iter().map(|why| {
        let because = Failure { instance: 0, why: why.clone() };
        let left = StillRunning::default();
        let outcome = Outcome::Failed { because, then: None, left };
        Done { rollout: Some(outcome), ..Done::default() }
    });
    let units = faults.iter().map(|why| UnitFailure::Start(why.clone()));
    let failures = units.chain([UnitFailure::Job(own()), UnitFailure::Rollout(own())]);
    let failed = failures.map(|why| {
        let failures = vec![(app().instance_unit(0), why)];
        Done { failures, ..Done::default() }
    });
    let all = rolled.chain(failed).collect::<Vec<_>>();
    let told = |done: &Done, reason: Option<&FailureReason>| {
        (report::verdict::verdict(&app(), done, reason), story.clone())
    };
    all.iter().flat_map(|done| [told(done, None), told(done, story.reason.as_ref())]).collect()
}

/// What was written to a terminal.
#[derive(Clone, Default)]
struct Sheet(Rc<RefCell<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What the terminal gets of verdicts, and of metrics, which are data.
fn on_a_terminal(text: &str, style: &Style) -> String {
    let sheet = Sheet::default();
    let mut ui = Ui::over(Box::new(sheet.clone()), Box::new(sheet.clone()));
    (ui.out, ui.err) = (*style, *style);
    for (verdict, story) in verdicts(text) {
        ui.verdict(&app(), &verdict, &story);
    }
    ui.data(&report::metrics::text(&[metrics(text)], UNIX_EPOCH)).unwrap();
    drop(ui);
    String::from_utf8(sheet.0.take()).unwrap()
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
    let mut all = vec![
        ("list", report::list::text(&[row(text)], &ListView::default(), style)),
        ("describe", report::describe::text(&description(text), style)),
        ("history", report::history::text(&[history(text)], &[health_note(text)], 1, style)),
        ("plan", report::plan::text(&plan(text), style)),
        ("doctor", report::doctor::text(&[finding], style)),
        ("audit", report::audit::text(&audited(text), style)),
        ("logs", report::logs::line(&line(text), &LineForm::default(), style)),
        ("events", events.join("\n")),
        ("metrics", report::metrics::text(&[metrics(text)], UNIX_EPOCH)),
        ("terminal", on_a_terminal(text, style)),
    ];
    all.extend(hosts::printed(text, style));
    all
}

fn data(text: &str) -> Vec<(&'static str, serde_json::Value)> {
    let mut all = vec![
        ("list", report::list::json(&[row(text)], &ListView::default())),
        ("describe", serde_json::to_value(description(text)).unwrap()),
        ("history", report::history::json(&[history(text)], &[health_note(text)])),
        ("plan", report::plan::json(&plan(text))),
        ("logs", report::logs::json(&line(text))),
        ("jlist", jlist(text)),
    ];
    all.extend(verdicts(text).iter().flat_map(|(verdict, story)| {
        report::verdict::ended(&app(), verdict, story).into_iter().map(|value| ("verdict", value))
    }));
    all.extend(hosts::data(text));
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
