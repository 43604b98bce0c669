//! Commands, and the processes of their rollouts, killed at every system call that changes something.
//!
//! An undisturbed run under `fixtures/kill/kill.py` lists these system calls, the points. The same run
//! is then killed once at each point: an app that served must serve on, no unit may be half written, and
//! one more run must end in the same state as the undisturbed run, file by file.

mod scenes;
mod state;
mod traced;
mod tried;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub(crate) use scenes::{
    CHANGE, CREATE, DELETE, DEPLOY, FIRST_DEPLOY, PRUNE, RELOAD, RESTART, ROLLBACK, SCALE, SHRINK,
    STOP_AND_START,
};
use state::{PINS, files, store};
pub(crate) use state::{State, leavings, state};
pub(crate) use tried::{Tried, at_points};

use crate::shop::{load, quick};
use crate::support::{Machine, Output, Root, machine, skip};

pub(crate) const KILLER: &str = include_str!("../fixtures/kill/kill.py");
const FILE: &str = "/srv/shop/ecosystem.toml";

/// The process that is killed at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The command itself.
    Command,
    /// The process that performs the command's rollout, a child of systemd.
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

/// One verb, with the state from which it starts.
pub(crate) struct Scene {
    /// 2 when rounds alternate between two directions, each of which starts where the other ends; else 1.
    pub(crate) directions: usize,
    /// Brings the machine into the state from which the round starts.
    pub(crate) base: fn(&Machine, usize),
    /// The arguments of `clusterctl` in a round.
    pub(crate) command: fn(&Machine, usize) -> String,
    /// Whether the app serves before and after.
    pub(crate) serves: bool,
}

/// Adds another app to a file, with a variable of which no file may remain when the app is removed.
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

pub(crate) fn prepared(m: &Machine) {
    m.write("/srv/kill.py", KILLER);
    m.write("/srv/shop/server.js", crate::shop::SERVER);
    m.write(
        "/etc/systemd/system/shop.service.d/kill.conf",
        "[Service]\nExecReload=\n\
         ExecReload=/bin/sh -c 'test -e /run/kill-rollout || exec /usr/bin/clusterctl rollout shop; \
         exec /usr/bin/python3 -IS /srv/kill.py /run/kill-rollout /usr/bin/clusterctl rollout shop'\n",
    );
    // Both definitions have been applied once, so that a rollback finds them in the history.
    apply(m, &quick(2, "one"));
    apply(m, &quick(2, "two"));
}

/// Runs a command, under `kill.py` when there is a plan for it.
pub(crate) fn run(m: &Machine, command: &str) -> Output {
    let plan = Victim::Command.plan();
    let watcher = match m.exists(plan) {
        true => format!("python3 -IS /srv/kill.py {plan} "),
        false => String::new(),
    };
    m.sh(&format!("exec {watcher}clusterctl {command}"))
}

/// Whether the plan for a process had its effect, after which `kill.py` removes the plan; a plan without an
/// effect is removed here.
pub(crate) fn had_effect(m: &Machine, victim: Victim) -> bool {
    fs::remove_file(m.path(victim.plan())).is_err()
}

/// A system call of an undisturbed run that changes something, or asks the manager.
pub(crate) struct Point {
    pub(crate) victim: Victim,
    /// Which of the calls with the same label, counted from 1.
    pub(crate) count: usize,
    /// The system call and the kind of its target, in the words of `kill.py`.
    pub(crate) label: String,
}

/// Only the points that change something: a kill at a question to the manager has the same effect as a kill
/// at the next change.
fn changes(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| !point.label.starts_with("ask "));
    points
}

/// Only the points at which instances are pinned or unpinned, and what is noted of that.
fn pins(points: Vec<Point>) -> Vec<Point> {
    let mut points = changes(points);
    points
        .retain(|point| [PINS, "/run/clusterctl/pins"].iter().any(|dir| point.label.contains(dir)));
    points
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
        let text = fs::read_to_string(m.path(&log)).unwrap_or_default();
        let _ = fs::remove_file(m.path(&log));
        had_effect(m, victim);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for label in text.lines() {
            let count = counts.entry(label).or_default();
            *count += 1;
            points.push(Point { victim, count: *count, label: label.to_owned() });
        }
    }
    points
}

