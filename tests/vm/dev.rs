//! `clusterctl dev` where systemd runs and where cgroups are unified, as on most machines.

use crate::{
    guest::Guest,
    shop::{ecosystem, files},
};

#[test]
#[ignore = "a boot: make check-long"]
fn a_private_manager_runs_beside_the_machines_own() {
    let Some(mut guest) = Guest::new(&files(&ecosystem(1, "instances = 2"))) else { return };
    guest.boot(2);
    let inside = "curl -sS http://127.0.0.1:3000/; stat -f -c %T /sys/fs/cgroup; clusterctl list";
    let said = guest.ok(&format!("clusterctl dev /srv/shop/ecosystem.toml -- sh -ec '{inside}'"));
    assert!(said.contains("version 1 instance"), "{said}");
    assert!(said.contains("\ncgroup2fs\n"), "{said}");
    assert_eq!(said.matches(" online ").count(), 2, "{said}");
    // Nothing of the session is left, and the machine's own manager has seen none of it.
    assert_eq!(guest.ok("pgrep -a perl || true"), "");
    assert_eq!(guest.ok("mount | grep -c clusterctl || true"), "0");
    assert_eq!(guest.ok("systemctl list-units --all --no-legend 'shop*'"), "");
}
