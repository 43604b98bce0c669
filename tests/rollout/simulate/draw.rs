//! What a simulation begins with, drawn by chance: the rollout that is asked for, its policy, and the weather.

use std::time::Duration;

use clusterctl::ecosystem::{OnFailure, Share};
use clusterctl::rollout::{Policy, State, Time};

use super::Scenario;
use crate::chance::Chance;
use crate::world::{Weather, World};

pub(super) fn draw(chance: &mut Chance) -> (Scenario, Weather) {
    let most = if chance.percent(3) { 40 } else { 8 };
    let least = u32::from(chance.percent(90));
    let before = chance.count(least, most);
    let wanted = match chance.between(0, 9) {
        0..6 => before.max(1),
        6 => 0,
        _ => chance.count(1, most),
    };
    let clean = chance.percent(30);
    let mut some = |percent: u64, most: u64| match chance.percent(percent) && !clean {
        true => chance.between(1, most),
        false => 0,
    };
    let (lost, twice, late) = (some(50, 10), some(50, 20), some(50, 30));
    let (death, stuck, restore_fails) = (some(40, 20), some(10, 5), some(30, 50));
    let old = some(20, 30);
    let bad_new = match chance.between(0, 9) {
        0..4 => 0,
        4..6 => 100,
        6..8 => chance.between(1, 20),
        _ => chance.between(20, 80),
    };
    let policy = policy(chance);
    let weather = Weather {
        bad: [old, bad_new],
        death,
        lost,
        twice,
        late,
        stuck,
        start: chance.between(10, 3000),
        listen_timeout: policy.listen_timeout,
        kill_timeout: policy.kill_timeout,
        min_ready: policy.min_ready,
    };
    let only_count = chance.percent(25);
    let interrupt = chance.percent(15).then(|| Time::from_millis(chance.between(0, 30_000)));
    let crashes = if chance.percent(20) && !clean { chance.count(1, 3) } else { 0 };
    let scenario = Scenario {
        policy,
        before,
        wanted,
        only_count,
        // Not drawn by chance: one more draw would change what the kept seeds stand for.
        can_restore: if only_count { before.is_multiple_of(2) } else { chance.percent(70) },
        interrupt,
        crashes,
        restore_fails,
        kills: !clean && chance.percent(20),
        clean,
    };
    (scenario, weather)
}

fn policy(chance: &mut Chance) -> Policy {
    let amount = |chance: &mut Chance| match chance.between(0, 9) {
        0..4 => Share::Count(0),
        4..7 => Share::Count(chance.count(1, 4)),
        7..9 => Share::Percent(chance.count(1, 60)),
        _ => Share::Percent(100),
    };
    let (max_surge, max_unavailable) = match chance.between(0, 2) {
        0 => (Share::Count(1), Share::Count(0)),
        _ => (amount(chance), amount(chance)),
    };
    Policy {
        checks: false,
        max_surge,
        max_unavailable,
        min_ready: Duration::from_millis(if chance.percent(50) {
            chance.between(1, 4000)
        } else {
            0
        }),
        listen_timeout: Duration::from_millis(chance.between(6000, 20_000)),
        kill_timeout: Duration::from_millis(chance.between(10, 5000)),
        on_failure: if chance.percent(70) { OnFailure::Rollback } else { OnFailure::Pause },
        force: chance.percent(15),
        kill_after: None,
    }
}

pub(super) fn populate(world: &mut World, scenario: &Scenario, chance: &mut Chance) {
    for number in 0..scenario.before {
        let state = match chance.between(0, 39) {
            _ if scenario.clean => State::Ready,
            0 => State::Dead,
            1 => State::Starting,
            2 => State::Stopping,
            3 => State::Restarting,
            _ => State::Ready,
        };
        // Some instances are up to date already, as after an interrupted rollout.
        let definition = usize::from(!scenario.only_count && !scenario.clean && chance.percent(10));
        world.add(number, state, definition, chance);
    }
    if !scenario.clean && chance.percent(10) {
        let number = scenario.before.max(scenario.wanted);
        let definition = usize::from(!scenario.only_count && chance.percent(70));
        world.add(number, State::Ready, definition, chance);
    }
}
