//! Two and three commands on one app at once, also of systemctl: none hangs, and the app ends in a state
//! in which the same commands, one after the other in some order, would have left it.

mod long;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::kills::KILLER;
use crate::shop::{ecosystem, write};
use crate::support::{Machine, skip, wait_until};
use crate::{booted, booted_long};

/// The state of the app, as far as the verbs change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct App {
    /// Whether the app has units.
    there: bool,
    /// Whether its group is active.
    up: bool,
    /// How many instances are enabled.
    instances: usize,
}

/// How many instances the ecosystem file says.
const WRITTEN: usize = 3;

/// How many instances the definition says to which `rollback` goes back.
const FORMER: usize = 2;

const VERBS: [&str; 12] = [
    "systemctl restart shop",
    "systemctl stop shop",
    "systemctl start shop",
    "systemctl reload shop",
    "clusterctl restart shop",
    "clusterctl stop shop",
    "clusterctl start shop",
    "clusterctl reload shop",
    "clusterctl scale shop 1",
    "clusterctl scale shop 4",
    "clusterctl apply /srv/shop/ecosystem.toml",
    "clusterctl delete shop",
];

impl App {
    /// The state after a verb that runs alone.
    fn after(self, verb: &str) -> App {
        let gone = App { there: false, up: false, instances: 0 };
        let verb = verb.split(' ').skip(1).filter(|word| *word != "shop").collect::<Vec<_>>();
        match (verb.as_slice(), self.there) {
            (["apply" | "deploy", ..], _) => App { there: true, up: true, instances: WRITTEN },
            (["rollback"], _) => App { there: true, up: true, instances: FORMER },
            (_, false) | (["delete"], _) => gone,
            (["restart" | "start"], true) => App { up: true, ..self },
            (["stop"], true) => App { up: false, ..self },
            (["reload"], true) => self,
            (["scale", number], true) => App { instances: number.parse().unwrap(), ..self },
            (other, true) => panic!("{other:?}"),
        }
    }

    /// The states after the verbs in every order.
    fn in_any_order(self, verbs: &[&str]) -> BTreeSet<App> {
        if verbs.is_empty() {
            return [self].into();
        }
        let each = (0..verbs.len()).flat_map(|first| {
            let mut rest = verbs.to_vec();
            let verb = rest.remove(first);
            self.after(verb).in_any_order(&rest)
        });
        each.collect()
    }

    /// Waits until the manager has no job, and reads the state; a mixture of two states is an error.
    fn seen(m: &Machine, what: &str) -> App {
        wait_until(&format!("{what}: nothing is under way"), Duration::from_secs(60), || {
            m.ok(["systemctl", "list-jobs", "--no-legend", "--plain"]).is_empty()
        });
        let count =
            |script: &str| -> usize { m.ok_sh(&format!("{script} | wc -l")).parse().unwrap() };
        let list = "systemctl list-units --plain --no-legend --state=active,activating,reloading";
        let app = App {
            there: m.exists("/etc/systemd/system/shop@.service"),
            up: m.systemctl_show("shop", "ActiveState") == "active",
            instances: count("ls /etc/systemd/system/shop.service.wants 2>/dev/null"),
        };
        let running = count(&format!("{list} 'shop@*'"));
        let open = count(&format!("{list} 'shop-3000.socket'"));
        let wanted = if app.up { (app.instances, 1) } else { (0, 0) };
        assert_eq!(
            (running, open),
            wanted,
            "{what}: {app:?}: number of running instances, and of open listeners\n{}",
            m.journal("shop*")
        );
        let folder = "echo /proc/$(systemctl show -P MainPID $unit)/cwd";
        let each = format!("for unit in $({list} 'shop@*' | cut -d' ' -f1); do {folder}; done");
        let folders = count(&format!("{each} | xargs -r readlink | sort -u"));
        assert_eq!(folders, usize::from(app.up), "{what}: {app:?}: folders of running code");
        app
    }
}

