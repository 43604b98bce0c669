//! A machine on which SELinux is in force, by Debian's policy: what units execute is labelled as programs are, and
//! nothing that clusterctl does or has done is refused.

use crate::{
    guest::Guest,
    shop::{APPLY, ecosystem, files, serving},
};

/// Permissive at first: not all of what boots here is in the policy.
const CONFIG: &str = "SELINUX=permissive\nSELINUXTYPE=default\n";

/// Where packages have handover files, made as their scripts do it.
const PACKAGED: &str = "/usr/lib/clusterctl/bin";

/// Refusals since SELinux came to be in force, without those of the tools that look for them.
fn refused(guest: &mut Guest) -> String {
    guest.ok("setenforce 0");
    let said = guest.ok("journalctl --no-pager -q -b -k -g 'avc: +denied.*permissive=0' || true");
    guest.ok("setenforce 1");
    let others = ["systemd-logind", "systemd-journal", "systemd-tmpfile", "systemd-sysuser"];
    let ours = |line: &&str| !others.iter().any(|name| line.contains(&format!("comm=\"{name}")));
    said.lines().filter(ours).collect::<Vec<_>>().join("\n")
}

/// Labels of the files that the units of the app execute or load.
fn labels(guest: &mut Guest) -> String {
    let paths =
        "grep -rhoE '/(usr|var)/lib/clusterctl/[a-z]+/[0-9a-f]{16}' /etc/systemd/system | sort -u";
    guest.ok(&format!("for dir in $({paths}); do stat -c '%C %n' $dir/*; done"))
}

fn works(guest: &mut Guest, place: &str) {
    guest.ok(APPLY);
    assert_eq!(serving(guest, 2), 1);
    let labels = labels(guest);
    assert!(labels.lines().count() > 5, "{labels}");
    for line in labels.lines() {
        assert!(line.contains(":bin_t:") && line.contains(place), "{line}");
    }
    guest.ok("clusterctl reload shop");
    assert_eq!(serving(guest, 2), 1);
    // The first client starts it again.
    guest.ok("systemctl stop shop; systemctl start shop-3000.socket");
    guest.ok("curl -sS --max-time 100 http://127.0.0.1:3000/");
    guest.ok("clusterctl restart shop");
    assert_eq!(serving(guest, 2), 1);
    assert_eq!(refused(guest), "");
}

#[test]
#[ignore = "a boot: make check-long"]
fn apps_serve_where_selinux_is_in_force() {
    let text = ecosystem(1, "instances = 2");
    let mut disk = files(&text);
    disk.push(("/etc/selinux/config", CONFIG));
    let Some(mut guest) = Guest::hardened(&disk) else { return };
    guest.boot(2);
    guest.ok("setenforce 1");
    assert_eq!(guest.ok("getenforce"), "Enforcing");
    guest.ok(&format!("clusterctl unpack --by-content {PACKAGED}"));
    // What the policy says of these paths is what they have: a relabelling changes nothing.
    assert_eq!(guest.ok(&format!("restorecon -nvR {PACKAGED}/*/*")), "");
    works(&mut guest, PACKAGED);
    // Without a package, copies below /var, which is data by the policy.
    guest.ok("clusterctl delete shop; rm -rf /usr/lib/clusterctl");
    works(&mut guest, "/var/lib/clusterctl/handover");
    // A relabelling of the whole machine takes the labels of copies away.
    guest.ok("restorecon -R /var/lib/clusterctl");
    for script in [
        "clusterctl reload shop",
        "clusterctl doctor shop",
        "clusterctl restart shop",
        "clusterctl list",
        APPLY,
    ] {
        let output = guest.run(script);
        eprintln!("{script}: {} {}", output.code, output.text);
    }
    eprintln!("{}", refused(&mut guest));
}
