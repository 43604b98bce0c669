//! `health` and `wait_ready`: no client meets an instance that is not fit to serve.

use std::time::Duration;

use crate::booted;
use crate::doors::{NODE, PYTHON, applied, apply, clients, load, uvicorn, write};
use crate::npm;
use crate::support::{Machine, Root, machine, wait_until};

/// A canary that never passes costs nothing, and the reason is told everywhere.
fn never_passes(m: &Machine, run: &str) {
    let health = "health = { http = '/healthz', grace = '3s' }";
    applied(m, run, 3, &format!("env.GREETING = 'one'\n{health}"));
    let mut load = m.load(load());
    load.wait_flowing();
    write(m, run, 3, &format!("env.GREETING = 'two'\nenv.FIT = '/run/never'\n{health}"));
    let output = apply(m);
    let why = "did not pass its health check: 503 Service Unavailable: no database";
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains(why), "{output:#?}");
    let report = load.stop();
    report.assert_none_failed();
    let journal = m.journal("shop@*");
    assert!(journal.contains(why), "{journal}");
    let greetings = m.ok_sh("for i in $(seq 40); do curl -s localhost:3000; echo; done | sort -u");
    assert!(!greetings.contains("two"), "{greetings}");
    m.ok(["clusterctl", "delete", "shop"]);
}

booted!(a_canary_that_does_not_pass_meets_no_client, |m| {
    never_passes(m, NODE);
    never_passes(m, PYTHON);
});

#[test]
fn a_canary_of_node_24_or_uvicorn_that_does_not_pass_meets_no_client() {
    let Some(m) = machine(Root::Host) else { return };
    if let Some(node) = npm::node(&m, "24") {
        never_passes(&m, &format!("{NODE}\ninterpreter = '{node}'"));
    }
    uvicorn(&m, never_passes);
}

booted!(an_instance_gets_clients_when_it_has_passed, |m| {
    let more = "env = { GREETING = 'one', FIT = '/srv/doors/fit' }\nhealth = '/healthz'";
    write(m, NODE, 2, more);
    let mut start = m.spawn(["sh", "-c", "echo begun; clusterctl apply /srv/doors/ecosystem.toml"]);
    start.line_with("begun");
    wait_until("a check", Duration::from_secs(30), || {
        m.systemctl_show("shop@0", "SubState") == "start-post"
    });
    // A client waits for as long.
    let mut client = m.spawn(["sh", "-c", "echo begun; curl -s localhost:3000; echo"]);
    client.line_with("begun");
    m.write("/srv/doors/fit", "");
    assert!(client.line_with("instance").contains("in time ."));
    assert_eq!(start.wait().0, 0);
    // After a crash too: no client meets an instance that is not fit.
    m.ok(["rm", "/srv/doors/fit"]);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    wait_until("a check", Duration::from_secs(30), || {
        m.systemctl_show("shop@0", "SubState") == "start-post"
    });
    let before = clients(m, 0);
    assert_eq!(before, 0, "it was asked while it was not fit");
    m.write("/srv/doors/fit", "");
    wait_until("its start", Duration::from_secs(30), || {
        m.systemctl_show("shop@0", "ActiveState") == "active"
    });
    m.reboot();
    wait_until("both instances", Duration::from_secs(60), || {
        (0..2).all(|n| m.systemctl_show(&format!("shop@{n}"), "ActiveState") == "active")
    });
});

