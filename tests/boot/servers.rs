//! Servers of many languages, as their users start them: four instances answer on one address,
//! and a reload and a change of their number lose no request. Each directory of
//! `fixtures/servers` is one server with the ecosystem file that a user would write.
//!
//! What the tests see is the table in `docs/programs.md`: see `table.rs`.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::booted_long;
use crate::npm;
use crate::support::{
    Machine,
    load::{Cause, Kind, Load, Report},
    skip, wait_until,
};
use crate::table::{Row, record};

const PATIENCE: Duration = Duration::from_secs(30);

/// How clients reach a server.
#[derive(Clone, Copy)]
enum Reached {
    Http,
    UnixHttp,
    Datagrams,
}

/// One server: the name of its fixture and of its row.
struct Server {
    name: &'static str,
    /// A shell command that prints its version.
    version: &'static str,
    reached: Reached,
    /// Who finishes what is in progress when an instance stops.
    drained_by: &'static str,
}

pub const ITSELF: &str = "the program";
pub const NODE_FILE: &str = "Node file";
pub const LIBRARY: &str = "preload library";

fn load(reached: Reached) -> Load {
    let load = match reached {
        Reached::Http => Load::http("127.0.0.1:8000").new_connections(40.0).keep_alive(40.0),
        Reached::UnixHttp => Load::unix("/run/shop.sock").new_connections(40.0).keep_alive(40.0),
        Reached::Datagrams => Load::udp("127.0.0.1:8000", 80.0),
    };
    load.expect("instance ").instance_after("instance ")
}

/// The directory of a server.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/servers").join(name)
}

/// Applies the server's own ecosystem file; gives the plan.
pub fn install(m: &Machine, name: &str) -> String {
    m.copy(&fixture(name), &format!("/srv/{name}"));
    m.ok(["clusterctl", "apply", &format!("/srv/{name}/ecosystem.toml")])
}

/// The instances that answered; asks until there are as many as wanted.
fn answering(m: &Machine, reached: Reached, wanted: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    wait_until("all instances answer", PATIENCE, || {
        let report = m.load(load(reached).for_seconds(0.5)).finish();
        report.assert_none_failed();
        seen.extend(report.instances().into_keys());
        seen.len() >= wanted
    });
    seen
}

/// What became of the requests while the commands ran, one after the other.
fn under_load(m: &Machine, server: &Server, commands: &[&[&str]]) -> Report {
    let mut run = m.load(load(server.reached));
    run.wait_flowing();
    for command in commands {
        m.ok(*command);
    }
    let report = run.stop();
    if server.drained_by == TRACER {
        drained_from_outside(&report);
    } else {
        report.assert_none_failed();
    }
    report
}

/// Nobody tells the clients of a traced program to go: a request that leaves its client in the
/// moment in which its connection is closed is lost. On a machine that is busy with other tests
/// that happens to a few of thousands; one of a hundred is too many.
fn drained_from_outside(report: &Report) {
    assert_eq!(report.of(Kind::New).failures(), 0, "{report:#?}");
    let kept = report.of(Kind::KeepAlive);
    let raced = kept.failed_by(Cause::Closed) + kept.failed_by(Cause::Reset);
    assert!(kept.ok > 0 && kept.failures() == raced && raced * 100 <= kept.sent, "{report:#?}");
}

/// Starts the server, and replaces its instances under load by every operation.
fn serves(m: &Machine, server: &Server) {
    let version = m.run(["bash", "-c", &format!("set -o pipefail; {}", server.version)]);
    if version.code != 0 {
        skip::record(&format!("{} is missing (make deps installs it)", server.name));
        return;
    }
    install(m, server.name);
    story(m, server, version.stdout.trim());
}

fn story(m: &Machine, server: &Server, version: &str) {
    let rollouts: [&[&str]; 5] = [
        &["clusterctl", "reload", "shop"],
        &["clusterctl", "scale", "shop", "2"],
        &["clusterctl", "scale", "shop", "+2"],
        &["clusterctl", "reload", "shop"],
        &["systemctl", "reload", "shop"],
    ];
    roll(m, server, version, &rollouts);
}

/// Four instances answer, the commands replace them all under load, and four others answer.
fn roll(m: &Machine, server: &Server, version: &str, rollouts: &[&[&str]]) {
    let before = answering(m, server.reached, 4);
    let report = under_load(m, server, rollouts);
    let after = answering(m, server.reached, 4);
    none_killed(m);
    assert!(before.is_disjoint(&after), "every process was replaced: {before:?} {after:?}");
    record(&Row {
        program: server.name.to_owned(),
        handover: handover(m),
        drained_by: format!("{}, {}", server.drained_by, kill_signal(m)),
        version: version.to_owned(),
        systemd: m.ok_sh("systemctl --version | awk 'NR == 1 { print $2 }'"),
        failed: report.failed(),
        requests: report.ok(),
    });
}

