//! Facts about an instance that failed → what users read.
#![allow(clippy::unwrap_used, missing_docs)]

use clusterctl::ecosystem::{ListenAddress, Protocol, Scope};
use clusterctl::plan::reason::{
    Evidence, HeldAddress, InstanceSight, ProcessEnd, SeenProcess, excerpt, naming, port_in_use,
    reason,
};

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn tcp(socket: &str) -> ListenAddress {
    ListenAddress::inet(Protocol::Stream, socket.parse().unwrap())
}

fn said(result: &str, change: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = Evidence { result: result.to_owned(), ..Evidence::default() };
    change(&mut evidence);
    let reason = reason("kk@0.service", Scope::System, &evidence).unwrap();
    match reason.next {
        Some(next) => format!("{}\n  next: {next}", reason.text),
        None => reason.text,
    }
}

/// What a unit with `health` writes, among lines of the program.
const UNFIT: &str = "Error: retrying
error: kk@0 did not pass its health check: 503 Service Unavailable: no database
bye";

/// One line per kind of failure: what users read.
#[test]
fn every_kind_of_failure_has_its_words() {
    let process = |pid, listens: &[&str], waits: Option<&str>| SeenProcess {
        pid,
        name: "node".to_owned(),
        listens: listens.iter().map(|socket| tcp(socket)).collect(),
        waits: waits.map(str::to_owned),
    };
    let late = |processes: Vec<SeenProcess>| {
        move |e: &mut Evidence| {
            e.listeners = vec![tcp("[::]:8080")];
            e.sight = Some(InstanceSight { processes, ..InstanceSight::default() });
        }
    };
    let ended = |end| move |e: &mut Evidence| e.end = Some(end);
    let all = [
        said("exit-code", ended(ProcessEnd::Code(7))),
        said("exit-code", |e| {
            ended(ProcessEnd::Code(1))(e);
            e.lines = lines("Error: no such database\n    at app.js:3:1");
        }),
        said("exit-code", |e| {
            ended(ProcessEnd::Code(1))(e);
            e.was_ready = true;
        }),
        said("exit-code", |e| {
            // The manager stops the program, whose own lines are not why.
            ended(ProcessEnd::Signal(15))(e);
            e.after_start_failed = true;
            e.lines = lines(UNFIT);
        }),
        said("exit-code", ended(ProcessEnd::Code(203))),
        said("exit-code", |e| {
            ended(ProcessEnd::Code(203))(e);
            e.missing = Some("/usr/local/bin/pyx".to_owned());
        }),
        said("exit-code", ended(ProcessEnd::Code(217))),
        said("signal", ended(ProcessEnd::Signal(9))),
        said("signal", ended(ProcessEnd::Signal(40))),
        said("core-dump", ended(ProcessEnd::Signal(11))),
        said("oom-kill", ended(ProcessEnd::Signal(9))),
        said("watchdog", ended(ProcessEnd::Signal(6))),
        said("protocol", ended(ProcessEnd::Code(0))),
        said("protocol", |_| {}),
        said("resources", |_| {}),
        said("exec-condition", |e| e.gave_up = true),
        said("start-limit-hit", |_| {}),
        said("something-new", |_| {}),
        said("assert", |e| e.missing = Some("/srv/kk".to_owned())),
        said("assert", |e| {
            e.missing = Some("/srv/kk/releases/20261130-044512-0123456789ab".to_owned());
            e.release = Some("20261130-044512-0123456789ab".to_owned());
        }),
        said("exit-code", |e| {
            ended(ProcessEnd::Code(1))(e);
            e.held = Some(HeldAddress { port: 3700, by: "kk@1".to_owned(), sibling: true });
        }),
        said("exit-code", |e| {
            ended(ProcessEnd::Code(1))(e);
            let by = "`nginx` (pid 812)".to_owned();
            e.held = Some(HeldAddress { port: 80, by, sibling: false });
        }),
        said("", |e| e.masked = true),
        said("timeout", |_| {}),
        said("timeout", |e| e.was_ready = true),
        said("timeout", late(vec![process(5, &["127.0.0.1:37651"], None)])),
        said("timeout", late(vec![process(5, &[], None), process(326, &["0.0.0.0:80"], None)])),
        said("timeout", late(vec![process(5, &[], Some("in connect() to 127.0.0.1:5432"))])),
        said("timeout", late(vec![process(5, &[], None)])),
        said("timeout", late(Vec::new())),
        said("timeout", |e| {
            late(vec![process(5, &[], None)])(e);
            e.lines = lines("the input device is not a TTY");
        }),
        said("timeout", |e| {
            late(vec![process(5, &[], None)])(e);
            e.listeners.clear();
        }),
    ];
    is_golden(&(all.join("\n") + "\n"));
}

fn is_golden(actual: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/reasons");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{} differs:\n{actual}", path.display());
}

#[test]
fn a_run_that_went_well_has_no_reason() {
    assert_eq!(reason("kk@0.service", Scope::System, &Evidence::default()), None);
}

fn names(text: &str, expected: &str) {
    assert_eq!(naming(&lines(text)), Some(expected), "{text}");
}

