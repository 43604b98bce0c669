//! One instance behind the shared port, program by program: its door, its cold start, its watchdog, and the spread of
//! connections that stay, each under load. What the tests see is the second table in `docs/programs.md`: see `table.rs`.

mod programs;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::load::Load;
use crate::support::{Machine, wait_until};
use crate::table::{AloneRow, record_alone};

const PATIENCE: Duration = Duration::from_secs(90);
const INSTANCES: u32 = 4;

/// Lines of the file that are tried, each as far as it is not refused.
const DOOR: &str = "door = true";
const HEALTH: &str = "health = { command = ['test', '-e', '/run/fit'] }";
const WATCHDOG: &str = "watchdog = '4s'";
const BALANCE: &str = "balance = 'even'";

/// A program in the machine.
struct Tried<'a> {
    m: &'a Machine,
    /// Its row.
    name: &'a str,
    /// Its ecosystem file, and what that says without the lines above.
    file: String,
    text: String,
    /// What its clients ask for.
    path: String,
    /// Whether all instances answer the same, so that no answer says who has given it.
    is_static: bool,
}

impl Tried<'_> {
    fn write(&self, lines: &[&str]) {
        let lines = lines.join("\n");
        self.m.write(&self.file, self.text.replacen("name =", &format!("{lines}\nname ="), 1));
    }

    fn can(&self, line: &str) -> bool {
        self.write(&[line]);
        self.m.clusterctl(["validate", &self.file]).code == 0
    }

    fn measured(&self) {
        let all = [DOOR, HEALTH, WATCHDOG, BALANCE];
        let lines: Vec<&str> = all.into_iter().filter(|line| self.can(line)).collect();
        let has = |line: &str| lines.contains(&line);
        self.write(&lines);
        let m = self.m;
        m.write("/run/fit", "");
        m.ok(["clusterctl", "apply", &self.file]);
        let mut load =
            Load::http("127.0.0.1:8000").new_connections(40.0).for_seconds(1800.0).path(&self.path);
        if has(DOOR) {
            // Nobody tells clients of a traced program that their connection is about to go.
            load = load.keep_alive(20.0);
        }
        let mut run = m.load(load.expect("instance ").instance_after("instance "));
        run.wait_flowing();
        let door = has(DOOR) && self.answers_alone();
        let cold = has(HEALTH) && self.begins_cold();
        let report = run.stop();
        report.assert_none_failed();
        let watchdog = has(WATCHDOG) && self.is_ended_when_it_hangs();
        let spread = has(BALANCE) && is_spread(m);
        record_alone(&AloneRow {
            program: self.name.to_owned(),
            systemd: m.ok_sh("systemctl --version | awk 'NR == 1 { print $2 }'"),
            measured: [door, cold, watchdog, spread].map(|yes| if yes { "yes" } else { "no" }),
            failed: report.failed(),
            requests: report.ok(),
        });
        m.ok(["clusterctl", "delete", "shop"]);
        wait_until("nobody listens", PATIENCE, || m.sh("ss -ltn | grep -q ':8000 '").code != 0);
    }

    /// Each instance answers its own door, and no other.
    fn answers_alone(&self) -> bool {
        let asked =
            |number: u32| self.m.clusterctl(["curl", &format!("shop@{number}"), &self.path]);
        let twice: Vec<_> =
            (0..INSTANCES).flat_map(|number| [asked(number), asked(number)]).collect();
        let answers: BTreeSet<&str> = twice.iter().map(|output| output.stdout.as_str()).collect();
        let well = twice.iter().all(|one| one.code == 0 && one.stdout.contains("instance "));
        // Two workers in each instance, of which either answers, as those of nginx.
        let most = 2 * INSTANCES as usize;
        let own = self.is_static || (INSTANCES as usize..=most).contains(&answers.len());
        if !well || !own {
            eprintln!("no door: {twice:#?}");
        }
        well && own
    }

    /// Sixty answers, each once.
    fn answers(&self) -> BTreeSet<String> {
        let path = &self.path;
        let asked = format!("for i in $(seq 60); do curl -s '127.0.0.1:8000{path}'; echo; done");
        self.m.ok_sh(&format!("{asked} | sort -u")).lines().map(str::to_owned).collect()
    }

    /// An instance that has listened for a while, and has not passed its check, is met by nobody.
    fn begins_cold(&self) -> bool {
        let m = self.m;
        let mut before = BTreeSet::new();
        wait_until("all instances answer", PATIENCE, || {
            before.extend(self.answers());
            self.is_static || before.len() >= INSTANCES as usize
        });
        before.extend(self.answers());
        m.ok(["rm", "/run/fit"]);
        let mut restart = m.spawn(["sh", "-c", "echo begun; systemctl restart shop@0"]);
        restart.line_with("begun");
        let state = || m.systemctl_show("shop@0", "SubState");
        wait_until("its check", PATIENCE, || state() == "start-post");
        let meanwhile = self.answers();
        // No answer says whose it is: of clients who stay it has none.
        let has_none = || {
            let mut clients = m.spawn(["python3", "-c", CLIENTS]);
            clients.line_with("all");
            connections(m)[0] == 0
        };
        let cold = meanwhile.is_subset(&before) && (!self.is_static || has_none());
        assert_eq!(state(), "start-post");
        m.write("/run/fit", "");
        assert_eq!(restart.wait().0, 0);
        wait_until("clients of the new one", PATIENCE, || {
            self.is_static || !self.answers().is_subset(&before)
        });
        if !cold {
            eprintln!("not cold: {before:?}, then {meanwhile:?}");
        }
        cold
    }

    /// One that works is left alone, and one that does not move is replaced.
    fn is_ended_when_it_hangs(&self) -> bool {
        let m = self.m;
        let pid = |number: u32| m.systemctl_show(&format!("shop@{number}"), "MainPID");
        let before: Vec<String> = (0..INSTANCES).map(pid).collect();
        let load = Load::http("127.0.0.1:8000").path(&self.path).new_connections(20.0);
        m.load(load.for_seconds(5.0).expect("instance ")).finish().assert_none_failed();
        // Nothing comes for longer than the watchdog, which shall not take that for the end.
        m.ok(["sleep", "5"]);
        let after: Vec<String> = (0..INSTANCES).map(pid).collect();
        m.ok(["systemctl", "kill", "--signal=STOP", "shop@1"]);
        let deadline = Instant::now() + PATIENCE;
        let mut ended = false;
        while !ended && Instant::now() < deadline {
            // Nothing is announced here but by the journal.
            m.ok(["sleep", "0.5"]);
            ended = pid(1) != before[1] && m.systemctl_show("shop@1", "ActiveState") == "active";
        }
        let said = m.journal("shop@1").contains("atchdog timeout");
        m.run(["systemctl", "kill", "--signal=CONT", "shop@1"]);
        if before != after || !ended || !said {
            eprintln!("no watchdog: {before:?} {after:?} ended={ended} said={said}");
        }
        before == after && ended && said
    }
}

/// Connections that come one after the other, and stay without a word.
const CLIENTS: &str = "import socket, sys, time
held = []
for number in range(120):
    held.append(socket.create_connection(('127.0.0.1', 8000)))
    time.sleep(0.01)
print('all', flush=True)
sys.stdin.read()
";

fn is_spread(m: &Machine) -> bool {
    let mut clients = m.spawn(["python3", "-c", CLIENTS]);
    clients.line_with("all");
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let counts = connections(m);
        let (most, least) = (counts.iter().max().unwrap(), counts.iter().min().unwrap());
        let all = counts.iter().sum::<u64>() >= 120;
        if all && most - least <= 3 {
            return true;
        }
        if Instant::now() > deadline {
            eprintln!("not spread: {counts:?}");
            return false;
        }
        // A count is in the page of an instance as soon as its program has accepted.
        m.ok(["sleep", "0.2"]);
    }
}

fn connections(m: &Machine) -> Vec<u64> {
    let list = m.ok(["clusterctl", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let instances = list["instances"].as_array().unwrap();
    instances.iter().map(|one| one["connections"].as_u64().unwrap_or(0)).collect()
}
