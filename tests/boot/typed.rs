//! What a user of PM2 types: ids, signals, counters, log files, and the program's words in `logs`.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, write};
use crate::support::{Machine, wait_until};

fn main_pid(m: &Machine, unit: &str) -> String {
    m.systemctl_show(unit, "MainPID")
}

booted!(ids_are_selectors_for_as_long_as_the_table_stands, |m| {
    applied(m, &ecosystem(3, ""));
    let table = m.ok(["clusterctl", "list"]);
    assert!(table.starts_with("id  name"), "{table}");
    assert_eq!(m.ok(["clusterctl", "id", "shop"]), "[ 0, 1, 2 ]");
    let before = main_pid(m, "shop@1");
    m.ok(["clusterctl", "restart", "1"]);
    assert_ne!(main_pid(m, "shop@1"), before);
    m.ok(["clusterctl", "scale", "shop", "2"]);
    m.ok(["clusterctl", "scale", "shop", "3"]);
    // The instance goes and comes back as another process, and nobody has run `list` in between.
    assert_eq!(m.ok(["clusterctl", "id", "shop"]), "[ 0, 1, 2 ]");
    m.ok(["clusterctl", "scale", "shop", "2"]);
    m.ok(["clusterctl", "list"]);
    m.ok(["clusterctl", "scale", "shop", "3"]);
    m.ok(["clusterctl", "list"]);
    assert_eq!(m.ok(["clusterctl", "id", "shop"]), "[ 0, 1, 3 ]");
    assert_eq!(m.clusterctl(["stop", "2"]).code, 5, "an old table means nobody else");
    m.reboot();
    assert_eq!(m.ok(["clusterctl", "id", "shop@2"]), "[ 3 ]");
    // A user who may not write the file of ids sees those that were given.
    let ada = m.user("ada");
    assert!(ada.ok(["clusterctl", "--system", "list"]).contains("\n3   shop"));
});

const SIGNALLED: &str = "\
process.on('SIGUSR2', () => { console.log('got USR2'); console.error('<3>and an error'); });
require('http').createServer((q, s) => s.end('instance x')).listen(3000);
";

booted!(signals_reach_the_program_and_counters_go_back, |m| {
    write(m, &ecosystem(1, ""));
    m.write("/srv/shop/server.js", SIGNALLED);
    assert_eq!(apply(m).code, 0);
    let pid = main_pid(m, "shop@0");
    let sent = m.clusterctl(["sendSignal", "SIGUSR2", "shop"]);
    assert!(sent.stderr.contains(&format!("shop@0: signal 12 sent to {pid}")), "{sent:#?}");
    wait_until("the line", Duration::from_secs(10), || m.journal("shop@0").contains("got USR2"));
    let variables = m.ok(["clusterctl", "env", "shop@0"]);
    assert!(variables.contains("NODE_APP_INSTANCE=0"), "{variables}");
    m.ok(["clusterctl", "sendSignal", "KILL", "shop@0"]);
    wait_until("the restart", Duration::from_secs(10), || {
        m.systemctl_show("shop@0", "NRestarts") == "1"
            && m.systemctl_show("shop@0", "ActiveState") == "active"
    });
    let restarts = || m.ok(["clusterctl", "jlist"]).contains("\"restart_time\":1");
    assert!(restarts());
    m.ok(["clusterctl", "reset", "shop"]);
    assert!(!restarts());
    assert_eq!(m.systemctl_show("shop@0", "NRestarts"), "0");
    assert_eq!(m.systemctl_show("shop@0", "ActiveState"), "active");
    // systemd's own words only when something went wrong.
    m.ok(["journalctl", "--sync"]);
    let logs = m.ok(["clusterctl", "logs", "shop", "--lines", "all"]);
    assert!(logs.contains("shop@0 | got USR2"), "{logs}");
    assert!(logs.contains("shop@0 ! and an error"), "{logs}");
    assert!(logs.contains("status=9/KILL") && !logs.contains("Started "), "{logs}");
    let logs = m.ok(["clusterctl", "logs", "shop", "--err"]);
    assert_eq!(logs, "shop@0 ! and an error");
    let logs = m.ok(["clusterctl", "logs", "shop", "--out", "--raw"]);
    assert_eq!(logs, "got USR2");
    let logs = m.ok(["clusterctl", "logs", "shop", "--systemd", "--lines", "all"]);
    assert!(logs.contains("shop@0 | Started "), "{logs}");
    let data = m.ok(["clusterctl", "logs", "shop", "--json", "--out"]);
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&data["app"], &data["source"]), (&"shop".into(), &"out".into()));
    assert_eq!(m.ok(["clusterctl", "logs", "--since", "now"]), "");
    assert!(m.ok(["clusterctl", "logs", "--since", "1h"]).contains("got USR2"));
    let dated = m.ok(["clusterctl", "logs", "--out", "--timestamp=YYYY"]);
    assert!(dated.starts_with("20") && dated.ends_with("shop@0 | got USR2"), "{dated}");
});

const TALKER: &str = "\
console.log('out', process.pid); console.error('err', process.pid);
require('http').createServer((q, s) => s.end('instance x')).listen(3000);
";

