//! The bus and the manager interrupted at every message that a command, or the process of its rollout,
//! sends to them: restarted, or silent for a while.
//!
//! The points are told by an undisturbed run, as in `kills`. Either the run goes on and ends where the
//! undisturbed one did, or it says what broke; what served serves on, nothing more runs than before or
//! after, and one more run ends where the undisturbed one did, file by file.

use crate::errors::instances;
use crate::kills::{
    CHANGE, CREATE, DELETE, PRUNE, Point, RELOAD, RESTART, ROLLBACK, SCALE, SHRINK, STOP_AND_START,
    Scene, State, assert_completed, assert_whole, had_effect, hunt, run, state,
};
use crate::support::{Machine, Root};

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
    let at = format!("{:?} {} ({}): {script}", point.victim, point.label, point.count);
    (scene.base)(m, round);
    let command = (scene.command)(m, round);
    let before = state(m);
    m.write(point.victim.plan(), format!("meet {} {}\n{script}\n", point.count, point.label));
    let first = run(m, &command);
    let met = had_effect(m, point.victim);
    let at = format!("{at}: {first:#?}");
    let after = state(m);
    if first.code == 0 {
        assert_eq!(after, *wanted, "{at}");
    } else {
        let told = ["connection", "bus", "manager", "systemd", "in time"];
        let told = first.stderr.lines().any(|line| told.iter().any(|word| line.contains(word)));
        assert!(told && first.stderr.contains("next: "), "{at}");
    }
    if scene.serves {
        let answer = m.ok(["curl", "-sS", "localhost:3000"]);
        assert!(answer.contains("instance "), "{at}: {answer}");
    }
    assert_whole(m, &before, wanted, &at);
    let most = instances(&before.units).len().max(instances(&wanted.units).len());
    assert!(instances(&after.units).len() <= most, "{at}: {}", after.units);
    assert_completed(m, &command, wanted, &at);
    met
}

macro_rules! interrupted {
    ($name:ident, $scene:expr, $sample:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn sample() {
                hunt(Root::Host, &$scene, Some($sample), on_the_bus, &interrupted);
            }

            #[test]
            #[ignore = "an interruption at every message: make check-long"]
            fn every_point_host() {
                hunt(Root::Host, &$scene, None, on_the_bus, &interrupted);
            }

            #[test]
            #[ignore = "an interruption at every message: make check-long"]
            fn every_point_trixie() {
                hunt(Root::Trixie, &$scene, None, on_the_bus, &interrupted);
            }

            #[test]
            #[ignore = "interruptions on Debian testing: make check-long"]
            fn every_point_testing() {
                hunt(Root::Testing, &$scene, None, on_the_bus, &interrupted);
            }
        }
    };
}

interrupted!(create, CREATE, 2);
interrupted!(change, CHANGE, 1);
interrupted!(shrink, SHRINK, 1);
interrupted!(prune, PRUNE, 2);
interrupted!(scale, SCALE, 1);
interrupted!(reload, RELOAD, 2);
interrupted!(rollback, ROLLBACK, 1);
interrupted!(delete, DELETE, 2);
interrupted!(restart, RESTART, 2);
interrupted!(stop_and_start, STOP_AND_START, 1);