booted!(an_instance_that_falls_ill_is_replaced, |m| {
    let check = "health = { http = '/healthz', interval = '1s', failures = 2 }";
    applied(m, NODE, 2, &format!("env = {{ GREETING = 'one', ILL = '/run/ill-' }}\n{check}"));
    let mut load = m.load(load());
    load.wait_flowing();
    let ill = m.systemctl_show("shop@1", "MainPID");
    m.write(&format!("/run/ill-{ill}"), "");
    wait_until("another process", Duration::from_secs(60), || {
        m.systemctl_show("shop@1", "MainPID") != ill
            && m.systemctl_show("shop@1", "ActiveState") == "active"
    });
    load.stop().assert_none_failed();
    let why = "shop@1 failed its health check 2 times: 503 Service Unavailable: no database";
    assert!(m.journal("shop-health").contains(why), "{}", m.journal("shop-health"));
    let said = m.ok(["clusterctl", "describe", "shop"]);
    assert!(said.contains(why), "{said}");
    for of in [&["history"][..], &["history", "shop"], &["history", "/srv/doors/ecosystem.toml"]] {
        let wide = [&["env", "COLUMNS=200", "clusterctl"], of].concat();
        assert!(m.ok(wide).contains(why), "{of:?}");
    }
    // Out of rotation, it is left alone.
    let ill = m.systemctl_show("shop@0", "MainPID");
    m.ok(["clusterctl", "drain", "shop@0"]);
    m.write(&format!("/run/ill-{ill}"), "");
    let before = m.journal("shop-health").matches("Finished").count();
    wait_until("three more checks", Duration::from_secs(60), || {
        m.journal("shop-health").matches("Finished").count() >= before + 3
    });
    assert_eq!(m.systemctl_show("shop@0", "MainPID"), ill);
});

booted!(wait_ready_keeps_clients_away_until_the_program_says_so, |m| {
    let more =
        "env = { GREETING = 'one', SAYS_READY = '1', READY = '/run/ready' }\nwait_ready = true";
    m.write("/run/ready", "");
    applied(m, NODE, 3, more);
    let mut load = m.load(load());
    load.wait_flowing();
    m.ok(["rm", "/run/ready"]);
    let mut reload = m.spawn(["sh", "-c", "echo begun; clusterctl reload shop"]);
    reload.line_with("begun");
    wait_until("the first new instance", Duration::from_secs(30), || {
        m.systemctl_show("shop@3", "ActiveState") == "activating"
            && m.path("/run/clusterctl/doors/shop@3/door").exists()
    });
    assert_eq!(clients(m, 3), 0);
    m.write("/run/ready", "");
    assert_eq!(reload.wait().0, 0);
    // `expect` counts an answer of one that had not said so as a failure.
    load.stop().assert_none_failed();
});

booted!(apps_go_on_when_clusterctl_is_removed, |m| {
    m.write("/run/ready", "");
    let ready = "wait_ready = true\nenv.SAYS_READY = '1'\nenv.READY = '/run/ready'";
    applied(m, NODE, 2, &format!("{ready}\nenv.GREETING = 'one'\nhealth = '/healthz'"));
    let program = m.ok_sh("command -v clusterctl");
    m.ok(["mv", &program, "/root/removed"]);
    let mut load = m.load(load());
    load.wait_flowing();
    m.ok(["rm", "/run/ready"]);
    let mut restart = m.spawn(["sh", "-c", "echo begun; systemctl restart shop@1"]);
    restart.line_with("begun");
    wait_until("its start", Duration::from_secs(30), || {
        m.systemctl_show("shop@1", "ActiveState") == "activating"
            && m.path("/run/clusterctl/doors/shop@1/door").exists()
    });
    m.write("/run/ready", "");
    assert_eq!(restart.wait().0, 0);
    // It is the only one that is left, and serves.
    m.ok(["systemctl", "stop", "shop@0"]);
    assert!(m.ok_sh("curl -s localhost:3000").contains("instance 1 one in time ."));
    load.stop().assert_none_failed();
    m.ok(["mv", "/root/removed", &program]);
});

booted!(a_worker_is_checked_by_a_command, |m| {
    m.write("/srv/kk/worker.js", "setInterval(() => {}, 1000);\n");
    let file = |test: &str| {
        format!(
            "[[apps]]\nname = 'kk'\nscript = 'worker.js'\nuser = 'daemon'\n\
             health = {{ command = ['sh', '-c', '{test}'], grace = '2s' }}\n"
        )
    };
    m.write("/srv/kk/ecosystem.toml", file("test \"$(id -un)\" = daemon"));
    m.ok(["clusterctl", "apply", "/srv/kk/ecosystem.toml"]);
    m.write("/srv/kk/ecosystem.toml", file("echo no queue; exit 4"));
    let output = m.clusterctl(["apply", "/srv/kk/ecosystem.toml"]);
    let why = "did not pass its health check: `sh` ended with code 4: no queue";
    assert!(output.code == 1 && output.stderr.contains(why), "{output:#?}");
});

