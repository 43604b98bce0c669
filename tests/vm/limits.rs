//! Limits are those of the kernel: unified cgroups with all their controllers.

use crate::{
    guest::Guest,
    shop::{APPLY, GROUP, PIDS, ecosystem, files, serving},
};

#[test]
#[ignore = "a boot: make check-long"]
fn an_instance_without_memory_dies_alone() {
    let file = ecosystem(1, "instances = 3\nservice = { MemoryMax = '40M' }");
    let Some(mut guest) = Guest::new(&files(&file)) else { return };
    guest.boot(2);
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 3), 1);
    let limits = guest.ok(&format!("cat {GROUP}/shop@*.service/memory.max"));
    assert_eq!(limits, "41943040\n41943040\n41943040");
    let before = guest.ok(PIDS);
    // One client's request takes an instance with it; the others' are all answered meanwhile.
    let said = guest.ok("systemd-run --quiet --unit=eater curl -sS http://127.0.0.1:3000/eat
        served=0
        while systemctl --quiet is-active eater; do
            curl -sS --max-time 60 http://127.0.0.1:3000/ >/dev/null
            served=$((served + 1))
        done
        echo $served");
    assert!(said.parse::<u32>().is_ok_and(|served| served > 0), "{said}");
    guest.ok("systemctl reset-failed eater; clusterctl start shop");
    assert_eq!(serving(&mut guest, 3), 1);
    let after = guest.ok(PIDS);
    let stayed = after.lines().filter(|pid| before.contains(pid)).count();
    assert_eq!(stayed, 2, "{before}\n{after}");
    let journal = guest.ok("journalctl --boot -u 'shop@*' --no-pager");
    assert_eq!(journal.matches("Failed with result 'oom-kill'").count(), 1, "{journal}");
}

#[test]
#[ignore = "a boot: make check-long"]
fn limits_of_the_whole_app_are_those_of_its_slice() {
    let more = "instances = 2\nslice = { MemoryMax = '60M', TasksMax = 40, CPUQuota = '150%' }";
    let Some(mut guest) = Guest::new(&files(&ecosystem(1, more))) else { return };
    guest.boot(2);
    guest.ok(APPLY);
    let read = format!("cd {GROUP}; cat memory.max pids.max cpu.max memory.oom.group");
    assert_eq!(guest.ok(&read), "62914560\n40\n150000 100000\n0");
    // A changed limit holds at once, and no process is replaced for it.
    let before = guest.ok(PIDS);
    guest.ok(&format!("sed -i 's/60M/50M/' /srv/shop/ecosystem.toml; {APPLY}"));
    assert_eq!(guest.ok(&format!("cat {GROUP}/memory.max")), "52428800");
    assert_eq!(guest.ok(PIDS), before);
    // The app as a whole is out of memory: the kernel takes its largest process, nobody else's.
    let _ = guest.run("curl -sS http://127.0.0.1:3000/eat");
    guest.ok("clusterctl start shop");
    assert_eq!(serving(&mut guest, 2), 1);
    let after = guest.ok(PIDS);
    assert_eq!(after.lines().filter(|pid| before.contains(pid)).count(), 1, "{before}\n{after}");
    let events = guest.ok(&format!("cat {GROUP}/memory.events"));
    assert!(events.contains("oom_kill 1"), "{events}");
    guest.power_off();
    guest.boot(2);
    assert_eq!(guest.ok(&format!("cat {GROUP}/memory.max")), "52428800");
    assert_eq!(serving(&mut guest, 2), 1);
}
