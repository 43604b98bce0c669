//! What a traced program has begun is finished before it ends, whether it hears of its end or not.

use std::path::Path;
use std::time::Duration;

use crate::booted_long;
use crate::shop::pids;
use crate::support::load::{Load, Run};
use crate::support::{Machine, skip, wait_until};
use crate::trace::{all_answer, go_app};

/// Answers after two seconds, by a handler that stops when its client goes, and at once.
fn loads(m: &Machine) -> [Run; 2] {
    let load = |path| Load::http("127.0.0.1:3000").path(path).expect("instance ");
    let slow = m.load(load("/patient").new_connections(40.0));
    let quick = m.load(load("/").new_connections(20.0).keep_alive(40.0));
    let mut runs = [slow, quick];
    runs.iter_mut().for_each(Run::wait_flowing);
    runs
}

/// Everything that replaces or ends instances, under load.
fn replaced_under_load(m: &Machine, env: &str) {
    let toml = format!("listen = 3000\ninstances = 4\nkill_timeout = '15s'\nenv = {{ {env} }}");
    if go_app(m, &toml).is_none() {
        return;
    }
    all_answer(m, "localhost:3000", 4);
    let before = pids(m, 4);
    let [slow, quick] = loads(m);
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "reload", "shop"]);
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
    m.ok(["clusterctl", "restart", "shop"]);
    m.ok(["clusterctl", "scale", "shop", "2"]);
    let (slow, quick) = (slow.stop(), quick.stop());
    slow.assert_none_failed();
    quick.assert_none_failed();
    assert_none_killed(m);
}

fn assert_none_killed(m: &Machine) {
    let journal = m.journal("shop@*");
    for bad in ["timed out", "SIGKILL"] {
        assert!(!journal.contains(bad), "{journal}");
    }
}

booted_long!(go_that_shuts_down_by_itself_loses_no_slow_answer, |m| replaced_under_load(m, ""));

booted_long!(go_that_knows_no_end_loses_no_slow_answer, |m| replaced_under_load(m, "NAIVE = '1'"));

booted_long!(go_that_ends_at_once_when_told_loses_no_slow_answer, |m| {
    replaced_under_load(m, "HASTY = '1'");
});

/// A program that may not copy descriptors, as in containers of Docker and systemd-nspawn.
fn without_copies(m: &Machine, toml: &str) {
    let filter = "service = { SystemCallFilter = '~pidfd_getfd', SystemCallErrorNumber = 'EPERM' }";
    if go_app(m, &format!("instances = 2\n{toml}\n{filter}")).is_none() {
        return;
    }
    all_answer(m, "localhost:3000", 2);
    let slow = Load::http("127.0.0.1:3000").path("/patient").new_connections(40.0);
    let mut slow = m.load(slow.expect("instance "));
    slow.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    slow.stop().assert_none_failed();
    assert_none_killed(m);
}

booted_long!(where_copies_of_descriptors_are_forbidden_go_shuts_down_by_itself, |m| {
    without_copies(m, "listen = 3000\nkill_timeout = '30s'");
});

booted_long!(where_copies_of_descriptors_are_forbidden_go_that_knows_no_end_is_drained, |m| {
    without_copies(m, "listen = '0.0.0.0:3000'\nkill_timeout = '30s'\nenv = { NAIVE = '1' }");
});

booted_long!(where_copies_of_descriptors_are_forbidden_unix_listeners_are_served, |m| {
    let toml = "listen = '/run/shop.sock'\ninstances = 2\nenv = { UNIX = '/run/shop.sock' }\n\
        service = { SystemCallFilter = '~pidfd_getfd', SystemCallErrorNumber = 'EPERM' }";
    if go_app(m, toml).is_none() {
        return;
    }
    all_answer(m, "--unix-socket /run/shop.sock http://localhost/", 2);
    let slow = Load::unix("/run/shop.sock").path("/patient").new_connections(20.0);
    let mut slow = m.load(slow.expect("instance "));
    slow.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    slow.stop().assert_none_failed();
});

/// Clients of these kinds, during a reload.
fn clients(m: &Machine, toml: &str, kinds: &[&str]) -> Option<()> {
    if !skip::has("python3") {
        return None;
    }
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/trace");
    m.copy(&fixtures, "/srv/trace");
    go_app(m, &format!("listen = 3000\ninstances = 2\n{toml}"))?;
    all_answer(m, "localhost:3000", 2);
    let words = ["python3", "/srv/trace/clients.py", "3000"];
    let mut clients = m.spawn(words.iter().chain(kinds).copied());
    clients.line_with("open");
    m.ok(["clusterctl", "reload", "shop"]);
    let (code, lines) = clients.wait();
    assert!(code == 0 && lines.last().is_some_and(|line| line == "all well"), "{lines:#?}");
    assert_none_killed(m);
    Some(())
}

