//! Twenty thousand rollouts in every kind of weather. `ROLLOUT_SEED=n` runs one and prints its log, `ROLLOUT_RUNS=n`
//! runs more; seeds that failed once are kept in `seeds.txt`.

mod draw;
mod obey;

use std::panic::catch_unwind;
use std::time::Duration;

use clusterctl::rollout::{
    Former, Instruction, Outcome, Policy, Rollout, RolloutEvent, Spec, Stage, Time,
};

use crate::chance::Chance;
use crate::rules::Rules;
use crate::world::World;
use draw::{draw, populate};
use obey::obey;

/// Formatting costs more than simulating, so the log is written only when it is wanted.
macro_rules! note {
    ($log:expr, $($text:tt)*) => {
        if $log {
            eprintln!($($text)*);
        }
    };
}

const RUNS: u64 = 20_000;

#[test]
fn twenty_thousand_rollouts_keep_every_rule() {
    if let Some(seed) = number("ROLLOUT_SEED") {
        simulate(seed, true);
        return;
    }
    let kept = include_str!("../seeds.txt").lines().filter_map(|line| {
        let seed = line.split('#').next()?.trim();
        (!seed.is_empty()).then(|| seed.parse::<u64>().unwrap())
    });
    let seeds: Vec<u64> = kept.chain(0..number("ROLLOUT_RUNS").unwrap_or(RUNS)).collect();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let tallies = std::thread::scope(|scope| {
        let share = |worker| seeds.iter().copied().skip(worker).step_by(workers);
        let start = |worker| scope.spawn(move || run(share(worker)));
        let running: Vec<_> = (0..workers).map(start).collect();
        let ends = running.into_iter().map(|worker| worker.join().unwrap());
        ends.collect::<Vec<_>>()
    });
    let mut tally = Tally::default();
    let mut broken = vec![];
    for result in tallies {
        match result {
            Ok(part) => tally.add(&part),
            Err(seed) => broken.push(seed),
        }
    }
    if let Some(&seed) = broken.iter().min() {
        eprintln!("seeds {broken:?} broke a rule; {seed} once more, with its log:");
        simulate(seed, true);
    }
    tally.check();
}

/// The first seed that breaks a rule is the error.
fn run(seeds: impl Iterator<Item = u64>) -> Result<Tally, u64> {
    let mut tally = Tally::default();
    for seed in seeds {
        let outcome = catch_unwind(|| simulate(seed, false)).map_err(|_| seed)?;
        tally.count(&outcome);
    }
    Ok(tally)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A simulation that never sees some end would prove nothing about it.
#[derive(Default, Debug)]
struct Tally {
    complete: u64,
    forced: u64,
    failed: u64,
    failed_on_the_way_back: u64,
    rolled_back: u64,
    interrupted: u64,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Complete => &mut self.complete,
            Outcome::Forced { .. } => &mut self.forced,
            Outcome::Failed { then: None, .. } => &mut self.failed,
            Outcome::Failed { then: Some(_), .. } => &mut self.failed_on_the_way_back,
            Outcome::RolledBack { .. } => &mut self.rolled_back,
            Outcome::Interrupted { .. } => &mut self.interrupted,
        } += 1;
    }

    fn add(&mut self, part: &Self) {
        self.complete += part.complete;
        self.forced += part.forced;
        self.failed += part.failed;
        self.failed_on_the_way_back += part.failed_on_the_way_back;
        self.rolled_back += part.rolled_back;
        self.interrupted += part.interrupted;
    }

    fn check(&self) {
        eprintln!("{self:?}");
        let Self { complete, forced, failed, failed_on_the_way_back, rolled_back, interrupted } =
            self;
        let all = [complete, forced, failed, failed_on_the_way_back, rolled_back, interrupted];
        assert!(all.iter().all(|count| **count > 100), "not every end was seen often: {self:?}");
    }
}

struct Scenario {
    policy: Policy,
    before: u32,
    wanted: u32,
    /// Nothing is changed but the number.
    only_count: bool,
    can_restore: bool,
    interrupt: Option<Time>,
    crashes: u32,
    restore_fails: u64,
    kills: bool,
    clean: bool,
}

impl Scenario {
    /// Whether what serves is pinned to the old definition.
    fn pins(&self) -> bool {
        !(self.before + self.wanted).is_multiple_of(3)
    }
}

fn simulate(seed: u64, log: bool) -> Outcome {
    let mut chance = Chance::new(seed);
    let (scenario, weather) = draw(&mut chance);
    note!(
        log,
        "before {} wanted {} only_count {} can_restore {} {:?}",
        scenario.before,
        scenario.wanted,
        scenario.only_count,
        scenario.can_restore,
        scenario.policy
    );
    note!(log, "{weather:?}");
    let mut world = World::new(weather, usize::from(!scenario.only_count));
    populate(&mut world, &scenario, &mut chance);
    let mut crashes = scenario.crashes;
    loop {
        let crash =
            (crashes > 0).then(|| world.now + Duration::from_millis(chance.between(0, 20_000)));
        match drive(&scenario, &mut world, crash, &mut chance, log) {
            Some(outcome) => return outcome,
            None => {
                crashes -= 1;
                later(&mut world, &mut chance);
                note!(log, "{} the driver crashed", world.now);
            }
        }
    }
}