/// Every instance that was replaced ended by itself, before `kill_timeout`. How it did is its own
/// affair: yarn ends with 1, before its child.
pub fn none_killed(m: &Machine) {
    let journal = m.journal("shop@*");
    assert!(!journal.contains("timed out"), "{journal}");
}

/// The first word of what `describe` says.
pub fn handover(m: &Machine) -> String {
    let text = m.ok(["clusterctl", "describe", "shop"]);
    let line = text.lines().find_map(|line| line.trim().strip_prefix("handover"));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    line.trim_start_matches([':', ' ']).split([' ', ':', ',']).next().unwrap().to_owned()
}

pub fn kill_signal(m: &Machine) -> String {
    let number = m.systemctl_show("shop@0", "KillSignal");
    format!("SIG{}", m.ok(["bash", "-c", &format!("kill -l {number}")]))
}

macro_rules! servers {
    ($($test:ident: $name:literal, $version:literal, $reached:expr, $drained_by:expr;)*) => {
        $(booted_long!($test, |m| {
            let server =
                Server { name: $name, version: $version, reached: $reached, drained_by: $drained_by };
            serves(m, &server);
        });)*
    };
}

servers! {
    node_http: "node", "node --version", Reached::Http, NODE_FILE;
    python_http_server: "python", "python3 --version", Reached::Http, LIBRARY;
    gunicorn: "gunicorn", "gunicorn --version", Reached::Http, ITSELF;
    uvicorn: "uvicorn", "uvicorn --version | cut -d ' ' -f 2-3", Reached::Http, ITSELF;
    puma: "puma", "puma --version", Reached::Http, ITSELF;
    nginx: "nginx", "nginx -v 2>&1 | sed 's/.*: //'", Reached::Http, ITSELF;
    php: "php", "php --version | awk 'NR == 1 { print $1, $2 }'", Reached::Http, LIBRARY;
    perl: "perl", "perl -MHTTP::Daemon -e 'print qq(HTTP::Daemon $HTTP::Daemon::VERSION)'",
        Reached::Http, LIBRARY;
    java: "java", "java --version | awk 'NR == 1 { print $1, $2 }'", Reached::Http, LIBRARY;
    lighttpd: "lighttpd", "lighttpd -v | awk '{ print $1 }'", Reached::Http, ITSELF;
    apache: "apache", "apache2 -v | awk 'NR == 1 { print $3 }'",
        Reached::Http, ITSELF;
    haproxy: "haproxy", "haproxy -v | awk 'NR == 1 { print $1, $3 }'", Reached::Http, ITSELF;
    uwsgi: "uwsgi", "echo uWSGI $(uwsgi --version)", Reached::Http, ITSELF;
    udp_echo: "udp", "python3 --version", Reached::Datagrams, LIBRARY;
    unix_stream: "unix", "python3 --version", Reached::UnixHttp, LIBRARY;
}

/// A framework for Node, as it comes from npm.
fn framework(m: &Machine, name: &'static str) {
    if npm::install(m) {
        install(m, name);
        roll_framework(m, name, &[&["clusterctl", "reload", "shop"]]);
    }
}

fn roll_framework(m: &Machine, name: &'static str, rollouts: &[&[&str]]) {
    let package = if name == "nest" { "@nestjs/core" } else { name };
    let package = format!("/srv/node_modules/{package}/package.json");
    let version = m.ok(["node", "--print", &format!("require('{package}').version")]);
    let version = format!("{version}, node {}", m.ok(["node", "--version"]));
    let server = Server { name, version: "", reached: Reached::Http, drained_by: NODE_FILE };
    roll(m, &server, &version, rollouts);
}

/// During a reload, a websocket that was open is told to come again, and new ones are served all the time.
fn websockets(m: &Machine, name: &'static str, told: &str) {
    if !npm::install(m) {
        return;
    }
    install(m, name);
    m.copy(&fixture("websockets.js"), "/srv/websockets.js");
    let mut client = m.spawn(["node", &format!("/srv/{name}/client.js")]);
    client.line_with("hello from ");
    client.line_with("flowing");
    roll_framework(m, name, &[&["clusterctl", "reload", "shop"]]);
    client.line_with(told);
    let (code, lines) = client.wait();
    let answered = lines.iter().any(|line| line.starts_with("answered "));
    let failed = lines.iter().any(|line| line.starts_with("failed "));
    let journal = m.journal("shop@*");
    assert!(code == 0 && answered && !failed, "{lines:#?}\n{journal}");
    for bad in ["SIGKILL", "Failed with result"] {
        assert!(!journal.contains(bad), "{journal}");
    }
}