/// A program that speaks on both streams, marked and not.
const TWO_STREAMS: &str = "\
console.log('plain'); console.error('to stderr'); console.log('<3>marked'); console.error('<6>marked well');
require('http').createServer((q, s) => s.end('instance x')).listen(3000);
";

booted!(the_journal_tells_standard_error_apart, |m| {
    write(m, &ecosystem(1, ""));
    m.write("/srv/shop/server.js", TWO_STREAMS);
    assert_eq!(apply(m).code, 0);
    let lines = |arguments: &[&str]| {
        m.ok(["journalctl", "--sync"]);
        let all = ["clusterctl", "logs", "shop", "--lines", "all", "--raw"];
        let said = m.ok(all.iter().chain(arguments).copied());
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&["--err"]), ["marked", "to stderr"]);
    assert_eq!(lines(&["--out"]), ["marked well", "plain"]);
    let journal = m.ok(["journalctl", "-u", "shop@0", "-p", "err", "-o", "cat", "-t", "shop"]);
    assert!(journal.contains("to stderr"), "the name is the app's: {journal}");
    // Whoever wants both streams to stay together says so.
    applied(m, &ecosystem(1, "service = { SyslogLevel = 'info' }"));
    m.write("/srv/shop/server.js", TWO_STREAMS.replace("plain", "again"));
    m.ok(["clusterctl", "reload", "shop"]);
    wait_until("the line", Duration::from_secs(10), || m.journal("shop@0").contains("again"));
    let errors = m.ok(["clusterctl", "logs", "shop", "--err", "--lines", "1", "--raw"]);
    assert_eq!(errors, "marked");
});

booted!(
    workers_whose_system_calls_are_filtered_are_told_apart_unless_they_may_make_no_socket,
    |m| {
        m.user("ada");
        let program =
            "console.log('plain'); console.error('to stderr'); setInterval(() => {}, 1e9);";
        m.write("/srv/shop/worker.js", program);
        let app = |name: &str, more: &str| {
            format!("[[apps]]\nname = '{name}'\nscript = 'worker.js'\nuser = 'ada'\n{more}\n")
        };
        let closed = app("closed", "service = { SystemCallFilter = '~socket' }");
        m.write("/srv/shop/ecosystem.toml", app("usual", "") + &closed);
        let output = apply(m);
        assert_eq!(output.code, 0, "{output:#?}");
        let lines = |name: &str, stream: &str| {
            m.ok(["journalctl", "--sync"]);
            m.ok(["clusterctl", "logs", name, stream, "--raw"])
        };
        assert_eq!(
            (lines("usual", "--err"), lines("usual", "--out")),
            ("to stderr".into(), "plain".into())
        );
        assert_eq!(lines("closed", "--err"), "");
        assert!(lines("closed", "--out").contains("to stderr"), "it runs, and nothing is lost");
        assert_eq!(m.systemctl_show("closed@0", "NRestarts"), "0");
    }
);

booted!(log_files_are_emptied_and_opened_anew, |m| {
    let files = "out_file = '/srv/logs/out.log'\nerror_file = '/srv/logs/err.log'";
    write(m, &ecosystem(2, files));
    m.ok(["mkdir", "-p", "/srv/logs"]);
    m.write("/srv/shop/server.js", TALKER);
    assert_eq!(apply(m).code, 0);
    wait_until("the lines", Duration::from_secs(10), || {
        m.read("/srv/logs/err.log").lines().count() == 2
    });
    let logs = m.ok(["clusterctl", "logs", "shop"]);
    assert!(logs.contains("shop out.log | out ") && logs.contains("shop err.log ! err "), "{logs}");
    let only = m.ok(["clusterctl", "logs", "shop", "--err"]);
    assert!(only.lines().all(|line| line.starts_with("shop err.log ! err ")), "{only}");
    let flushed = m.clusterctl(["flush"]);
    assert!(flushed.stderr.contains("✓ shop: /srv/logs/out.log emptied"), "{flushed:#?}");
    assert_eq!(m.read("/srv/logs/out.log") + &m.read("/srv/logs/err.log"), "");
    m.ok(["mv", "/srv/logs/out.log", "/srv/logs/out.log.1"]);
    let former = main_pid(m, "shop@0");
    let reopened = m.clusterctl(["reloadLogs"]);
    assert_eq!(reopened.code, 0, "{reopened:#?}");
    assert!(reopened.stderr.contains("✓ shop: 2 replaced in "), "{reopened:#?}");
    assert_ne!(main_pid(m, "shop@0"), former);
    let now = main_pid(m, "shop@0");
    wait_until("the new file", Duration::from_secs(10), || {
        m.exists("/srv/logs/out.log") && m.read("/srv/logs/out.log").contains(&now)
    });
    assert!(!m.read("/srv/logs/out.log.1").contains(&now));
});

booted!(a_reload_ends_with_what_it_did, |m| {
    applied(m, &ecosystem(2, ""));
    let reload = m.clusterctl(["reload", "shop"]);
    let last = reload.stderr.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("✓ shop: 2 replaced in ") && last.ends_with(" s, 0 refused"),
        "{last}"
    );
    let start = m.clusterctl(["start", "shop"]);
    assert!(start.stderr.contains("✓ shop: 2 running already"), "{start:#?}");
});
