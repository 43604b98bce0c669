//! Statically linked programs share a listener as others do, and notice nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::booted;
use crate::shop::{apply, load, pids, write};
use crate::support::load::Load;
use crate::support::{Machine, Output, skip, wait_until};

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// Compiles a program of `tests` for machines that have no compiler.
pub fn built(name: &str, command: &str, source: &Path) -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let output = tmp.join(name);
    let mut words = command.split(' ');
    let mut compiler = Command::new(words.next().unwrap());
    compiler.args(words).arg("-o").arg(&output).arg(source);
    compiler.env("CGO_ENABLED", "0").env("GO111MODULE", "off");
    compiler.env("GOCACHE", tmp.join("go-cache"));
    assert!(compiler.status().unwrap().success(), "{compiler:?}");
    output
}

/// `tests/trace/server.go`, statically linked; `None` without a Go compiler.
pub fn go_server() -> Option<&'static Path> {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let server = || built("boot-go-server", "go build", &source("trace/server.go"));
    skip::has("go").then(|| SERVER.get_or_init(server).as_path())
}

/// `tests/trace/server.rs`, which waits in `accept()`, statically linked.
pub fn rust_server() -> PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    let rustc = "rustc --edition 2024 -C target-feature=+crt-static";
    SERVER.get_or_init(|| built("boot-static-server", rustc, &source("trace/server.rs"))).clone()
}

/// Puts a program into the machine and applies an app around it.
fn app(m: &Machine, program: &Path, toml: &str) -> Output {
    m.copy(program, "/srv/shop/server");
    write(m, &format!("[[apps]]\nname = 'shop'\n{toml}\n"));
    apply(m)
}

/// The Go server; it must start.
pub fn go_app(m: &Machine, toml: &str) -> Option<()> {
    let output = app(m, go_server()?, &format!("script = './server'\n{toml}"));
    assert_eq!(output.code, 0, "{output:#?}");
    Some(())
}

/// Asks until so many instances have answered.
pub fn all_answer(m: &Machine, curl: &str, instances: usize) {
    let mut seen = BTreeSet::new();
    wait_until("all instances answer", Duration::from_secs(20), || {
        let answer = m.ok_sh(&format!("curl -s {curl}"));
        seen.extend(answer.split(' ').nth(1).map(str::to_owned));
        seen.len() == instances
    });
}

booted!(four_instances_of_a_static_go_server_are_reloaded_under_load, |m| {
    if go_app(m, "listen = 3000\ninstances = 4").is_none() {
        return;
    }
    all_answer(m, "localhost:3000", 4);
    let before = pids(m, 4);
    for pid in &before {
        let status = m.read(&format!("/proc/{pid}/status"));
        assert!(status.contains("TracerPid:\t0\n"), "{status}");
    }
    assert_eq!(m.run(["pgrep", "-x", "clusterctl-exec"]).code, 1, "no tracer stays");
    let environment = m.ok(["curl", "-s", "localhost:3000/environment"]);
    for absent in ["LISTEN_", "CLUSTERCTL_", "LD_PRELOAD"] {
        assert!(!environment.contains(absent), "{environment}");
    }
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("trace: it is a Go program"), "{described}");

    let load = Load::http("127.0.0.1:3000").new_connections(100.0).path("/slow");
    let run = m.load(load.expect("instance ").instance_after("instance "));
    m.ok(["clusterctl", "reload", "shop"]);
    let report = run.stop();
    report.assert_none_failed();
    assert!(report.ok() > 50, "{report:#?}");
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
});

booted!(a_static_program_is_served_on_another_port_than_its_own, |m| {
    if go_app(m, "listen = [{ at = 80, bind = 3000 }, '127.0.0.1:81']\ninstances = 2\nenv = { PORT = '3000' }\nreadiness = 'first'").is_none() {
        return;
    }
    all_answer(m, "localhost:80", 2);
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("program: asked for [::]:3000, gets [::]:80"), "{described}");
});

