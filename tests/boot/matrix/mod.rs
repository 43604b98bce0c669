//! The matrix: kinds of connection × operations × runtimes. What clients see is the page
//! `docs/what-happens-to-connections.md`, written by these tests.
//!
//! `quick` is in `make check`: a reload of every runtime under the kinds that take up to four
//! seconds. `whole` is in `make check-long`: everything. `cell` tries what its environment names.

mod kinds;
mod operations;
mod page;
mod promises;
mod provide;
mod runtimes;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Condvar, Mutex};
use std::{fs, thread};

use kinds::{Cell, Mix, NOT_QUICK, fixtures};
use operations::{OPERATIONS, Operation, all_run};
use runtimes::{RUNTIMES, Runtime};

use crate::support::{Machine, Root, machine};

/// The results of one operation by kind.
type Cells = BTreeMap<String, Cell>;

impl Runtime {
    fn find(name: &str) -> &'static Self {
        let known = || RUNTIMES.iter().map(|runtime| runtime.name).collect::<Vec<_>>();
        let found = RUNTIMES.iter().find(|runtime| runtime.name == name);
        found.unwrap_or_else(|| panic!("no runtime {name:?}, but {:?}", known()))
    }

    fn mix(&self, quick: bool) -> Mix {
        let kinds = self.kinds.iter().copied().flatten();
        let kinds = kinds.filter(|kind| !quick || !NOT_QUICK.contains(kind));
        let kinds = kinds.map(|kind| (*kind).to_owned()).collect();
        Mix { kinds, rate: self.rate, h2: self.h2, lead: 3.0, tail: 1.0 }
    }

    /// Applies the app in four instances; `more` are further lines of its file.
    fn apply(&self, m: &Machine, more: &str) {
        let place = format!("/srv/{}/ecosystem.toml", self.fixture);
        m.write(&place, self.ecosystem() + more);
        m.ok(["clusterctl", "apply", &place]);
        all_run(m);
    }

    fn ecosystem(&self) -> String {
        fs::read_to_string(fixtures().join(self.fixture).join("ecosystem.toml")).unwrap()
    }

    /// Its command as arguments of systemd-run.
    fn alone(&self) -> Vec<String> {
        let file: toml::Table = self.ecosystem().parse().unwrap();
        let app = &file["apps"][0];
        let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
        let cwd = app.get("cwd").map_or(".".to_owned(), text);
        let place = fs::canonicalize(fixtures().join(self.fixture).join(cwd)).unwrap();
        let place = place.strip_prefix(fixtures()).unwrap().display().to_string();
        let mut arguments = vec![format!("--working-directory=/srv/{place}")];
        if let Some(signal) = app.get("kill_signal") {
            arguments.push(format!("--property=KillSignal={}", text(signal)));
        }
        for (name, value) in app.get("env").and_then(toml::Value::as_table).into_iter().flatten() {
            arguments.push(format!("--setenv={name}={}", text(value)));
        }
        arguments.extend(app["command"].as_array().unwrap().iter().map(text));
        arguments
    }
}

/// All instances are replaced together, since some kinds last as long as `kill_timeout`.
const AT_ONCE: &str = "rollout = { max_surge = \"100%\" }\n";

/// One of as many places as there are processors, held while a load runs. Without a limit, a client that gets
/// no processor for seconds would count requests as lost that no server has lost.
struct Room;

static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

impl Room {
    fn take() -> Self {
        let places = thread::available_parallelism().map_or(1, NonZero::get);
        let taken = TAKEN.lock().unwrap();
        *LEFT.wait_while(taken, |taken| *taken >= places).unwrap() += 1;
        Self
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap() -= 1;
        LEFT.notify_one();
    }
}

/// A reload of all instances at once, under what is answered soon.
fn quick(name: &str) {
    let runtime = Runtime::find(name);
    let Some(m) = machine(Root::Host) else { return };
    if provide::install(&m, runtime) {
        let _room = Room::take();
        runtime.apply(&m, AT_ONCE);
        let cells = Operation::Reload.run(&m, &runtime.mix(true), &[]);
        shown(&m, runtime, Operation::Reload, &cells);
        promises::check(&m, runtime, Operation::Reload, &cells);
    }
}