/// What `rollout.check` runs in these tests: it asks the one instance, and notes that it did.
const SMOKE: &str = "#!/bin/sh
echo \"$CANARY_INSTANCE $CANARY_ADDRESS\" >>/srv/doors/checked
while [ -e /run/hold ]; do sleep 0.05; done
said=$(curl -sS \"$CANARY_URL/\") || exit 2
case $said in
*two*) echo 'the greeting is two'; echo 'and more'; exit 1 ;;
esac
";

fn with_check(m: &Machine, run: &str, greeting: &str) -> crate::support::Output {
    let rollout = "rollout = { check = './smoke' }";
    write(m, run, 3, &format!("env.GREETING = '{greeting}'\n{rollout}"));
    m.write("/srv/doors/smoke", SMOKE);
    m.ok(["chmod", "755", "/srv/doors/smoke"]);
    m.ok_sh("touch /srv/doors/checked; chown daemon /srv/doors/checked");
    apply(m)
}

fn checked(m: &Machine) -> usize {
    m.read("/srv/doors/checked").lines().count()
}

/// The first new instance is checked by a program of the app before it has a client, and no other instance ever is.
fn canary_checked(m: &Machine, run: &str) {
    m.sh("rm -f /srv/doors/checked");
    let output = with_check(m, run, "one");
    assert_eq!(output.code, 0, "{output:#?}");
    // A first start replaces nobody.
    assert_eq!(checked(m), 0);
    let mut load = m.load(load());
    load.wait_flowing();
    let output = with_check(m, run, "two");
    let why = "did not pass `rollout.check`: `./smoke` ended with code 1: the greeting is two";
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains(why), "{output:#?}");
    let journal = m.journal("shop@*");
    assert!(journal.contains(why) && journal.contains("and more"), "{journal}");
    assert_eq!(checked(m), 1);
    let greetings = m.ok_sh("for i in $(seq 40); do curl -s localhost:3000; echo; done | sort -u");
    assert!(!greetings.contains("two"), "{greetings}");
    let output = with_check(m, run, "three");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(checked(m), 2);
    m.ok(["clusterctl", "reload", "shop"]);
    assert_eq!(checked(m), 3);
    load.stop().assert_none_failed();
    // Neither a new number nor a crash brings another definition.
    m.ok(["clusterctl", "scale", "shop", "4"]);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    wait_until("its start", Duration::from_secs(30), || {
        m.systemctl_show("shop@0", "ActiveState") == "active"
            && m.systemctl_show("shop@0", "NRestarts") == "1"
    });
    assert_eq!(checked(m), 3);
    assert_eq!(m.ok_sh("ls /run/clusterctl/canaries"), "");
    m.ok(["clusterctl", "delete", "shop"]);
}

booted!(the_first_new_instance_is_checked_before_it_has_a_client, |m| {
    canary_checked(m, NODE);
    canary_checked(m, PYTHON);
});

booted!(the_address_of_a_check_is_for_its_user_alone, |m| {
    assert_eq!(with_check(m, NODE, "one").code, 0);
    m.write("/run/hold", "");
    let mut reload = m.spawn(["sh", "-c", "echo begun; clusterctl reload shop"]);
    reload.line_with("begun");
    wait_until("the check", Duration::from_secs(30), || checked(m) == 1);
    let noted = m.read("/srv/doors/checked");
    let (instance, address) = noted.trim().split_once(' ').unwrap();
    assert_eq!(instance, "shop@3");
    let asked = |user: &str| {
        let curl = format!("curl -s --max-time 20 http://{address}/");
        m.run(["setpriv", "--reuid", user, "--clear-groups", "sh", "-c", &curl])
    };
    assert_ne!(asked("nobody").code, 0);
    assert!(asked("daemon").stdout.contains("instance 3 one in time ."));
    assert!(asked("root").stdout.contains("instance 3 one in time ."));
    m.ok(["rm", "/run/hold"]);
    assert_eq!(reload.wait().0, 0);
    // The port is closed with the end of the check.
    assert_ne!(asked("daemon").code, 0);
});