booted!(a_go_server_that_knows_no_end_loses_no_request_in_a_reload, |m| {
    if go_app(m, "listen = 3000\ninstances = 4\nenv = { NAIVE = '1' }").is_none() {
        return;
    }
    let before = pids(m, 4);
    // A kept-alive connection can be closed only in a moment without a request.
    let slow = Load::http("127.0.0.1:3000").new_connections(50.0).path("/slow");
    let (mut slow, mut quick) = (m.load(slow.expect("instance ")), m.load(load()));
    slow.wait_flowing();
    quick.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    slow.stop().assert_none_failed();
    quick.stop().assert_none_failed();
    assert!(pids(m, 4).iter().all(|pid| !before.contains(pid)));
});

booted!(the_app_goes_on_without_clusterctl, |m| {
    if go_app(m, "listen = 3000\ninstances = 2").is_none() {
        return;
    }
    m.ok(["rm", "/usr/bin/clusterctl"]);
    m.ok(["systemctl", "restart", "shop"]);
    all_answer(m, "localhost:3000", 2);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    all_answer(m, "localhost:3000", 2);
});

booted!(exit_status_signals_and_core_dumps_are_the_programs_own, |m| {
    let toml = "listen = 3000\nautorestart = false\nenv = { GOTRACEBACK = 'crash' }\n\
        service = { LimitCORE = 'infinity' }";
    if go_app(m, toml).is_none() {
        return;
    }
    let ended = |property: &str, wanted: &str| {
        wait_until("the instance has ended", Duration::from_secs(20), || {
            !["active", "deactivating"]
                .contains(&m.systemctl_show("shop@0", "ActiveState").as_str())
        });
        assert_eq!(m.systemctl_show("shop@0", property), wanted, "{property}");
    };
    m.run(["curl", "-s", "localhost:3000/exit"]);
    ended("ExecMainStatus", "9");
    m.ok(["systemctl", "start", "shop@0"]);
    m.ok(["systemctl", "kill", "--kill-who=main", "--signal=KILL", "shop@0"]);
    ended("Result", "signal");
    m.ok(["systemctl", "start", "shop@0"]);
    m.ok(["systemctl", "kill", "--kill-who=main", "--signal=ABRT", "shop@0"]);
    // Where the kernel pipes core dumps to a program of the host, none is kept in this machine.
    let kept = !m.read("/proc/sys/kernel/core_pattern").starts_with('|');
    ended("Result", if kept { "core-dump" } else { "signal" });
    m.ok(["systemctl", "start", "shop@0"]);
    m.ok(["systemctl", "stop", "shop@0"]);
    ended("ExecMainStatus", "0");
});

booted!(a_go_program_that_speaks_listen_fds_is_left_alone, |m| {
    let toml = "listen = 3000\ninstances = 2\nhandover = 'native'\nenv = { NATIVE = '1' }";
    if go_app(m, toml).is_none() {
        return;
    }
    all_answer(m, "localhost:3000", 2);
    let environment = m.ok(["curl", "-s", "localhost:3000/environment"]);
    assert!(environment.contains("LISTEN_FDS=1"), "{environment}");
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("native: the program speaks LISTEN_FDS"), "{described}");
});

booted!(the_path_of_a_unix_listener_outlives_programs_that_remove_it, |m| {
    let toml = "listen = '/run/shop.sock'\ninstances = 2\nenv = { UNIX = '/run/shop.sock' }";
    if go_app(m, toml).is_none() {
        return;
    }
    let curl = "--unix-socket /run/shop.sock http://localhost/";
    all_answer(m, curl, 2);
    let inode = m.ok(["stat", "-c", "%i", "/run/shop.sock"]);
    let run = m.load(Load::unix("/run/shop.sock").new_connections(50.0).expect("instance "));
    m.ok(["clusterctl", "reload", "shop"]);
    run.stop().assert_none_failed();
    assert_eq!(m.ok(["stat", "-c", "%i", "/run/shop.sock"]), inode);
});