/// Runs verbs, each the given number of milliseconds after the one before.
fn at_once(m: &Machine, verbs: &[(&str, u32)]) {
    let before = App::seen(m, "before");
    let shown = format!("{verbs:?} on {before:?}");
    let mut running = Vec::new();
    for (verb, pause) in verbs {
        // The pause is no wait for an event: it varies how far the verb before has come.
        std::thread::sleep(Duration::from_millis(u64::from(*pause)));
        let mut command = m.command(["timeout", "90", "sh", "-c", &format!("exec {verb}")]);
        running.push(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
    }
    let mut said = String::new();
    for (child, (verb, _)) in running.into_iter().zip(verbs) {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        said.push_str(&format!("{verb}: {:?}\n{text}\n", output.status.code()));
        assert_ne!(output.status.code(), Some(124), "{shown}: {verb} hangs\n{said}");
    }
    let after = App::seen(m, &format!("{shown}\n{said}"));
    let names: Vec<&str> = verbs.iter().map(|(verb, _)| *verb).collect();
    let possible = before.in_any_order(&names);
    assert!(possible.contains(&after), "{shown} ends as {after:?}, not as {possible:?}\n{said}");
}

fn fresh(m: &Machine) {
    write(m, &ecosystem(WRITTEN as u32, "rollout = { min_ready = 0 }"));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
}

booted_long!(a_command_of_systemctl_in_the_way_of_another, |m| {
    for first in ["systemctl restart shop", "systemctl stop shop"] {
        for second in
            ["clusterctl scale shop 1", "clusterctl reload shop", "clusterctl delete shop"]
        {
            for order in [[first, second], [second, first]] {
                fresh(m);
                at_once(m, &[(order[0], 0), (order[1], 50)]);
            }
        }
    }
});

booted_long!(a_start_takes_turns_with_what_changes_the_number, |m| {
    fresh(m);
    m.ok(["clusterctl", "scale", "shop", "4"]);
    m.ok(["clusterctl", "stop", "shop"]);
    at_once(m, &[("clusterctl apply /srv/shop/ecosystem.toml", 0), ("clusterctl start shop", 300)]);
});

booted_long!(a_start_by_systemctl_while_links_go_leaves_as_many_as_shall_run, |m| {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    m.write("/srv/kill.py", KILLER);
    for verb in ["apply /srv/shop/ecosystem.toml", "scale shop 1"] {
        fresh(m);
        m.ok(["clusterctl", "scale", "shop", "4"]);
        m.ok(["clusterctl", "stop", "shop"]);
        // The manager still starts instances that had a link when it last read the units.
        m.write("/run/plan", "meet 1 send Reload\nsystemctl start --no-block shop\n");
        m.ok_sh(&format!("python3 /srv/kill.py /run/plan clusterctl {verb}"));
        assert!(!m.exists("/run/plan"), "{verb}");
        let instances = if verb.ends_with('1') { 1 } else { WRITTEN };
        assert_eq!(App::seen(m, verb), App { there: true, up: true, instances }, "{verb}");
    }
});

/// Runs a command while `clusterctl` waits at one of its system calls.
fn in_between(m: &Machine, verb: &str, call: &str, command: &str) {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    m.write("/srv/kill.py", KILLER);
    m.write("/run/plan", format!("meet {call}\n{command}\n"));
    m.ok_sh(&format!("python3 /srv/kill.py /run/plan clusterctl {verb}"));
    assert!(!m.exists("/run/plan"), "{verb} comes to no {call}");
}

booted_long!(a_stop_that_meets_a_start_before_it_closes_the_listeners_is_finished, |m| {
    fresh(m);
    in_between(m, "stop shop", "2 send StopUnit", "systemctl start shop");
    assert_stopped(m, "a start between the halves of a stop");
});

booted_long!(an_app_that_is_started_while_it_is_deleted_is_stopped, |m| {
    for there in ["true", "clusterctl stop shop"] {
        fresh(m);
        m.ok_sh(there);
        let link = "1 unlink /etc/systemd/system/shop.service.wants/shop@0.service";
        in_between(m, "delete shop", link, "systemctl start shop");
        assert_eq!(App::seen(m, there), App { there: false, up: false, instances: 0 }, "{there}");
    }
});

/// Sends the manager several calls about the group while it is stopped by SIGSTOP, so that it reads all of them
/// before it acts on the first.
fn together(m: &Machine, members: &[&str]) {
    let manager = Pid::from_raw(i32::try_from(m.leader()).unwrap()).unwrap();
    m.write("/srv/together.py", include_str!("../fixtures/bus/together.py"));
    kill_process(manager, Signal::STOP).unwrap();
    let mut caller = m.spawn([&["python3", "/srv/together.py", "shop.service"], members].concat());
    caller.line_with("sent");
    kill_process(manager, Signal::CONT).unwrap();
    let (code, said) = caller.wait();
    assert_eq!(code, 0, "{said:?}");
}

fn assert_stopped(m: &Machine, what: &str) {
    assert_eq!(App::seen(m, what), App { there: true, up: false, instances: WRITTEN }, "{what}");
}

booted_long!(a_stop_that_has_begun_is_finished_though_a_reload_takes_its_place, |m| {
    fresh(m);
    m.ok_sh("systemctl stop --no-block shop; systemctl reload --no-block shop || true");
    assert_stopped(m, "a reload while the group stops");
});

booted_long!(a_stop_that_has_not_begun_is_finished_though_a_reload_takes_its_place, |m| {
    fresh(m);
    together(m, &["StopUnit", "ReloadUnit"]);
    assert_stopped(m, "a reload before the stop has begun");
});

booted_long!(a_second_restart_brings_no_additional_instance_back, |m| {
    fresh(m);
    for millis in [20, 40, 60, 80, 100] {
        m.ok(["systemctl", "reload", "--no-block", "shop"]);
        let extra = format!("shop@{WRITTEN}");
        wait_until("the extra instance is active", Duration::from_secs(30), || {
            m.systemctl_show(&extra, "ActiveState") == "active"
        });
        let restart = "systemctl restart --no-block shop";
        m.ok_sh(&format!("{restart}; sleep 0.{millis:03}; {restart}"));
        let what = format!("a restart {millis} ms after another one");
        assert_eq!(
            App::seen(m, &what),
            App { there: true, up: true, instances: WRITTEN },
            "{what}"
        );
    }
});

booted_long!(a_rollout_ends_with_a_stop_whose_place_a_reload_takes, |m| {
    write(m, &ecosystem(WRITTEN as u32, "rollout = { min_ready = '5s' }"));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    m.ok(["systemctl", "reload", "--no-block", "shop"]);
    let extra = format!("shop@{WRITTEN}");
    wait_until("the extra instance is active", Duration::from_secs(30), || {
        m.systemctl_show(&extra, "ActiveState") == "active"
    });
    together(m, &["StopUnit", "ReloadUnit"]);
    assert_stopped(m, "a reload before the stop of a rollout has begun");
});

booted_long!(an_instance_that_has_yet_to_start_goes_with_its_rollout, |m| {
    fresh(m);
    m.write("/etc/systemd/system/slow.service", "[Service]\nType=oneshot\nExecStart=sleep 3600\n");
    m.write("/etc/systemd/system/shop@3.service.d/slow.conf", "[Unit]\nAfter=slow.service\n");
    m.ok_sh("systemctl daemon-reload; systemctl start --no-block slow");
    m.ok(["systemctl", "reload", "--no-block", "shop"]);
    wait_until("the extra instance has a start job", Duration::from_secs(30), || {
        m.ok(["systemctl", "list-jobs", "--no-legend", "--plain"]).contains("shop@3.service")
    });
    m.ok(["systemctl", "restart", "shop"]);
    m.ok(["systemctl", "stop", "slow"]);
    let wanted = App { there: true, up: true, instances: WRITTEN };
    assert_eq!(App::seen(m, "a restart before the extra instance has started"), wanted);
});

booted!(a_start_of_a_rollout_that_a_stop_cancels_has_not_failed, |m| {
    fresh(m);
    // What is stopped before the group leaves the process of the rollout alone for as long.
    let first = "[Unit]\nAfter=shop.service\nPartOf=shop.service\n\
        [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=true\nExecStop=sleep 2\n";
    m.write("/etc/systemd/system/first.service", first);
    let slow = "/etc/systemd/system/shop@3.service.d/slow.conf";
    for change in ["scale shop 4", "apply /srv/shop/ecosystem.toml"] {
        m.write(slow, "[Service]\nExecStartPre=sleep 3600\n");
        m.ok_sh("systemctl daemon-reload; systemctl start first");
        write(m, &ecosystem(4, "rollout = { min_ready = 0 }"));
        let mut changed = m.spawn(["sh", "-c", &format!("clusterctl {change} 2>&1")]);
        wait_until("the start of the new instance is under way", Duration::from_secs(30), || {
            m.systemctl_show("shop@3", "ActiveState") == "activating"
        });
        m.ok(["systemctl", "stop", "shop"]);
        let (code, said) = changed.wait();
        let said = said.join("\n");
        assert!(code == 1 && said.contains("shop was stopped meanwhile"), "{change}: {said}");
        m.ok(["rm", slow]);
        m.ok(["systemctl", "daemon-reload"]);
        let wanted = App { there: true, up: false, instances: 4 };
        assert_eq!(App::seen(m, &said), wanted, "{change}: {said}");
        fresh(m);
    }
});

booted_long!(a_stop_that_meets_a_restart_between_its_halves_closes_the_listeners, |m| {
    fresh(m);
    // The start in a restart waits for a unit that is being started, so that the stop is over and the start is not.
    m.write("/etc/systemd/system/slow.service", "[Service]\nType=oneshot\nExecStart=sleep 3600\n");
    m.write("/etc/systemd/system/shop.service.d/slow.conf", "[Unit]\nAfter=slow.service\n");
    m.ok_sh("systemctl daemon-reload; systemctl start --no-block slow");
    m.ok(["systemctl", "restart", "--no-block", "shop"]);
    wait_until("the group is inactive", Duration::from_secs(10), || {
        m.systemctl_show("shop", "ActiveState") == "inactive"
    });
    m.ok(["systemctl", "stop", "shop"]);
    m.ok(["systemctl", "stop", "slow"]);
    assert_stopped(m, "a stop between the halves of a restart");
    assert_ne!(m.run(["curl", "-s", "localhost:3000"]).code, 0, "a client woke the app");
    assert_stopped(m, "after a connection to the closed port");
});

booted_long!(a_start_after_two_that_a_stop_met_waits_until_the_listeners_are_let_go, |m| {
    fresh(m);
    // The script that keeps clients out during a stop has copies of the listeners, here for a second longer.
    let hold = m.ok(["systemctl", "show", "-P", "ExecStop", "shop-close"]);
    let tool =
        hold.split(['=', ' ']).find_map(|word| word.strip_suffix("/close")).unwrap().to_owned();
    let slow = format!(
        "#!/bin/sh\n\"$@\"\nexec {tool}/clusterctl-exec --listeners 1 '[::]:3000' -- sleep 1\n"
    );
    m.write("/srv/slow-hold", slow);
    m.ok(["chmod", "755", "/srv/slow-hold"]);
    let line = m.read("/etc/systemd/system/shop-close.service");
    let line = line.lines().find_map(|line| line.strip_prefix("ExecStop=")).unwrap();
    let line = format!(
        "[Service]\nExecStop=\nExecStop=/srv/slow-hold {}\n",
        line.trim_start_matches(['-', ':'])
    );
    m.write("/etc/systemd/system/shop-close.service.d/slow.conf", line);
    m.ok(["systemctl", "daemon-reload"]);
    for pause in [50, 100, 150, 200, 300] {
        let verbs = [
            ("clusterctl stop shop", 0),
            ("clusterctl start shop", pause),
            ("systemctl start shop", 40),
        ];
        at_once(m, &verbs);
        m.sh("systemctl start shop");
    }
});
