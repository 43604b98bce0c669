//! Commands under bad conditions: a command is killed, nobody reads its output, or administrators, the
//! bus and other commands change what it works on.

mod bus;

use std::time::Duration;

use crate::booted;
use crate::shop::{answers, applied, apply, ecosystem, load, pids, quick, write};
use crate::support::{Machine, Root, machine};

const PATIENCE: Duration = Duration::from_secs(30);

fn needs_reload(m: &Machine) -> String {
    let ask = "systemctl show -p Id,NeedDaemonReload 'shop*' 'clusterctl-shop.slice'";
    m.ok_sh(&format!("{ask} | grep -B1 NeedDaemonReload=yes || true"))
}

fn running(m: &Machine) -> usize {
    m.ok_sh("systemctl list-units --plain --no-legend 'shop@*' | grep -c ' active ' || true")
        .parse()
        .unwrap()
}

fn put_drop_in(m: &Machine, greeting: &str) {
    let text = format!("[Service]\nEnvironment=GREETING={greeting}\n");
    m.write("/etc/systemd/system/shop@.service.d/mine.conf", text);
}

booted!(what_is_on_disk_is_loaded_before_instances_are_replaced, |m| {
    applied(m, &ecosystem(2, "rollout = { min_ready = 0 }"));
    let verbs = ["reload shop", "restart shop", "apply /srv/shop/ecosystem.toml", "scale shop 3"];
    for (round, verb) in verbs.iter().enumerate() {
        let greeting = format!("dropped{round}");
        put_drop_in(m, &greeting);
        let output = m.sh(&format!("clusterctl {verb}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
        assert_eq!(needs_reload(m), "", "{verb}");
        // A scale replaces no instance; only the instance that it starts has the new drop-in.
        let seen = answers(m);
        let new = seen.lines().filter(|line| line.contains(&greeting)).count();
        assert_eq!(new, if verb.starts_with("scale") { 1 } else { 2 }, "{verb}: {seen}");
    }
    // Instances that systemd restarts without a daemon-reload do not have the new drop-in either.
    put_drop_in(m, "late");
    m.ok_sh("systemctl restart shop@0 shop@1 shop@2 2>/dev/null");
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("late")), "{seen} {output:#?}");
    assert!(apply(m).stdout.contains("nothing to do"));
});

booted!(a_plain_reload_loads_what_a_former_run_wrote, |m| {
    applied(m, &ecosystem(2, "rollout = { min_ready = 0 }"));
    put_drop_in(m, "dropped");
    m.ok_sh("systemctl reload shop 2>/dev/null");
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("dropped")), "{seen}");
});

/// How the output of a command fails: its reader is gone, or the disk is full.
const READERS: [&str; 4] = ["| true", "-o json | true", "> /dev/full", "-o json > /dev/full"];

booted!(what_changes_something_does_not_depend_on_its_reader, |m| {
    for (round, reader) in READERS.iter().enumerate() {
        let run = |verb: &str| {
            // The reader is gone before the command writes its first byte.
            let line = match reader.contains('|') {
                true => format!("mkfifo /tmp/p; sleep 0 </tmp/p & exec 3>/tmp/p; wait; {verb} >&3"),
                false => format!("{verb} >/dev/full"),
            };
            let output = m.sh(&format!("rm -f /tmp/p; {line}"));
            (output.code, output.stderr)
        };
        let told = |verb: &str, wanted: i32| {
            let form = if reader.contains("json") { "-o json" } else { "" };
            let (code, said) = run(&format!("clusterctl {verb} {form}"));
            assert_eq!(code, wanted, "{verb} {reader}: {said}");
            said
        };
        write(m, &quick(2, &format!("round{round}")));
        let said = told("apply /srv/shop/ecosystem.toml", 0);
        assert!(said.contains("standard output"), "{reader}: {said}");
        assert_eq!(running(m), 2, "{reader}: {said}");
        let before = pids(m, 2);
        told("reload shop", 0);
        assert!(before.iter().zip(pids(m, 2)).all(|(old, new)| *old != new), "{reader}");
        told("scale shop 3", 0);
        assert_eq!(running(m), 3, "{reader}");
        told("stop shop", 0);
        assert_eq!(running(m), 0, "{reader}");
        told("start shop", 0);
        told("restart shop", 0);
        write(m, &quick(3, &format!("next{round}")));
        told("apply /srv/shop/ecosystem.toml", 0);
        told("rollback shop", 0);
        let seen = answers(m);
        assert!(seen.contains(&format!("round{round}")), "{reader}: {seen}");
        // A command that fails still says so and has the right exit code.
        m.write("/srv/shop/ecosystem.toml", "[[apps]]\nname = 3\n");
        told("apply /srv/shop/ecosystem.toml", 3);
        told("delete shop", 0);
        assert!(!m.exists("/etc/systemd/system/shop.service"), "{reader}");
        told("delete shop", 5);
    }
});

