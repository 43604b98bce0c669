#![allow(clippy::unwrap_used)]
//! The dashboard by keys and pictures. Pictures are in `frames`; `UPDATE_EXPECT=1` writes them anew.

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::systemd::{Author, JournalEntry};

fn row(app: &str, instance: u32, status: Status) -> Row {
    let online = status == Status::Online;
    Row {
        app: app.into(),
        unit: format!("{app}@{instance}.service"),
        pid: online.then_some(4711 + instance),
        restarts: 2 * instance,
        memory_bytes: online.then_some(44_564_480),
        listeners: vec!["[::]:3000".into()],
        ..crate::report::row(instance, status)
    }
}

/// Two apps in many looks.
fn looked() -> Dashboard {
    let mut dashboard = Dashboard::default();
    for at in 0..30u32 {
        let mut rows = vec![
            row("api", 0, Status::Online),
            row("api", 1, Status::Online),
            row("worker", 0, Status::Errored),
        ];
        rows[0].memory_bytes = Some(u64::from(at + 10) << 21);
        let cpu =
            [("api@0.service", f64::from(at * 3)), ("api@1.service", f64::from(at % 4) * 30.0)];
        let cpu = cpu.map(|(unit, share)| (unit.to_owned(), share)).into();
        dashboard.take(Input::Look(Look { rows, cpu }));
    }
    dashboard
}

fn entry(unit: &str, priority: u8, message: &[u8]) -> JournalEntry {
    JournalEntry {
        realtime_usec: 0,
        unit: unit.into(),
        author: Author::Unit,
        pid: Some(1),
        priority,
        message: message.to_vec(),
        // Without a time, which is the machine's.
        fields: vec![("FILE".into(), b"/x".to_vec())],
    }
}

fn write(dashboard: &mut Dashboard, unit: &str, priority: u8, message: &[u8]) {
    for line in LogLine::of(&entry(unit, priority, message)) {
        dashboard.take(Input::Line(line));
    }
}

/// The same with lines of logs.
fn wrote() -> Dashboard {
    let mut dashboard = looked();
    for number in 0..60 {
        let unit = format!("api@{}.service", number % 2);
        write(&mut dashboard, &unit, 6, format!("GET /orders/{number} 200").as_bytes());
    }
    write(
        &mut dashboard,
        "api@1.service",
        3,
        b"TypeError: x is not a function\n    at f (server.js:3)",
    );
    write(&mut dashboard, "worker@0.service", 6, b"taken from the queue");
    dashboard
}

fn press(dashboard: &mut Dashboard, keys: &str) -> Action {
    let mut action = Action::Draw;
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            '\x1b' => Key::Escape,
            '↓' => Key::Down,
            '↑' => Key::Up,
            c => Key::Char(c),
        };
        action = dashboard.take(Input::Key(key));
    }
    action
}

fn drawn(dashboard: &Dashboard, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(dashboard, true, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y: u16| {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..width {
            let symbol = buffer[(x, y)].symbol();
            // Behind a wide character there is a cell that nobody sees.
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        format!("{}\n", line.trim_end())
    };
    (0..height).map(line).collect()
}

#[track_caller]
fn expect(name: &str, dashboard: &Dashboard) {
    let mut shown = String::new();
    for (width, height) in [(60, 15), (80, 24), (140, 40)] {
        let picture = drawn(dashboard, width, height);
        for line in picture.lines() {
            assert!(unicode_width::UnicodeWidthStr::width(line) <= usize::from(width), "{line}");
            assert!(!line.contains(char::is_control), "{line:?}");
        }
        shown.push_str(&format!("{width} by {height}\n{picture}\n"));
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/monit/frames");
    let path = format!("{folder}/{name}.txt");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == shown, "{path} differs; UPDATE_EXPECT=1 shows how:\n{shown}");
}

#[test]
fn shows_apps_instances_and_logs() {
    expect("usual", &wrote());
    expect("nothing", &Dashboard::default());
    let mut none = Dashboard::default();
    none.take(Input::Look(Look::default()));
    expect("no-app", &none);
}

#[test]
fn shows_rollouts_and_what_was_asked_for() {
    let mut dashboard = wrote();
    let mut rows = dashboard.rows.clone();
    rows[1].rollout = Some("replaced 1 of 2".into());
    dashboard.take(Input::Look(Look { rows, cpu: [].into() }));
    assert_eq!(press(&mut dashboard, "r"), Action::Draw);
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("clusterctl reload api?"), "{shown}");
    let words = ["reload", "api"].map(str::to_owned).to_vec();
    assert_eq!(press(&mut dashboard, "y"), Action::Run(1, words));
    dashboard.take(Input::Said(1, "api@0 \x1b[2Jreplaced".into()));
    expect("rollout", &dashboard);
    assert_eq!(dashboard.under_way(), ["clusterctl reload api"]);
    dashboard.take(Input::Ended(1, 1));
    expect("failed", &dashboard);
    press(&mut dashboard, "o");
    expect("answer", &dashboard);
}

#[test]
fn keys_concern_what_is_chosen() {
    let run = |keys: &str| {
        let mut dashboard = looked();
        let action = press(&mut dashboard, keys);
        match action {
            Action::Run(_, words) => words.join(" "),
            Action::Quit => "quit".to_owned(),
            Action::Draw => "draw".to_owned(),
        }
    };
    assert_eq!(run("ry"), "reload api");
    assert_eq!(run("↓r\n"), "reload api@0");
    assert_eq!(run("↓↓xy"), "stop api@1");
    assert_eq!(run("Guy"), "start worker@0");
    assert_eq!(run("jjjd"), "describe worker");
    assert_eq!(run("s+2\n"), "scale api +2");
    assert_eq!(run("↓s4\n"), "scale api 4");
    assert_eq!(run("q"), "quit");
    // Nothing happens by a slip.
    for slip in ["r", "rn", "rq", "x\x1b", "s\n", "sfour\n", "s--1\n", "s4\x1b", "/q", "fq"] {
        assert_eq!(run(slip), "draw", "{slip}");
    }
    let mut dashboard = looked();
    press(&mut dashboard, "/text");
    assert_eq!(dashboard.take(Input::Key(Key::Interrupt)), Action::Quit);
}

#[test]
fn logs_are_searched_and_filtered() {
    let mut dashboard = wrote();
    press(&mut dashboard, "/orders/40\n");
    expect("search", &dashboard);
    write(&mut dashboard, "api@0.service", 6, b"newer");
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("22 newer below"), "who reads what is above stays there: {shown}");
    press(&mut dashboard, "n");
    assert!(drawn(&dashboard, 80, 24).contains("no other line has orders/40"));
    press(&mut dashboard, "\x1b\x1bftypeerror\n");
    expect("filter", &dashboard);
    press(&mut dashboard, "\x1be");
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("· errors") && !shown.contains("GET"), "{shown}");
    press(&mut dashboard, "e");
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("· output") && !shown.contains("TypeError"), "{shown}");
    press(&mut dashboard, "ea");
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("logs of all") && shown.contains("taken from the queue"), "{shown}");
    press(&mut dashboard, "a↓");
    let shown = drawn(&dashboard, 80, 24);
    assert!(shown.contains("logs of api@0") && !shown.contains("api@1 |"), "{shown}");
}

