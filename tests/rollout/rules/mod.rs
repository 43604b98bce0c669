//! Rules that must hold after every step, checked against the simulated world: none of them asks the state machine
//! how it decides.

mod end;

use std::collections::{BTreeMap, BTreeSet};

use clusterctl::rollout::{
    Former, Instruction, Rollout, RolloutEvent, RolloutJobResult, Serial, Spec, Stage, State,
    Ticket, Time, UnitJob,
};

use crate::world::World;

/// Everything that one driver has done and been told, as far as the rules need it.
pub struct Rules {
    pub spec: Spec,
    /// How many served when it began.
    ready: usize,
    /// The latest that the driver was told of each instance.
    told: BTreeMap<u32, (Serial, State)>,
    touched: BTreeSet<u32>,
    /// Replaced in place and not ready since; as long as nothing is proven, not settled.
    changing: BTreeSet<u32>,
    /// Taken down by us while ready, and not ready again.
    owed: BTreeSet<u32>,
    /// Found or started, and not stopped: each one beyond the target makes up for one that is owed.
    lent: BTreeSet<u32>,
    /// Jobs whose result the machine was not told.
    pub open: BTreeMap<Ticket, UnitJob>,
    pub interrupted: bool,
    restoring: bool,
    /// The world starts them from the old definition.
    pinned: BTreeSet<u32>,
    /// Since when extra instances are removed.
    removing: Option<Time>,
    /// A definition that is not the one found running has settled somewhere.
    proven: bool,
    /// Nothing dies by itself, so that what is ready stays ready.
    pub calm: bool,
}

impl Rules {
    pub fn new(spec: Spec, world: &World) -> Self {
        let told: BTreeMap<_, _> = spec
            .current
            .iter()
            .map(|(&number, seen)| (number, (seen.sight.serial, seen.sight.state)))
            .collect();
        let lent = spec.current.keys().copied().collect();
        Self {
            ready: world.ready(),
            told,
            touched: BTreeSet::new(),
            changing: BTreeSet::new(),
            owed: BTreeSet::new(),
            lent,
            open: BTreeMap::new(),
            interrupted: false,
            restoring: false,
            pinned: spec.pinned.clone(),
            removing: None,
            proven: false,
            calm: false,
            spec,
        }
    }

    pub fn heard(&mut self, event: &RolloutEvent, world: &World) {
        match event {
            RolloutEvent::Seen { instance, sight }
            | RolloutEvent::NotListening { instance, sight, .. } => {
                self.tell(*instance, sight.serial, sight.state);
            }
            RolloutEvent::JobDone { instance, ticket, result } => {
                let change = self.open.remove(ticket);
                let start = change.is_some_and(|change| change != UnitJob::Stop);
                if start && *result == RolloutJobResult::Done {
                    let serial = world.ended[&(world.driver, *ticket)];
                    self.tell(*instance, serial, State::Ready);
                }
            }
            RolloutEvent::Interrupt => self.interrupted = true,
            RolloutEvent::Unpinned { .. } => {}
            RolloutEvent::DefinitionRestored(_) | RolloutEvent::Tick => {}
        }
    }

    /// The event ended the rollout, so the process that it is about counts no more.
    pub fn lost(&mut self, event: &RolloutEvent) {
        if let RolloutEvent::NotListening { instance, sight, .. } = event {
            self.tell(*instance, sight.serial, State::Stopping);
        }
    }

    fn tell(&mut self, number: u32, serial: Serial, state: State) {
        let known = self.told.entry(number).or_insert((Serial(0), State::Starting));
        *known = (*known).max((serial, state));
    }

    fn told_ready(&self, number: u32) -> bool {
        self.told.get(&number).is_some_and(|told| told.1 == State::Ready)
    }

    /// Before the commands of one step are carried out.
    pub fn check(&mut self, rollout: &Rollout, commands: &[Instruction], world: &mut World) {
        let numbers: Vec<u32> = world.units.keys().copied().collect();
        for number in numbers {
            if world.settled(number) {
                self.changing.remove(&number);
                self.proven |= world.units[&number].definition == world.loaded;
            }
            if world.units[&number].state == State::Ready {
                self.owed.remove(&number);
            }
        }
        let proven = self.proven || self.restoring;
        self.changing.retain(|number| !proven || world.units[number].state != State::Ready);
        if rollout.outcome().is_none() {
            assert!(rollout.deadline().is_some(), "unfinished without a deadline");
        } else {
            assert_eq!(rollout.deadline(), None, "finished with a deadline");
        }
        if commands.is_empty() {
            return;
        }
        // The stage that the commands were decided in; a failure ends in a later one.
        let stage = rollout.progress().stage;
        let mut down = BTreeSet::new();
        for command in commands {
            match command {
                Instruction::Submit { instance, change, ticket, .. } => {
                    let pinned = *change != UnitJob::Stop && self.pinned.contains(instance);
                    assert!(!pinned, "{instance} would be started with the old definition");
                    self.submitted(*instance, *change, stage, &mut down, world);
                    self.open.insert(*ticket, *change);
                }
                Instruction::RestoreDefinition { .. } => {
                    self.pinned.clear();
                    assert!(self.spec.former != Former::Nothing, "nothing to restore");
                    assert!(!self.restoring, "restored twice");
                    // A job that ends later could have started either definition.
                    let open = self.open.values().any(|change| *change != UnitJob::Stop);
                    let reliable = world.weather.lost == 0 && world.weather.stuck == 0;
                    assert!(!open || !reliable, "restored while a start was under way");
                    self.restoring = true;
                    // Instances that will be replaced again are not waited for.
                    self.changing.clear();
                }
                Instruction::Unpin { instances } => {
                    let pinned = |number| self.pinned.contains(number);
                    assert!(instances.iter().all(pinned), "unpinned twice");
                    self.pinned.retain(|number| !instances.contains(number));
                }
                Instruction::Look { .. } => {}
            }
        }
        self.processes(world);
    }

