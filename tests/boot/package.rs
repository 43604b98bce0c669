//! The life of the Debian package on a machine whose apps run: none of it may be felt by them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::booted;
use crate::shop::{applied, ecosystem, load, pids};
use crate::support::{Machine, skip};

const HANDOVER: &str = "/usr/lib/clusterctl/bin";

/// The package of this build, and one of a higher version with another Node file; made once for
/// all machines.
fn packages() -> &'static [PathBuf; 2] {
    static MADE: OnceLock<[PathBuf; 2]> = OnceLock::new();
    MADE.get_or_init(|| {
        let dir = skip::target_dir().join("package-test");
        let script = r#"
            rm -rf "$1"
            "$0/packaging/build.sh" deb "$2" "$1" >/dev/null
            mv "$1"/clusterctl_*.deb "$1/old.deb"
            dpkg-deb --raw-extract "$1/old.deb" "$1/tree"
            sed -i 's/^Version: .*/Version: 9.9.9-1/' "$1/tree/DEBIAN/control"
            sed -i 's/The Node half of the handover/A new half of the handover   /' \
                "$1/tree/usr/bin/clusterctl" "$1/tree/usr/lib/clusterctl/clusterctl.cjs"
            dpkg-deb --root-owner-group --build "$1/tree" "$1/new.deb""#;
        let mut build = Command::new("sh");
        build.args(["-ec", script, env!("CARGO_MANIFEST_DIR")]).arg(&dir);
        build.arg(env!("CARGO_BIN_EXE_clusterctl")).env("DPKG_DEB_COMPRESSOR_TYPE", "none");
        let output = build.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        [dir.join("old.deb"), dir.join("new.deb")]
    })
}

fn dpkg(m: &Machine, verb: &str, what: &str) -> String {
    m.ok_sh(&format!("dpkg {verb} {what} 2>&1"))
}

fn install(m: &Machine, package: &Path) {
    m.copy(package, "/root/clusterctl.deb");
    dpkg(m, "--install", "/root/clusterctl.deb");
}

fn serves(m: &Machine) -> bool {
    m.run(["curl", "-sS", "--max-time", "20", "localhost:3000"]).stdout.starts_with("instance ")
}

fn handover_dirs(m: &Machine) -> Vec<String> {
    m.ok(["ls", HANDOVER]).lines().map(str::to_owned).collect()
}

booted!(the_package_is_upgraded_removed_and_purged_and_apps_go_on, |m| {
    m.ok(["rm", "/usr/bin/clusterctl"]);
    let [old, new] = packages();
    install(m, old);
    applied(m, &ecosystem(2, "env = { GREETING = 'packaged' }"));
    let former = handover_dirs(m);
    m.ok_sh(&format!("diff -r --exclude=bin /usr/lib/clusterctl {HANDOVER}/*"));
    assert!(!m.exists("/var/lib/clusterctl/handover"), "there is no need for copies");
    let before = pids(m, 2);
    let mut run = m.load(load());
    run.wait_flowing();
    install(m, new);
    assert_eq!(m.ok(["dpkg-query", "-W", "-f=${Version}", "clusterctl"]), "9.9.9-1");
    assert_eq!(pids(m, 2), before);
    m.ok(["systemctl", "reload", "shop"]);
    assert!(pids(m, 2).iter().all(|pid| !before.contains(pid)), "units reload by the new program");
    let units = || m.ok_sh("cat /etc/systemd/system/shop*.service");
    assert!(units().contains(&former[0]), "an upgrade gives apps nothing new");
    // The next apply does, in a rollout.
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert!(!units().contains(&former[0]), "{}", units());
    assert_eq!(handover_dirs(m).len(), 2);

    let before = pids(m, 2);
    let said = dpkg(m, "--remove", "clusterctl");
    assert!(said.contains("go on, and start at boot, without it: shop"), "{said}");
    assert!(!m.exists("/usr/bin/clusterctl") && !m.exists("/usr/lib/clusterctl/wake"));
    // The former version's files, which nothing uses any more, go.
    let left = handover_dirs(m);
    assert!(left.len() == 1 && left != former, "{left:?}, before the upgrade {former:?}");
    assert_ne!(m.run(["systemctl", "reload", "shop"]).code, 0, "what would reload it?");
    assert_eq!(pids(m, 2), before);
    assert_eq!(m.systemctl_show("shop", "ActiveState"), "active");
    m.ok(["systemctl", "restart", "shop@0"]);
    m.ok(["systemctl", "enable", "--now", "shop@2"]);
    run.stop().assert_none_failed();

    m.reboot();
    assert_eq!(pids(m, 3).iter().filter(|pid| *pid != "0").count(), 3);
    assert!(serves(m));
    assert_eq!(
        m.ok(["systemctl", "--failed", "--plain", "--no-legend", "list-units", "shop*"]),
        ""
    );

    m.ok(["touch", "/etc/clusterctl/environment/gone"]);
    let said = dpkg(m, "--purge", "clusterctl");
    assert!(said.contains(HANDOVER) && said.contains("still used by: shop\n"), "{said}");
    assert_eq!(handover_dirs(m), left);
    assert_eq!(m.ok_sh("ls /etc/clusterctl/environment | sed 's/@.*//'"), "shop");
    assert!(!m.exists("/var/lib/clusterctl"));
    m.ok_sh("systemctl stop shop; systemctl start shop");
    assert!(serves(m));
});

booted!(a_purge_takes_everything_when_no_unit_is_left, |m| {
    m.ok(["rm", "/usr/bin/clusterctl"]);
    install(m, &packages()[0]);
    applied(m, &ecosystem(1, "env = { GREETING = 'packaged' }"));
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "delete", "all"]);
    // A process whose unit is gone still uses the library: a purge keeps the files that it was started with.
    let library = m.ok_sh(&format!("ls {HANDOVER}/*/*.so"));
    let mut orphan =
        m.spawn(["env", &format!("LD_PRELOAD={library}"), "sh", "-c", "echo up; exec sleep 1h"]);
    orphan.line_with("up");
    let said = dpkg(m, "--purge", "clusterctl");
    assert!(said.contains("still used by: other units or processes"), "{said}");
    assert!(m.exists(&library) && !m.exists("/etc/clusterctl"));
    orphan.signal(rustix::process::Signal::TERM);
    orphan.wait();
    install(m, &packages()[0]);
    let said = dpkg(m, "--purge", "clusterctl");
    assert!(!said.contains("clusterctl: "), "{said}");
    for place in [
        "/usr/lib/clusterctl",
        "/var/lib/clusterctl",
        "/etc/clusterctl",
        "/run/clusterctl",
        "/usr/share/doc/clusterctl",
    ] {
        assert!(!m.exists(place), "{place} is left");
    }
});

booted!(the_tests_that_debian_runs_on_its_package_pass, |m| {
    m.ok(["rm", "/usr/bin/clusterctl"]);
    install(m, &packages()[0]);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian/tests");
    let control = std::fs::read_to_string(tests.join("control")).unwrap();
    let names: Vec<&str> =
        control.lines().filter_map(|line| line.strip_prefix("Tests: ")).collect();
    assert_eq!(names, ["serves", "without-systemd"]);
    for name in names {
        m.copy(&tests.join(name), &format!("/root/{name}"));
        m.ok_sh(&format!("mkdir -p /root/tmp && AUTOPKGTEST_TMP=/root/tmp sh /root/{name} 2>&1"));
    }
});
