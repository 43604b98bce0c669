//! Commands, and the processes of their rollouts, refused by the kernel at every system call that
//! changes something on disk: a full disk, a broken one, one that is read-only.
//!
//! The points are told by an undisturbed run, as in `kills`. What was refused is said with its reason;
//! what served serves on, nothing is half written, nothing more runs than before or after, and one more
//! run ends where the undisturbed one did, file by file.

use std::collections::BTreeMap;

use crate::kills::{
    CHANGE, CREATE, DELETE, PRUNE, Point, RELOAD, ROLLBACK, SCALE, SHRINK, Scene, State, Tried,
    Victim, at_points, leavings, state,
};
use crate::support::Machine;

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

/// Has one call of a run fail, and runs it again. Says whether that call came.
fn refused(m: &Machine, scene: &Scene, round: usize, point: &Point, wanted: &State) -> bool {
    // Which error it is, and whether it lasts, differs from point to point and not from run to run.
    let place = point.label.len() + point.count + round;
    let (number, words) = ERRORS[place % ERRORS.len()];
    let lasts = ["once", "on"][place / ERRORS.len() % 2];
    let plan = format!("fail {} {} {number} {lasts}", point.count, point.label);
    let tried = Tried::run(m, (scene, round), point, &plan, wanted);
    let (at, first) = (&tried.at, &tried.first);
    let after = state(m);
    if first.code == 0 {
        assert_eq!(after, *wanted, "{at}");
    } else {
        let told = first.stderr.lines().any(|line| line.contains(words));
        // A rollout that cannot write its report gives the reason in the journal.
        let unreported = first.stderr.contains("its report of how could not be written");
        assert!(
            told || (unreported && m.journal("shop").contains(words)),
            "{at}: {}",
            m.journal("shop")
        );
    }
    tried.assert_serves_and_whole();
    tried.assert_nothing_extra(&after);
    // A file that cannot be removed stays for the next run. What the manager has yet to read is noted.
    if lasts == "once" && !point.label.starts_with("unlink ") {
        let left = leavings(m);
        let left: Vec<_> = left.lines().filter(|path| !path.contains("/unread/")).collect();
        assert!(left.is_empty(), "{at}: {left:?}");
    }
    tried.completed()
}

at_points!(create, CREATE, 3, on_disk, on_disk, refused);
at_points!(change, CHANGE, 2, on_disk, on_disk, refused);
// Which instance goes first differs: the rollout is for the run of every point.
at_points!(shrink, SHRINK, 2, of_command, on_disk, refused);
at_points!(prune, PRUNE, 2, on_disk, on_disk, refused);
at_points!(scale, SCALE, 2, on_disk, on_disk, refused);
at_points!(reload, RELOAD, 3, on_disk, on_disk, refused);
at_points!(rollback, ROLLBACK, 1, on_disk, on_disk, refused);
at_points!(delete, DELETE, 3, on_disk, on_disk, refused);
