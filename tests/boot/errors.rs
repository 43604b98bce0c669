//! Commands, and the processes of their rollouts, when the kernel refuses a system call that changes
//! something on disk, as with a full, a broken or a read-only disk. Every such call is tried.
//!
//! An undisturbed run lists these calls, the points, as in `kills`. The command has to give the reason of
//! the refusal; an app that served serves on, no file is half written, no further instance runs, and one
//! more run ends in the same state as the undisturbed run, file by file.

use std::collections::BTreeMap;

use crate::kills::{
    CHANGE, CREATE, DELETE, DEPLOY, FIRST_DEPLOY, PRUNE, Point, RELOAD, ROLLBACK, SCALE, SHRINK,
    Scene, State, Tried, Victim, at_points, leavings, state,
};
use crate::support::Machine;

/// Errors of the kernel: the number, and the words of the C library for it.
const ERRORS: [(i32, &str); 5] = [
    (28, "No space left on device"),
    (5, "Input/output error"),
    (30, "Read-only file system"),
    (13, "Permission denied"),
    (122, "Disk quota exceeded"),
];

/// The first and the last call of each kind: the calls in between do the same work.
pub(crate) fn on_disk(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| !["ask ", "send "].iter().any(|one| point.label.starts_with(one)));
    let key = |point: &Point| (point.victim == Victim::Rollout, point.label.clone());
    let mut last: BTreeMap<(bool, String), usize> = BTreeMap::new();
    for point in &points {
        last.insert(key(point), point.count);
    }
    // Of a rollout only the first call: how often a rollout writes its report differs from run to run.
    let counted =
        |point: &Point| point.victim == Victim::Command && last[&key(point)] == point.count;
    points.retain(|point| point.count == 1 || counted(point));
    points
}

fn of_command(points: Vec<Point>) -> Vec<Point> {
    on_disk(points).into_iter().filter(|point| point.victim == Victim::Command).collect()
}

/// Has one call of a run fail, and runs the command again. Gives whether the run made that call.
pub(crate) fn refused(
    m: &Machine,
    scene: &Scene,
    round: usize,
    point: &Point,
    wanted: &State,
) -> bool {
    // The error, and whether it lasts, depend on the point alone, so that every run of the test is the same.
    let place = point.label.len() + point.count + round;
    let (number, words) = ERRORS[place % ERRORS.len()];
    let lasts = ["once", "on"][place / ERRORS.len() % 2];
    let plan = format!("fail {} {} {number} {lasts}", point.count, point.label);
    let tried = Tried::run(m, (scene, round), point, &plan, wanted);
    let (at, first) = (&tried.at, &tried.first);
    let after = state(m);
    if first.code == 0 {
        // Old releases that cannot be removed are a warning, and the next deployment tries again.
        let warned = |line: &str| line.contains("warning: ") && line.contains(words);
        let store = match first.stderr.lines().any(warned) {
            true => after.store.clone(),
            false => wanted.store.clone(),
        };
        assert_eq!(after, State { store, ..wanted.clone() }, "{at}");
    } else {
        let told = first.stderr.lines().any(|line| line.contains(words));
        // A rollout that cannot write its report writes the reason into the journal.
        let unreported = first.stderr.contains("its report of how could not be written");
        assert!(
            told || (unreported && m.journal("shop").contains(words)),
            "{at}: {}",
            m.journal("shop")
        );
    }
    tried.assert_serves_and_whole();
    tried.assert_nothing_extra(&after);
    // A file that could not be removed stays until the next run; notes of unread unit files are allowed here.
    if lasts == "once" && !point.label.starts_with("unlink ") {
        let left = leavings(m);
        let left: Vec<_> = left.lines().filter(|path| !path.contains("/unread/")).collect();
        assert!(left.is_empty(), "{at}: {left:?}");
    }
    tried.completed()
}

at_points!(create, CREATE, 3, on_disk, on_disk, refused);
at_points!(change, CHANGE, 2, on_disk, on_disk, refused);
// In which order a rollout stops instances differs from run to run: only the long tests try points of the rollout.
at_points!(shrink, SHRINK, 2, of_command, on_disk, refused);
at_points!(prune, PRUNE, 2, on_disk, on_disk, refused);
at_points!(scale, SCALE, 2, on_disk, on_disk, refused);
at_points!(reload, RELOAD, 3, on_disk, on_disk, refused);
at_points!(rollback, ROLLBACK, 1, on_disk, on_disk, refused);
at_points!(delete, DELETE, 3, on_disk, on_disk, refused);
at_points!(deploy, DEPLOY, 2, on_disk, on_disk, refused);
at_points!(first_deploy, FIRST_DEPLOY, 3, on_disk, on_disk, refused);
