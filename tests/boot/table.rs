//! The table of programs in the documentation, written by the tests that try them.
//!
//! With `UPDATE_EXPECT=1` each test writes the row of its program and systemd. Otherwise a row
//! must be there that agrees on what does not vary: how listeners are handed over, and who drains.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// What one test saw of one program.
#[derive(Debug)]
pub struct Row {
    pub program: String,
    pub handover: String,
    pub drained_by: String,
    pub version: String,
    pub systemd: String,
    pub failed: u64,
    pub requests: u64,
}

const HEAD: &str = "\
# Programs that were tried

Each program runs in four instances on one address, on a booted systemd, started as its users start it. During three reloads
and a scale down and up, 80 requests per second come in, half of them on new connections and half on kept-alive ones; a
request that is refused, reset, cut short, answered wrongly or left hanging counts as failed. The ecosystem file of each
program is in [tests/boot/fixtures/servers](../tests/boot/fixtures/servers), under the program's name, or its command is
in [tests/boot/fixtures/catalogue](../tests/boot/fixtures/catalogue). `python` is http.server, `perl` is
HTTP::Daemon, `java` is com.sun.net.httpserver, `go` takes its listener from systemd itself, `go-static` and `go-dynamic`
know nothing of systemd, `rust` is static and waits in accept(); `udp` and `unix` are a UDP echo and HTTP on a Unix
socket, in Python; `dgram` is a UDP echo in Node, behind `yarn start`. Programs from npm (`express`, `fastify`, `koa`,
`nest` with ts-node, `socket.io`, `ws`, the catalogue) and `dgram` see one reload; the clients of `socket.io` and `ws` open
websockets meanwhile and keep one, which is closed with the message that the service restarts.

Requests that a program loses which drains by itself, it loses without clusterctl too: it closes idle connections in a
race with the next request on them. The same can happen to a program that is drained by the tracer and answers over TLS or
HTTP/2: clusterctl cannot tell the clients of such connections to go.

With Ruby 3.3, puma up to 8.0.2 may hang when it stops (puma's issue 3677): all requests are answered, and systemd kills
puma after `kill_timeout`. The preload library prevents that; with a native handover clusterctl cannot.

php-fpm that takes its listener by `FPM_SOCKETS` cuts requests when it stops, unless its `process_control_timeout` says
how long it may take. With the preload library php-fpm finishes them.

uWSGI's `http-socket` closes every connection behind its answer and does not say so: a client that asks again at once has its
request reset, with clusterctl or alone (2390 of 6190 of a client that never pauses, and none with `add-header = Connection:
close`). lighttpd counts how long a client was idle (`server.max-keep-alive-idle`, 5 s) before it reads what has arrived: on a
machine where it has no processor for a second or two it closes connections over which a request waits, with clusterctl or
alone; 60 s leave room. The files of the tests have both.

Programs of the registries that were tried and have no row: node-red 4.1.15 listens before its flows run, so that one of
6212 requests got its 404. restify 11.1.0 does not start on Node 24 (it needs `http_parser`, which is gone). The command of
micro 10.0.1 takes the host in `-l tcp://0.0.0.0:8000` for the path of a socket, and two instances cannot have one path;
the row of micro is that of the library. uvicorn ends a worker that has not answered its parent after 5 s, and starts it
again. Workers of `fastapi run --workers 2` first load the whole command line again, which took longer on the busy machine
that wrote this page: without clusterctl four workers were ended so within 20 s, and with clusterctl one instance served
after 15 s. `fastapi` has no option for that time; `uvicorn --workers 2 --timeout-worker-healthcheck 60 fast:app` has one,
and `instances` needs no workers.
robyn 0.88.0 does not end at SIGTERM, with clusterctl or alone (it still ran 10 s later): no request is lost, and robyn is
killed after `kill_timeout`.

The test run writes the table (`UPDATE_EXPECT=1 cargo test --test boot servers`, and with `-- --ignored catalogue` the other
rows). The counts differ from run to run; each run compares how listeners are handed over and who drains.

| program | handover | drained by | version | systemd | failed of requests |
| --- | --- | --- | --- | --- | --- |
";

/// What one test saw of one instance of a program among four: see `one_instance`.
#[derive(Debug)]
pub struct AloneRow {
    pub program: String,
    pub systemd: String,
    /// `door`, `cold`, `watchdog` and `spread`, each as one word.
    pub measured: [&'static str; 4],
    pub failed: u64,
    pub requests: u64,
}

const ALONE: &str = "
## One instance behind the shared port

The same programs with `door`, `health`, `watchdog` and `balance = \"even\"` ([one-instance.md](one-instance.md)), also measured,
under 60 requests per second until the watchdog has its turn. *Door*: each of four instances answers `clusterctl curl` itself.
*Cold*: an instance that has not passed its check has listened for 60 clients, and none of them met it. *Watchdog*: an
instance that is idle or busy goes on, and one that is stopped is ended and replaced. *Spread*: of 120 connections that came
one after the other and stayed, no instance has more than three more than another. `UPDATE_EXPECT=1 cargo test --test boot --
--include-ignored one_instance` writes the rows.

*no* has these reasons. In go, go-static and rust nothing of clusterctl is in the process while it serves, and clusterctl refuses
what needs that. gunicorn's sync workers, HTTP::Daemon, uWSGI without threads and werkzeug's `run_simple` without `threaded` serve
one connection at a time, so that none of 120 stays with them: all others wait in the kernel's queue for whoever is free. The
workers of nginx and Apache that root starts become another user, who may not knock at the doors of others: they take what comes.

| program | door | cold | watchdog | spread | systemd | failed of requests |
| --- | --- | --- | --- | --- | --- | --- |
";

/// Tests run in parallel, in threads of one process.
static PAGE: Mutex<()> = Mutex::new(());

/// Compares the row with the documentation, or writes it there.
///
/// # Panics
/// When the documentation says something else.
pub fn record(row: &Row) {
    let _one_at_a_time = PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut rows, alone) = read();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        rows.insert((row.program.clone(), row.systemd.clone()), row.cells());
        return write(&rows, &alone);
    }
    agrees(&rows, &row.cells(), 3);
}

