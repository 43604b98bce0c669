//! The life of the rpm and of the Arch package on a machine whose apps run, with the scripts that they bring: none of
//! it may be felt by an app. The Debian package has its own, see `package`.
//!
//! Both package managers are Debian's; what a package needs has other names there, and is not asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::shop::{applied, ecosystem, load, pids};
use crate::support::command::succeed;
use crate::support::{Machine, Root, machine, skip};

const HANDOVER: &str = "/usr/lib/clusterctl/bin";

/// A package manager.
struct Manager {
    kind: &'static str,
    needs: &'static [&'static str],
    install: &'static str,
    remove: &'static str,
}

const RPM: Manager = Manager {
    kind: "rpm",
    needs: &["rpmbuild", "rpm"],
    install: "rpm --force-debian --nodeps -U",
    remove: "rpm --force-debian -e clusterctl",
};

const ARCH: Manager = Manager {
    kind: "arch",
    needs: &["makepkg", "pacman", "bsdtar", "fakeroot"],
    // One of the same version again is what pacman takes for an upgrade too.
    install: "pacman --noconfirm -U -dd",
    remove: "pacman --noconfirm -Rdd clusterctl",
};

/// The package of a program, of this release.
fn package(manager: &Manager, program: &Path, dir: &Path, release: u32) -> PathBuf {
    let out = dir.join(format!("{}-{release}", manager.kind));
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join(".rpmmacros"), format!("%dist .{release}\n%_binary_payload w1.gzdio\n"))
        .unwrap();
    let mut build = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/build.sh"));
    build.arg(manager.kind).arg(program).arg(out.join("made"));
    // Compressed quickly.
    succeed(build.env("HOME", &out).env("PKGEXT", ".pkg.tar.gz"));
    let made = fs::read_dir(out.join("made")).unwrap().map(|entry| entry.unwrap().path());
    // The package of Pacemaker's agent lies beside it.
    let mut made = made.filter(|path| !path.to_string_lossy().contains("clusterctl-pacemaker"));
    made.next().unwrap()
}

/// The package of this build, and a newer one with another Node file.
fn packages(manager: &Manager, dir: &Path) -> [PathBuf; 2] {
    let program = Path::new(env!("CARGO_BIN_EXE_clusterctl"));
    let newer = dir.join("clusterctl");
    succeed(Command::new("strip").arg(program).arg("-o").arg(&newer));
    let said = "s/The Node half of the handover/A new half of the handover   /";
    succeed(Command::new("sed").args(["-i", said]).arg(&newer));
    [package(manager, program, dir, 1), package(manager, &newer, dir, 2)]
}

fn install(m: &Machine, manager: &Manager, package: &Path) {
    let name = package.file_name().unwrap().to_str().unwrap();
    m.copy(package, &format!("/root/{name}"));
    m.ok_sh(&format!("{} /root/{name} 2>&1", manager.install));
}

fn handover_dirs(m: &Machine) -> Vec<String> {
    m.ok(["ls", HANDOVER]).lines().map(str::to_owned).collect()
}

/// Every unit that the machine has started since it booted, with the process that it has now.
fn started(m: &Machine) -> String {
    m.ok_sh(
        "systemctl show -p Id,MainPID,ActiveEnterTimestampMonotonic 'shop*' clusterctl-shop.slice",
    )
}

fn lives(manager: &Manager) {
    if !manager.needs.iter().all(|program| skip::has(program)) {
        return;
    }
    let Some(m) = machine(Root::Host) else { return };
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = packages(manager, dir.path());
    m.ok_sh("rm /usr/bin/clusterctl; mkdir -p /var/lib/pacman");
    install(&m, manager, &old);
    applied(&m, &ecosystem(2, "env = { GREETING = 'packaged' }"));
    let former = handover_dirs(&m);
    assert_eq!(former.len(), 1, "{former:?}");
    assert!(!m.exists("/var/lib/clusterctl/handover"), "there is no need for copies");
    let mut run = m.load(load());
    run.wait_flowing();
    let before = started(&m);
    install(&m, manager, &new);
    assert_eq!(started(&m), before, "an upgrade touches no app");
    assert_eq!(handover_dirs(&m).len(), 2, "units name the former version");
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let units = m.ok_sh("cat /etc/systemd/system/shop*.service");
    assert!(!units.contains(&former[0]), "{units}");

    let before = started(&m);
    m.ok_sh(&format!("{} 2>&1", manager.remove));
    assert!(!m.exists("/usr/bin/clusterctl"));
    assert_eq!(started(&m), before, "a removal touches no app");
    let left = handover_dirs(&m);
    assert!(left.len() == 1 && left != former, "{left:?}, before the upgrade {former:?}");
    m.ok(["systemctl", "restart", "shop@0"]);
    run.stop().assert_none_failed();
    m.reboot();
    assert_eq!(pids(&m, 2).iter().filter(|pid| *pid != "0").count(), 2);
    assert!(m.ok(["curl", "-sS", "localhost:3000"]).starts_with("instance "));

    // Installed again, and removed when no app is left, nothing of it stays.
    install(&m, manager, &new);
    m.ok(["clusterctl", "delete", "all"]);
    m.ok_sh(&format!("{} 2>&1", manager.remove));
    assert!(!m.exists("/usr/lib/clusterctl"), "{}", m.ok(["find", "/usr/lib/clusterctl"]));
}

#[test]
fn the_rpm_is_installed_upgraded_and_removed_and_apps_go_on() {
    lives(&RPM);
}

#[test]
fn the_arch_package_is_installed_upgraded_and_removed_and_apps_go_on() {
    lives(&ARCH);
}