booted_long!(what_takes_its_time_is_finished_by_go_that_shuts_down, |m| {
    clients(m, "kill_timeout = '15s'", &["silent", "upload", "ticks"]);
});

booted_long!(what_takes_its_time_is_waited_for_where_go_knows_no_end, |m| {
    let kinds = ["silent", "half", "upload", "ticks", "tunnel"];
    clients(m, "kill_timeout = '15s'\nenv = { NAIVE = '1' }", &kinds);
});

booted_long!(streams_of_go_that_knows_no_end_end_when_their_time_is_over, |m| {
    let toml = "kill_timeout = '2min'\nstream_timeout = '3s'\nenv = { NAIVE = '1' }";
    clients(m, toml, &["websocket", "events"]);
});

booted_long!(streams_of_go_that_shuts_down_end_when_their_time_is_over, |m| {
    let toml = "kill_timeout = '2min'\nstream_timeout = '3s'";
    clients(m, toml, &["websocket", "events"]);
});

booted_long!(a_websocket_of_go_that_ends_at_once_when_told_is_not_cut, |m| {
    clients(m, "kill_timeout = '15s'\nenv = { HASTY = '1' }", &["websocket"]);
});

/// Streams of HTTP/2, as those of gRPC are, during a reload.
fn streams(m: &Machine, env: &str) {
    let toml = format!(
        "listen = 3000\ninstances = 2\nkill_timeout = '15s'\nenv = {{ SECURE = '1'{env} }}"
    );
    if go_app(m, &toml).is_none() {
        return;
    }
    all_answer(m, "-k https://localhost:3000", 2);
    let one = "curl -skN --http2 -w '%{http_version} ' https://localhost:3000/ticks &";
    let all = format!("for n in {{1..6}}; do {one} done; wait");
    let mut clients = m.spawn(["bash", "-c", &all]);
    for _ in 0..6 {
        clients.line_with("tick 0");
    }
    m.ok(["clusterctl", "reload", "shop"]);
    let lines = clients.wait().1;
    let ends = lines.iter().filter(|line| line.ends_with("end")).count();
    let versions = lines.iter().map(|line| line.matches("2 ").count()).sum::<usize>();
    assert!(ends == 6 && versions >= 6, "{lines:#?}");
    assert_none_killed(m);
}

booted_long!(http2_streams_are_finished_by_go_that_shuts_down, |m| streams(m, ""));

booted_long!(http2_streams_are_waited_for_where_go_knows_no_end, |m| streams(m, ", NAIVE = '1'"));

booted_long!(idle_connections_of_go_that_knows_no_end_hold_nothing_up_for_ever, |m| {
    clients(m, "kill_timeout = '4s'\nenv = { NAIVE = '1' }", &["idle"]);
});

booted_long!(idle_connections_are_closed_by_go_that_shuts_down, |m| {
    clients(m, "kill_timeout = '4s'", &["idle"]);
});

booted_long!(what_go_loses_alone_is_no_less_than_what_it_loses_as_an_app, |m| {
    // The same program under a plain unit as anybody would write it, on another port.
    if go_app(m, "listen = 3000\nkill_timeout = '15s'").is_none() {
        return;
    }
    m.ok([
        "systemd-run",
        "--unit=alone",
        "--setenv=PORT=4000",
        "--property=TimeoutStopSec=15s",
        "/srv/shop/server",
    ]);
    wait_until("the program alone answers", Duration::from_secs(20), || {
        m.run(["curl", "-s", "localhost:4000"]).code == 0
    });
    let ask = |port: u16| {
        let one = format!("curl -s --max-time 20 localhost:{port}/ticks | grep -x end &");
        m.spawn(["bash", "-c", &format!("for n in {{1..20}}; do {one} done; echo asked; wait")])
    };
    let mut both = [ask(4000), ask(3000)];
    both.iter_mut().for_each(|asked| drop(asked.line_with("asked")));
    for port in [4000, 3000] {
        let all = format!("test $(ss -Htn state established sport = :{port} | wc -l) -ge 20");
        wait_until("all have asked", Duration::from_secs(20), || {
            m.run(["sh", "-c", &all]).code == 0
        });
    }
    m.ok(["systemctl", "stop", "alone", "shop"]);
    let answered =
        both.map(|mut asked| asked.wait().1.iter().filter(|line| *line == "end").count());
    assert!(answered[1] == 20 && answered[0] <= answered[1], "{answered:?}");
});
