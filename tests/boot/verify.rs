//! Every unit that clusterctl writes pleases `systemd-analyze verify`, and what systemctl shows of
//! an app reads well.

use std::fs;
use std::path::Path;

use crate::booted;
use crate::shop::{SERVER, applied, ecosystem};
use crate::support::{Machine, Output};

/// Lets the machine's systemd read units below a directory, and whatever they depend on. Man pages
/// are in the package, not on every machine.
fn verify(m: &Machine, dir: &str, flag: &str) -> Output {
    let script = format!(
        "cd {dir}; SYSTEMD_UNIT_PATH={dir}: systemd-analyze {flag} verify --man=no \
         $(find -maxdepth 1 -type f -name '*.*' | sort)"
    );
    m.sh(&script)
}

fn assert_silent(output: &Output, what: &str) {
    let silent = output.code == 0 && output.stdout.is_empty() && output.stderr.is_empty();
    assert!(silent, "{what}: {output:?}");
}

/// The units of one golden, with their names.
fn golden_units(text: &str) -> Vec<(&str, &str)> {
    let blocks = text.strip_prefix("==> ").unwrap().split("\n==> ");
    blocks
        .filter_map(|block| block.split_once(" <==\n"))
        .filter(|(name, _)| !name.starts_with('/'))
        .collect()
}

/// The programs that a unit runs.
fn programs(unit: &str) -> impl Iterator<Item = &str> {
    let commands = unit.lines().filter(|line| line.starts_with("Exec"));
    commands.filter_map(|line| line.split_once("=")?.1.split('"').nth(1))
}

booted!(systemd_has_nothing_to_say_about_any_golden_unit, |m| {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/units");
    m.ok(["clusterctl", "unpack", "/var/lib/clusterctl/handover/0"]);
    let mut seen = 0;
    for golden in fs::read_dir(goldens).unwrap().map(|entry| entry.unwrap()) {
        let dir = format!("/root/verify/{}", golden.file_name().to_string_lossy());
        let text = fs::read_to_string(golden.path().join("expected.units")).unwrap();
        for (name, unit) in golden_units(&text) {
            m.write(&format!("{dir}/{name}"), unit);
            for line in ["Documentation=man:clusterctl(1)", "Source=/srv/app/ecosystem.toml"] {
                assert!(unit.lines().any(|found| found == line), "{dir}/{name} lacks {line}");
            }
            for program in programs(unit).filter(|program| !m.exists(program)) {
                m.ok(["install", "-D", "/bin/true", program]);
            }
            seen += 1;
        }
        assert_silent(&verify(m, &dir, ""), &dir);
    }
    assert!(seen > 40, "{seen} units");
    // A unit with a mistake shows that `verify` would report one.
    m.write("/root/verify/bad/bad.service", "[Service]\nExecStart=/bin/true\nNoSuchKey=1\n");
    assert!(verify(m, "/root/verify/bad", "").stderr.contains("NoSuchKey"));
});

/// Most of what an app can ask for.
const RICH: &str = "
env = { GREETING = 'x' }
user = 'ada'
max_memory_restart = '300M'
kill_timeout = '5s'
namespace = 'front'
rollout = { max_surge = 2, min_ready = '1s' }
[apps.service]
CPUWeight = 200
ProtectSystem = 'strict'
[apps.slice]
MemoryMax = '1G'
[apps.socket]
SocketMode = '0660'
[[apps]]
name = 'worker'
script = 'worker.js'
";

booted!(systemd_has_nothing_to_say_about_units_that_were_applied, |m| {
    let ada = m.user("ada");
    m.write("/srv/shop/worker.js", "setInterval(() => {}, 1000);");
    let listen = "listen = { http = 3000, admin = '/run/shop.sock', stats = 'udp:127.0.0.1:8125' }";
    applied(m, &ecosystem(2, RICH).replace("listen = 3000", listen));
    assert_silent(&verify(m, "/etc/systemd/system", ""), "the system's units");
    m.write("/home/ada/server.js", SERVER);
    m.write("/home/ada/ecosystem.toml", ecosystem(2, "").replace("3000", "3100"));
    ada.ok(["clusterctl", "--user", "apply", "/home/ada/ecosystem.toml"]);
    let script =
        "cd ~/.config/systemd/user && systemd-analyze --user verify --man=no *.socket *.s*e";
    assert_silent(&ada.run(["sh", "-c", script]), "ada's units");
});

#[track_caller]
fn has_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}: {text}");
    }
}

booted!(what_systemctl_shows_of_an_app_reads_well, |m| {
    applied(m, &ecosystem(2, ""));
    let status = m.ok(["systemctl", "status", "--no-pager", "--full", "shop"]);
    has_all(
        &status,
        &[
            "● shop.service - shop (all instances)",
            "Loaded: loaded (/etc/systemd/system/shop.service; enabled;",
            "Active: active (exited) since",
            "Docs: man:clusterctl(1)",
        ],
    );
    let status = m.ok(["systemctl", "status", "--no-pager", "--full", "shop@1"]);
    has_all(
        &status,
        &[
            "● shop@1.service - shop (instance 1)",
            "TriggeredBy: ● shop-3000.socket",
            "/usr/bin/node /srv/shop/server.js",
            "Active: active (running)",
        ],
    );
    let listener = m.ok(["systemctl", "status", "--no-pager", "shop-3000.socket"]);
    assert!(listener.contains("- shop listener [::]:3000"), "{listener}");
    assert!(listener.contains("Listen: [::]:3000 (Stream)"), "{listener}");
    let file = m.ok(["systemctl", "cat", "shop"]);
    let head = "# /etc/systemd/system/shop.service\n# Written by clusterctl; ";
    assert!(file.starts_with(head) && file.contains("systemctl edit shop.service"), "{file}");
    let tree = m.ok(["systemctl", "list-dependencies", "--no-pager", "--plain", "shop"]);
    let own: Vec<&str> = tree.lines().map(str::trim).filter(|unit| unit.contains("shop")).collect();
    let units: Vec<&str> = own.iter().filter_map(|line| line.split(' ').next_back()).collect();
    let all = [
        "shop.service",
        "shop-3000.socket",
        "shop-close.service",
        "shop@0.service",
        "shop@1.service",
    ];
    assert_eq!(units, all);
    let reverse = ["systemctl", "list-dependencies", "--reverse", "--plain", "shop"];
    assert!(m.ok(reverse).contains("multi-user.target"));
    for unit in ["shop.service", "shop@0.service", "shop-3000.socket", "shop-wake.service"] {
        assert_eq!(m.systemctl_show(unit, "NeedDaemonReload"), "no");
    }
});
