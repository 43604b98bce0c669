//! Statically linked programs get no client before they have passed their check, although nothing of clusterctl is in
//! their process; what cannot be had for them is refused with the reason.

use std::time::Duration;

use crate::booted_long;
use crate::shop::{apply, pids, write};
use crate::support::load::Load;
use crate::support::{Machine, Output, wait_until};
use crate::trace::{go_app, go_server, rust_server};

const PATIENCE: Duration = Duration::from_secs(60);
const EARLY: &str = "a client came too early";

/// Puts the Go server into the machine, and writes an app around it. `None`: there is no Go.
fn written(m: &Machine, toml: &str) -> Option<()> {
    let program = go_server()?;
    if !m.path("/srv/shop/server").exists() {
        m.copy(program, "/srv/shop/server");
    }
    write(m, &format!("[[apps]]\nname = 'shop'\nscript = './server'\nlisten = 3000\n{toml}\n"));
    Some(())
}

/// Answers of instances that were not let in yet are failures.
fn load() -> Load {
    let load = Load::http("127.0.0.1:3000").new_connections(60.0).keep_alive(40.0);
    load.expect(" .").instance_after("instance ")
}

fn is_checked(m: &Machine, instance: u32) -> bool {
    m.systemctl_show(&format!("shop@{instance}"), "SubState") == "start-post"
}

fn is_active(m: &Machine, instance: u32) -> bool {
    m.systemctl_show(&format!("shop@{instance}"), "ActiveState") == "active"
}

/// The client of a script that says how it begins, and prints an answer.
fn client(m: &Machine) -> crate::support::Child {
    let mut client = m.spawn(["sh", "-c", "echo begun; curl -s localhost:3000; echo"]);
    client.line_with("begun");
    client
}

booted_long!(a_static_server_gets_clients_when_it_has_passed, |m| {
    let toml = "instances = 2\nhealth = '/healthz'\nenv = { FIT = '/srv/shop/fit' }";
    let Some(()) = written(m, toml) else { return };
    let mut start = m.spawn(["sh", "-c", "echo begun; clusterctl apply /srv/shop/ecosystem.toml"]);
    start.line_with("begun");
    wait_until("a check", PATIENCE, || is_checked(m, 0));
    // A client waits for as long as it takes, and so does the start.
    let mut early = client(m);
    assert!(is_checked(m, 0));
    m.write("/srv/shop/fit", "");
    assert!(early.line_with("instance").contains(" ."));
    assert_eq!(start.wait().0, 0);
    // The program knows its listener by the name that clients know.
    assert!(m.journal("shop@*").contains("listening on [::]:3000"), "{}", m.journal("shop@*"));
    // After a crash, by hand, and at boot, whatever happens meanwhile.
    m.ok(["rm", "/srv/shop/fit"]);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    wait_until("a check", PATIENCE, || is_checked(m, 0));
    m.ok(["systemctl", "daemon-reload"]);
    m.write("/srv/shop/fit", "");
    wait_until("its start", PATIENCE, || is_active(m, 0));
    m.ok(["systemctl", "restart", "shop@1"]);
    let (answer, _) = crate::first_client::at_boot(m, "/srv/shop/fit", "true");
    assert!(answer.ends_with(" ."), "{answer}");
    wait_until("both instances", PATIENCE, || (0..2).all(|n| is_active(m, n)));
    let journal = m.journal("shop@*");
    assert!(!journal.contains(EARLY), "{journal}");
});

booted_long!(a_reload_of_checked_static_servers_loses_nothing, |m| {
    let toml = "instances = 4\nhealth = '/healthz'\nenv = { FIT = '/srv/shop/fit' }";
    m.write("/srv/shop/fit", "");
    if go_app(m, &format!("listen = 3000\n{toml}")).is_none() {
        return;
    }
    let before = pids(m, 4);
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "scale", "shop", "2"]);
    m.ok(["clusterctl", "scale", "shop", "+2"]);
    let report = run.stop();
    report.assert_none_failed();
    eprintln!("{} requests", report.ok());
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
    assert!(!m.journal("shop@*").contains(EARLY));
    assert_eq!(m.run(["pgrep", "-x", "clusterctl-exec"]).code, 1, "no tracer stays");
});

booted_long!(a_static_canary_that_never_passes_meets_no_client, |m| {
    let toml = |fit: &str| {
        let health = "health = { http = '/healthz', grace = '20s' }";
        format!("instances = 3\n{health}\nenv = {{ FIT = '{fit}' }}")
    };
    m.write("/srv/shop/fit", "");
    if go_app(m, &format!("listen = 3000\n{}", toml("/srv/shop/fit"))).is_none() {
        return;
    }
    let before = pids(m, 3);
    let mut run = m.load(load());
    run.wait_flowing();
    written(m, &toml("/run/never")).unwrap();
    let output = apply(m);
    let why = "did not pass its health check: 503 Service Unavailable: no database";
    assert!(output.code == 1 && output.stderr.contains(why), "{output:#?}");
    // The address at which it is checked is no mistake of its own.
    let said = output.stdout + &output.stderr;
    assert!(!said.contains("is not ready yet"), "{said}");
    run.stop().assert_none_failed();
    let journal = m.journal("shop@*");
    assert!(journal.contains(why) && !journal.contains(EARLY), "{journal}");
    assert_eq!(pids(m, 3), before);
});

