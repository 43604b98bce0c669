//! One run that is killed, or has a system call refused, at a point, and the assertions for every such run: an app
//! that served serves on, no file is half written, no further instance runs, and one more run ends in the same state
//! as the undisturbed run.

use super::{Point, Scene, State, assert_completed, assert_whole, had_effect, run, state};
use crate::support::{Machine, Output};

/// A run that was killed, or had a call refused, at a point.
pub(crate) struct Tried<'a> {
    m: &'a Machine,
    scene: &'a Scene,
    wanted: &'a State,
    command: String,
    before: State,
    /// The point, the round, the plan and the output, for messages.
    pub(crate) at: String,
    /// The output of the command.
    pub(crate) first: Output,
    /// Whether the run came to the point.
    pub(crate) met: bool,
}

impl<'a> Tried<'a> {
    /// Runs the command of a scene with a plan for a point (`kill.py`).
    pub(crate) fn run(
        m: &'a Machine,
        (scene, round): (&'a Scene, usize),
        point: &Point,
        plan: &str,
        wanted: &'a State,
    ) -> Tried<'a> {
        (scene.base)(m, round);
        let command = (scene.command)(m, round);
        let before = state(m);
        m.write(point.victim.plan(), plan);
        let first = run(m, &command);
        let met = had_effect(m, point.victim);
        let at = format!(
            "{:?} at {} ({}), round {round}: {plan}: {first:#?}",
            point.victim, point.label, point.count
        );
        Tried { m, scene, wanted, command, before, at, first, met }
    }

    /// An app that served serves on, and every file is the former or the wanted one.
    pub(crate) fn assert_serves_and_whole(&self) {
        let Tried { m, at, .. } = self;
        if self.scene.serves {
            let answer = m.ok(["curl", "-sS", "localhost:3000"]);
            assert!(answer.contains("instance "), "{at}: {answer}");
        }
        assert_whole(m, &self.before, self.wanted, at);
    }

    /// No more instances run than before the command, or than its definition wants.
    pub(crate) fn assert_nothing_extra(&self, after: &State) {
        let count = |state: &State| instances(&state.units).len();
        let most = count(&self.before).max(count(self.wanted));
        assert!(count(after) <= most, "{}: {}", self.at, after.units);
    }

    /// One more run completes the work. Gives whether the first run came to the point.
    pub(crate) fn completed(self) -> bool {
        assert_completed(self.m, &self.command, self.wanted, &self.at);
        self.met
    }
}

/// Names of the units of instances that are active.
fn instances(units: &str) -> Vec<&str> {
    let up = units.lines().filter(|line| line.contains(".service loaded active"));
    up.filter_map(|line| line.split(' ').next()).filter(|name| name.contains('@')).collect()
}

/// Tests of one scene: a sample of `$sample` points that `$some` chooses, and on each system every point that `$all`
/// chooses.
macro_rules! at_points {
    ($name:ident, $scene:expr, $sample:expr, $some:expr, $all:expr, $attempt:expr) => {
        mod $name {
            use super::*;
            use crate::kills::hunt;
            use crate::support::Root;

            #[test]
            fn sample() {
                hunt(Root::Host, &$scene, Some($sample), $some, &$attempt);
            }

            #[test]
            #[ignore = "every point: make check-long"]
            fn every_point_host() {
                hunt(Root::Host, &$scene, None, $all, &$attempt);
            }

            #[test]
            #[ignore = "every point: make check-long"]
            fn every_point_trixie() {
                hunt(Root::Trixie, &$scene, None, $all, &$attempt);
            }

            #[test]
            #[ignore = "every point, on Debian testing: make check-long"]
            fn every_point_testing() {
                hunt(Root::Testing, &$scene, None, $all, &$attempt);
            }
        }
    };
}

pub(crate) use at_points;