booted_long!(express, |m| framework(m, "express"));

booted_long!(fastify, |m| framework(m, "fastify"));

booted_long!(koa, |m| framework(m, "koa"));

booted_long!(nest, |m| framework(m, "nest"));

booted_long!(ws, |m| websockets(m, "ws", "closed with 1012"));

booted_long!(socket_io, |m| websockets(m, "socket.io", "closed: transport close"));

booted_long!(datagrams_behind_a_wrapper, |m| {
    if !npm::install(m) {
        return;
    }
    install(m, "dgram");
    let version = m.ok(["node", "--version"]);
    let (reached, drained_by) = (Reached::Datagrams, NODE_FILE);
    let server = Server { name: "dgram", version: "", reached, drained_by };
    roll(m, &server, &version, &[&["clusterctl", "reload", "shop"]]);
});

/// A server that is compiled on this host, for roots that have no compiler.
struct Compiled {
    /// Its fixture, and the source in there or in another one.
    name: &'static str,
    source: &'static str,
    /// The compiler, its arguments, and a variable.
    compiler: &'static [&'static str],
    variable: (&'static str, &'static str),
    drained_by: &'static str,
}

/// What drains a traced program, before it gets its signal.
const TRACER: &str = "tracer";

/// The whole story of one server, with the program in the machine as `shop`.
fn serves_compiled(m: &Machine, given: &Compiled) {
    let compiler = given.compiler[0];
    let version = if compiler == "go" { "version" } else { "--version" };
    let Ok(version) = Command::new(compiler).arg(version).output() else {
        return skip::record(&format!("{compiler} is missing (make deps installs it)"));
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let version = version.split(' ').find(|word| word.contains('.')).unwrap();
    let place = format!("/srv/{}", given.name);
    m.copy(&fixture(given.name), &place);
    m.copy(&program(given, &fixture(given.source)), &format!("{place}/shop"));
    m.ok(["clusterctl", "apply", &format!("{place}/ecosystem.toml")]);
    let (name, drained_by) = (given.name, given.drained_by);
    let version = with_name(compiler, version);
    story(m, &Server { name, version: "", reached: Reached::Http, drained_by }, &version);
}

/// A version with the program's name before it, for the table.
fn with_name(name: &str, version: &str) -> String {
    let bare = version.starts_with(|first: char| first.is_ascii_digit());
    if bare { format!("{name} {version}") } else { version.to_owned() }
}

fn program(given: &Compiled, source: &Path) -> PathBuf {
    let program = skip::target_dir().join(format!("tmp/shop-{}", given.name));
    // The two roots of a test are under way at the same time.
    let own = program.with_extension(skip::test_name().replace("::", "-"));
    let output = Command::new(given.compiler[0])
        .args(&given.compiler[1..])
        .arg("-o")
        .arg(&own)
        .arg(source)
        .env(given.variable.0, given.variable.1)
        .env("GO111MODULE", "off")
        .env("GOCACHE", skip::target_dir().join("tmp/go-cache"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    own
}

macro_rules! compiled {
    ($($test:ident: $name:literal, $source:literal, $compiler:expr, $variable:expr, $by:expr;)*) => {
        $(booted_long!($test, |m| {
            serves_compiled(m, &Compiled {
                name: $name, source: $source, compiler: &$compiler, variable: $variable,
                drained_by: $by,
            });
        });)*
    };
}

const GO: [&str; 2] = ["go", "build"];
const RUSTC: [&str; 5] = ["rustc", "--edition", "2024", "-C", "target-feature=+crt-static"];

compiled! {
    go_with_listen_fds: "go", "go/shop.go", GO, ("CGO_ENABLED", "0"), ITSELF;
    go_static: "go-static", "go-static/shop.go", GO, ("CGO_ENABLED", "0"), TRACER;
    go_dynamic: "go-dynamic", "go-static/shop.go", GO, ("CGO_ENABLED", "1"), TRACER;
    rust_static: "rust", "rust/shop.rs", RUSTC, ("RUSTFLAGS", ""), TRACER;
}

fn serves_from_npm(m: &Machine, name: &'static str) {
    if !npm::install_runtime(m, name) {
        return;
    }
    let version = m.ok([name, "--version"]);
    let version = version.lines().next().unwrap().split(" (").next().unwrap();
    install(m, name);
    let version = with_name(name, version);
    story(m, &Server { name, version: "", reached: Reached::Http, drained_by: LIBRARY }, &version);
}

booted_long!(deno, |m| serves_from_npm(m, "deno"));

booted_long!(bun, |m| serves_from_npm(m, "bun"));
