//! Commands, and the processes of their rollouts, killed at every system call that changes something.
//!
//! The points are not written down here: an undisturbed run tells them (`fixtures/kill/kill.py`). At
//! each of them the same run is killed; what served must serve on, no unit may be half written, and
//! one more run must end where the undisturbed one did, file by file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::shop::{ecosystem, load};
use crate::support::{Machine, Output, Root, machine, skip};

pub(crate) const KILLER: &str = include_str!("fixtures/kill/kill.py");
const FILE: &str = "/srv/shop/ecosystem.toml";

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The command itself.
    Command,
    /// The process that performs its rollout, below systemd.
    Rollout,
}

impl Victim {
    pub(crate) fn plan(self) -> &'static str {
        match self {
            Victim::Command => "/run/kill-command",
            Victim::Rollout => "/run/kill-rollout",
        }
    }
}

/// One verb.
pub(crate) struct Scene {
    /// Two, where rounds alternate between directions, each of which starts where the other ends.
    pub(crate) directions: usize,
    /// Brings the machine to where the round starts.
    pub(crate) base: fn(&Machine, usize),
    /// What is run, after `clusterctl`.
    pub(crate) command: fn(&Machine, usize) -> String,
    /// Whether the app serves before and after.
    pub(crate) serves: bool,
}

/// `shop` with these instances and this greeting; relied on at once, to be quick.
fn shop(instances: u32, greeting: &str) -> String {
    let more = format!("env = {{ GREETING = '{greeting}' }}\nrollout = {{ min_ready = 0 }}");
    ecosystem(instances, &more)
}

/// Another app of the same file, with a variable that nobody may find afterwards.
fn with_worker(file: &str) -> String {
    format!(
        "{file}\n[[apps]]\nname = 'worker'\ncommand = ['sleep', 'infinity']\n\
         env = {{ SECRET = 'hunter2' }}\nrollout = {{ min_ready = 0 }}\n"
    )
}

fn put(m: &Machine, file: &str) {
    m.write(FILE, file);
}

fn apply(m: &Machine, file: &str) {
    put(m, file);
    m.ok(["clusterctl", "apply", FILE]);
}

fn applies(_: &Machine, _: usize) -> String {
    format!("apply {FILE}")
}

pub(crate) const CREATE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        if m.exists("/etc/systemd/system/shop.service") {
            m.ok(["clusterctl", "delete", "shop"]);
        }
        put(m, &shop(2, "one"));
    },
    command: applies,
    serves: false,
};

pub(crate) const DELETE: Scene = Scene {
    directions: 1,
    base: |m, _| apply(m, &shop(2, "one")),
    command: |_, _| "delete shop".to_owned(),
    serves: false,
};

pub(crate) const CHANGE: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &shop(2, ["one", "two"][round % 2])),
    command: applies,
    serves: true,
};

pub(crate) const SHRINK: Scene = Scene {
    directions: 2,
    base: |m, round| put(m, &shop([2, 4][round % 2], "one")),
    command: applies,
    serves: true,
};

pub(crate) const PRUNE: Scene = Scene {
    directions: 1,
    base: |m, _| {
        apply(m, &with_worker(&shop(1, "one")));
        put(m, &shop(1, "one"));
    },
    command: |_, _| format!("apply --prune {FILE}"),
    serves: true,
};

pub(crate) const SCALE: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |_, round| format!("scale shop {}", [2, 4][round % 2]),
    serves: true,
};

pub(crate) const RELOAD: Scene = Scene {
    directions: 1,
    base: |_, _| {},
    command: |_, _| "reload shop".to_owned(),
    serves: true,
};

pub(crate) const ROLLBACK: Scene = Scene {
    directions: 2,
    base: |_, _| {},
    command: |m, round| {
        let wanted = format!("GREETING = '{}'", ["one", "two"][round % 2]);
        let history: serde_json::Value =
            serde_json::from_str(&m.ok(["clusterctl", "history", "-o", "json"])).unwrap();
        let entries = history["entries"].as_array().unwrap();
        let number = |entry: &&serde_json::Value| {
            let path = format!("/var/lib/clusterctl/history/{}.json", entry["number"]);
            m.read(&path).contains(&wanted)
        };
        format!("rollback {}", entries.iter().rfind(number).unwrap()["number"])
    },
    serves: true,
};

/// What must be the same after one run and after a killed and a second one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Every file, with its mode and its content, or where it leads.
    pub(crate) files: BTreeMap<String, String>,
    /// Every unit that is up or has failed, as `systemctl list-units` tells it, and what it runs with.
    pub(crate) units: String,
    /// The definition that `history` tells of last.
    pub(crate) definition: String,
}

fn walk(m: &Machine, dir: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(m.path(dir)).into_iter().flatten().map(|entry| entry.unwrap()) {
        let inside = format!("{dir}/{}", entry.file_name().to_str().unwrap());
        let meta = entry.path().symlink_metadata().unwrap();
        if meta.is_dir() {
            walk(m, &inside, files);
            continue;
        }
        let content = match meta.is_symlink() {
            true => fs::read_link(entry.path()).unwrap().display().to_string(),
            false => String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned(),
        };
        files.insert(inside, format!("{:o} {content}", meta.permissions().mode()));
    }
}

