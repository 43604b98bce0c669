//! Speed and size, each as a ratio to a reference that is measured in the same run, on a booted machine.
//!
//! `make bench` installs what it needs, writes the table of docs/benchmarks.md, and ends with 1 when a target is
//! missed. `OXMGR=/path/of/oxmgr` has that program measured as well; `cargo bench --bench bench -- crashes flat`
//! measures these groups alone, and writes nothing.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    dead_code,
    unused_imports,
    missing_docs
)]

mod rows;
#[path = "../tests/support/mod.rs"]
mod support;
mod turns;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rows::Row;
use support::load::Load;
use support::{Machine, Root};
use turns::{about, boots, latency, measured, oxmgr, row};

/// One line of the report.
struct Line {
    what: String,
    measured: String,
    target: String,
    good: bool,
}

fn main() -> ExitCode {
    if support::load::is_client() {
        support::load::run_client();
        return ExitCode::SUCCESS;
    }
    let release = Path::new(env!("CARGO_BIN_EXE_clusterctl"));
    let chosen: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let m = Machine::boot(Root::Host);
    let pm2 = pm2(&m);
    let ox = oxmgr(&m);
    let about = about(&m, &pm2, &ox);
    let lines = if chosen.is_empty() { former(release, &m, &pm2) } else { Vec::new() };
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    let wanted = |group: &&str| chosen.is_empty() || chosen.iter().any(|one| one == group);
    for group in GROUPS.into_iter().filter(|group| wanted(group)) {
        // The rows of the others are worth having.
        match std::panic::catch_unwind(|| rows_of(group, &m, &pm2, &ox)) {
            Ok(found) => rows.extend(found),
            Err(_) => broken.push(group),
        }
    }
    println!("{about}");
    for line in &lines {
        let mark = if line.good { "ok    " } else { "MISSED" };
        println!("{mark} {:<58} {:<34} target {}", line.what, line.measured, line.target);
    }
    rows.iter().for_each(|row| println!("{}", row.line()));
    if chosen.is_empty() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/benchmarks.md");
        rows::publish(&page, &format!("{}\n{}", rows::table(&rows, &about), further(&lines)));
    }
    broken.iter().for_each(|group| println!("MISSED {group} could not be measured to its end"));
    let good = lines.iter().all(|line| line.good) && rows.iter().all(Row::is_good);
    let good = good && broken.is_empty();
    ExitCode::from(u8::from(!good))
}