/// Every unit, every file of variables and every release that is complete has its content from before or the wanted
/// one, and no other; the link leads to such a release.
pub(crate) fn assert_whole(m: &Machine, before: &State, wanted: &State, at: &str) {
    let folders = store(m);
    let complete = folders.complete();
    for id in &complete {
        let known = [before, wanted].map(|state| state.store.release(id));
        let now = folders.release(id);
        assert!(known.contains(&now), "{at}: release {id} is complete, and is half made: {now:#?}");
    }
    let current = folders.current();
    assert!(current.as_ref().is_none_or(|id| complete.contains(id)), "{at}: {current:?}");
    for (path, content) in files(m) {
        let known = [before, wanted].map(|state| state.files.get(&path));
        let unfinished = path.contains("/.clusterctl-");
        assert!(
            unfinished || known.contains(&Some(&content)),
            "{at}: {path} is neither the former nor the wanted file:\n{content}"
        );
    }
}

/// Kills one run at a point, and runs the command again. Gives whether the run came to that point: events for
/// which a rollout waits may come in another order than in the run that listed the points.
fn killed(m: &Machine, scene: &Scene, round: usize, point: &Point, wanted: &State) -> bool {
    let plan = format!("kill {} {}", point.count, point.label);
    let tried = Tried::run(m, (scene, round), point, &plan, wanted);
    let (at, first) = (&tried.at, &tried.first);
    if tried.met && point.victim == Victim::Command {
        assert_ne!(first.code, 0, "{at}");
    }
    // Of what the command had started only that process was killed: the command lives to say so.
    if tried.met && point.label.starts_with("child ") {
        assert!(first.stderr.contains("signal: 9"), "{at}");
    }
    // When the rollout's process dies before it has taken up the request, the command does the rollout itself.
    if first.code == 0 {
        assert_eq!(state(m).units, wanted.units, "{at}");
    }
    tried.assert_serves_and_whole();
    tried.completed()
}

/// One more run of the command ends in the same state as an undisturbed run.
pub(crate) fn assert_completed(m: &Machine, command: &str, wanted: &State, at: &str) {
    let second = run(m, command);
    // When the killed run has removed the app, the second `delete` does not know it: exit code 5.
    let gone = command.starts_with("delete") && second.code == 5;
    assert!(second.code == 0 || gone, "{at}: {second:#?}");
    let after = state(m);
    assert_eq!(after.units, wanted.units, "{at}: {second:#?}");
    assert_eq!(after.definition, wanted.definition, "{at}: {second:#?}");
    let names = |state: &State| state.files.keys().cloned().collect::<BTreeSet<String>>();
    assert_eq!(names(&after), names(wanted), "{at}: {second:#?}");
    assert_eq!(after.files, wanted.files, "{at}: {second:#?}");
    assert_eq!(after.store, wanted.store, "{at}: {second:#?}");
    assert_eq!(leavings(m), "", "{at}");
}

/// An undisturbed run of a round.
struct Undisturbed {
    /// The state in which the run ends.
    state: State,
    /// The points of the run that are to be tried.
    points: Vec<Point>,
}

/// Does something to a run at a point, and gives whether the run came to that point.
pub(crate) type Attempt<'a> = &'a dyn Fn(&Machine, &Scene, usize, &Point, &State) -> bool;

/// The variable `CLUSTERCTL_POINTS`: how many points of each victim are tried instead of all, at even distances.
pub(crate) fn points_asked_for() -> Option<usize> {
    Some(std::env::var("CLUSTERCTL_POINTS").ok()?.parse().unwrap())
}

/// How often a point is tried to which the run does not come: events for which a rollout waits may come in
/// another order.
const TRIES: usize = 3;

/// Tries the points of a verb on one machine, and collects the results.
struct Hunt<'a> {
    m: &'a Machine,
    scene: &'a Scene,
    rounds: Vec<Undisturbed>,
    attempt: Attempt<'a>,
    tried: usize,
    missed: Vec<String>,
    failed: Vec<String>,
}