#[test]
fn the_line_that_names_the_error_is_found() {
    names(
        "node:internal/modules/cjs/loader:1143\n  throw err;\n  ^\n\nError: Cannot find module 'x'\n\
         Require stack:\n- /srv/app.js\n    at Module._resolveFilename (node:internal:1140:15)\n\
         Node.js v18.19.0",
        "Error: Cannot find module 'x'",
    );
    names(
        "/srv/a.js:1\nlet x = ;\n        ^\n\nSyntaxError: Unexpected token ';'\n    at wrapSafe (x)",
        "SyntaxError: Unexpected token ';'",
    );
    names(
        "Traceback (most recent call last):\n  File \"app.py\", line 1, in <module>\n    import nope\n\
         ModuleNotFoundError: No module named 'nope'",
        "ModuleNotFoundError: No module named 'nope'",
    );
    names(
        "app.rb:3:in `x': undefined method `y' for nil (NoMethodError)\n\tfrom app.rb:5:in `<main>'",
        "app.rb:3:in `x': undefined method `y' for nil (NoMethodError)",
    );
    names(
        "Exception in thread \"main\" java.net.BindException: Address already in use\n\tat x.y(Z.java:1)",
        "Exception in thread \"main\" java.net.BindException: Address already in use",
    );
    names(
        "2026/11/28 12:00:00 starting\npanic: runtime error: index out of range\n\ngoroutine 1 [running]:",
        "panic: runtime error: index out of range",
    );
    names(
        "thread 'main' panicked at src/main.rs:3:5:\nboom\nnote: run with RUST_BACKTRACE=1",
        "thread 'main' panicked at src/main.rs:3:5:",
    );
    names(
        "PHP Fatal error:  Uncaught Error: Call to undefined function x() in /srv/a.php:3",
        "PHP Fatal error:  Uncaught Error: Call to undefined function x() in /srv/a.php:3",
    );
    names(
        "starting\nnginx: [emerg] open() failed (2: No such file)\nbye",
        "nginx: [emerg] open() failed (2: No such file)",
    );
    assert_eq!(naming(&lines("hello\nworld")), None);
    // A stack trace alone names no error.
    assert_eq!(naming(&lines("    at failed (x.js:1)\n    at error (y.js:2)")), None);
}

#[test]
fn an_excerpt_begins_with_what_matters() {
    let frames = (0..30).map(|n| format!("    at f{n} (app.js:{n})"));
    let mut all =
        lines("clusterctl: the program binds 0.0.0.0:80\nstarting\nTypeError: x is not a function");
    all.extend(frames);
    let shown = excerpt(&all, 6);
    assert_eq!(shown[0], "clusterctl: the program binds 0.0.0.0:80");
    assert_eq!(shown[1], "TypeError: x is not a function");
    assert_eq!(shown[5], "    at f29 (app.js:29)");
    assert_eq!(shown.len(), 6);
    assert_eq!(excerpt(&lines("a\nb"), 10), ["a", "b"]);
    assert_eq!(excerpt(&[], 10), Vec::<String>::new());
    // Many lines of ours leave room for the program's.
    let ours = vec!["clusterctl: again".to_owned(); 50];
    let shown = excerpt(&[ours, lines("the end")].concat(), 4);
    assert_eq!(shown, ["clusterctl: again", "clusterctl: again", "clusterctl: again", "the end"]);
}

#[test]
fn ports_in_use_are_read() {
    let port = |line: &str| port_in_use(&lines(line));
    assert_eq!(port("Error: listen EADDRINUSE: address already in use :::3700"), Some(Some(3700)));
    assert_eq!(port("listen tcp :8080: bind: address already in use"), Some(Some(8080)));
    assert_eq!(port("listen tcp 127.0.0.1:8080: bind: address already in use"), Some(Some(8080)));
    assert_eq!(
        port(
            "ERROR: [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): address already in use"
        ),
        Some(Some(8000))
    );
    assert_eq!(port("OSError: [Errno 98] Address already in use"), Some(None));
    assert_eq!(port("Port 3000 is already in use"), Some(Some(3000)));
    assert_eq!(port("[::]:9000 Address already in use"), Some(Some(9000)));
    assert_eq!(port("all is well on port 3000"), None);
}

/// The try that failed is looked at until its end, and the next one has begun by then.
#[test]
fn what_a_try_has_come_to_tells_more_than_how_the_next_one_begins() {
    let sight = |age, listens: &[&str]| InstanceSight {
        processes: vec![SeenProcess {
            listens: listens.iter().map(|socket| tcp(socket)).collect(),
            ..SeenProcess::default()
        }],
        age: std::time::Duration::from_millis(age),
    };
    assert!(sight(5800, &[]).tells_more_than(&sight(5000, &[])));
    assert!(!sight(700, &[]).tells_more_than(&sight(5800, &[])));
    assert!(sight(5000, &[]).tells_more_than(&sight(5800, &[])));
    assert!(sight(700, &["127.0.0.1:3001"]).tells_more_than(&sight(5800, &[])));
    assert!(!sight(5800, &[]).tells_more_than(&sight(700, &["127.0.0.1:3001"])));
}
