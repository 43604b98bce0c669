//! A machine with SELinux and Debian's policy. It is permissive, since not all of Debian is in its own policy: what
//! would be refused is in the log of the kernel, and nothing there is about what clusterctl does or has done.

use crate::{
    guest::Guest,
    shop::{APPLY, apply, ecosystem, files, serving},
};

const CONFIG: &str = "SELINUX=permissive\nSELINUXTYPE=default\n";

/// Where packages have handover files, made as their scripts do it.
const PACKAGED: &str = "/usr/lib/clusterctl/bin";

/// What a refusal about the app, its helpers or the program would name.
const OURS: [&str; 6] =
    ["clusterctl", "comm=\"perl\"", "comm=\"sh\"", "restart-guard", "/srv/shop", "shop-"];

/// Such a machine that is up, with handover files of the package; `None` where it cannot run.
fn hardened() -> Option<Guest> {
    let text = ecosystem(1, "instances = 2");
    let mut disk = files(&text);
    disk.push(("/etc/selinux/config", CONFIG));
    let mut guest = Guest::hardened(&disk)?;
    guest.boot(2);
    assert_eq!(guest.ok("getenforce"), "Permissive");
    guest.ok(&format!("clusterctl unpack --by-content {PACKAGED}"));
    Some(guest)
}

/// Nothing in the kernel's log is about the app, its helpers or the program.
fn assert_nothing_refused(guest: &mut Guest) {
    let log = guest.ok("dmesg | grep 'avc: ' || true");
    assert!(!log.is_empty(), "not even what is Debian's own was noted");
    let refused: Vec<&str> =
        log.lines().filter(|line| OURS.iter().any(|one| line.contains(one))).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
#[ignore = "a boot: make check-long"]
fn nothing_of_an_app_is_refused_by_selinux() {
    let Some(mut guest) = hardened() else { return };
    let labels = guest.ok(&format!("stat -c '%C %n' {PACKAGED}/*/*"));
    assert!(labels.lines().count() > 5, "{labels}");
    for line in labels.lines() {
        assert!(line.contains(":bin_t:"), "systemd may not execute it: {line}");
    }
    guest.ok(APPLY);
    let units = guest.ok("cat /etc/systemd/system/shop*.service");
    assert!(units.contains(PACKAGED), "{units}");
    assert_eq!(serving(&mut guest, 2), 1);
    assert_nothing_refused(&mut guest);
}

/// Debian's own boot is not in Debian's policy: the machine boots without being refused anything, and enforces from
/// then on, before it knows the app.
#[test]
#[ignore = "a boot: make check-long"]
fn an_app_serves_and_is_replaced_where_selinux_enforces() {
    let Some(mut guest) = hardened() else { return };
    guest.ok("setenforce 1");
    assert_eq!(guest.ok("getenforce"), "Enforcing");
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 2), 1);
    guest.ok("clusterctl reload shop");
    guest.ok(&apply(&ecosystem(2, "instances = 2")));
    assert_eq!(serving(&mut guest, 2), 2);
    guest.ok("clusterctl scale shop 3 && clusterctl rollback shop");
    guest.ok("clusterctl restart shop");
    assert_eq!(guest.ok("getenforce"), "Enforcing");
    assert_nothing_refused(&mut guest);
    guest.ok("clusterctl delete shop");
}