booted!(a_static_rust_server_that_blocks_is_told_what_to_write, |m| {
    let program = rust_server();
    let toml = "command = ['./server', '3000']\nlisten = 3000";
    let refused = app(m, &program, toml);
    assert_eq!(refused.code, 1, "{refused:#?}");
    let told = "write `non_blocking = false` for this app";
    assert!(refused.stderr.contains(told), "{refused:#?}");
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("if it waits in accept(), write `non_blocking"), "{described}");

    // The refused one goes on being restarted, so its file cannot be written again.
    let more = "instances = 4\nnon_blocking = false";
    write(m, &format!("[[apps]]\nname = 'shop'\n{toml}\n{more}\n"));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(!m.ok(["clusterctl", "describe", "shop"]).contains("if it waits in accept()"));
    let mut seen = BTreeSet::new();
    wait_until("all four answer", Duration::from_secs(20), || {
        seen.insert(m.ok(["bash", "-c", "cat </dev/tcp/127.0.0.1/3000"]));
        seen.len() == 4
    });
    let expected: BTreeSet<String> = pids(m, 4).into_iter().collect();
    assert_eq!(seen, expected);
});

booted!(a_go_server_of_a_user_without_rights_on_a_low_port, |m| {
    m.ok(["useradd", "--system", "web"]);
    let toml = "listen = 80\nuser = 'web'\ninstances = 2";
    if go_app(m, toml).is_none() {
        return;
    }
    all_answer(m, "localhost", 2);
    // The kernel hides a process from its own user where that may not read its file.
    m.ok(["chmod", "711", "/srv/shop/server"]);
    m.run(["systemctl", "restart", "shop@0"]);
    let told = "let the user that it runs as read its file (`chmod +r`)";
    assert!(m.journal("shop@0").contains(told), "{}", m.journal("shop@0"));
    m.ok(["chmod", "4755", "/srv/shop/server"]);
    // The sandbox keeps it from gaining what would keep the tracer out.
    assert_eq!(apply(m).code, 0);
    all_answer(m, "localhost", 2);
    write(m, &format!("[[apps]]\nname = 'shop'\nscript = './server'\n{toml}\nsandbox = 'off'\n"));
    let refused = apply(m);
    assert!(refused.stderr.contains("gains privileges when it starts"), "{refused:#?}");
});

booted!(where_ptrace_is_forbidden_the_remedy_is_named, |m| {
    let toml = "listen = 3000\nservice = { SystemCallFilter = '~ptrace', SystemCallErrorNumber = 'EPERM' }";
    let Some(program) = go_server() else { return };
    let refused = app(m, program, &format!("script = './server'\n{toml}"));
    assert_eq!(refused.code, 1, "{refused:#?}");
    let told =
        "gets its listeners by ptrace, which is forbidden here (error 1): remove what forbids";
    assert!(refused.stderr.contains(told), "{refused:#?}");
});

booted!(a_go_server_is_scaled_under_load, |m| {
    if go_app(m, "listen = 3000\ninstances = 2").is_none() {
        return;
    }
    let run = m.load(load());
    m.ok(["clusterctl", "scale", "shop", "4"]);
    all_answer(m, "localhost:3000", 4);
    run.stop().assert_none_failed();
});

booted!(a_go_server_of_a_user_manager, |m| {
    let Some(program) = go_server() else { return };
    let ada = m.user("ada");
    m.copy(program, "/home/ada/server");
    let toml = "[[apps]]\nname = 'shop'\nscript = './server'\nlisten = 3000\ninstances = 2\n";
    ada.write("/home/ada/ecosystem.toml", toml);
    ada.ok(["clusterctl", "--user", "apply", "/home/ada/ecosystem.toml"]);
    all_answer(m, "localhost:3000", 2);
    ada.ok(["clusterctl", "--user", "reload", "shop"]);
    all_answer(m, "localhost:3000", 2);
});
