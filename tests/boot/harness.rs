//! The harness itself: a machine boots, takes commands, and leaves nothing behind.

use std::{fs, io::Write, process::Command, time::Duration};

use rustix::process::Signal;

use crate::{
    booted,
    support::{Machine, Root, load::Load, machine, skip, wait_until},
};

booted!(a_machine_boots_and_takes_commands, |m| {
    let state = m.run(["systemctl", "is-system-running"]).stdout;
    assert!(["running", "degraded"].contains(&state.trim()), "{state}");
    assert_eq!(m.sh("echo out; echo err >&2; exit 7").code, 7);
    m.write("/opt/a/b", "text");
    assert_eq!(m.ok(["cat", "/opt/a/b"]), "text");
    assert!(m.ok(["cat", "/proc/net/if_inet6"]).contains("lo"));
    assert!(m.ok_sh("grep -c . /proc/net/dev") == "3", "lo and nothing else");
});

booted!(a_spawned_command_can_be_watched_and_signalled, |m| {
    let mut cat = m.spawn(["cat"]);
    cat.type_in("one\ntwo\n");
    assert_eq!(cat.line_with("tw"), "two");
    cat.signal(Signal::TERM);
    assert_eq!(cat.wait(), (128 + 15, vec!["one".to_owned(), "two".to_owned()]));
});

booted!(a_user_has_a_manager_of_her_own, |m| {
    let ada = m.user("ada");
    assert_eq!(ada.ok(["systemctl", "--user", "is-system-running", "--wait"]), "running");
    assert_eq!(ada.ok(["id", "-un"]), "ada");
    assert!(ada.ok(["busctl", "--user", "list"]).contains("org.freedesktop.systemd1"));
    assert_eq!(ada.ok(["sh", "-c", "echo $HOME"]), "/home/ada");
});

const SOCKET: &str = "\
[Socket]
ListenStream=127.0.0.1:3000
Service=shop@0.service
TriggerLimitIntervalSec=0
";

const TEMPLATE: &str = "\
[Unit]
StartLimitIntervalSec=0
[Service]
Sockets=shop.socket
ExecStart=/usr/bin/env node /opt/shop/app.js %i
NonBlocking=yes
Restart=always
";

fn install_shop(m: &Machine) {
    m.write("/opt/shop/app.js", include_str!("fixtures/app.js"));
    m.write("/etc/systemd/system/shop.socket", SOCKET);
    m.write("/etc/systemd/system/shop@.service", TEMPLATE);
    m.ok(["systemctl", "daemon-reload"]);
    m.ok(["systemctl", "start", "shop.socket", "shop@0", "shop@1"]);
}

booted!(restarts_under_load_lose_no_request, |m| {
    install_shop(m);
    let load = Load::http("127.0.0.1:3000").new_connections(60.0).keep_alive(60.0);
    let load = load.idle_for(0.3);
    let mut load = m.load(load.expect("instance ").instance_after("instance "));
    load.wait_flowing();
    for instance in ["shop@0", "shop@1", "shop@0", "shop@1"] {
        m.ok(["systemctl", "restart", instance]);
    }
    let report = load.stop();
    report.assert_none_failed();
    assert!(report.instances().len() == 2, "{report:#?}");
});

booted!(a_killed_instance_shows_as_failed_requests, |m| {
    install_shop(m);
    m.ok(["systemctl", "stop", "shop@1"]);
    let load = Load::http("127.0.0.1:3000").new_connections(100.0).keep_alive(100.0);
    let mut load = m.load(load);
    load.wait_flowing();
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    wait_until("the restart", Duration::from_secs(10), || {
        m.systemctl_show("shop@0", "NRestarts") != "0"
    });
    assert!(load.stop().failed() > 0, "requests in flight died with the instance");
    assert!(m.journal("shop@*").contains("status=9/KILL"), "{}", m.journal("shop@*"));
});

booted!(a_reboot_keeps_the_disk_and_starts_what_is_enabled, |m| {
    install_shop(m);
    m.write(
        "/etc/systemd/system/shop.socket",
        format!("{SOCKET}[Install]\nWantedBy=sockets.target\n"),
    );
    m.ok(["systemctl", "enable", "shop.socket"]);
    let boot = m.read("/proc/1/stat");
    m.reboot();
    assert_ne!(boot, m.read("/proc/1/stat"));
    assert_eq!(m.systemctl_show("shop.socket", "ActiveState"), "active");
    assert_eq!(m.systemctl_show("shop@1", "ActiveState"), "inactive");
});

#[test]
fn a_failed_test_keeps_the_logs_of_its_machine() {
    let test = || {
        let Some(m) = machine(Root::Host) else { return };
        m.ok(["systemd-run", "--wait", "--unit=probe", "echo", "said before the end"]);
        panic!("on purpose, for its logs");
    };
    let thread = std::thread::Builder::new().name("logs::probe".to_owned());
    if thread.spawn(test).unwrap().join().is_err() {
        let dir = skip::target_dir().join("boot-logs/logs.probe");
        let log = |name| fs::read_to_string(dir.join(name)).unwrap();
        assert!(log("journal").contains("said before the end"), "{}", log("journal"));
        assert!(log("units").contains("dbus.service"), "{}", log("units"));
        fs::remove_dir_all(dir).unwrap();
    }
}

#[test]
fn a_machine_that_is_dropped_leaves_nothing() {
    let Some(m) = machine(Root::Host) else { return };
    let mut sleeper = m.spawn(["sh", "-c", "echo up; exec sleep 3600"]);
    sleeper.line_with("up");
    let leader = m.path("/");
    assert!(leader.exists());
    drop(m);
    assert_eq!(sleeper.wait().0, 128 + 9, "killed with the machine");
    assert!(!leader.exists());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains("clusterctl-boot"), "{mounts}");
}

const ABORT_VARIABLE: &str = "CLUSTERCTL_TEST_ABORT";

/// The process of a test may be killed at any time; its machine must not outlive it.
#[test]
fn a_machine_dies_with_its_test_process() {
    if machine(Root::Host).is_none() {
        return;
    }
    let module = module_path!().split_once("::").unwrap().1;
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", "--ignored", "--nocapture", &format!("{module}::boot_and_abort")]);
    test.env(ABORT_VARIABLE, "1");
    let output = test.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let place = text.lines().find_map(|line| line.strip_prefix("machine at ")).unwrap();
    wait_until("the end of the machine", Duration::from_secs(10), || fs::metadata(place).is_err());
}

/// Not a test: the process that the test above sees die.
#[test]
#[ignore = "dies on purpose, for another test"]
fn boot_and_abort() {
    if std::env::var_os(ABORT_VARIABLE).is_none() {
        return;
    }
    let m = machine(Root::Host).unwrap();
    writeln!(std::io::stdout(), "\nmachine at {}", m.path("/").display()).unwrap();
    std::process::abort();
}