booted!(what_only_tells_ends_when_it_cannot, |m| {
    applied(m, &quick(1, "plain"));
    for verb in ["list", "apply -n /srv/shop/ecosystem.toml", "describe shop", "history"] {
        let full = m.sh(&format!("clusterctl {verb} > /dev/full"));
        assert_eq!(full.code, 1, "{verb}: {full:#?}");
        assert!(full.stderr.contains("cannot write the output"), "{verb}: {full:#?}");
    }
});

booted!(a_prune_that_is_killed_is_completed_by_the_next_one, |m| {
    let two = format!(
        "{}\n{}",
        quick(1, "keep"),
        "[[apps]]\nname = 'old'\ncommand = ['sleep', 'infinity']\nenv = { SECRET = 'hunter2' }"
    );
    applied(m, &two);
    let count: u32 = m
        .ok_sh("ls -d /etc/systemd/system/*old* /etc/clusterctl/environment/old* | wc -l")
        .parse()
        .unwrap();
    for number in 1..=count + 1 {
        applied(m, &two);
        write(m, &quick(1, "keep"));
        let kill = format!("--inject=unlink:signal=KILL:when={number}");
        m.sh(&format!(
            "strace -f -qq -o /dev/null -e trace=unlink {kill} \
             clusterctl apply --prune /srv/shop/ecosystem.toml; true"
        ));
        let output = m.clusterctl(["apply", "--prune", "/srv/shop/ecosystem.toml"]);
        assert_eq!(output.code, 0, "{number}: {output:#?}");
        let left = m.ok_sh(
            "grep -rl hunter2 /etc || true; find /etc -name '*old*.s*' | grep -v -e bak || true",
        );
        let left: Vec<&str> = left
            .lines()
            .filter(|line| line.contains("clusterctl") || line.contains("/old"))
            .collect();
        assert!(left.is_empty(), "killed at {number}: {left:?}");
        assert_eq!(m.systemctl_show("old.service", "LoadState"), "not-found", "{number}");
    }
});

/// Temporary files that a killed run has left, which it would have renamed to their final names.
fn unfinished(m: &Machine) -> String {
    m.ok_sh("find /etc/systemd /etc/clusterctl /var/lib/clusterctl /run/clusterctl -name '.clusterctl-*'")
}

booted!(files_that_a_killed_run_was_writing_go, |m| {
    applied(m, &quick(1, "one"));
    write(m, &quick(1, "hunter2"));
    for number in 1..=12 {
        m.sh(&format!(
            "strace -f -qq -o /dev/null -e trace=fsync --inject=fsync:signal=KILL:when={number} \
             clusterctl apply /srv/shop/ecosystem.toml; true"
        ));
    }
    m.sh("strace -f -qq -o /dev/null -e trace=fsync -P /run/clusterctl/rollouts \
          --inject=fsync:signal=KILL clusterctl reload shop; true");
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(unfinished(m), "");
    // Every later run removes such files, also a run that finds nothing to do.
    for folder in
        ["/etc/clusterctl/environment", "/etc/systemd/system", "/var/lib/clusterctl/history"]
    {
        m.write(&format!("{folder}/.clusterctl-AbC123"), "SECRET=hunter2\n");
    }
    assert!(apply(m).stdout.contains("nothing to do"));
    assert_eq!(unfinished(m), "");
});

