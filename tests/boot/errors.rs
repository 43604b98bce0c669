//! Commands, and the processes of their rollouts, refused by the kernel at every system call that
//! changes something on disk: a full disk, a broken one, one that is read-only.
//!
//! The points are told by an undisturbed run, as in `kills`. What was refused is said with its reason;
//! what served serves on, nothing is half written, nothing more runs than before or after, and one more
//! run ends where the undisturbed one did, file by file.

use std::collections::BTreeMap;

use crate::kills::{
    CHANGE, CREATE, DELETE, PRUNE, Point, RELOAD, ROLLBACK, SCALE, SHRINK, Scene, State, Victim,
    assert_completed, assert_whole, had_effect, hunt, leavings, run, state,
};
use crate::support::{Machine, Root};

/// What the kernel says, by number and in words.
const ERRORS: [(i32, &str); 5] = [
    (28, "No space left on device"),
    (5, "Input/output error"),
    (30, "Read-only file system"),
    (13, "Permission denied"),
    (122, "Disk quota exceeded"),
];

/// The first and the last call of each kind: those in between are for the same reason.
fn on_disk(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| !["ask ", "send "].iter().any(|one| point.label.starts_with(one)));
    let key = |point: &Point| (point.victim == Victim::Rollout, point.label.clone());
    let mut last: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for point in &points {
        last.insert(key(point), point.count);
    }
    // How often a rollout reports differs from run to run.
    let counted =
        |point: &Point| point.victim == Victim::Command && last[&key(point)] == point.count;
    points.retain(|point| point.count == 1 || counted(point));
    points
}

fn of_command(points: Vec<Point>) -> Vec<Point> {
    on_disk(points).into_iter().filter(|point| point.victim == Victim::Command).collect()
}

/// Names of the units of instances that are up.
pub(crate) fn instances(units: &str) -> Vec<&str> {
    let up = units.lines().filter(|line| line.contains(".service loaded active"));
    up.filter_map(|line| line.split(' ').next()).filter(|name| name.contains('@')).collect()
}

/// Has one call of a run fail, and runs it again. Says whether that call came.
fn refused(m: &Machine, scene: &Scene, round: usize, point: &Point, wanted: &State) -> bool {
    // Which error it is, and whether it lasts, differs from point to point and not from run to run.
    let place = point.label.len() + point.count + round;
    let (number, words) = ERRORS[place % ERRORS.len()];
    let lasts = ["once", "on"][place / ERRORS.len() % 2];
    let at = format!("{:?} {} ({}): {words}, {lasts}", point.victim, point.label, point.count);
    (scene.base)(m, round);
    let command = (scene.command)(m, round);
    let before = state(m);
    let plan = format!("fail {} {} {number} {lasts}", point.count, point.label);
    m.write(point.victim.plan(), plan);
    let first = run(m, &command);
    let met = had_effect(m, point.victim);
    let at = format!("{at}: {first:#?}");
    let after = state(m);
    if first.code == 0 {
        assert_eq!(after, *wanted, "{at}");
    } else {
        let told = first.stderr.lines().any(|line| line.contains(words));
        // Who cannot write its report says so where systemd listens.
        let unreported = first.stderr.contains("its report of how could not be written");
        assert!(
            told || (unreported && m.journal("shop").contains(words)),
            "{at}: {}",
            m.journal("shop")
        );
    }
    if scene.serves {
        let answer = m.ok(["curl", "-sS", "localhost:3000"]);
        assert!(answer.contains("instance "), "{at}: {answer}");
    }
    assert_whole(m, &before, wanted, &at);
    let most = instances(&before.units).len().max(instances(&wanted.units).len());
    assert!(instances(&after.units).len() <= most, "{at}: {}", after.units);
    // A file that cannot be removed stays for the next run; what is to be read by the manager is noted.
    if lasts == "once" && !point.label.starts_with("unlink ") {
        let left = leavings(m);
        let left: Vec<_> = left.lines().filter(|path| !path.contains("/unread/")).collect();
        assert!(left.is_empty(), "{at}: {left:?}");
    }
    assert_completed(m, &command, wanted, &at);
    met
}

macro_rules! refused {
    ($name:ident, $scene:expr, $sample:expr, $chosen:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn sample() {
                hunt(Root::Host, &$scene, Some($sample), $chosen, &refused);
            }

            #[test]
            #[ignore = "an error at every point: make check-long"]
            fn every_point_host() {
                hunt(Root::Host, &$scene, None, on_disk, &refused);
            }

            #[test]
            #[ignore = "an error at every point: make check-long"]
            fn every_point_trixie() {
                hunt(Root::Trixie, &$scene, None, on_disk, &refused);
            }

            #[test]
            #[ignore = "errors on Debian testing: make check-long"]
            fn every_point_testing() {
                hunt(Root::Testing, &$scene, None, on_disk, &refused);
            }
        }
    };
}

refused!(create, CREATE, 3, on_disk);
refused!(change, CHANGE, 2, on_disk);
// Which instance goes first differs: the rollout is for the run of every point.
refused!(shrink, SHRINK, 2, of_command);
refused!(prune, PRUNE, 2, on_disk);
refused!(scale, SCALE, 2, on_disk);
refused!(reload, RELOAD, 3, on_disk);
refused!(rollback, ROLLBACK, 1, on_disk);
refused!(delete, DELETE, 3, on_disk);
