//! A client of an app that is stopped is answered or refused, whoever stops it: none is accepted
//! by the kernel and then dropped. And an app that was stopped starts again at once.

use std::path::Path;
use std::time::Duration;

use crate::booted;
use crate::support::{Child, Machine, wait_until};
use crate::trace::go_server;

const PATIENCE: Duration = Duration::from_secs(30);

fn install(m: &Machine, toml: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/stop");
    m.copy(&fixtures, "/srv/stop");
    let text = format!("[[apps]]\nname = 'shop'\ninstances = 2\nkill_timeout = '15s'\n{toml}\n");
    m.write("/srv/stop/ecosystem.toml", text);
    m.ok(["clusterctl", "apply", "/srv/stop/ecosystem.toml"]);
}

fn knocking(m: &Machine, address: &str) -> Child {
    let mut clients = m.spawn(["python3", "/srv/stop/knock.py", address]);
    clients.line_with("answered");
    clients
}

fn state(m: &Machine, unit: &str) -> String {
    m.systemctl_show(unit, "ActiveState")
}

/// Checks that every client was answered or refused, and that the first refusal came while instances still answered.
fn nobody_is_lost(m: &Machine, address: &str, stop: &[&str]) {
    let mut clients = knocking(m, address);
    let mut stopping = m.spawn(stop.iter().copied());
    clients.line_with("refused");
    assert_ne!(state(m, "shop@0"), "inactive", "refused only after the last answer");
    let (code, said) = stopping.wait();
    assert_eq!(code, 0, "{said:?}");
    let (_, lines) = clients.wait();
    let lost: Vec<_> = lines.iter().filter(|line| line.contains("lost")).collect();
    assert!(
        lost.is_empty(),
        "{} of {}: {lost:#?}\n{}",
        lost.len(),
        lines.len(),
        m.journal("shop*")
    );
    let count = |word: &str| lines.iter().filter(|line| *line == word).count();
    assert!(count("answered") > 20 && count("refused") > 10, "{lines:#?}");
    for unit in ["shop", "shop@0", "shop@1"] {
        assert_eq!(state(m, unit), "inactive", "{unit}: {}", m.journal("shop*"));
    }
    let journal = m.journal("shop@*");
    assert!(!journal.contains("timed out"), "{journal}");
}

booted!(a_stop_answers_or_refuses_every_client_of_node, |m| {
    install(m, "script = 'slow.js'\nlisten = 3000");
    nobody_is_lost(m, "3000", &["clusterctl", "stop", "shop"]);
    m.ok(["clusterctl", "start", "shop"]);
    nobody_is_lost(m, "3000", &["systemctl", "stop", "shop"]);
    m.ok(["systemctl", "start", "shop"]);
    nobody_is_lost(m, "3000", &["clusterctl", "delete", "shop"]);
});

booted!(a_stop_answers_or_refuses_every_client_of_uvicorn, |m| {
    install(m, "command = ['uvicorn', '--port', '3000', 'slow:app']\nlisten = '127.0.0.1:3000'");
    nobody_is_lost(m, "3000", &["clusterctl", "stop", "shop"]);
});

booted!(a_stop_answers_or_refuses_every_client_of_a_native_uvicorn, |m| {
    let toml = "command = ['uvicorn', '--fd', '3', 'slow:app']\nlisten = 3000\nhandover = 'native'";
    install(m, toml);
    nobody_is_lost(m, "3000", &["systemctl", "stop", "shop"]);
});

booted!(a_stop_answers_or_refuses_every_client_of_a_native_server_with_threads, |m| {
    let toml = "command = ['python3', 'threads.py']\nlisten = 3000\nhandover = 'native'\n\
                non_blocking = false";
    install(m, toml);
    nobody_is_lost(m, "3000", &["systemctl", "stop", "shop"]);
});

booted!(a_stop_answers_or_refuses_every_client_of_a_traced_server, |m| {
    let Some(server) = go_server() else { return };
    m.copy(server, "/srv/stop/server");
    install(m, "script = './server'\nlisten = 3000\nenv = { SLOW = '3s' }");
    nobody_is_lost(m, "3000", &["systemctl", "stop", "shop"]);
});

booted!(a_stop_answers_or_refuses_every_client_of_a_unix_listener, |m| {
    install(
        m,
        "script = 'slow.js'\nlisten = '/run/shop.sock'\nenv = { LISTEN = '/run/shop.sock' }",
    );
    nobody_is_lost(m, "/run/shop.sock", &["systemctl", "stop", "shop"]);
    m.ok(["systemctl", "start", "shop"]);
    nobody_is_lost(m, "/run/shop.sock", &["clusterctl", "stop", "shop"]);
});

