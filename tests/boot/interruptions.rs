//! The bus and the manager interrupted at every message that a command, or the process of its rollout,
//! sends to them: restarted, or silent for a while.
//!
//! The points are told by an undisturbed run, as in `kills`. Either the run goes on and ends where the
//! undisturbed one did, or it says what broke; what served serves on, nothing more runs than before or
//! after, and one more run ends where the undisturbed one did, file by file.

use crate::kills::{
    CHANGE, CREATE, DELETE, PRUNE, Point, RELOAD, RESTART, ROLLBACK, SCALE, SHRINK, STOP_AND_START,
    Scene, State, Tried, at_points, state,
};
use crate::support::Machine;

/// What happens while a message waits to be sent.
const INTERRUPTIONS: [&str; 3] = [
    // Points follow each other faster than the limit of its starts allows.
    "systemctl restart dbus.service; systemctl reset-failed dbus.service",
    "systemctl daemon-reexec",
    "pid=$(systemctl show -P MainPID dbus.service); kill -STOP $pid; (sleep 2; kill -CONT $pid) &",
];

/// Every change that is asked for, and the first two questions of each kind: how many follow differs from
/// run to run.
fn on_the_bus(mut points: Vec<Point>) -> Vec<Point> {
    points.retain(|point| {
        let question = point.label.starts_with("ask ") && point.count <= 2;
        question || point.label.starts_with("send ")
    });
    points
}

/// Interrupts one run, and runs it again. Says whether that message was sent.
fn interrupted(m: &Machine, scene: &Scene, round: usize, point: &Point, wanted: &State) -> bool {
    // Which interruption it is differs from point to point and not from run to run.
    let script = INTERRUPTIONS[(point.label.len() + point.count + round) % INTERRUPTIONS.len()];
    let plan = format!("meet {} {}\n{script}\n", point.count, point.label);
    let tried = Tried::run(m, (scene, round), point, &plan, wanted);
    let (at, first) = (&tried.at, &tried.first);
    let after = state(m);
    if first.code == 0 {
        assert_eq!(after, *wanted, "{at}");
    } else {
        let told = ["connection", "bus", "manager", "systemd", "in time"];
        let told = first.stderr.lines().any(|line| told.iter().any(|word| line.contains(word)));
        assert!(told && first.stderr.contains("next: "), "{at}");
    }
    tried.assert_serves_and_whole();
    tried.assert_nothing_extra(&after);
    tried.completed()
}

at_points!(create, CREATE, 2, on_the_bus, on_the_bus, interrupted);
at_points!(change, CHANGE, 1, on_the_bus, on_the_bus, interrupted);
at_points!(shrink, SHRINK, 1, on_the_bus, on_the_bus, interrupted);
at_points!(prune, PRUNE, 2, on_the_bus, on_the_bus, interrupted);
at_points!(scale, SCALE, 1, on_the_bus, on_the_bus, interrupted);
at_points!(reload, RELOAD, 2, on_the_bus, on_the_bus, interrupted);
at_points!(rollback, ROLLBACK, 1, on_the_bus, on_the_bus, interrupted);
at_points!(delete, DELETE, 2, on_the_bus, on_the_bus, interrupted);
at_points!(restart, RESTART, 2, on_the_bus, on_the_bus, interrupted);
at_points!(stop_and_start, STOP_AND_START, 1, on_the_bus, on_the_bus, interrupted);