booted!(a_touched_ecosystem_file_leaves_units_as_they_are, |m| {
    applied(m, &quick(2, "plain"));
    m.ok_sh("touch /srv/shop/ecosystem.toml");
    assert_eq!(needs_reload(m), "");
    let said = m.sh("systemctl reload shop").stderr;
    assert!(!said.contains("daemon-reload"), "{said}");
});

booted!(a_socket_unit_that_somebody_deleted_comes_back, |m| {
    applied(m, &quick(2, "plain"));
    let back = |delete: &str| {
        m.ok_sh(delete);
        let output = apply(m);
        assert_eq!(output.code, 0, "{output:#?}");
        assert!(m.exists("/etc/systemd/system/shop-3000.socket"));
        assert_eq!(m.systemctl_show("shop-3000.socket", "ActiveState"), "active");
        assert_eq!(m.systemctl_show("shop-3000.socket", "LoadState"), "loaded");
        let output = apply(m);
        assert!(output.stdout.contains("nothing to do"), "{delete}: {output:#?}");
        assert_eq!(answers(m).lines().count(), 2, "{delete}");
    };
    let mut run = m.load(load());
    run.wait_flowing();
    back("rm /etc/systemd/system/shop-3000.socket");
    run.stop().assert_none_failed();
    // At a daemon-reload the manager itself closes the listener of a unit whose file is gone.
    back("rm /etc/systemd/system/shop-3000.socket; systemctl daemon-reload");
});

booted!(what_could_not_be_remembered_is_in_force_all_the_same, |m| {
    applied(m, &quick(2, "before"));
    m.ok_sh("mount -t tmpfs -o size=4k,mode=0700 none /var/lib/clusterctl/history");
    m.ok_sh("head -c 4096 /dev/zero > /var/lib/clusterctl/history/full || true");
    write(m, &quick(2, "after"));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("✓ shop: 2 replaced in "), "{output:#?}");
    assert!(output.stderr.contains("is in force"), "{output:#?}");
    assert!(output.stderr.contains("history"), "{output:#?}");
    assert!(output.stderr.contains("No space left"), "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("after")));
    m.ok_sh("umount /var/lib/clusterctl/history");
    assert_eq!(apply(m).code, 0);
    assert!(m.ok(["clusterctl", "history"]).lines().count() >= 2);
});

/// Every place where a few lines of ours lie that are read again.
const NOTES: [&str; 8] = [
    "/run/clusterctl/pins/shop",
    "/run/clusterctl/unread/shop",
    "/run/clusterctl/replaced/shop",
    "/var/lib/clusterctl/locks/shop.lock",
    "/var/lib/clusterctl/lock",
    "/var/lib/clusterctl/history/1.json",
    "/var/lib/clusterctl/ids",
    "/run/clusterctl/namespaces",
];

booted!(what_is_no_file_in_the_place_of_a_note_holds_nobody_up, |m| {
    applied(m, &quick(2, "before"));
    for (round, path) in NOTES.iter().enumerate() {
        m.ok_sh(&format!("rm -f {path}; mkdir -p $(dirname {path}); mkfifo {path}"));
        write(m, &quick(2, &format!("round{round}")));
        for verb in
            ["describe shop", "list", "history", "apply /srv/shop/ecosystem.toml", "reload shop"]
        {
            let output = m.sh(&format!("timeout 60 clusterctl {verb}"));
            let told = output.code == 0 || output.stderr.contains(path);
            assert!(told, "{verb} with {path}: {output:#?}");
        }
        m.ok_sh(&format!("test ! -p {path} || rm {path}"));
        let output = apply(m);
        assert_eq!(output.code, 0, "{path}: {output:#?}");
        assert!(answers(m).lines().all(|line| line.contains(&format!("round{round}"))), "{path}");
    }
});

