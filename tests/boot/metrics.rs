//! `clusterctl metrics`, and the unit that serves it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::booted;
use crate::shop::{applied, ecosystem};
use crate::support::{Machine, made, wait_until};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boot/fixtures/metrics")
}

/// The samples, each a line, as the parser of Prometheus' client reads them.
pub fn parsed(text: &str) -> String {
    let packages = made::from_pip(&fixtures().join("requirements.txt")).unwrap();
    let mut python = Command::new("/usr/bin/python3");
    python.arg(fixtures().join("parse.py")).env("PYTHONPATH", packages);
    let mut python = python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

fn install(m: &Machine) {
    for unit in ["clusterctl-metrics.socket", "clusterctl-metrics@.service"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("units").join(unit);
        m.copy(&path, &format!("/usr/lib/systemd/system/{unit}"));
    }
    m.ok(["systemctl", "daemon-reload"]);
    m.ok(["systemctl", "enable", "--now", "clusterctl-metrics.socket"]);
}

const SCRAPE: &str = "curl -sS --max-time 20 http://127.0.0.1:9746/metrics";

booted!(metrics_are_served_and_nothing_runs_in_between, |m| {
    applied(m, &ecosystem(2, "namespace = 'front'"));
    install(m);
    let samples = parsed(&m.ok_sh(SCRAPE));
    for line in [
        "clusterctl_app_up{app=shop} 1",
        "clusterctl_instances_wanted{app=shop} 2",
        "clusterctl_instances_ready{app=shop} 2",
        "clusterctl_instances_outdated{app=shop} 0",
        "clusterctl_rollout_active{app=shop} 0",
        "clusterctl_instance_status{app=shop,clusterctl_instance_status=online,instance=1} 1",
        "clusterctl_instance_restarts_total{app=shop,instance=0} 0",
        "clusterctl_listener_queue{app=shop,listener=[::]:3000} 0",
        "clusterctl_listener_dropped_total{app=shop,listener=[::]:3000} 0",
    ] {
        assert!(samples.contains(&format!("{line}\n")), "{line}: {samples}");
    }
    assert!(samples.contains("clusterctl_app_info{app=shop,namespace=front,"), "{samples}");
    for name in
        ["instance_cpu_seconds_total", "instance_memory_bytes", "instance_start_time_seconds"]
    {
        let start = format!("clusterctl_{name}{{app=shop,instance=1}} ");
        let value = samples.lines().find_map(|line| line.strip_prefix(&*start));
        let value: f64 = value.unwrap_or_else(|| panic!("{name}: {samples}")).parse().unwrap();
        assert!(value > 0.0, "{name} {value}");
    }
    // `clusterctl metrics` prints the same samples, and for root the connections as well: whoever answers scrapes may not look
    // into the processes of others.
    let printed = parsed(&m.ok(["clusterctl", "metrics"]));
    let of_root = |line: &&str| line.starts_with("clusterctl_instance_connections{");
    assert_eq!(printed.lines().filter(of_root).count(), 2, "{printed}");
    assert_eq!(printed.lines().count(), samples.lines().count() + 2);
    wait_until("the end of every scrape", Duration::from_secs(15), || {
        m.ok(["systemctl", "list-units", "--no-legend", "clusterctl-metrics@*"]).is_empty()
    });
    assert!(m.sh("curl -sS -o /dev/null -w '%{http_code}' 127.0.0.1:9746/").stdout.contains("404"));
    // A client that connects and sends nothing delays no scrape.
    let mut silent = m.spawn(["sh", "-c", "echo up; exec sleep 1h | nc 127.0.0.1 9746"]);
    silent.line_with("up");
    assert!(m.ok_sh(SCRAPE).ends_with("# EOF"));
    m.ok(["clusterctl", "stop", "shop"]);
    let samples = parsed(&m.ok_sh(SCRAPE));
    assert!(samples.contains("clusterctl_app_up{app=shop} 0\n"), "{samples}");
    assert!(!samples.contains("clusterctl_listener_queue"), "{samples}");
});

booted!(who_waits_to_be_accepted_is_counted, |m| {
    // A program that takes its listener and never accepts a connection.
    m.write("/srv/deaf/main.py", "import socket, signal\ns = socket.socket()\ns.bind(('', 3000))\ns.listen(3)\nsignal.pause()\n");
    m.write(
        "/srv/deaf/ecosystem.toml",
        "[[apps]]\nname = 'deaf'\nscript = 'main.py'\nlisten = '127.0.0.1:3000'\nbacklog = 3\n",
    );
    m.ok(["clusterctl", "apply", "/srv/deaf/ecosystem.toml"]);
    // Four have room in a queue of three (listen(2)); who comes then is dropped, and tries again.
    m.ok_sh("for n in 1 2 3 4 5 6; do curl -s --max-time 60 127.0.0.1:3000 & done >/dev/null 2>&1");
    let mut samples = String::new();
    wait_until("clients that are dropped", Duration::from_secs(30), || {
        samples = parsed(&m.ok(["clusterctl", "metrics"]));
        samples.contains("listener_dropped_total")
            && !samples.contains("listener=127.0.0.1:3000} 0\n")
    });
    let value = |name: &str| -> f64 {
        let start = format!("clusterctl_{name}{{app=deaf,listener=127.0.0.1:3000}} ");
        let line = samples.lines().find_map(|line| line.strip_prefix(&*start));
        line.unwrap_or_else(|| panic!("{name}: {samples}")).parse().unwrap()
    };
    assert_eq!((value("listener_queue"), value("listener_queue_limit")), (4.0, 3.0));
    assert!(value("listener_dropped_total") >= 1.0, "{samples}");
});