    fn submitted(
        &mut self,
        number: u32,
        change: UnitJob,
        stage: Stage,
        down: &mut BTreeSet<u32>,
        world: &mut World,
    ) {
        let back = stage == Stage::RollingBack;
        let target = if back { self.spec.before } else { self.spec.wanted };
        let lasting = self.spec.before.max(self.spec.wanted);
        let extra = number >= lasting;
        match stage {
            Stage::Rolling | Stage::RollingBack | Stage::Forced => {}
            Stage::Aborting | Stage::Restoring | Stage::Leaving | Stage::Finished => {
                let removal = change == UnitJob::Stop && extra;
                assert!(removal || stage == Stage::Finished, "{change} {number} after the end");
            }
        }
        if self.interrupted && stage != Stage::Finished {
            assert!(change == UnitJob::Stop && extra, "{change} {number} after an interrupt");
        }
        if change == UnitJob::Start {
            assert!(!self.told_ready(number), "start of {number}, which is ready");
        } else if self.told_ready(number) {
            if let Some(told) = self.told.get_mut(&number) {
                told.1 = State::Stopping;
            }
            if stage != Stage::Forced {
                self.disrupted(number, change, stage, target, down);
            }
        }
        if change == UnitJob::Restart && number < target && stage != Stage::Forced {
            let limits = self.spec.policy.limits(target);
            self.changing.insert(number);
            let batch = usize::try_from(limits.batch()).unwrap();
            assert!(
                self.changing.len() <= batch,
                "more than {batch} being replaced: {:?}",
                self.changing
            );
        }
        if change == UnitJob::Stop && stage == Stage::Rolling {
            self.removing.get_or_insert(world.now);
        }
        if change != UnitJob::Stop {
            self.touched.insert(number);
            self.lent.insert(number);
            if let Some(unit) = world.units.get_mut(&number) {
                unit.settled = false;
            }
        } else {
            self.lent.remove(&number);
            self.changing.remove(&number);
        }
    }

    /// An instance that serves, and is known to, is taken down.
    fn disrupted(
        &mut self,
        number: u32,
        change: UnitJob,
        stage: Stage,
        target: u32,
        down: &mut BTreeSet<u32>,
    ) {
        let limits = self.spec.policy.limits(target);
        let mut floor = usize::try_from(target.saturating_sub(limits.unavailable)).unwrap();
        if stage == Stage::RollingBack {
            // Instances that were down before and never touched are not waited for.
            let lost = (0..target)
                .filter(|number| !self.told_ready(*number) && !self.touched.contains(number));
            floor = floor.saturating_sub(lost.count());
        }
        if !matches!(stage, Stage::Rolling | Stage::RollingBack) {
            let fewest = self.spec.before.min(target);
            let limits = self.spec.policy.limits(fewest);
            let fewest = usize::try_from(fewest.saturating_sub(limits.unavailable)).unwrap();
            floor = floor.min(fewest).min(self.ready);
        }
        down.insert(number);
        let others = self.told.keys().filter(|number| self.told_ready(**number)).count();
        assert!(others >= floor, "{change} {number} leaves {others} of {floor} ({stage:?})");
        if number < target {
            self.owed.insert(number);
        }
        let lent = self.lent.range(target..).count();
        let allowed = lent + usize::try_from(limits.unavailable).unwrap();
        assert!(
            change == UnitJob::Stop || self.owed.len() <= allowed.max(1),
            "took down {:?}, lent {:?}",
            self.owed,
            self.lent
        );
        let all_at_once = limits.surge == 0 && limits.unavailable >= target;
        if stage == Stage::Rolling && number < target && !all_at_once && !self.proven {
            let first = limits.surge == 0 && down.len() == 1 && self.owed.len() == 1;
            assert!(first, "{change} {number} before anything was proven");
        }
    }

    fn processes(&self, world: &World) {
        let lasting = self.spec.before.max(self.spec.wanted);
        let surge = self.spec.policy.limits(self.spec.wanted).surge;
        let surge = surge.max(self.spec.policy.limits(self.spec.before).surge);
        // Extra instances found at the start may stay until the end.
        let found = self
            .spec
            .current
            .iter()
            .filter(|(number, seen)| **number >= lasting && seen.sight.state != State::Dead);
        let surge = usize::try_from(surge).unwrap().max(found.count());
        let most = usize::try_from(lasting).unwrap() + surge;
        let alive = world.alive().len();
        assert!(alive <= most, "{alive} processes, {most} allowed");
    }

    /// Nothing dies, and nothing fails: as many serve as ever did, or as must.
    pub fn check_world(&self, world: &World, stage: Stage) {
        if stage == Stage::Forced || stage == Stage::RollingBack {
            return;
        }
        let wanted = self.spec.wanted;
        let floor = wanted.saturating_sub(self.spec.policy.limits(wanted).unavailable);
        let floor = usize::try_from(floor).unwrap().min(self.ready);
        let ready = world.ready();
        assert!(ready >= floor, "only {ready} of {floor} ready");
    }
}
