//! Commands of an ordinary user, killed and refused by the kernel at points that an undisturbed run tells, as
//! in `kills` and `errors`; the app is statically linked, and traced at its start. And `clusterctl dev`, of
//! which each process is killed.

use std::time::Duration;

use crate::booted;
use crate::kills::KILLER;
use crate::support::{Machine, User, skip, wait_until};
use crate::trace::go_server;

const FILE: &str = "/home/ada/ecosystem.toml";
const REFUSED: &str = "Input/output error";

/// Plans for the command and for the process of its rollout.
const PLANS: [&str; 2] = ["/home/ada/command", "/home/ada/rollout"];

fn put(ada: &User<'_>, version: usize) {
    let text = format!(
        "[[apps]]\nname = 'shop'\nscript = './server'\nlisten = 3000\ninstances = 2\n\
         env = {{ VERSION = 'v{version}.' }}\nrollout = {{ min_ready = 0 }}\n"
    );
    ada.write(FILE, &text);
}

/// Calls that change something, in the order of a run; each with which of its kind it is.
fn told(m: &Machine, log: &str) -> Vec<(usize, String)> {
    let text = if m.exists(log) { m.read(log) } else { String::new() };
    let mut told: Vec<(usize, String)> = Vec::new();
    for label in text.lines().filter(|label| !label.starts_with("ask ")) {
        let count = told.iter().filter(|(_, other)| other == label).count() + 1;
        told.push((count, label.to_owned()));
    }
    told
}

/// A number of these points, spread over all.
fn spread(points: Vec<(usize, String)>, wanted: usize) -> Vec<(usize, String)> {
    let step = (points.len() / wanted).max(1);
    points.into_iter().skip(step / 2).step_by(step).take(wanted).collect()
}

fn applied(ada: &User<'_>) -> crate::support::Output {
    ada.run(["python3", "/srv/kill.py", PLANS[0], "clusterctl", "--user", "apply", FILE])
}

/// Everything is as an undisturbed run leaves it.
fn assert_whole(m: &Machine, ada: &User<'_>, version: usize, at: &str) {
    let answers = m.ok_sh(
        "for i in $(seq 12); do curl -sS localhost:3000/environment | grep -o 'VERSION=v[0-9]*[.]'; done | sort -u",
    );
    assert_eq!(answers, format!("VERSION=v{version}."), "{at}");
    let list = "systemctl --user list-units --plain --no-legend 'shop@*' | grep -c ' active '";
    assert_eq!(ada.ok(["sh", "-c", list]), "2", "{at}");
    let left = "find .config .local /run/user/$(id -u)/clusterctl -name '.clusterctl-*' -o -name '*.request'";
    assert_eq!(ada.ok(["sh", "-c", &format!("cd; {left}")]), "", "{at}");
}

booted!(a_user_whose_commands_are_killed_and_refused_goes_on, |m| {
    let Some(server) = go_server() else { return };
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    let ada = m.user("ada");
    m.write("/srv/kill.py", KILLER);
    m.copy(server, "/home/ada/server");
    put(&ada, 0);
    assert_eq!(applied(&ada).code, 0);
    let reload = format!(
        "[Service]\nExecReload=\n\
         ExecReload=/usr/bin/python3 /srv/kill.py {} /usr/bin/clusterctl --user rollout shop\n",
        PLANS[1]
    );
    ada.write("/home/ada/.config/systemd/user/shop.service.d/kill.conf", &reload);
    put(&ada, 1);
    for plan in PLANS {
        ada.write(plan, &format!("list {plan}.log"));
    }
    let output = applied(&ada);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_whole(m, &ada, 1, "undisturbed");
    let mut version = 1;
    for plan in PLANS {
        let points = spread(told(m, &format!("{plan}.log")), 4);
        assert_eq!(points.len(), 4, "{plan}");
        for (count, label) in points {
            version += 1;
            put(&ada, version);
            // The bus is no file, and is killed at instead.
            let kills = version % 2 == 0 || label.starts_with("send ");
            let step = match kills {
                true => format!("kill {count} {label}"),
                false => format!("fail {count} {label} 5 once"),
            };
            ada.write(plan, &step);
            let first = applied(&ada);
            let at = format!("{step}: {first:#?}");
            m.ok_sh(&format!("rm -f {plan}"));
            assert!(m.ok(["curl", "-sS", "localhost:3000"]).contains("instance "), "{at}");
            if first.code == 0 {
                assert_whole(m, &ada, version, &at);
            } else if !kills {
                let told = first.stderr.contains(REFUSED);
                assert!(told || first.stderr.contains("could not be written"), "{at}");
            }
            let second = applied(&ada);
            assert_eq!(second.code, 0, "{at} {second:#?}");
            assert_whole(m, &ada, version, &at);
        }
    }
});

const SERVER: &str = "require('http').createServer((q, s) => s.end('here')).listen(3000);";

/// Processes of a session, in the order of their start.
fn processes(m: &Machine) -> Vec<String> {
    m.sh("pgrep -x clusterctl").stdout.lines().map(str::to_owned).collect()
}

booted!(a_dev_session_of_which_any_process_is_killed_leaves_nothing_that_runs, |m| {
    m.write("/srv/d/server.js", SERVER);
    m.write(
        "/srv/d/ecosystem.toml",
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\nlisten = 3000\n",
    );
    let list = || {
        m.ok_sh("find /etc/systemd /etc/clusterctl /var/lib/clusterctl 2>/dev/null | sort; true")
    };
    let before = list();
    let (mut victim, mut count) = (0, 1);
    while victim < count {
        let mut dev = m.spawn(["sh", "-c", "exec clusterctl dev /srv/d/ecosystem.toml 2>&1"]);
        dev.line_with("all apps run");
        assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "here");
        let all = processes(m);
        count = all.len();
        m.ok(["kill", "-KILL", &all[victim]]);
        let (code, said) = dev.wait();
        let at = format!("process {victim} of {count} killed: {code}, {said:?}");
        assert_ne!(code, 0, "{at}");
        wait_until(&format!("nothing runs on: {at}"), Duration::from_secs(30), || {
            m.run(["curl", "-s", "localhost:3000"]).code != 0
                && m.run(["pgrep", "-x", "node"]).code != 0
                && processes(m).is_empty()
        });
        assert_eq!(list(), before, "{at}");
        victim += 1;
    }
});