booted_long!(other_checks_of_a_static_server, |m| {
    m.write("/srv/shop/fit", "");
    m.write("/srv/shop/smoke", SMOKE);
    m.ok(["chmod", "755", "/srv/shop/smoke"]);
    let toml = "instances = 2\nhealth = { tcp = 3000 }\nrollout = { check = './smoke' }";
    if go_app(m, &format!("listen = 3000\n{toml}")).is_none() {
        return;
    }
    m.write("/run/hold", "");
    let mut reload = m.spawn(["sh", "-c", "echo begun; clusterctl reload shop"]);
    reload.line_with("begun");
    wait_until("the check", PATIENCE, || m.path("/run/canary").exists());
    let instance = m.ok_sh(". /run/canary; curl -s $url");
    assert!(instance.starts_with("instance 2 "), "{instance}");
    m.ok(["rm", "/run/hold"]);
    assert_eq!(reload.wait().0, 0);
    // A program that says by itself when it may have clients.
    let toml = "instances = 2\nwait_ready = true\nenv = { READY = '/run/ready' }";
    m.write("/run/ready", "");
    written(m, toml).unwrap();
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["rm", "/run/ready"]);
    let mut restart = m.spawn(["sh", "-c", "echo begun; systemctl restart shop@1"]);
    restart.line_with("begun");
    wait_until("its start", PATIENCE, || m.systemctl_show("shop@1", "ActiveState") == "activating");
    m.write("/run/ready", "");
    assert_eq!(restart.wait().0, 0);
    run.stop().assert_none_failed();
    assert!(!m.journal("shop@*").contains(EARLY));
});

const SMOKE: &str = "#!/bin/sh
echo \"instance=$CANARY_INSTANCE url=$CANARY_URL\" >/run/canary.new
mv /run/canary.new /run/canary
while [ -e /run/hold ]; do sleep 0.05; done
";

booted_long!(static_servers_of_a_sandboxed_user_that_begin_behind_a_shell, |m| {
    m.ok(["useradd", "--system", "web"]);
    m.write("/srv/shop/fit", "");
    let toml = "instances = 2\nuser = 'web'\nsandbox = 'strict'\nhealth = '/healthz'\n\
        env = { FIT = '/srv/shop/fit' }";
    if go_app(m, &format!("listen = 3000\n{toml}")).is_none() {
        return;
    }
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    let text = format!(
        "[[apps]]\nname = 'shop'\ncommand = ['sh', '-c', './server & trap \"kill $!\" TERM; wait']\n\
         handover = 'trace'\nlisten = 3000\n{toml}\n"
    );
    write(m, &text);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    run.stop().assert_none_failed();
    assert!(!m.journal("shop@*").contains(EARLY));
});

booted_long!(a_server_that_waits_in_accept_is_checked, |m| {
    m.copy(&rust_server(), "/srv/shop/server");
    let text = "[[apps]]\nname = 'shop'\ncommand = ['./server', '3000']\nlisten = 3000\ninstances = 2\n\
        non_blocking = false\nhealth = { tcp = 3000 }\n";
    write(m, text);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    for _ in 0..2 {
        let all = pids(m, 2);
        let asked = "for i in $(seq 40); do cat </dev/tcp/127.0.0.1/3000; done | sort -u";
        let answers = m.ok(["bash", "-c", asked]);
        assert!(answers.lines().all(|pid| all.iter().any(|own| own == pid)), "{answers} {all:?}");
        m.ok(["clusterctl", "reload", "shop"]);
    }
});

booted_long!(checked_static_servers_go_on_without_clusterctl, |m| {
    m.write("/srv/shop/fit", "");
    let toml = "listen = 3000\ninstances = 2\nhealth = '/healthz'";
    if go_app(m, toml).is_none() {
        return;
    }
    m.ok(["rm", "/usr/bin/clusterctl"]);
    m.ok(["systemctl", "restart", "shop"]);
    crate::trace::all_answer(m, "localhost:3000", 2);
});

fn refused(m: &Machine, toml: &str) -> Output {
    written(m, toml).unwrap();
    let output = apply(m);
    assert_ne!(output.code, 0, "{output:#?}");
    output
}

booted_long!(what_a_static_server_cannot_have_is_said, |m| {
    if go_app(m, "listen = 3000\ninstances = 2\nhealth = '/healthz'").is_none() {
        return;
    }
    let lacks =
        "no `door`, so no `clusterctl curl`, `drain` and `metrics --app`, no `watchdog`, no";
    let described = m.ok(["env", "COLUMNS=400", "clusterctl", "describe", "shop"]);
    assert!(described.contains(lacks) && described.contains("it is a Go program"), "{described}");
    written(m, "instances = 3\nhealth = '/healthz'").unwrap();
    let plan = m.ok([
        "env",
        "COLUMNS=400",
        "clusterctl",
        "apply",
        "--dry-run",
        "/srv/shop/ecosystem.toml",
    ]);
    assert!(plan.contains(lacks), "{plan}");
    for verb in [&["curl", "shop@0", "/"][..], &["drain", "shop@0"]] {
        let said = m.clusterctl(verb);
        let why = "has no door: nothing of clusterctl is in its process (it is a Go program";
        assert!(said.code == 1 && said.stderr.contains(why), "{said:#?}");
    }
    for (toml, why) in [
        ("door = true", "no instance of this program can be reached alone: it is a Go program"),
        ("watchdog = '5s'", "nothing of clusterctl can answer a watchdog for this program"),
        ("balance = 'client'", "nobody can spread the clients of this program"),
        (
            "health = { http = '/', interval = '5s' }",
            "nobody can check one instance of this program while it serves: it is a Go program",
        ),
    ] {
        let output = refused(m, toml);
        assert!(output.stderr.contains(why) && output.stderr.contains("help: "), "{output:#?}");
    }
});