/// As [`record`], for the table of instances that are reached alone.
///
/// # Panics
/// When the documentation says something else.
pub fn record_alone(row: &AloneRow) {
    let _one_at_a_time = PAGE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (rows, mut alone) = read();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        alone.insert((row.program.clone(), row.systemd.clone()), row.cells());
        return write(&rows, &alone);
    }
    agrees(&alone, &row.cells(), 5);
}

/// Some row of the program has the same in these first cells.
#[track_caller]
fn agrees(rows: &Rows, cells: &[String], compared: usize) {
    let known: Vec<_> = rows.values().filter(|known| known[0] == cells[0]).collect();
    let seen = &cells[..compared];
    assert!(
        known.iter().any(|known| &known[..compared] == seen),
        "docs/programs.md does not say {seen:?}, but {known:?}; UPDATE_EXPECT=1 writes it"
    );
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let Self { program, handover, drained_by, version, systemd, failed, requests } = self;
        [program, handover, drained_by, version, systemd, &format!("{failed} of {requests}")]
            .map(Clone::clone)
            .to_vec()
    }
}

impl AloneRow {
    fn cells(&self) -> Vec<String> {
        let counted = format!("{} of {}", self.failed, self.requests);
        let measured = self.measured.iter().map(|word| (*word).to_owned());
        let last = [self.systemd.clone(), counted];
        [self.program.clone()].into_iter().chain(measured).chain(last).collect()
    }
}

fn line(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// Rows by program and systemd.
type Rows = BTreeMap<(String, String), Vec<String>>;

fn write(rows: &Rows, alone: &Rows) {
    let lines = |rows: &Rows| rows.values().map(|cells| line(cells)).collect::<String>();
    fs::create_dir_all(path().parent().unwrap()).unwrap();
    fs::write(path(), format!("{HEAD}{}{ALONE}{}", lines(rows), lines(alone))).unwrap();
}

/// Both tables.
fn read() -> (Rows, Rows) {
    let text = fs::read_to_string(path()).unwrap_or_default();
    let (all, alone) = text.split_once("\n## One instance").unwrap_or((&text, ""));
    (of_table(all, 4), of_table(alone, 5))
}

/// The rows of a table, with the systemd in this cell.
fn of_table(text: &str, systemd: usize) -> Rows {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.skip(2)
        .map(|line| line.split(" | ").map(str::to_owned).collect::<Vec<_>>())
        .map(|cells| ((cells[0].clone(), cells[systemd].clone()), cells))
        .collect()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/programs.md")
}
