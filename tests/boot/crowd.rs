//! Many apps, many instances and many clients on one machine: everything works as with one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use crate::booted_long;
use crate::support::load::Load;
use crate::support::{Machine, Root, machine};

/// The small server of `fixtures/crowd`, of which a thousand fit into a machine.
fn server() -> PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let compile = || {
        let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("crowd-server");
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/crowd/server.c");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O2", "-Wall", "-Werror", "-o"]).arg(&output).arg(source);
        assert!(gcc.status().unwrap().success(), "{gcc:?}");
        output
    };
    SERVER.get_or_init(compile).clone()
}

/// Apps `a0`, `a1`, … with ports from 4000 on.
fn ecosystem(apps: u32, instances: u32, version: u32) -> String {
    let app = |number: u32| {
        format!(
            "[[apps]]\nname = 'a{number}'\nscript = './server'\ninstances = {instances}\n\
             listen = {}\nenv.VERSION = '{version}'\n",
            4000 + number
        )
    };
    (0..apps).map(app).collect()
}

fn run(m: &Machine, arguments: &[&str]) -> String {
    let began = Instant::now();
    let words = ["timeout", "900", "clusterctl"].iter().chain(arguments);
    let output = m.command(words).output().unwrap();
    eprintln!("{arguments:?}: {:?}", began.elapsed());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn online(m: &Machine) -> usize {
    let list = "systemctl list-units --plain --no-legend --state=active 'a*@*.service' | wc -l";
    m.ok_sh(list).parse().unwrap()
}

/// Applies, looks, reloads, scales, replaces everything under load, and deletes.
fn crowd(root: Root) {
    const APPS: u32 = 100;
    const INSTANCES: u32 = 10;
    let Some(m) = machine(root) else { return };
    m.copy(&server(), "/srv/crowd/server");
    let file = "/srv/crowd/ecosystem.toml";
    m.write(file, ecosystem(APPS, INSTANCES, 1));
    run(&m, &["apply", file]);
    assert_eq!(online(&m), (APPS * INSTANCES) as usize);
    assert_eq!(run(&m, &["list"]).matches("online").count(), (APPS * INSTANCES) as usize);
    assert!(run(&m, &["apply", file]).contains("nothing to do"));
    let load = Load::http("127.0.0.1:4000").new_connections(20.0).keep_alive(20.0);
    let mut load = m.load(load.expect("instance "));
    load.wait_flowing();
    run(&m, &["reload", "a0"]);
    run(&m, &["scale", "a0", "12"]);
    run(&m, &["scale", "a0", "10"]);
    m.write(file, ecosystem(APPS, INSTANCES, 2));
    run(&m, &["apply", file]);
    load.stop().assert_none_failed();
    assert_eq!(online(&m), (APPS * INSTANCES) as usize);
    assert_eq!(m.ok_sh("curl -s localhost:4099 | grep -o 'version .'"), "version 2");
    run(&m, &["delete", "all"]);
    assert_eq!(online(&m), 0);
}

#[test]
#[ignore = "a thousand instances: make check-long"]
fn a_hundred_apps_of_ten_instances() {
    crowd(Root::Host);
}

#[test]
#[ignore = "a thousand instances: make check-long"]
fn a_hundred_apps_of_ten_instances_trixie() {
    crowd(Root::Trixie);
}

/// The number of clients that wait in the queue of the listener.
const CLIENTS: u32 = 10_000;

/// Holds all instances still, fills the queue, does something, and sees every client answered.
fn nobody_is_refused(m: &Machine, turn: &str, what: &[&str]) {
    m.ok(["systemctl", "kill", "--signal=STOP", "a0@0", "a0@1"]);
    let wait = ["python3", "/srv/crowd/wait.py", "4000", &CLIENTS.to_string(), turn];
    let mut clients = m.spawn(wait);
    assert_eq!(clients.line_with("connected"), format!("connected {CLIENTS}"));
    m.ok(what);
    let (code, lines) = clients.wait();
    let all = format!("answered {CLIENTS}");
    assert_eq!((code, lines.last().map(String::as_str)), (0, Some(all.as_str())), "{what:?}");
}

booted_long!(ten_thousand_clients_wait_while_everything_is_replaced, |m| {
    m.copy(&server(), "/srv/crowd/server");
    m.write("/srv/crowd/wait.py", include_str!("fixtures/crowd/wait.py"));
    m.ok(["sysctl", "-w", "net.core.somaxconn=16384"]);
    let file = "/srv/crowd/ecosystem.toml";
    m.write(file, format!("{}backlog = 16384\nkill_timeout = '3s'\n", ecosystem(1, 2, 1)));
    run(m, &["apply", file]);
    nobody_is_refused(m, "1", &["clusterctl", "reload", "a0"]);
    nobody_is_refused(m, "2", &["systemctl", "kill", "--signal=KILL", "a0@0", "a0@1"]);
    nobody_is_refused(m, "3", &["systemctl", "restart", "a0@0", "a0@1"]);
    nobody_is_refused(m, "4", &["systemctl", "reload", "a0"]);
});
