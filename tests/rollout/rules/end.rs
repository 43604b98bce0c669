//! What must hold when a rollout has ended: as many instances as it says, of the definition that it says.

use clusterctl::rollout::{Outcome, Serial, State, Time};

use super::Rules;
use crate::world::World;

impl Rules {
    pub fn finished(&self, outcome: &Outcome, world: &World) {
        let target = match outcome {
            Outcome::Complete => self.spec.wanted,
            Outcome::RolledBack { .. } => self.spec.before,
            Outcome::Forced { .. } | Outcome::Failed { .. } | Outcome::Interrupted { .. } => return,
        };
        let whole = *outcome == Outcome::Complete;
        for (number, unit) in &world.units {
            let alive = unit.state != State::Dead;
            assert!(*number < target || !alive, "{number} is left over");
            let ours = unit.job.is_some_and(|job| whole || job.driver == world.driver);
            assert!(!ours, "finished, but {number} has a job");
            // About instances that it never touched, the rollout knows only what it was told.
            let told = self.told.get(number).is_some_and(|told| told.0 == Serial(unit.serial));
            let known = told || self.touched.contains(number);
            if *number < target && (whole || alive && known) {
                // A process that began between the last news and now is of the loaded definition as well.
                assert!(unit.definition == world.loaded, "{number} is outdated ({outcome:?})");
                assert!(alive || !whole, "{number} is missing");
            }
        }
        if whole {
            self.stayed(world);
            let numbers: Vec<u32> = world.alive().into_iter().collect();
            assert_eq!(
                numbers,
                (0..target).collect::<Vec<_>>(),
                "not exactly the wanted instances"
            );
        }
    }

    /// "Done" means that every instance that was started has been ready for `min_ready`, all of them together, and was
    /// so when the driver last looked.
    fn stayed(&self, world: &World) {
        let min_ready = self.spec.policy.min_ready;
        let started = || self.touched.iter().filter(|number| **number < self.spec.wanted);
        let mut over = Time::default();
        for number in started() {
            let Some((_, unit)) = world.looked.get(number) else {
                panic!("done, and nobody looked at {number}");
            };
            assert!(
                unit.state == State::Ready,
                "done, and {number} was last seen {:?}",
                unit.state
            );
            assert!(!unit.mute || min_ready.is_zero(), "done, and {number} gave up its listeners");
            over = over.max(unit.ready_at.unwrap() + min_ready);
        }
        for number in started() {
            let (time, _) = &world.looked[number];
            assert!(
                *time >= over,
                "done, and {number} was last looked at at {time}, not at {over}"
            );
        }
        let weather = &world.weather;
        if weather.lost + weather.late + weather.twice > 0 {
            return;
        }
        for number in started() {
            // The driver may not have heard of a change that has just happened.
            let now = world.deaths.iter().any(|(serial, time)| {
                *serial == Serial(world.looked[number].1.serial) && *time == world.now
            });
            assert!(world.units[number].state == State::Ready || now, "done, and {number} is dead");
        }
        let ours: Vec<Serial> = world
            .ended
            .iter()
            .filter(|((of, _), _)| *of == world.driver)
            .map(|(_, s)| *s)
            .collect();
        // Extra instances are removed only when all others have been ready for `min_ready`.
        let over = self.removing.map_or(over, |removing| removing.min(over));
        let lost = world.deaths.iter().find(|(serial, time)| ours.contains(serial) && *time < over);
        assert!(lost.is_none(), "done by {over}, and a new one died: {lost:?}");
    }
}