#[test]
fn long_texts_are_read_by_pages() {
    let mut dashboard = looked();
    assert!(matches!(press(&mut dashboard, "d"), Action::Run(1, _)));
    for line in 0..50 {
        dashboard.take(Input::Said(1, format!("{line} {}", "word ".repeat(30))));
    }
    dashboard.take(Input::Ended(1, 0));
    dashboard.take(Input::Key(Key::PageDown));
    expect("describe", &dashboard);
    press(&mut dashboard, "q");
    assert!(drawn(&dashboard, 80, 24).contains("2 of 3 online"), "q closes what is read first");
    press(&mut dashboard, "?");
    expect("keys", &dashboard);
}

#[test]
fn what_is_chosen_stays_while_it_is_there() {
    let mut dashboard = looked();
    press(&mut dashboard, "↓↓");
    let rows = vec![row("aaa", 0, Status::Online), row("api", 0, Status::Online)];
    dashboard.take(Input::Look(Look { rows: rows.clone(), cpu: [].into() }));
    assert_eq!(dashboard.chosen.as_ref().unwrap().selector(), "api");
    dashboard.take(Input::Look(Look { rows: rows[..1].to_vec(), cpu: [].into() }));
    assert_eq!(dashboard.chosen.as_ref().unwrap().selector(), "aaa");
    dashboard.take(Input::Look(Look::default()));
    assert_eq!(dashboard.chosen, None);
    assert_eq!(press(&mut dashboard, "rsxd↓\tG"), Action::Draw);
}

#[test]
fn nothing_from_outside_commands_the_terminal() {
    let mut dashboard = looked();
    let hostile = "\x1b[2J\x1b]0;x\x07\u{9b}31m\r\u{202e}\t\u{5e97}e\u{301}";
    let mut rows = dashboard.rows.clone();
    rows[0].rollout = Some(hostile.into());
    rows[0].listeners = vec![hostile.into()];
    dashboard.take(Input::Look(Look { rows, cpu: [].into() }));
    write(&mut dashboard, "api@0.service", 6, format!("{hostile}\n{hostile}").as_bytes());
    write(&mut dashboard, "api@0.service", 3, b"\xff\xfe\x1b[31m");
    dashboard.take(Input::Blind(hostile.into()));
    dashboard.take(Input::Deaf(hostile.into()));
    expect("hostile", &dashboard);
    assert!(matches!(press(&mut dashboard, "d"), Action::Run(..)));
    dashboard.take(Input::Said(1, hostile.into()));
    dashboard.take(Input::Ended(1, 0));
    assert!(!drawn(&dashboard, 80, 24).contains(|c: char| c.is_control() && c != '\n'));
}

#[test]
fn fits_any_window() {
    let mut dashboard = wrote();
    for mode in ["", "w", "w?", "\x1b/x", "\x1br"] {
        press(&mut dashboard, mode);
        for (width, height) in [(1, 1), (20, 5), (50, 10), (51, 11), (72, 20), (300, 100)] {
            drawn(&dashboard, width, height);
        }
        for width in (50..200).step_by(7) {
            let shown = drawn(&dashboard, width, 20);
            let bad = shown
                .lines()
                .find(|line| unicode_width::UnicodeWidthStr::width(*line) > usize::from(width));
            assert_eq!(bad, None);
        }
    }
}

#[test]
fn memory_for_lines_has_a_bound() {
    let mut dashboard = looked();
    write(&mut dashboard, "api@0.service", 6, "x".repeat(1 << 20).as_bytes());
    let longest = dashboard.logs.newest_first(None).map(|line| line.text.len()).max();
    assert_eq!(longest, Some(crate::limits::MONIT_LINE));
    for _ in 0..=crate::limits::MONIT_LINES {
        write(&mut dashboard, "api@0.service", 6, b"x");
    }
    assert_eq!(dashboard.logs.newest_first(None).count(), crate::limits::MONIT_LINES);
}
