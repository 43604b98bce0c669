//! The agent that balancers ask: what it answers of an app, and that no question does anything but ask.

use std::path::Path;
use std::time::Duration;

use crate::booted;
use crate::shop::{applied, ecosystem};
use crate::support::{Machine, wait_until};

/// What `make install` puts on a machine, started.
pub fn install(m: &Machine) {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("units");
    for unit in ["clusterctl-agent.socket", "clusterctl-agent@.service"] {
        m.copy(&units.join(unit), &format!("/usr/lib/systemd/system/{unit}"));
    }
    m.copy(&units.join("agent-check"), "/usr/share/clusterctl/agent-check");
    m.ok_sh("systemctl daemon-reload && systemctl start clusterctl-agent.socket");
}

const ASK: &str = r#"import socket, sys
agent = socket.create_connection(("localhost", 9747), 20)
agent.sendall(sys.stdin.buffer.read())
print(agent.makefile().read(), end="")"#;

/// The answer to a question, as bytes are put on the wire.
fn asked(m: &Machine, question: &str) -> String {
    m.write("/run/question", question);
    m.ok_sh(&format!("python3 -c '{ASK}' </run/question"))
}

booted!(the_agent_says_how_much_of_an_app_serves, |m| {
    applied(m, &ecosystem(2, ""));
    install(m);
    assert_eq!(asked(m, "shop\n"), "ready up 100%");
    assert_eq!(asked(m, "shop\r\n"), "ready up 100%");
    m.ok(["systemctl", "stop", "shop@1"]);
    assert_eq!(asked(m, "shop\n"), "ready up 50%");
    m.ok(["systemctl", "start", "shop@1"]);
    m.ok_sh("mkdir -p /run/clusterctl/drain && touch /run/clusterctl/drain/shop");
    assert_eq!(asked(m, "shop\n"), "drain #/run/clusterctl/drain/shop");
    m.ok(["rm", "/run/clusterctl/drain/shop"]);
    // A rollout takes nothing away.
    let mut reload = m.spawn(["clusterctl", "reload", "shop"]);
    let mut said = std::collections::BTreeSet::new();
    while reload.runs() {
        said.insert(asked(m, "shop\n"));
    }
    assert_eq!(reload.wait().0, 0);
    assert_eq!(said, ["ready up 100%".to_owned()].into());
    m.ok(["clusterctl", "stop", "shop"]);
    assert_eq!(asked(m, "shop\n"), "down #no instance of shop serves");
    m.ok(["clusterctl", "delete", "shop"]);
    assert_eq!(asked(m, "shop\n"), "down #no app shop here");
    wait_until("nothing runs between questions", Duration::from_secs(20), || {
        m.ok(["systemctl", "list-units", "--no-legend", "--plain", "clusterctl-agent@*"]).is_empty()
    });
});

booted!(what_is_no_name_of_an_app_gets_no_further_than_the_agent, |m| {
    install(m);
    let long = "a".repeat(300);
    for question in [
        "\n",
        "../../etc/passwd\n",
        "-h\n",
        "--version\n",
        "$(touch /tmp/touched)\n",
        "`touch /tmp/touched`\n",
        "x;touch /tmp/touched\n",
        "shop@0\n",
        "a b\n",
        "*\n",
        "\u{1b}[2J\n",
        "GET / HTTP/1.0\r\n",
        &long,
    ] {
        let question = format!("{}\n", question.trim_end_matches('\n'));
        assert_eq!(asked(m, &question), "down #not the name of an app", "{question:?}");
    }
    assert!(!m.exists("/tmp/touched"));
    // A unit of somebody else's is no app.
    assert_eq!(asked(m, "dbus\n"), "down #no app dbus here");
    // Who says nothing is waited for, but not for long.
    let mut silent = m.spawn(["sh", "-c", &format!("python3 -c '{ASK}' </dev/null")]);
    wait_until("a question is waited for", Duration::from_secs(20), || {
        !m.ok(["systemctl", "list-units", "--no-legend", "--plain", "clusterctl-agent@*"])
            .is_empty()
    });
    wait_until("the wait is over", Duration::from_secs(40), || {
        m.ok(["systemctl", "list-units", "--no-legend", "--plain", "clusterctl-agent@*"]).is_empty()
    });
    assert_eq!(silent.wait(), (0, Vec::new()));
});
