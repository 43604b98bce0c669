//! `clusterctl dev` killed, interrupted, or without its terminal, at points of its start that an undisturbed session
//! tells, as in `kills`: nothing runs on, and the next session leaves nothing of either.

use std::time::Duration;

use crate::booted_long;
use crate::kills::{KILLER, points_asked_for};
use crate::support::{Machine, skip, wait_until};
use crate::user_faults::{every_point, spread, told};

const SERVER: &str = "require('http').createServer((q, s) => s.end('here')).listen(3000);";
const PLAN: &str = "/run/dev-plan";
const SESSION: &str = "clusterctl dev /srv/d/ecosystem.toml -- curl -s localhost:3000";

/// What happens at a point, as a plan of `kill.py` without the point. Of the inner process `kill` is the end of that
/// process.
const WAYS: [&str; 3] = ["kill", "kill -INT $COMMAND", "kill -KILL $(pgrep -x script)"];

fn put(m: &Machine) {
    m.write("/srv/kill.py", KILLER);
    m.write("/srv/d/server.js", SERVER);
    m.write(
        "/srv/d/ecosystem.toml",
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\nlisten = 3000\nrollout = { min_ready = 0 }\n",
    );
}

/// Processes of a session, in the order of their start.
fn processes(m: &Machine) -> Vec<String> {
    m.sh("pgrep -x clusterctl").stdout.lines().map(str::to_owned).collect()
}

/// Everything where a session could leave something: files, cgroups and mounts.
fn list(m: &Machine) -> String {
    m.ok_sh(
        "find /etc/systemd /etc/clusterctl /var/lib/clusterctl /run/clusterctl /tmp 2>/dev/null | sort; \
         find /sys/fs/cgroup -type d -name '*clusterctl*' | sort; wc -l </proc/self/mounts",
    )
}

fn await_end(m: &Machine, at: &str) {
    wait_until(&format!("nothing runs on: {at}"), Duration::from_secs(60), || {
        m.run(["curl", "-s", "localhost:3000"]).code != 0
            && m.run(["pgrep", "-x", "node|script"]).code != 0
            && processes(m).is_empty()
    });
}

/// A session on a terminal of its own; `kill.py` follows its plan.
fn session(m: &Machine) -> crate::support::Output {
    let watched = format!("python3 -IS /srv/kill.py {PLAN} {SESSION}");
    m.sh(&format!("script -qec '{watched}' /dev/null </dev/null || exit 1"))
}

fn hunt(m: &Machine, sample: Option<usize>) {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    let sample = sample.or_else(points_asked_for);
    put(m);
    // The first session makes what stays, such as folders.
    assert!(session(m).stdout.contains("here"));
    m.write(PLAN, format!("list {PLAN}.log"));
    let output = session(m);
    assert!(output.stdout.contains("here"), "{output:#?}");
    await_end(m, "undisturbed");
    let points = told(m, PLAN);
    let inner = points.iter().filter(|point| point.2.starts_with("child ")).count();
    assert!(inner > 10 && inner < points.len(), "{points:#?}");
    let before = list(m);
    let chosen = spread(points, sample);
    let mut met = 0;
    for (place, (_, count, label)) in chosen.iter().enumerate() {
        let way = WAYS[place % WAYS.len()];
        let plan = match way {
            "kill" => format!("kill {count} {label}"),
            script => format!("meet {count} {label}\n{script}\n"),
        };
        m.write(PLAN, &plan);
        let first = session(m);
        met += usize::from(!m.exists(PLAN));
        m.sh(&format!("rm -f {PLAN}"));
        let at = format!("{plan}: {first:#?}");
        await_end(m, &at);
        let second = session(m);
        assert!(second.code == 0 && second.stdout.contains("here"), "{at}: {second:#?}");
        await_end(m, &at);
        assert_eq!(list(m), before, "{at}");
    }
    eprintln!("{met} of {} points met", chosen.len());
    assert!(met * 3 > chosen.len() * 2, "{met} of {} points met", chosen.len());
}

booted_long!(a_dev_session_that_ends_at_any_point_of_its_start_leaves_nothing, |m| hunt(
    m,
    Some(6)
));

every_point!(hunt);

booted_long!(a_dev_session_of_which_any_process_is_killed_leaves_nothing_that_runs, |m| {
    put(m);
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
        await_end(m, &at);
        assert_eq!(list(), before, "{at}");
        victim += 1;
    }
});