booted!(a_time_in_the_future_replaces_nothing_again_and_again, |m| {
    m.write("/srv/shop/.env", "GREETING=before\n");
    applied(m, &ecosystem(1, "env_file = '.env'\nrollout = { min_ready = 0 }"));
    m.ok_sh("echo GREETING=after >/srv/shop/.env; touch -d '3 hours' /srv/shop/.env");
    assert!(!apply(m).stdout.contains("nothing to do"));
    assert!(answers(m).contains("after"));
    assert!(apply(m).stdout.contains("nothing to do"));
});

booted!(a_full_run_is_named_and_leaves_nothing_in_the_way, |m| {
    applied(m, &quick(2, "before"));
    m.ok_sh("mount -o remount,size=$(df --output=used -k /run | tail -1 | tr -d ' ')k /run");
    write(m, &quick(2, "after"));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("No space left on device"), "{output:#?}");
    assert_eq!(m.sh("ls -A /run/clusterctl/unread").stdout, "", "a note of what was not written");
    // What needs no more room than there is goes on.
    let output = m.clusterctl(["restart", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("before")));
    put_drop_in(m, "dropped");
    let output = m.clusterctl(["restart", "shop"]);
    assert!(output.stderr.contains("next: make room there (`df -h /run`)"), "{output:#?}");
    m.ok_sh("rm -r /etc/systemd/system/shop@.service.d; mount -o remount,size=20% /run");
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("after")));
});

booted!(a_user_without_a_runtime_directory_in_the_environment, |m| {
    let ada = m.user("ada");
    m.write("/home/ada/server.js", crate::shop::SERVER);
    let file = |greeting: &str| m.write("/home/ada/ecosystem.toml", quick(2, greeting));
    file("one");
    let run = |args: &[&str]| {
        let bare = ["env", "-u", "XDG_RUNTIME_DIR", "-u", "DBUS_SESSION_BUS_ADDRESS"];
        ada.run([&bare, args].concat())
    };
    let output = run(&["clusterctl", "--user", "apply", "/home/ada/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    file("two");
    let output = run(&["clusterctl", "--user", "apply", "/home/ada/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(answers(m).lines().all(|line| line.contains("two")), "{}", answers(m));
    let output = run(&["clusterctl", "--user", "reload", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let output = run(&["clusterctl", "--user", "history", "-o", "json"]);
    assert_eq!(output.stdout.matches("\"number\"").count(), 2, "{output:#?}");
    assert_eq!(
        m.ok_sh(
            "find /etc /home /root /run /srv /tmp /var -xdev -name '*.request' 2>/dev/null || true"
        ),
        ""
    );
});

/// How many reloads the long test does unless the variable `CLUSTERCTL_RELOADS` says otherwise.
const RELOADS: u32 = 1000;

#[test]
#[ignore = "1000 reloads of two apps at a time: make check-long"]
fn long_reloads_take_no_instance_for_dead() {
    let Some(m) = machine(Root::Host) else { return };
    let wanted = std::env::var("CLUSTERCTL_RELOADS").map_or(RELOADS, |text| text.parse().unwrap());
    let other = "[[apps]]\nname = 'other'\ncommand = ['sleep', 'infinity']\ninstances = 3\n\
                 rollout = { min_ready = 0 }";
    applied(&m, &format!("{}\n{other}", quick(2, "plain")));
    let mut done = 0;
    while done < wanted {
        let both = ["shop", "other"]
            .map(|app| m.spawn(["sh", "-c", &format!("clusterctl reload {app} 2>&1")]));
        for mut reload in both {
            let (code, said) = reload.wait();
            assert_eq!(code, 0, "after {done} reloads: {said:#?}");
            done += 1;
        }
    }
    assert_eq!(running(&m), 2);
    assert_eq!(
        m.ok_sh("systemctl list-units --plain --no-legend 'other@*' | grep -c ' active '"),
        "3"
    );
}