booted!(an_app_that_is_being_stopped_starts_again, |m| {
    install(m, "script = 'slow.js'\nlisten = 3000");
    let mut clients = knocking(m, "3000");
    let mut stopping = m.spawn(["systemctl", "stop", "shop"]);
    wait_until("instances drain", PATIENCE, || state(m, "shop@0") == "deactivating");
    m.ok(["systemctl", "start", "shop"]);
    let _ = stopping.wait();
    clients.line_with("answered");
    let (_, lines) = clients.wait();
    assert!(!lines.iter().any(|line| line.contains("lost")), "{lines:#?}");
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "slow answer");
    for round in 0..5 {
        m.ok(["systemctl", "stop", "shop"]);
        m.ok(["systemctl", "start", "shop"]);
        assert_eq!(state(m, "shop-3000.socket"), "active", "round {round}");
        assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "slow answer");
    }
    m.ok(["systemctl", "restart", "shop"]);
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "slow answer");
});

booted!(a_machine_that_is_shut_down_answers_or_refuses_every_client, |m| {
    install(m, "script = 'slow.js'\nlisten = 3000");
    let mut clients = knocking(m, "3000");
    let _ending = m.spawn(["systemctl", "poweroff"]);
    clients.line_with("refused");
    let (_, lines) = clients.wait();
    let lost: Vec<_> = lines.iter().filter(|line| line.contains("lost")).collect();
    // systemd itself may accept one to drop it, before any of its units is stopped.
    assert!(lost.len() <= 1, "{lost:#?}");
    assert!(lines.iter().filter(|line| *line == "answered").count() > 20, "{lines:#?}");
});

/// Dies soon after it listens when there is a file `/srv/stop/broken`.
const FRAIL: &str = "\
const fs = require('fs');
const broken = () => fs.existsSync('/srv/stop/broken');
if (broken()) process.exit(1);
require('http').createServer((request, response) => response.end('fine')).listen(3000);
setInterval(() => broken() && process.exit(1), 20);
";

fn frail(m: &Machine) {
    m.write("/srv/stop/frail.js", FRAIL);
    install(m, "script = 'frail.js'\nlisten = 3000\nmax_restarts = 3");
}

fn serves(m: &Machine) -> bool {
    m.run(["curl", "-s", "localhost:3000"]).stdout == "fine"
}

booted!(an_app_of_which_every_instance_gave_up_fails_and_refuses_clients, |m| {
    frail(m);
    for again in ["start", "reload", "restart"] {
        m.write("/srv/stop/broken", "");
        wait_until("the app fails", PATIENCE, || state(m, "shop") == "failed");
        assert_eq!(state(m, "shop-3000.socket"), "inactive");
        // curl's code for a refused connection.
        assert_eq!(m.run(["curl", "-s", "localhost:3000"]).code, 7);
        let listed = m.ok(["clusterctl", "list"]);
        assert_eq!(listed.matches("errored").count(), 2, "{listed}");
        m.ok(["rm", "/srv/stop/broken"]);
        m.ok(["clusterctl", again, "shop"]);
        assert!(serves(m), "{again}: {}", m.journal("shop*"));
    }
    m.write("/srv/stop/broken", "");
    wait_until("the app fails", PATIENCE, || state(m, "shop") == "failed");
    m.ok(["rm", "/srv/stop/broken"]);
    m.ok(["clusterctl", "apply", "/srv/stop/ecosystem.toml"]);
    assert!(serves(m), "apply: {}", m.journal("shop*"));
    m.ok(["clusterctl", "stop", "shop"]);
    assert_eq!(state(m, "shop"), "inactive", "an app that somebody stops has not failed");
});

booted!(one_instance_that_gave_up_touches_no_other, |m| {
    m.write(
        "/srv/stop/frail.js",
        format!(
            "if (process.env.NODE_APP_INSTANCE === '1') {{ {FRAIL} }} else {{ {} }}",
            FRAIL.replace("broken'", "never'")
        ),
    );
    install(m, "script = 'frail.js'\nlisten = 3000\nmax_restarts = 3");
    m.write("/srv/stop/broken", "");
    wait_until("it gives up", PATIENCE, || m.ok(["clusterctl", "list"]).contains("errored"));
    assert_eq!(state(m, "shop"), "active");
    assert!(serves(m));
    m.ok(["systemctl", "restart", "shop"]);
    assert_eq!(state(m, "shop"), "active");
    assert!(serves(m));
});

booted!(the_start_of_a_broken_release_fails, |m| {
    frail(m);
    m.ok(["systemctl", "stop", "shop"]);
    m.write("/srv/stop/broken", "");
    assert_ne!(m.run(["systemctl", "start", "shop"]).code, 0, "{}", m.journal("shop*"));
    assert_eq!(state(m, "shop"), "failed");
    assert_eq!(m.run(["curl", "-s", "localhost:3000"]).code, 7, "refused");
    m.ok(["rm", "/srv/stop/broken"]);
    m.ok(["systemctl", "start", "shop"]);
    assert!(serves(m));
});