fn files(m: &Machine) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for dir in ["/etc/systemd/system", "/etc/clusterctl", "/var/lib/clusterctl/handover"] {
        walk(m, dir, &mut files);
    }
    files
}

/// Units, with the greeting that each of their processes has, and what the manager has yet to read.
const UNITS: &str = "\
systemctl list-units --plain --no-legend 'shop*' 'worker*' 'clusterctl-*' | awk '{ print $1, $2, $3 }' | sort
for unit in $(systemctl list-units --plain --no-legend 'shop@*' | awk '{ print $1 }' | sort); do
    pid=$(systemctl show -P MainPID $unit)
    echo \"$unit $(tr '\\0' '\\n' </proc/$pid/environ | grep ^GREETING=)\"
done
systemctl show -p Id,NeedDaemonReload 'shop*' 'worker*' | grep -B1 =yes || true
systemctl list-jobs --no-legend --plain | grep -E ' (shop|worker|clusterctl)' || true
";

pub(crate) fn state(m: &Machine) -> State {
    let mut entries: Vec<(u32, String)> = Vec::new();
    for entry in fs::read_dir(m.path("/var/lib/clusterctl/history")).into_iter().flatten() {
        let path = entry.unwrap().path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let value: serde_json::Value = match number {
            Some(_) => serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(),
            None => continue,
        };
        entries.push((number.unwrap(), value["definition"]["text"].as_str().unwrap().to_owned()));
    }
    let definition = entries.into_iter().max().map(|(_, text)| text).unwrap_or_default();
    State { files: files(m), units: m.ok_sh(UNITS), definition }
}

/// What nobody may leave behind.
pub(crate) fn leavings(m: &Machine) -> String {
    m.ok_sh(
        "cd /; find etc/systemd etc/clusterctl var/lib/clusterctl run/clusterctl -name '.clusterctl-*' \
         -o -name '*.request' -o -path 'run/clusterctl/unread/*' | sort",
    )
}

fn prepared(m: &Machine) {
    m.write("/srv/kill.py", KILLER);
    m.write("/srv/shop/server.js", crate::shop::SERVER);
    m.write(
        "/etc/systemd/system/shop.service.d/kill.conf",
        "[Service]\nExecReload=\n\
         ExecReload=/usr/bin/python3 /srv/kill.py /run/kill-rollout /usr/bin/clusterctl rollout shop\n",
    );
    // Both directions have been gone once, so that a rollback has something to go back to.
    apply(m, &shop(2, "one"));
    apply(m, &shop(2, "two"));
}

pub(crate) fn run(m: &Machine, command: &str) -> Output {
    m.sh(&format!("exec python3 /srv/kill.py /run/kill-command clusterctl {command}"))
}

/// A system call of an undisturbed run that changes something.
pub(crate) struct Point {
    pub(crate) victim: Victim,
    /// Which of those with the same label, from 1 on.
    pub(crate) count: usize,
    pub(crate) label: String,
}

/// The points of an undisturbed run, in their order.
fn points(m: &Machine, scene: &Scene, round: usize) -> Vec<Point> {
    (scene.base)(m, round);
    for victim in [Victim::Command, Victim::Rollout] {
        m.write(victim.plan(), format!("list {}.log", victim.plan()));
    }
    let output = run(m, &(scene.command)(m, round));
    assert_eq!(output.code, 0, "{output:#?}");
    let mut points = Vec::new();
    for victim in [Victim::Command, Victim::Rollout] {
        let log = format!("{}.log", victim.plan());
        let text = if m.exists(&log) { m.read(&log) } else { String::new() };
        m.ok_sh(&format!("rm -f {log} {}", victim.plan()));
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for label in text.lines() {
            let count = counts.entry(label).or_default();
            *count += 1;
            points.push(Point { victim, count: *count, label: label.to_owned() });
        }
    }
    points
}

/// A unit or a file of variables is what it was or what it shall be, and nothing in between.
pub(crate) fn assert_whole(m: &Machine, before: &State, wanted: &State, at: &str) {
    for (path, content) in files(m) {
        let known = [before, wanted].map(|state| state.files.get(&path));
        let unfinished = path.contains("/.clusterctl-");
        assert!(
            unfinished || known.contains(&Some(&content)),
            "{at}: {path} is neither:\n{content}"
        );
    }
}