/// All operations under all kinds.
fn whole(name: &str) {
    let runtime = Runtime::find(name);
    let Some(m) = machine(Root::Host) else { return };
    if !provide::install(&m, runtime) {
        return;
    }
    runtime.apply(&m, AT_ONCE);
    let mut results = BTreeMap::new();
    for operation in OPERATIONS {
        let cells = operation.run(&m, &runtime.mix(false), &runtime.alone());
        shown(&m, runtime, operation, &cells);
        results.insert(operation, cells);
    }
    page::record(runtime, &results);
    for (operation, cells) in &results {
        promises::check(&m, runtime, *operation, cells);
    }
    promises::never_worse_than_alone(runtime, &results);
}

macro_rules! runtimes {
    ($($test:ident: $name:literal;)*) => {
        mod matrix_quick {
            $(#[test] fn $test() { super::quick($name); })*
        }
        mod matrix_whole {
            $(#[test]
            #[ignore = "takes minutes: make check-long"]
            fn $test() { super::whole($name); })*
        }
        const TESTED: &[&str] = &[$($name),*];
    };
}

runtimes! {
    node_22: "node-22";
    node_24: "node-24";
    node_26: "node-26";
    uvicorn: "uvicorn";
    uvicorn_uvloop: "uvicorn-uvloop";
    aiohttp: "aiohttp";
    granian: "granian";
    go: "go";
    go_context: "go-context";
    go_shutdown: "go-shutdown";
    hypercorn: "hypercorn";
    gunicorn: "gunicorn";
    gunicorn_gthread: "gunicorn-gthread";
    gunicorn_uvicorn: "gunicorn-uvicorn";
    puma: "puma";
    java: "java";
    php: "php";
    deno: "deno";
    bun: "bun";
    rust: "rust";
    rust_graceful: "rust-graceful";
    rust_static: "rust-static";
    nginx: "nginx";
}

#[test]
fn every_runtime_has_its_tests() {
    assert!(RUNTIMES.iter().map(|runtime| runtime.name).eq(TESTED.iter().copied()));
}

/// Tries one part of the matrix and prints what clients saw. `MATRIX_RUNTIME` and `MATRIX_OPERATION`
/// name it; `MATRIX_KINDS` (with `;` between them, or `all`), `MATRIX_ROUNDS`, `MATRIX_RATE` and
/// `MATRIX_TOML` (lines for the ecosystem file) say more. With `MATRIX_ASSERT` cells that are promised
/// to be 0 have to be.
#[test]
#[ignore = "prints one part of the matrix, which MATRIX_RUNTIME and MATRIX_OPERATION name"]
fn cell() {
    let given = |name| std::env::var(name).ok();
    let Some(name) = given("MATRIX_RUNTIME") else { return };
    let runtime = Runtime::find(&name);
    let operation = given("MATRIX_OPERATION").unwrap_or("reload".to_owned());
    let operation = Operation::of(&operation).unwrap_or_else(|| panic!("no {operation}"));
    let kinds = given("MATRIX_KINDS");
    let mut mix = runtime.mix(kinds.as_deref() != Some("all"));
    if let Some(kinds) = kinds.filter(|kinds| kinds != "all") {
        mix.kinds = kinds.split(';').map(str::to_owned).collect();
    }
    mix.rate *= given("MATRIX_RATE").map_or(1.0, |rate| rate.parse().unwrap());
    let m = machine(Root::Host).unwrap();
    assert!(provide::install(&m, runtime));
    for round in 1..=given("MATRIX_ROUNDS").map_or(1, |rounds| rounds.parse().unwrap()) {
        if round == 1 || operation == Operation::Alone {
            runtime.apply(&m, &given("MATRIX_TOML").unwrap_or_default());
        }
        let cells = operation.run(&m, &mix, &runtime.alone());
        shown(&m, runtime, operation, &cells);
        if given("MATRIX_ASSERT").is_some() {
            promises::check(&m, runtime, operation, &cells);
        }
    }
}

/// Prints the table for people who read the output of the test.
fn shown(m: &Machine, runtime: &Runtime, operation: Operation, cells: &Cells) {
    let (name, operation) = (runtime.name, operation.name());
    eprintln!("{name} {operation}\n{}\n{}", page::plain(cells), promises::killed(m));
}