/// A while without a driver; then the same command is run again, most likely with the new definition put in place again.
fn later(world: &mut World, chance: &mut Chance) {
    world.driver += 1;
    let back = world.now + Duration::from_millis(chance.between(0, 20_000));
    while world.next_time().is_some_and(|time| time <= back) {
        let _ = world.advance(chance);
    }
    world.now = back;
    if chance.percent(80) {
        world.loaded = world
            .loaded
            .max(1)
            .min(world.units.values().map(|unit| unit.definition).max().unwrap_or(0));
    }
}

/// One life of a driver; none if it crashes.
fn drive(
    scenario: &Scenario,
    world: &mut World,
    crash: Option<Time>,
    chance: &mut Chance,
    log: bool,
) -> Option<Outcome> {
    // Not drawn by chance: one more draw would change what the kept seeds stand for.
    if scenario.can_restore && !scenario.only_count && world.loaded == 1 && scenario.pins() {
        world.pin();
    } else {
        world.pinned.clear();
    }
    let spec = Spec {
        pinned: world.pinned.clone(),
        current: world.observe(),
        before: scenario.before,
        wanted: scenario.wanted,
        policy: scenario.policy.clone(),
        former: match scenario.can_restore {
            true if scenario.only_count => Former::Number,
            true if world.loaded == 1 => Former::Definition,
            _ => Former::Nothing,
        },
        starts_at_once: 1 + scenario.wanted % 4,
        chosen: false,
    };
    note!(log, "{} found {:?}", world.now, spec.current);
    let mut rules = Rules::new(spec.clone(), world);
    rules.calm = world.weather.death == 0
        && world.weather.bad == [0, 0]
        && !scenario.kills
        && scenario.clean;
    let begun = world.now;
    let (mut rollout, mut commands) = Rollout::new(spec.clone(), begun);
    let mut history = vec![];
    let mut said = vec![commands.clone()];
    for step in 0.. {
        assert!(step < 20_000, "it does not end");
        for command in &commands {
            note!(log, "{}   → {command}", world.now);
        }
        rules.check(&rollout, &commands, world);
        obey(&commands, scenario, world, chance);
        if rules.calm {
            rules.check_world(world, rollout.progress().stage);
        }
        if let Some(outcome) = rollout.outcome() {
            note!(log, "{} {outcome:?}", world.now);
            rules.finished(outcome, world);
            replay(&spec, begun, &history, &said);
            judge(scenario, &spec, outcome, world);
            return Some(outcome.clone());
        }
        if crash.is_some_and(|crash| world.now >= crash) {
            return None;
        }
        let event = next_event(scenario, &rollout, &mut rules, world, chance);
        let Some(event) = event else {
            commands = vec![];
            continue;
        };
        note!(log, "{} {event:?}", world.now);
        rules.heard(&event, world);
        history.push((world.now, event.clone()));
        let before = rollout.progress().stage;
        commands = rollout.handle(world.now, event.clone());
        if before == Stage::Rolling && rollout.progress().stage != before {
            rules.lost(&event);
        }
        said.push(commands.clone());
    }
    unreachable!()
}

fn next_event(
    scenario: &Scenario,
    rollout: &Rollout,
    rules: &mut Rules,
    world: &mut World,
    chance: &mut Chance,
) -> Option<RolloutEvent> {
    let deadline = rollout.deadline().unwrap();
    let next = world.next_time();
    if let Some(interrupt) = scenario.interrupt
        && !rules.interrupted
        && next.is_none_or(|next| next >= interrupt)
        && deadline >= interrupt
    {
        world.now = world.now.max(interrupt);
        return Some(RolloutEvent::Interrupt);
    }
    if scenario.kills && chance.percent(2) {
        let number = chance.count(0, scenario.wanted);
        if world.units.contains_key(&number) {
            world.kill(number, chance);
            return None;
        }
    }
    if world.weather.late > 0 && chance.percent(1) {
        return Some(RolloutEvent::Tick);
    }
    match next {
        Some(next) if next <= deadline => world.advance(chance),
        Some(_) | None => {
            world.now = world.now.max(deadline);
            Some(RolloutEvent::Tick)
        }
    }
}

fn replay(spec: &Spec, begun: Time, history: &[(Time, RolloutEvent)], said: &[Vec<Instruction>]) {
    let (mut again, first) = Rollout::new(spec.clone(), begun);
    assert_eq!(first, said[0], "begins otherwise when replayed");
    for ((time, event), commands) in history.iter().zip(&said[1..]) {
        assert_eq!(again.handle(*time, event.clone()), *commands, "replayed otherwise");
    }
}

/// Where nothing goes wrong but the definition, the end is known beforehand.
fn judge(scenario: &Scenario, spec: &Spec, outcome: &Outcome, world: &World) {
    if !scenario.clean || scenario.interrupt.is_some() || world.weather.bad[0] > 0 {
        return;
    }
    let policy = &spec.policy;
    let settles = policy.min_ready > Duration::from_millis(1);
    let careful = policy.limits(spec.wanted).surge > 0 && !policy.force && settles;
    match world.weather.bad[1] {
        0 => assert_eq!(*outcome, Outcome::Complete, "nothing was wrong"),
        100 if careful && spec.wanted > 0 && !scenario.only_count => {
            assert_ne!(*outcome, Outcome::Complete, "a broken definition was rolled out");
            let wanted = |number: u32, outdated: bool| outdated && number < spec.wanted;
            for (&number, seen) in &spec.current {
                let now = world.units[&number].sight();
                let same = now == seen.sight || !wanted(number, seen.outdated);
                assert!(same, "{number} was touched by a broken release");
            }
        }
        _ => {}
    }
}