/// The lines as a second table. Rows of the README are made of it: see tests/docs/numbers.rs.
fn further(lines: &[Line]) -> String {
    let mut text = "| | measured | goal | |\n| --- | --- | --- | --- |\n".to_owned();
    for Line { what, measured, target, good } in lines {
        let met = if *good { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {what} | {measured} | {target} | {met} |");
    }
    text
}

/// The rows of one group.
fn rows_of(group: &str, m: &Machine, pm2: &str, ox: &str) -> Vec<Row> {
    match group {
        "latency" => latency(m, pm2),
        "boots" => boots(m, pm2, ox),
        group => measured(m, &[group], pm2, ox).iter().map(|text| row(text)).collect(),
    }
}

/// Sizes, what the handover costs, throughput, and reloads under load.
fn former(release: &Path, m: &Machine, pm2: &str) -> Vec<Line> {
    let mut lines = sizes(release);
    lines.push(traced_start(m));
    lines.push(node_start(m));
    lines.extend(many_apps(m, pm2));
    lines.extend(throughput(m, pm2));
    lines.extend(reloads(m, pm2));
    lines
}

/// What can be chosen; each by itself prepares what it needs and removes it.
const GROUPS: [&str; 10] = [
    "crashes", "reloads", "latency", "spread", "memory", "25x4", "100x1", "beside", "flat", "boots",
];

fn line(what: &str, measured: String, target: &str, good: bool) -> Line {
    eprintln!("… {what}: {measured}");
    Line { what: what.into(), measured, target: target.into(), good }
}

fn sizes(program: &Path) -> Vec<Line> {
    let mb = |bytes: u64| format!("{:.2} MB", bytes as f64 / 1e6);
    let program = std::fs::metadata(program).unwrap().len();
    let preload = clusterctl::embedded_files().into_iter().find(|(name, _)| name.ends_with(".so"));
    let preload = preload.map_or(0, |(_, bytes)| bytes.len() as u64);
    vec![
        line("size of the program", mb(program), "< 6 MB", program < 6_000_000),
        line("size of the preload library", mb(preload), "< 0.4 MB", preload < 400_000),
    ]
}

/// PM2 from npm, kept below `target`.
fn pm2(m: &Machine) -> String {
    let dir = support::skip::target_dir().join("bench");
    let program = dir.join("node_modules/.bin/pm2");
    if !program.exists() {
        std::fs::create_dir_all(&dir).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-fund", "--no-audit", "--prefix"]);
        let status = npm.arg(&dir).arg("pm2").status().unwrap();
        assert!(status.success(), "npm install pm2");
    }
    m.copy(&dir.join("node_modules"), "/opt/pm2/node_modules");
    "/opt/pm2/node_modules/.bin/pm2".to_owned()
}

/// Milliseconds of one run of a command: the median of `runs`, measured inside the machine.
fn millis(m: &Machine, command: &str, runs: u32) -> f64 {
    let script = format!(
        "for i in $(seq {runs}); do a=$(date +%s%N); {command} >/dev/null 2>&1; b=$(date +%s%N); \
         echo $((b - a)); done | sort -n | sed -n '{}p'",
        runs / 2 + 1
    );
    m.ok_sh(&script).parse::<f64>().unwrap() / 1e6
}

/// Prints the median milliseconds from the start of a program to its first line, alone and with
/// its listener handed over; the runs alternate. Arguments: each of the two as command and
/// environment, in JSON.
const STARTS: &str = "import json, os, socket, statistics, subprocess, sys, time\n\
    s = socket.socket(socket.AF_INET6)\ns.bind(('::', 3400))\ns.listen(511)\ns.setblocking(False)\n\
    os.dup2(s.fileno(), 3, inheritable=True)\n\
    def start(command, env):\n\
    \x20   begun = time.monotonic()\n\
    \x20   fds = [3] if 'LISTEN_FDS' in env else []\n\
    \x20   p = subprocess.Popen(command, env=env, pass_fds=fds, stdout=subprocess.PIPE)\n\
    \x20   line = p.stdout.readline()\n\
    \x20   took = time.monotonic() - begun\n\
    \x20   p.kill()\n\
    \x20   p.wait()\n\
    \x20   assert line.startswith(b'listening'), line\n\
    \x20   return took * 1000\n\
    ways = [json.loads(way) for way in sys.argv[1:]]\n\
    times = [[start(*way) for way in ways] for _ in range(41)]\n\
    print(*[statistics.median(column) for column in zip(*times)])\n";

/// Median milliseconds of both ways; see [`STARTS`].
fn starts(m: &Machine, command: &str, handed: (&str, &str)) -> (f64, f64) {
    m.write("/srv/starts.py", STARTS);
    let plain = format!(r#"[{command}, {{"PORT": "3401"}}]"#);
    let (command, env) = handed;
    let handed = format!(r#"[{command}, {{"PORT": "3400", "LISTEN_FDS": "1"{env}}}]"#);
    let out = m.ok(["python3", "/srv/starts.py", &plain, &handed]);
    let (plain, handed) = out.split_once(' ').unwrap();
    (plain.parse().unwrap(), handed.parse().unwrap())
}

fn traced_start(m: &Machine) -> Line {
    let dir = support::skip::target_dir().join("bench");
    std::fs::create_dir_all(&dir).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/server.go");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(dir.join("go-server")).arg(source);
    go.env("CGO_ENABLED", "0").env("GO111MODULE", "off").env("GOCACHE", dir.join("go-cache"));
    assert!(go.status().unwrap().success(), "go build");
    m.copy(&dir.join("go-server"), "/srv/go-server");
    m.write("/srv/clusterctl-exec", clusterctl::TRACER_FILE);
    m.ok(["chmod", "+x", "/srv/clusterctl-exec"]);
    let traced = r#"["/srv/clusterctl-exec", "/srv/go-server"]"#;
    let (plain, traced) = starts(m, r#"["/srv/go-server"]"#, (traced, ""));
    line(
        "start of a static Go server, traced - alone",
        format!("{traced:.1} ms - {plain:.1} ms = {:.1} ms", traced - plain),
        "< 50 ms",
        traced - plain < 50.0,
    )
}

const NODE_START: &str =
    "require('http').createServer().listen(process.env.PORT, () => console.log('listening'));\n";

fn node_start(m: &Machine) -> Line {
    m.write("/srv/start.js", NODE_START);
    for (name, bytes) in clusterctl::embedded_files() {
        m.write(&format!("/srv/handover/{name}"), bytes);
    }
    let env = r#", "LD_PRELOAD": "/srv/handover/libclusterctl_preload.so",
        "NODE_OPTIONS": "--require /srv/handover/clusterctl.cjs""#;
    let node = format!(r#"["{}", "/srv/start.js"]"#, m.ok_sh("command -v node"));
    let (plain, handed) = starts(m, &node, (&node, env));
    let ratio = handed / plain;
    line(
        "start of a Node server, with its handover - alone",
        format!("{handed:.1} ms - {plain:.1} ms = {:.1} ms ({ratio:.2})", handed - plain),
        "< 5 ms",
        handed - plain < 5.0,
    )
}

fn sleepers(apps: u32, instances: u32) -> String {
    (0..apps).fold(String::new(), |mut text, number| {
        write!(text, "[[apps]]\nname = 'app{number}'\ncommand = ['sleep', 'infinity']\ninstances = {instances}\n").unwrap();
        text
    })
}

fn many_apps(m: &Machine, pm2: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    m.write("/srv/many.toml", sleepers(20, 5));
    m.ok(["clusterctl", "apply", "/srv/many.toml"]);
    let units: Vec<String> =
        (0..20).flat_map(|a| (0..5).map(move |i| format!("app{a}@{i}"))).collect();
    let show = format!(
        "systemctl show -p Id,LoadState,ActiveState,SubState,MainPID,NRestarts,Result,ExecMainStartTimestamp,\
         ExecMainStartTimestampMonotonic,MemoryCurrent,CPUUsageNSec,User {}",
        units.join(" ")
    );
    let list = millis(m, "clusterctl list", 11);
    let show = millis(m, &show, 11);
    let ratio = list / show;
    lines.push(line(
        "list, 100 instances / systemctl show",
        format!("{list:.1} ms / {show:.1} ms = {ratio:.2}"),
        "<= 1.5",
        ratio <= 1.5,
    ));
    m.write("/srv/idle.js", "setInterval(() => {}, 1e6)");
    m.ok_sh(&format!("{pm2} start /srv/idle.js -i 100"));
    let theirs = millis(m, &format!("{pm2} list"), 5);
    m.ok_sh(&format!("{pm2} kill"));
    let ratio = list / theirs;
    lines.push(line(
        "list, 100 instances / pm2 list, 100 processes",
        format!("{list:.1} ms / {theirs:.0} ms = {ratio:.3}"),
        "< 0.1",
        ratio < 0.1,
    ));
    m.write("/srv/many.toml", sleepers(100, 4));
    m.ok(["clusterctl", "apply", "--prune", "/srv/many.toml"]);
    let apply = millis(m, "clusterctl apply /srv/many.toml", 7);
    lines.push(line(
        "apply that changes nothing, 400 instances",
        format!("{apply:.0} ms"),
        "< 300 ms",
        apply < 300.0,
    ));
    let validate = millis(m, "clusterctl validate /srv/many.toml", 11);
    lines.push(line("validate, 100 apps", format!("{validate:.1} ms"), "< 20 ms", validate < 20.0));
    m.ok(["clusterctl", "delete", "all"]);
    lines
}

const FAST: &str = "require('http').createServer((q, s) => s.end('hello')).listen(process.env.FAST_PORT || 3000);\n";
const INHERIT: &str = "require('http').createServer((q, s) => s.end('hello')).listen({ fd: 3 });\n";
/// Binds once and starts plain node processes that inherit the descriptor as number 3.
const PARENT: &str = "import os, socket, subprocess, sys\n\
    s = socket.socket(socket.AF_INET6)\ns.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind(('::', 3200))\ns.listen(511)\ns.setblocking(False)\nos.dup2(s.fileno(), 3, inheritable=True)\n\
    c = [subprocess.Popen(['node', '/srv/inherit.js'], pass_fds=[3]) for _ in range(int(sys.argv[1]))]\n\
    [p.wait() for p in c]\n";

/// Requests per second of wrk.
fn wrk(m: &Machine, port: u16, close: bool) -> f64 {
    let header = if close { "-H 'Connection: close'" } else { "" };
    let out = m.ok_sh(&format!(
        "wrk -t1 -c64 -d2 {header} http://127.0.0.1:{port}/ | awk '/Requests.sec/ {{ print $2 }}'"
    ));
    out.parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

const ROUNDS: u32 = 5;

/// clusterctl, plain node and PM2 in turn: the median of the ratios within a round, which a machine that
/// is busy for a while changes least.
fn compared(rounds: &[[f64; 3]], instances: u32, close: bool) -> Vec<Line> {
    let all = |place: usize| median(rounds.iter().map(|round| round[place]).collect());
    let ratio = |a: usize, b: usize| median(rounds.iter().map(|r| r[a] / r[b]).collect());
    let (ours, plain, theirs) = (all(0), all(1), all(2));
    let kind = if close { "new connections" } else { "keep-alive" };
    let to_plain = ratio(0, 1);
    let mut lines = vec![line(
        &format!("{kind}, {instances} instances / plain node, inherited"),
        format!("{ours:.0} / {plain:.0} = {to_plain:.2}"),
        ">= 0.95",
        to_plain >= 0.95,
    )];
    if close {
        let (to_theirs, bound) = (ratio(0, 2), ratio(1, 2));
        // The program without anything around it is the best that any way to share a listener can reach.
        let target = if bound < 2.5 { "as plain node" } else { ">= 2.5" };
        lines.push(line(
            &format!("{kind}, {instances} instances / PM2"),
            format!("{ours:.0} / {theirs:.0} = {to_theirs:.2} (plain node {bound:.2})"),
            target,
            to_theirs >= 2.5_f64.min(0.95 * bound),
        ));
    }
    lines
}

fn throughput(m: &Machine, pm2: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    m.write("/srv/fast.js", FAST);
    m.write("/srv/inherit.js", INHERIT);
    m.write("/srv/parent.py", PARENT);
    for instances in [2, 4] {
        m.write("/srv/fast.toml", format!("[[apps]]\nname = 'fast'\nscript = 'fast.js'\ninstances = {instances}\nlisten = 3000\n"));
        m.ok(["clusterctl", "apply", "/srv/fast.toml"]);
        let parent = m.spawn(["python3", "/srv/parent.py", &instances.to_string()]);
        m.ok_sh(&format!("FAST_PORT=3300 {pm2} start /srv/fast.js -i {instances}"));
        support::wait_until("all answer", std::time::Duration::from_secs(20), || {
            [3000, 3200, 3300]
                .iter()
                .all(|port| m.run(["curl", "-s", &format!("localhost:{port}")]).code == 0)
        });
        for close in [false, true] {
            let rounds: Vec<[f64; 3]> =
                (0..ROUNDS).map(|_| [3000, 3200, 3300].map(|port| wrk(m, port, close))).collect();
            lines.extend(compared(&rounds, instances, close));
        }
        m.ok_sh(&format!("{pm2} kill"));
        m.ok_sh("pkill -f '[p]arent.py'; pkill -f '[i]nherit.js'; true");
        drop(parent);
        m.ok(["clusterctl", "delete", "all"]);
    }
    lines
}

/// The cost of a reload for its clients.
struct Cost {
    failed: u64,
    sent: u64,
    millis: f64,
    peak_mb: f64,
}

/// Memory of all processes of the machine, each shared page counted once; printed as long as there is [`SAMPLED`]: what
/// was spawned there outlives the process by which it was.
const SAMPLER: &str = "while [ -e /run/sampled ]; do cat /proc/[0-9]*/smaps_rollup 2>/dev/null | \
    awk '/^Pss:/ { s += $2 } END { print s }'; sleep 0.1; done";

const SAMPLED: &str = "/run/sampled";

fn reload_cost(m: &Machine, port: u16, reload: &str) -> Cost {
    let load = Load::http(&format!("127.0.0.1:{port}")).new_connections(100.0).keep_alive(100.0);
    let mut run = m.load(load);
    run.wait_flowing();
    m.ok_sh("sleep 2");
    m.write(SAMPLED, "");
    let sampler = m.spawn(["sh", "-c", &format!("({SAMPLER}) > /tmp/memory")]);
    let millis = millis(m, reload, 1);
    m.ok_sh("sleep 2");
    m.ok(["rm", SAMPLED]);
    drop(sampler);
    let report = run.stop();
    let peak: f64 = m.ok_sh("sort -n /tmp/memory | tail -n 1").parse().unwrap();
    let failed = report.failed();
    Cost { failed, sent: failed + report.ok(), millis, peak_mb: peak / 1024.0 }
}

/// The median by time of three, with the failures of all.
fn reload_costs(m: &Machine, port: u16, reload: &str) -> Cost {
    let mut costs: Vec<Cost> = (0..3).map(|_| reload_cost(m, port, reload)).collect();
    let (failed, sent) = costs.iter().fold((0, 0), |sum, c| (sum.0 + c.failed, sum.1 + c.sent));
    costs.sort_by(|a, b| a.millis.total_cmp(&b.millis));
    Cost { failed, sent, ..costs.swap_remove(1) }
}

/// A reload against the sum of what it takes its instances to get ready, the canary included, from
/// the moment that systemd has the former process off its hands: milliseconds of both, of the
/// median of some rounds. The canary's unit is gone by then and counts as the mean of the others.
fn reload_to_readiness(m: &Machine, instances: u32) -> (f64, f64) {
    let units: Vec<String> = (0..instances).map(|number| format!("fast@{number}")).collect();
    let show = format!(
        "systemctl show -p ActiveEnterTimestampMonotonic,InactiveEnterTimestampMonotonic {}",
        units.join(" ")
    );
    let mut rounds: Vec<(f64, f64)> = (0..5)
        .map(|_| {
            let wall = millis(m, "clusterctl reload fast --min-ready 0", 1);
            let stamps = m.ok_sh(&show);
            let sum = |name: &str| -> f64 {
                let values =
                    stamps.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
                values.map(|micros| micros.parse::<f64>().unwrap() / 1000.0).sum()
            };
            let sum = sum("ActiveEnterTimestampMonotonic") - sum("InactiveEnterTimestampMonotonic");
            (wall, sum * f64::from(instances + 1) / f64::from(instances))
        })
        .collect();
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    rounds[rounds.len() / 2]
}

/// What `min_ready` adds to a reload: two times itself and hardly more. The medians alternate.
fn min_ready_cost(m: &Machine, instances: u32) -> Line {
    let run =
        |min_ready: &str| millis(m, &format!("clusterctl reload fast --min-ready {min_ready}"), 1);
    let rounds: Vec<(f64, f64)> = (0..5).map(|_| (run("0"), run("1s"))).collect();
    let plain = median(rounds.iter().map(|round| round.0).collect());
    let careful = median(rounds.iter().map(|round| round.1).collect());
    let cost = careful - plain;
    line(
        &format!("reload of {instances}, min_ready = 1s - 0"),
        format!("{careful:.0} ms - {plain:.0} ms = {cost:.0} ms"),
        "<= 2.2 s",
        cost <= 2200.0,
    )
}

fn reloads(m: &Machine, pm2: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for instances in [4, 16] {
        m.write("/srv/fast.toml", format!("[[apps]]\nname = 'fast'\nscript = 'fast.js'\ninstances = {instances}\nlisten = 3000\n"));
        m.ok(["clusterctl", "apply", "/srv/fast.toml"]);
        lines.push(min_ready_cost(m, instances));
        // PM2 does not look at a process after it is ready, so `min_ready` is left out of the comparison.
        let reload = "clusterctl reload fast --min-ready 0";
        let ours = reload_costs(m, 3000, reload);
        let alone = millis(m, reload, 3);
        let (wall, ready) = reload_to_readiness(m, instances);
        m.ok(["clusterctl", "delete", "all"]);
        m.ok_sh(&format!("FAST_PORT=3300 {pm2} start /srv/fast.js -i {instances}"));
        let theirs = reload_costs(m, 3300, &format!("{pm2} reload fast"));
        let alone_theirs = millis(m, &format!("{pm2} reload fast"), 3);
        m.ok_sh(&format!("{pm2} kill"));
        lines.extend([
            line(
                &format!("reload of {instances}, failed requests / PM2"),
                format!("{} of {} / {} of {}", ours.failed, ours.sent, theirs.failed, theirs.sent),
                "0",
                ours.failed == 0,
            ),
            line(
                &format!("reload of {instances} under load / PM2"),
                format!("{:.0} ms / {:.0} ms", ours.millis, theirs.millis),
                "<= PM2",
                ours.millis <= theirs.millis,
            ),
            line(
                &format!("reload of {instances}, nobody there / PM2"),
                format!("{alone:.0} ms / {alone_theirs:.0} ms"),
                "<= PM2",
                alone <= alone_theirs,
            ),
            line(
                &format!("reload of {instances} / sum of its instances' readiness"),
                format!("{wall:.0} ms / {ready:.0} ms = {:.2}", wall / ready),
                // Costs that do not depend on the number weigh more with few instances.
                if instances == 16 { "<= 1.3" } else { "-" },
                instances != 16 || wall / ready <= 1.3,
            ),
            line(
                &format!("reload of {instances}, peak memory / PM2"),
                format!("{:.0} MB / {:.0} MB", ours.peak_mb, theirs.peak_mb),
                "< PM2",
                ours.peak_mb < theirs.peak_mb,
            ),
        ]);
    }
    lines
}

/// The harness of the tests wants to know where its files are.
const _: fn() -> PathBuf = support::skip::target_dir;
