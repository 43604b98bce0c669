//! What was applied is there after a boot, and what cannot follow the machine says so.

use crate::{
    guest::Guest,
    shop::{APPLY, ecosystem, files, serving},
};

/// Beside the app: a second one on a Unix socket, a worker, one that is not started by itself.
const OTHERS: &str = "
[[apps]]
name = 'unix'
command = ['perl', '/srv/shop/unix.pl']
listen = '/run/unix.sock'
instances = 2
[[apps]]
name = 'worker'
command = ['sleep', 'infinity']
instances = 3
[[apps]]
name = 'idle'
command = ['sleep', 'infinity']
autostart = false
";

const UNIX: &str = r#"
use IO::Socket::UNIX;
my $server = IO::Socket::UNIX->new(Local => '/run/unix.sock', Listen => 64) or die "listen: $!";
while (1) {
    my $client = $server->accept or next;
    print $client "HTTP/1.0 200 OK\r\n\r\nfrom the path\n" if <$client>;
    close $client;
}
"#;

#[test]
#[ignore = "several boots: make check-long"]
fn everything_is_as_before_after_a_power_off() {
    let all = format!("{}{OTHERS}", ecosystem(1, "instances = 3"));
    let mut disk = files(&all);
    disk.push(("/srv/shop/unix.pl", UNIX));
    let Some(mut guest) = Guest::new(&disk) else { return };
    guest.boot(2);
    guest.ok(APPLY);
    // Changed by hand, and not in the file.
    guest.ok("clusterctl scale worker 2; clusterctl stop idle");
    let states = "systemctl list-units --all --plain --no-legend 'shop*' 'unix*' 'worker*' 'idle*' \
        'clusterctl*' | awk '$3 == \"active\" { print $1, $4 }' | sort";
    let before = guest.ok(states);
    assert_eq!(before.matches("running").count(), 3 + 2 + 2 + 2, "{before}");
    guest.power_off();
    guest.boot(2);
    assert_eq!(guest.ok(states), before);
    assert_eq!(serving(&mut guest, 3), 1);
    assert_eq!(guest.ok("curl -sS --unix-socket /run/unix.sock http://x/"), "from the path");
    // The app serves without the program that wrote its units.
    guest.ok("rm /usr/bin/clusterctl");
    guest.power_off();
    guest.boot(2);
    assert_eq!(guest.ok(states), before);
    assert_eq!(serving(&mut guest, 3), 1);
}

#[test]
#[ignore = "several boots: make check-long"]
fn instances_for_all_cpus_stay_until_the_next_apply_and_that_is_said() {
    let Some(mut guest) = Guest::new(&files(&ecosystem(1, "instances = 'max'"))) else { return };
    guest.boot(2);
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 2), 1);
    assert!(!guest.ok("clusterctl list").contains("CPUs"));
    guest.power_off();
    guest.boot(4);
    assert_eq!(serving(&mut guest, 2), 1);
    let list = guest.ok("clusterctl list");
    assert!(
        list.contains("shop: 2 instances as at the last apply, 4 by the CPUs of now"),
        "{list}"
    );
    let doctor = guest.ok("clusterctl doctor shop");
    assert!(doctor.contains("nothing changes units at boot"), "{doctor}");
    assert!(doctor.contains(APPLY), "{doctor}");
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 4), 1);
    assert!(!guest.ok("clusterctl doctor shop").contains("CPUs"));
    guest.power_off();
    guest.boot(1);
    assert_eq!(serving(&mut guest, 4), 1);
    assert!(guest.ok("clusterctl list").contains("shop: 4 instances as at the last apply, 1 by"));
}

#[test]
#[ignore = "several boots: make check-long"]
fn an_address_that_comes_late_holds_up_neither_the_boot_nor_the_app() {
    let late = ecosystem(1, "instances = 2").replace("'3000'", "'10.77.0.1:3000'");
    let late = late.replace("env = {", "env = { ADDRESS = '10.77.0.1',");
    let Some(mut guest) = Guest::new(&files(&late)) else { return };
    guest.boot(2);
    guest.ok(APPLY);
    guest.power_off();
    guest.boot(2);
    let online = guest.ok("systemctl is-active network-online.target || true");
    assert_eq!(online, "inactive", "nobody waits for the network");
    assert_eq!(guest.ok("systemctl is-active shop@0 shop@1"), "active\nactive");
    // Open, and unreachable only as long as nobody has the address.
    guest.ok("ip address add 10.77.0.1/32 dev lo");
    let said = guest.ok("curl -sS http://10.77.0.1:3000/");
    assert!(said.starts_with("version 1"), "{said}");
}

#[test]
#[ignore = "two boots: make check-long"]
fn a_traced_program_says_what_forbids_ptrace_and_the_doctor_mends_it() {
    let more = "instances = 2\nhandover = 'trace'\nnon_blocking = false\n\
        [apps.service]\nLimitNOFILE = 5000";
    let text = ecosystem(1, more);
    let mut disk = files(&text);
    // Debian's kernel has Yama; at this level not even root may trace.
    disk.push(("/etc/sysctl.d/50-strict.conf", "kernel.yama.ptrace_scope = 3\n"));
    let Some(mut guest) = Guest::new(&disk) else { return };
    guest.boot(2);
    assert_eq!(guest.ok("cat /proc/sys/kernel/yama/ptrace_scope"), "3");
    let failed = guest.run(APPLY);
    assert_ne!(failed.code, 0, "{failed:?}");
    for part in ["listeners by ptrace, which is forbidden here", "set it to 1 in /etc/sysctl.d"] {
        assert!(failed.text.contains(part), "{failed:?}");
    }
    mend(&mut guest, "kernel.yama.ptrace_scope is 3", "ptrace_scope");
    guest.power_off();
    guest.boot(2);
    guest.ok(APPLY);
    assert_eq!(serving(&mut guest, 2), 1);
    let well = "kernel.yama.ptrace_scope is 1, which lets";
    let said = guest.ok("clusterctl doctor");
    assert!(said.contains(well), "{said}");
    // Kernel settings of the whole machine.
    guest.ok("sysctl -qw kernel.yama.ptrace_scope=2 fs.nr_open=4096");
    mend(&mut guest, "kernel.yama.ptrace_scope is 2", "ptrace_scope");
    mend(&mut guest, "fs.nr_open is 4096", "fs.nr_open");
    assert!(guest.ok("clusterctl doctor").contains(well));
}

/// Runs the one command that the doctor names for something.
fn mend(guest: &mut Guest, what: &str, setting: &str) {
    let said = guest.run("clusterctl doctor").text;
    assert!(said.contains(what), "{said}");
    let commands = said.lines().filter_map(|line| line.trim().strip_prefix("mend:"));
    let commands: Vec<&str> = commands.filter(|command| command.contains(setting)).collect();
    let [command] = commands[..] else { panic!("{said}") };
    guest.ok(command);
}
