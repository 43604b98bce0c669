//! What an instance has begun is finished before it ends: streams, upgraded connections, the
//! app's own handlers, and every protocol that Node's servers speak.

use std::{path::Path, time::Duration};

use crate::booted_long;
use crate::shop::{assert_all_ended_well, load};
use crate::support::{Machine, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// Copies the fixtures and applies an app of two instances.
fn install(m: &Machine, script: &str, toml: &str) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/drain");
    m.copy(&fixtures, "/srv/drain");
    let text = format!("[[apps]]\nname = 'shop'\nscript = '{script}'\ninstances = 2\n{toml}\n");
    m.write("/srv/drain/ecosystem.toml", text);
    m.ok(["clusterctl", "apply", "/srv/drain/ecosystem.toml"]);
}

booted_long!(a_five_second_stream_outlives_a_reload, |m| {
    install(m, "shop.js", "listen = 3000\nkill_timeout = '10s'");
    let mut stream = m.spawn(["curl", "-sN", "localhost:3000/stream"]);
    stream.line_with("part 0");
    m.ok(["clusterctl", "reload", "shop"]);
    let (code, lines) = stream.wait();
    let expected: Vec<String> =
        (0..10).map(|part| format!("part {part}")).chain(["end".to_owned()]).collect();
    assert_eq!((code, lines), (0, expected));
    assert_all_ended_well(m, "shop");
});

booted_long!(an_upgraded_connection_gets_the_kill_timeout, |m| {
    install(m, "shop.js", "listen = 3000\nkill_timeout = '4s'");
    let mut client = m.spawn(["node", "/srv/drain/upgraded.js"]);
    let instance = client.line_with("open ").replace("open ", "");
    let mut reload = m.spawn(["clusterctl", "reload", "shop"]);
    wait_until("its instance drains", Duration::from_secs(20), || {
        m.systemctl_show(&format!("shop@{instance}"), "ActiveState") == "deactivating"
    });
    client.type_in("still there\n");
    client.line_with("echo still there");
    client.line_with("closed");
    assert_eq!(reload.wait().0, 0);
    assert_all_ended_well(m, "shop");
});

/// Reloads an app that handles its shutdown itself, under load.
fn handlers(m: &Machine, on: &str, toml: &str) {
    install(m, "handlers.js", &format!("listen = 3000\nenv = {{ ON = '{on}' }}\n{toml}"));
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    run.stop().assert_none_failed();
    let journal = m.journal("shop@*");
    let left = |line: &str| journal.matches(line).count();
    let why = if on == "message" { "shutdown" } else { on };
    // Two instances and the extra one of the rollout.
    assert_eq!((left(&format!("leaving on {why}")), left("closed well")), (3, 3), "{journal}");
    assert_all_ended_well(m, "shop");
}

booted_long!(a_sigint_handler_runs_as_under_pm2, |m| handlers(m, "SIGINT", ""));

booted_long!(a_sigterm_handler_runs_as_under_pm2, |m| handlers(m, "SIGTERM", ""));

booted_long!(a_message_handler_runs_as_under_pm2, |m| {
    handlers(m, "message", "shutdown_with_message = true");
});

booted_long!(https_http2_net_and_tls_servers_lose_nothing, |m| {
    let fixtures = "/srv/drain";
    m.ok_sh(&format!(
        "mkdir -p {fixtures}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
         -nodes -keyout {fixtures}/key.pem -out {fixtures}/cert.pem -subj /CN=localhost 2>&1"
    ));
    install(m, "protocols.js", "listen = [3001, 3002, 3003, 3004]\nreadiness = 'all'");
    let mut client = m.spawn(["node", "/srv/drain/client.js"]);
    client.line_with("flowing");
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "reload", "shop"]);
    let (code, lines) = client.wait();
    let failed: Vec<_> = lines.iter().filter(|line| line.starts_with("failed")).collect();
    assert!(code == 0 && failed.is_empty(), "{lines:#?}\n{}", m.journal("shop@*"));
    assert!(lines.iter().any(|line| line.starts_with("answered")), "{lines:#?}");
    assert_all_ended_well(m, "shop");
});

booted_long!(a_restart_says_what_it_costs_before_it_happens, |m| {
    let app = |name: &str, script: &str, more: &str| {
        m.write(&format!("/srv/{name}/{name}.js"), script);
        format!("[[apps]]\nname = '{name}'\nscript = '/srv/{name}/{name}.js'\n{more}\n")
    };
    // The slow answer comes when the test creates a file.
    let slow = "require('http').createServer((q, s) => {\n\
        if (q.url === '/') return s.end('instance x');\n\
        require('fs').writeFileSync('/srv/begun', '');\n\
        require('fs').watch('/srv/go', () => s.end('slow'));\n\
        }).listen(3000);\n";
    let text = [
        app("web", slow, "listen = 3000\nkill_timeout = '60s'"),
        app(
            "stats",
            "require('dgram').createSocket('udp4').bind(8125)",
            "listen = 'udp:0.0.0.0:8125'",
        ),
        app("worker", "setInterval(() => {}, 1000)", ""),
    ];
    m.write("/srv/ecosystem.toml", text.concat());
    m.ok(["mkdir", "/srv/go"]);
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let wait =
        "new requests wait until what is under way is answered and an instance is ready again";
    let lost = "datagrams beyond the queue are lost";
    let said = |app: &str| {
        let output = m.clusterctl(["restart", app]);
        assert_eq!(output.code, 0, "{output:#?}");
        output.stderr
    };
    let stats = said("stats");
    assert!(stats.contains(wait) && stats.contains(lost), "{stats}");
    let worker = said("worker");
    assert!(!worker.contains(wait) && !worker.contains(lost), "{worker}");
    // A client that comes during the restart waits for the slow answer of the old process, and is served.
    let mut first = m.spawn(["curl", "-s", "localhost:3000/slow"]);
    wait_until("the slow request has begun", PATIENCE, || m.exists("/srv/begun"));
    let mut restart = m.spawn(["clusterctl", "restart", "web"]);
    let line = restart.line_with(wait);
    assert!(line.contains("nobody waits with: clusterctl reload web"), "{line}");
    assert!(!line.contains(lost), "{line}");
    wait_until("the instance is asked to stop", PATIENCE, || {
        m.systemctl_show("web@0", "ActiveState") == "deactivating"
    });
    let mut second = m.spawn(["curl", "-s", "localhost:3000/"]);
    m.ok(["touch", "/srv/go/now"]);
    assert_eq!(first.wait().1, ["slow"]);
    assert_eq!(second.wait().1, ["instance x"]);
    assert_eq!(restart.wait().0, 0);
});
