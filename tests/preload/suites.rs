//! The test suites that come with other people's servers and clients, with and without the
//! preload library: every test has the same result. The listeners are declared and not theirs,
//! so that each call is looked at and none is answered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::{LIBRARY, Systemd, has, made, skip};

/// The result of each test, by its name.
type Results = BTreeMap<String, String>;

/// How a suite names its tests and their results.
type Read = fn(&str) -> Results;

/// `test_x (module.Class) ... ok`; a test with a description has it on the next line.
fn unittest(output: &str) -> Results {
    let mut before = "";
    let mut results = Results::new();
    for line in output.lines() {
        if let Some((name, result)) = line.split_once(" ... ") {
            let name = if name.contains(" (test.") { name } else { before };
            results.insert(name.to_owned(), result.split(' ').next().unwrap().to_owned());
        }
        before = line;
    }
    results
}

/// `not ok 7 name`, of the Test Anything Protocol.
fn tap(output: &str) -> Results {
    let words = |line: &str| {
        let (result, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => ("failed", rest),
            None => ("ok", line.strip_prefix("ok ")?),
        };
        Some((rest.to_owned(), result.to_owned()))
    };
    output.lines().filter_map(words).collect()
}

/// Longer than Python lets its tests wait.
const SILENCE: Duration = Duration::from_secs(150);

/// Runs a suite, with the handover or without, and returns what it printed. How long the whole of it takes is
/// the business of its authors and of the machine; with the handover, what is silent for too long hangs.
fn output(words: &[&str], folder: &Path, handover: bool) -> String {
    // What reads as it comes must not be held back until a block is full.
    let script = r#"cd "$1" && shift && PYTHONUNBUFFERED=1 exec "$@" 2>&1 </dev/null"#;
    let shell = ["sh", "-c", script, "sh", folder.to_str().unwrap()];
    let all = [&shell[..], words].concat();
    if !handover {
        let output = Command::new(all[0]).args(&all[1..]).output().unwrap();
        return String::from_utf8_lossy(&output.stdout).into_owned();
    }
    let (mut systemd, _) = Systemd::tcp("127.0.0.1");
    systemd.add_udp("127.0.0.1");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shims/node/clusterctl.cjs");
    systemd.set("NODE_OPTIONS", &format!("--require {}", path.display()));
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_READY", "all");
    let mut suite = systemd.start(&all);
    let text = suite.rest_within(SILENCE);
    suite.end();
    assert!(!systemd.has_notification(), "no listener was taken");
    text
}

/// The tests that end one way with the handover and another way without it; or what was printed without it where fewer
/// than `least` tests passed.
fn differences(
    words: &[&str],
    folder: &Path,
    read: Read,
    least: usize,
) -> Result<Vec<String>, String> {
    let texts = [false, true].map(|handover| output(words, folder, handover));
    let [without, with] = texts.each_ref().map(|text| read(text));
    let passed = without.values().filter(|result| *result == "ok").count();
    if passed < least {
        return Err(format!("{passed} tests of {words:?} passed:\n{}", texts[0]));
    }
    let names = without.keys().chain(with.keys());
    let differ = names.filter(|name| without.get(*name) != with.get(*name));
    let shown = |name| format!("{name}: {:?}, {:?}", without.get(name), with.get(name));
    Ok(differ.map(shown).collect())
}

/// How often a test has to end differently. Some tests of others do not pass always, or do not end, least of all
/// on a machine that is busy.
const ROUNDS: usize = 4;

/// A suite of which at least so many tests pass.
#[track_caller]
fn same(words: &[&str], folder: &Path, read: Read, least: usize) {
    let mut always: Option<Vec<String>> = None;
    let mut broken = String::new();
    for _ in 0..ROUNDS {
        match (differences(words, folder, read, least), &mut always) {
            (Ok(again), Some(always)) => always.retain(|line| again.contains(line)),
            (Ok(first), None) => always = Some(first),
            (Err(why), _) => broken = why,
        }
        if always.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
    }
    let always = always.unwrap_or_else(|| panic!("in each of {ROUNDS} rounds {broken}"));
    assert!(always.is_empty(), "without and with the library: {always:#?}");
}

