//! Measurements that take turns: those of the script inside the machine, what clients see, and boots. Each comes as
//! rows; what is good is in their goals.

use std::collections::BTreeMap;
use std::path::Path;

use crate::FAST;
use crate::rows::{Goal, Row};
use crate::support::Machine;
use crate::support::load::{Kind, Load, Tally};

/// What a command of the measuring script may take in seconds: a thousand instances, one after the other.
const PATIENCE: &str = "280";

/// What clients see. A program's first requests take longer than all later ones, as Node compiles its code for them: an
/// instance with `health` has answered one before its first client.
const DISTURBANCES: [(&str, &str); 3] = [
    ("reload", "a reload of 4"),
    ("checked", "a reload of 4 with health"),
    ("crash", "a crash of 1 of 4"),
];

/// On what the numbers were measured.
pub fn about(m: &Machine, pm2: &str, ox: &str) -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let ox = if ox.is_empty() { String::new() } else { m.ok_sh(&format!("{ox} --version")) };
    format!(
        "{} CPUs, {}, Node {}, PM2 {}{}{ox}; load before: {}. Median (least–greatest) of rounds that alternate.",
        m.ok(["nproc"]),
        m.ok_sh("systemctl --version | head -n 1 | cut -d' ' -f1,2"),
        m.ok(["node", "--version"]),
        m.ok_sh(&format!("{pm2} --version | tail -n 1")),
        if ox.is_empty() { "" } else { ", " },
        load.split(' ').next().unwrap_or_default(),
    )
}

/// The program that `OXMGR` names, inside the machine; empty without.
pub fn oxmgr(m: &Machine) -> String {
    let Some(program) = std::env::var_os("OXMGR") else { return String::new() };
    m.copy(Path::new(&program), "/usr/local/bin/oxmgr");
    "/usr/local/bin/oxmgr".to_owned()
}

/// The lines that the measuring script prints.
pub fn measured(m: &Machine, arguments: &[&str], pm2: &str, ox: &str) -> Vec<String> {
    eprintln!("… {}", arguments.join(" "));
    m.write("/srv/measure.py", include_str!("measure.py"));
    let words = ["timeout", PATIENCE, "python3", "/srv/measure.py"];
    let mut command = m.command(words.iter().chain(arguments));
    let output = command.env("PM2", pm2).env("OXMGR", ox).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    let said = text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {lines:?} {said}");
    lines
}

pub fn row(text: &str) -> Row {
    let row: Row = serde_json::from_str(text).unwrap();
    eprintln!("{}", row.line());
    row
}

fn row_of(what: &str, unit: &str, goal: Option<Goal>, values: &[(&str, Vec<f64>)]) -> Row {
    let values = values.iter().map(|(who, all)| ((*who).to_owned(), all.clone())).collect();
    let row = Row { what: what.to_owned(), unit: unit.to_owned(), goal, values };
    eprintln!("{}", row.line());
    row
}

/// What clients see of a reload and of a crash of one of four: the worse of new and of kept connections.
pub fn latency(m: &Machine, pm2: &str) -> Vec<Row> {
    m.write("/srv/server.js", FAST);
    m.write(
        "/srv/fast.toml",
        "[[apps]]\nname = 'fast'\nscript = 'server.js'\ninstances = 4\nlisten = 3000\n\
         [[apps]]\nname = 'checked'\nscript = 'server.js'\ninstances = 4\nlisten = 3001\nhealth = '/'\n\
         env.FAST_PORT = '3001'\n",
    );
    m.ok(["clusterctl", "apply", "/srv/fast.toml"]);
    m.ok_sh(&format!("FAST_PORT=3300 {pm2} start /srv/server.js -i 4"));
    let ours = "systemctl kill -s KILL fast@1";
    let theirs = &format!("kill -9 $({pm2} pid server | head -n 1)");
    let cases = [
        ("clusterctl", "calm", 3000, "true"),
        ("clusterctl", "reload", 3000, "clusterctl reload fast --min-ready 0"),
        ("clusterctl", "crash", 3000, ours),
        ("clusterctl", "checked", 3001, "clusterctl reload checked --min-ready 0"),
        ("PM2", "calm", 3300, "true"),
        ("PM2", "reload", 3300, &format!("{pm2} reload server")),
        ("PM2", "crash", 3300, theirs),
    ];
    let mut seen: BTreeMap<(&str, &str), Vec<[f64; 4]>> = Default::default();
    for _ in 0..5 {
        for (who, what, port, command) in cases {
            seen.entry((who, what)).or_default().push(clients_of(m, port, command));
        }
    }
    m.ok_sh(&format!("{pm2} kill"));
    m.ok(["clusterctl", "delete", "all"]);
    let all = |who, what, place: usize| {
        let runs = seen.get(&(who, what)).into_iter().flatten();
        runs.map(|four| four[place]).collect::<Vec<f64>>()
    };
    let mut rows = Vec::new();
    for (place, name) in [(0, "p50"), (1, "p99"), (2, "longest"), (3, "failed requests")] {
        for (what, of) in DISTURBANCES {
            let goal = match (place, what) {
                (1, _) => Some(Goal { to: Some("without".to_owned()), at_most: 1.5 }),
                (3, "reload" | "checked") => Some(Goal { to: None, at_most: 0.0 }),
                _ => None,
            };
            let values = [
                ("clusterctl", all("clusterctl", what, place)),
                ("PM2", all("PM2", what, place)),
                ("without", all("clusterctl", "calm", place)),
            ];
            let unit = if place == 3 { "requests" } else { "ms" };
            rows.push(row_of(&format!("{name} of clients during {of}"), unit, goal, &values));
        }
    }
    rows
}

/// p50, p99 and the longest in milliseconds, and how many requests failed, while a command runs.
fn clients_of(m: &Machine, port: u16, command: &str) -> [f64; 4] {
    let load = Load::http(&format!("127.0.0.1:{port}")).new_connections(100.0).keep_alive(100.0);
    let mut run = m.load(load.for_seconds(20.0));
    run.wait_flowing();
    m.ok_sh(&format!("sleep 0.5; {command}; sleep 1.5"));
    let report = run.stop();
    let worst = |value: &dyn Fn(&Tally) -> f64| {
        [Kind::New, Kind::KeepAlive]
            .map(|kind| value(report.of(kind)))
            .into_iter()
            .fold(0.0, f64::max)
    };
    [worst(&|t| t.p50), worst(&|t| t.p99), worst(&|t| t.max), report.failed() as f64]
}

/// From the start of the manager until all are up, of what we and of what an administrator has written.
pub fn boots(m: &Machine, pm2: &str, ox: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, what) in [("node", "100 node processes"), ("small", "1000 small instances")] {
        let boot = |who: &str| -> Vec<f64> {
            measured(m, &["booting", who, kind], pm2, ox);
            // Stopping a thousand is another row.
            m.power_cut();
            let lines = measured(m, &["booted", who, kind], pm2, ox);
            lines.iter().filter_map(|line| line.parse().ok()).collect()
        };
        let values = ["clusterctl", "by hand", "guarded by hand"].map(|who| (who, boot(who)));
        let goal = Some(Goal { to: Some("by hand".to_owned()), at_most: 1.15 });
        rows.push(row_of(&format!("boot with {what}"), "s", goal, &values));
    }
    rows
}