/// Kills one run at a point, and runs it again. Says whether it was killed: what a rollout waits for
/// may come in another order than in the run that told the points.
fn killed(
    m: &Machine,
    scene: &Scene,
    round: usize,
    Point { victim, count, label }: &Point,
    wanted: &State,
) -> bool {
    let at = format!("{victim:?} killed at {label} ({count}), round {round}");
    (scene.base)(m, round);
    let command = (scene.command)(m, round);
    let before = state(m);
    m.write(victim.plan(), format!("kill {count} {label}"));
    let first = run(m, &command);
    let was_killed = !m.exists(victim.plan());
    m.ok_sh(&format!("rm -f {}", victim.plan()));
    if was_killed && victim == &Victim::Command {
        assert_ne!(first.code, 0, "{at}: {first:#?}");
    }
    // Before the process of the rollout has taken up its request, the command does it by itself.
    if first.code == 0 {
        assert_eq!(state(m).units, wanted.units, "{at}: {first:#?}");
    }
    if scene.serves {
        let answer = m.ok(["curl", "-sS", "localhost:3000"]);
        assert!(answer.contains("instance "), "{at}: {answer}");
    }
    assert_whole(m, &before, wanted, &at);
    assert_completed(m, &command, wanted, &format!("{at}: {first:#?}"));
    was_killed
}

/// One more run ends where an undisturbed one does.
pub(crate) fn assert_completed(m: &Machine, command: &str, wanted: &State, at: &str) {
    let second = run(m, command);
    // An app that is gone by then is unknown.
    let gone = command.starts_with("delete") && second.code == 5;
    assert!(second.code == 0 || gone, "{at}: {second:#?}");
    let after = state(m);
    assert_eq!(after.units, wanted.units, "{at}: {second:#?}");
    assert_eq!(after.definition, wanted.definition, "{at}: {second:#?}");
    let names = |state: &State| state.files.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&after), names(wanted), "{at}: {second:#?}");
    assert_eq!(after.files, wanted.files, "{at}: {second:#?}");
    assert_eq!(leavings(m), "", "{at}");
}

/// What an undisturbed run of a round tells.
struct Undisturbed {
    /// Where it ends.
    state: State,
    points: Vec<Point>,
}

/// What is done at a point, and whether it was met.
pub(crate) type Attempt<'a> = &'a dyn Fn(&Machine, &Scene, usize, &Point, &State) -> bool;

/// Tries points of a verb: all of them, or so many spread over each victim.
pub(crate) fn hunt(
    root: Root,
    scene: &Scene,
    sample: Option<usize>,
    chosen: fn(Vec<Point>) -> Vec<Point>,
    attempt: Attempt<'_>,
) {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    let Some(m) = machine(root) else { return };
    prepared(&m);
    let undisturbed = |round| {
        let points = chosen(points(&m, scene, round));
        Undisturbed { state: state(&m), points }
    };
    let rounds: Vec<Undisturbed> = (0..scene.directions).map(undisturbed).collect();
    let served = scene.serves.then(|| m.load(load()));
    let (mut tried, mut missed, mut failed) = (0, 0, Vec::new());
    for victim in [Victim::Command, Victim::Rollout] {
        let of = |round: usize| rounds[round].points.iter().filter(move |one| one.victim == victim);
        let all = (0..rounds.len()).map(|round| of(round).count()).max().unwrap_or_default();
        let step = sample.map_or(1, |wanted| (all / wanted).max(1));
        for place in (step / 2..all).step_by(step) {
            for (round, wanted) in rounds.iter().enumerate() {
                let Some(point) = of(round).nth(place) else {
                    // Only the way over, so that the next one starts where it should.
                    (scene.base)(&m, round);
                    run(&m, &(scene.command)(&m, round));
                    continue;
                };
                tried += 1;
                let one = || attempt(&m, scene, round, point, &wanted.state);
                match std::panic::catch_unwind(std::panic::AssertUnwindSafe(one)) {
                    Ok(was_killed) => missed += usize::from(!was_killed),
                    // The other points are tried all the same: one run tells of all that fail.
                    Err(_) => failed.push(format!("{:?} at {}", point.victim, point.label)),
                }
            }
        }
    }
    eprintln!("{tried} points tried, {missed} of them not met, {} failed", failed.len());
    assert!(failed.is_empty(), "of {tried} points {} failed: {failed:#?}", failed.len());
    assert!(tried > 0 && missed * 3 < tried, "{tried} points tried, {missed} of them not met");
    if let Some(served) = served {
        served.stop().assert_none_failed();
    }
}

macro_rules! killed {
    ($name:ident, $scene:expr, $sample:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn sample() {
                hunt(Root::Host, &$scene, Some($sample), |all| all, &killed);
            }

            #[test]
            #[ignore = "every kill point: make check-long"]
            fn every_point_host() {
                hunt(Root::Host, &$scene, None, |all| all, &killed);
            }

            #[test]
            #[ignore = "every kill point: make check-long"]
            fn every_point_trixie() {
                hunt(Root::Trixie, &$scene, None, |all| all, &killed);
            }
        }
    };
}

killed!(create, CREATE, 3);
killed!(change, CHANGE, 1);
killed!(shrink, SHRINK, 1);
killed!(prune, PRUNE, 3);
killed!(scale, SCALE, 1);
killed!(reload, RELOAD, 2);
killed!(rollback, ROLLBACK, 1);
killed!(delete, DELETE, 3);
