//! What units run lies where the service manager may execute it: in a package's folder, or else in
//! the state directory, if that is allowed there.

use crate::booted;
use crate::shop::{SERVER, applied, apply, ecosystem, write};

const OWN: &str = "/var/lib/clusterctl/handover";
const PACKAGED: &str = "/usr/lib/clusterctl/bin";

booted!(a_state_directory_without_exec_is_named_before_anything_is_written, |m| {
    m.ok_sh("mkdir -p /var/lib/clusterctl; mount -t tmpfs -o noexec tmpfs /var/lib/clusterctl");
    write(m, &ecosystem(1, ""));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(
        output.stderr.contains("/var/lib/clusterctl is on a file system that is mounted `noexec`"),
        "{output:#?}"
    );
    assert!(output.stderr.contains("mount -o remount,exec"), "{output:#?}");
    assert!(!m.exists("/etc/systemd/system/shop.service"));
    // With the files of an installed package, the mount options of the state directory do not matter.
    m.ok(["clusterctl", "unpack", "--by-content", PACKAGED]);
    assert_eq!(apply(m).code, 0);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    assert!(!m.exists(OWN));
    let units = m.ok_sh("cat /etc/systemd/system/shop*.service");
    assert!(!units.contains(OWN) && units.contains(PACKAGED), "{units}");
    assert_eq!(m.clusterctl(["doctor", "shop"]).code, 0);
    m.ok_sh("umount /var/lib/clusterctl");
});

booted!(a_users_home_without_exec_is_named, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/shop/server.js", SERVER);
    ada.write("/home/ada/shop/ecosystem.toml", &ecosystem(1, ""));
    m.ok_sh("mkdir -p /home/ada/.local/share/clusterctl; mount -t tmpfs -o noexec,mode=777 tmpfs /home/ada/.local/share/clusterctl");
    let output = ada.run(["clusterctl", "--user", "apply", "/home/ada/shop/ecosystem.toml"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("mounted `noexec`"), "{output:#?}");
});

booted!(files_of_a_package_that_others_may_change_are_not_used, |m| {
    m.ok(["clusterctl", "unpack", "--by-content", PACKAGED]);
    m.ok_sh(&format!("chmod 777 {PACKAGED}/*"));
    applied(m, &ecosystem(1, ""));
    assert!(m.ok_sh("cat /etc/systemd/system/shop*.service").contains(OWN));
    m.ok_sh(&format!(
        "chmod 755 {PACKAGED}/*; for file in {PACKAGED}/*/wake; do echo >>$file; done"
    ));
    assert!(apply(m).stdout.contains("nothing to do"));
    m.ok(["clusterctl", "unpack", "--by-content", PACKAGED]);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert!(m.ok_sh("cat /etc/systemd/system/shop*.service").contains(PACKAGED));
    // The doctor misses a removed file in either place, and the next apply puts it back.
    m.ok_sh(&format!("rm {PACKAGED}/*/wake"));
    let doctor = m.clusterctl(["doctor", "shop"]);
    assert!(doctor.stdout.contains("/wake is gone or changed"), "{doctor:#?}");
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(m.clusterctl(["doctor", "shop"]).code, 0);
});

booted!(a_helper_that_cannot_be_executed_is_no_silent_loss, |m| {
    applied(m, &ecosystem(1, ""));
    m.ok_sh(&format!("chmod -x {OWN}/*/close"));
    m.run(["clusterctl", "stop", "shop"]);
    assert_eq!(m.systemctl_show("shop-close.service", "ActiveState"), "failed");
});