/// Debian's Python, whose tests are a package of their own.
const PYTHON: &str = "/usr/bin/python3";

fn python(arguments: &[&str], least: usize) {
    let modules = "import test.test_socket, test.test_asyncio";
    let there = Command::new(PYTHON).args(["-c", modules]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return skip::record("libpython3.11-testsuite is missing (make deps installs it)");
    }
    same(&[&[PYTHON, "-m"], arguments].concat(), Path::new("/"), unittest, least);
}

#[test]
fn python_socketserver_and_http_server() {
    python(&["unittest", "-v", "test.test_socketserver", "test.test_httpservers"], 55);
}

#[test]
fn python_asyncio() {
    let modules = ["server", "streams", "sock_lowlevel", "unix_events", "selector_events"];
    let modules = modules.map(|name| format!("test.test_asyncio.test_{name}"));
    let words: Vec<&str> =
        ["unittest", "-v"].into_iter().chain(modules.each_ref().map(String::as_str)).collect();
    python(&words, 300);
}

#[test]
fn python_wsgiref_urllib_and_poplib() {
    python(
        &["unittest", "-v", "test.test_wsgiref", "test.test_urllib2_localnet", "test.test_poplib"],
        110,
    );
}

#[test]
fn python_socket() {
    // Sockets of virtual machines have nobody at their other end here, and no patience; the others
    // mostly wait. A test whose client is late for its port waits for it for ever, with the library or not: Python ends
    // itself then, and the next round tells.
    let words = ["test", "-v", "--timeout", "120", "test_socket"];
    let left_out = ["*VSOCK*", "*Sendfile*", "*ConnectionBehaviour*", "*Timeout*"];
    let left_out = left_out.iter().flat_map(|name| ["-i", name]);
    python(&words.into_iter().chain(left_out).collect::<Vec<_>>(), 450);
}

/// Its package brings its tests along, and they need no network.
const NEEDLE: &str = "needle@3.5.0";
const SPECS: [&str; 10] = [
    "auth_digest",
    "basic_auth",
    "compression",
    "cookies",
    "output",
    "parsing",
    "post_data",
    "proxy",
    "request_stream",
    "stream_events",
];

#[test]
fn an_http_client_of_node_and_its_servers() {
    if !has("npm") {
        return;
    }
    let folder = needle();
    let specs = SPECS.map(|name| format!("test/{name}_spec.js"));
    let mocha = ["node", "node_modules/mocha/bin/_mocha", "--exit", "--reporter", "tap"];
    let words: Vec<&str> = mocha.into_iter().chain(specs.each_ref().map(String::as_str)).collect();
    same(&words, &folder, tap, 150);
}

/// The package as npm has it, with what its tests need.
fn needle() -> PathBuf {
    let folder = skip::target_dir().join("tmp").join(NEEDLE);
    let script = format!(
        "set -e; mkdir -p \"$0/test/keys\"; cd \"$0\"; \
         npm pack --silent {NEEDLE}; tar xzf *.tgz --strip-components 1; \
         npm install --silent --no-audit --no-fund --ignore-scripts; \
         openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout test/keys/ssl.key \
         -out test/keys/ssl.cert"
    );
    let make = |part: &Path| {
        let done = Command::new("sh").args(["-c", &script]).arg(part).output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        done.status.success().then_some(()).ok_or(said)
    };
    made::once(&folder, make).unwrap();
    folder
}

#[test]
fn the_library_is_really_in_there() {
    let script = ["sh", "-c", "grep -c libclusterctl_preload /proc/self/maps"];
    let with = output(&script, Path::new("/"), true);
    assert_ne!(with.trim(), "0", "{LIBRARY}");
    assert_eq!(output(&script, Path::new("/"), false).trim(), "0");
}
