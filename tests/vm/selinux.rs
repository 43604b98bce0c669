//! A machine with SELinux in force, by Debian's policy: what units execute lies where it is permitted.

use crate::{
    guest::Guest,
    shop::{APPLY, ecosystem, files, serving},
};

const CONFIG: &str = "SELINUX=permissive\nSELINUXTYPE=default\n";

#[test]
#[ignore = "a boot: make check-long"]
fn apps_serve_with_selinux() {
    let text = ecosystem(1, "instances = 2");
    let mut disk = files(&text);
    disk.push(("/etc/selinux/config", CONFIG));
    let Some(mut guest) = Guest::hardened(&disk) else { return };
    guest.boot(2);
    for script in [
        "getenforce; id -Z; ls -Z /usr/lib/clusterctl-test /usr/bin/clusterctl",
        "clusterctl unpack --by-content /usr/lib/clusterctl/bin; ls -ZR /usr/lib/clusterctl",
        APPLY,
        "ps -eZ | tail -20",
        "dmesg | grep -i avc | tail -50; journalctl -b | grep -i avc | tail -50",
    ] {
        let output = guest.run(script);
        eprintln!("{script}: {} {}", output.code, output.text);
    }
    assert_eq!(serving(&mut guest, 2), 1);
}