impl Hunt<'_> {
    /// Runs the command of a round undisturbed, so that the next round starts from the right state.
    fn pass(&self, round: usize) {
        (self.scene.base)(self.m, round);
        run(self.m, &(self.scene.command)(self.m, round));
    }

    /// Tries one point of a round, if there is one at this place.
    fn point(&mut self, victim: Victim, round: usize, place: usize) {
        let wanted = &self.rounds[round];
        let mut of = wanted.points.iter().filter(|one| one.victim == victim);
        let Some(point) = of.nth(place) else { return self.pass(round) };
        let is_met = || {
            (0..TRIES).any(|again| {
                if again > 0 {
                    (0..self.rounds.len())
                        .filter(|other| *other != round)
                        .for_each(|other| self.pass(other));
                }
                (self.attempt)(self.m, self.scene, round, point, &wanted.state)
            })
        };
        let at = format!("{victim:?} at {} ({})", point.label, point.count);
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(is_met)) {
            Ok(true) => {}
            Ok(false) => self.missed.push(at),
            // The other points are tried all the same, so that one run of the test names all that fail.
            Err(_) => {
                self.failed.push(at);
                had_effect(self.m, victim);
                self.pass(round);
            }
        }
        self.tried += 1;
    }

    fn end(&self) {
        let Hunt { tried, missed, failed, .. } = self;
        let all: usize = self.rounds.iter().map(|round| round.points.len()).sum();
        let (not_met, bad) = (missed.len(), failed.len());
        eprintln!("{tried} of {all} points tried, {not_met} of them not met, {bad} failed");
        missed.iter().for_each(|point| eprintln!("not met: {point}"));
        assert!(failed.is_empty(), "of {tried} points {bad} failed: {failed:#?}");
        assert!(
            *tried > 0 && not_met * 3 < *tried,
            "{tried} points tried, {not_met} of them not met"
        );
    }
}

/// Tries points of a verb: all of them, or `sample` points of each victim at even distances.
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
    let sample = sample.or_else(points_asked_for);
    prepared(&m);
    // Once around, so that the runs which tell the points begin where those begin that try them.
    for round in 0..scene.directions {
        (scene.base)(&m, round);
        run(&m, &(scene.command)(&m, round));
    }
    let undisturbed = |round| {
        let points = chosen(points(&m, scene, round));
        Undisturbed { state: state(&m), points }
    };
    let rounds: Vec<Undisturbed> = (0..scene.directions).map(undisturbed).collect();
    let served = scene.serves.then(|| m.load(load()));
    let (tried, missed, failed) = (0, Vec::new(), Vec::new());
    let mut hunt = Hunt { m: &m, scene, rounds, attempt, tried, missed, failed };
    for victim in [Victim::Command, Victim::Rollout] {
        let of =
            |round: &Undisturbed| round.points.iter().filter(|one| one.victim == victim).count();
        let all = hunt.rounds.iter().map(of).max().unwrap_or_default();
        let step = sample.map_or(1, |wanted| (all / wanted).max(1));
        for place in (step / 2..all).step_by(step) {
            (0..scene.directions).for_each(|round| hunt.point(victim, round, place));
        }
    }
    hunt.end();
    if let Some(served) = served {
        served.stop().assert_none_failed();
    }
}

at_points!(create, CREATE, 3, changes, changes, killed);
at_points!(change, CHANGE, 1, changes, changes, killed);
at_points!(shrink, SHRINK, 1, changes, changes, killed);
at_points!(prune, PRUNE, 3, changes, changes, killed);
at_points!(scale, SCALE, 1, changes, changes, killed);
at_points!(reload, RELOAD, 2, changes, changes, killed);
at_points!(rollback, ROLLBACK, 1, changes, changes, killed);
at_points!(delete, DELETE, 3, changes, changes, killed);
at_points!(deploy, DEPLOY, 2, changes, changes, killed);
at_points!(pin, DEPLOY, 2, pins, pins, killed);
at_points!(first_deploy, FIRST_DEPLOY, 4, changes, changes, killed);
