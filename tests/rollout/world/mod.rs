//! A service manager to roll in: units with processes, jobs, automatic restarts, and signals that come late or never.

mod bus;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clusterctl::rollout::{
    FoundInstance, RolloutEvent, RolloutJobResult, Serial, Sight, State, Ticket, Time, UnitJob,
};

use crate::chance::Chance;

/// How reliable things are, in percent.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// A process of this definition does not start, never gets ready, or dies or gives up its listeners soon after it was
    /// ready.
    pub bad: [u64; 2],
    /// A serving process dies at some time.
    pub death: u64,
    /// A signal or job result is lost.
    pub lost: u64,
    /// A signal or job result comes twice.
    pub twice: u64,
    /// A signal or job result comes late, and so perhaps after later ones.
    pub late: u64,
    /// A process ignores being killed for a minute.
    pub stuck: u64,
    /// Processes take so long, in milliseconds, until they are ready.
    pub start: u64,
    pub listen_timeout: Duration,
    pub kill_timeout: Duration,
    pub min_ready: Duration,
}

#[derive(Debug, Clone)]
pub struct Unit {
    pub state: State,
    pub serial: u64,
    pub restarts: u32,
    pub definition: usize,
    pub ready_at: Option<Time>,
    /// Has been ready for `min_ready` since it was last started by a job.
    pub settled: bool,
    /// Ready by the manager's word, and without its listeners.
    pub mute: bool,
    pub job: Option<Job>,
}

#[derive(Debug, Clone, Copy)]
pub struct Job {
    pub change: UnitJob,
    pub ticket: Ticket,
    pub driver: u32,
}

/// A change that comes by itself later, if the process is still the same by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Later {
    Ready,
    Exit,
    StartTimeout,
    Stopped,
    AutoRestart,
}

#[derive(Debug, Clone)]
enum Happening {
    Process { number: u32, serial: u64, what: Later },
    Deliver { driver: u32, event: RolloutEvent },
}

pub struct World {
    pub now: Time,
    pub units: BTreeMap<u32, Unit>,
    /// The definition that a process started now runs.
    pub loaded: usize,
    /// Instances that are started from the old definition all the same.
    pub pinned: BTreeSet<u32>,
    pub weather: Weather,
    pub driver: u32,
    /// With which process each job ended.
    pub ended: BTreeMap<(u32, Ticket), Serial>,
    /// What each instance looked like when the driver last looked at it, and when that was.
    pub looked: BTreeMap<u32, (Time, Unit)>,
    /// Processes that died by themselves when they were ready, and when.
    pub deaths: Vec<(Serial, Time)>,
    queue: BTreeMap<(Time, u64), Happening>,
    counted: u64,
    serials: u64,
}

impl World {
    pub fn new(weather: Weather, loaded: usize) -> Self {
        Self {
            now: Time::default(),
            units: BTreeMap::new(),
            loaded,
            pinned: BTreeSet::new(),
            weather,
            driver: 0,
            ended: BTreeMap::new(),
            looked: BTreeMap::new(),
            deaths: vec![],
            queue: BTreeMap::new(),
            counted: 0,
            serials: 100,
        }
    }

    /// An instance from before.
    pub fn add(&mut self, number: u32, state: State, definition: usize, chance: &mut Chance) {
        self.serials += 1;
        let ready_at = (state == State::Ready).then_some(self.now);
        let unit = Unit {
            state,
            serial: self.serials,
            restarts: 0,
            definition,
            ready_at,
            settled: false,
            mute: false,
            job: None,
        };
        self.units.insert(number, unit);
        let soon = chance.between(1, 3000);
        match state {
            State::Ready => self.plan_death(number, chance),
            State::Starting => self.after(soon, number, Later::Ready),
            State::Stopping => self.after(soon, number, Later::Stopped),
            State::Restarting => self.after(soon, number, Later::AutoRestart),
            State::Dead => {}
        }
    }

    pub fn observe(&self) -> BTreeMap<u32, FoundInstance> {
        let found = self.units.iter().map(|(&number, unit)| {
            let outdated = unit.definition != self.loaded;
            (number, FoundInstance { sight: unit.sight(), outdated })
        });
        found.collect()
    }

    /// What serves with the old definition is started from it until it is unpinned.
    pub fn pin(&mut self) {
        self.pinned.retain(|number| self.units[number].definition == 0);
        let serves = |unit: &Unit| unit.definition == 0 && unit.state == State::Ready;
        let serving = self.units.iter().filter(|(_, unit)| serves(unit));
        self.pinned.extend(serving.map(|(&number, _)| number));
    }

    pub fn ready(&self) -> usize {
        self.units.values().filter(|unit| unit.state == State::Ready).count()
    }

    pub fn alive(&self) -> BTreeSet<u32> {
        let alive = self.units.iter().filter(|(_, unit)| {
            let coming = unit.job.is_some_and(|job| job.change != UnitJob::Stop);
            unit.state != State::Dead || coming
        });
        alive.map(|(&number, _)| number).collect()
    }

    /// Now, on the clock of the serials.
    pub fn moment(&self) -> Serial {
        Serial(self.serials)
    }

    pub fn next_time(&self) -> Option<Time> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    /// Lets the next thing happen; an event if it is the driver's to know.
    pub fn advance(&mut self, chance: &mut Chance) -> Option<RolloutEvent> {
        let ((time, _), happening) = self.queue.pop_first()?;
        self.now = self.now.max(time);
        match happening {
            Happening::Deliver { driver, event } => (driver == self.driver).then_some(event),
            Happening::Process { number, serial, what } => {
                if self.units[&number].serial == serial {
                    self.process(number, what, chance);
                }
                None
            }
        }
    }

    fn process(&mut self, number: u32, what: Later, chance: &mut Chance) {
        let state = self.units[&number].state;
        match (what, state) {
            (Later::Ready, State::Starting) => {
                self.units.get_mut(&number).unwrap().ready_at = Some(self.now);
                self.change(number, State::Ready, chance);
                self.end_job(number, RolloutJobResult::Done, chance);
                self.plan_death(number, chance);
            }
            (Later::Exit, State::Starting) => self.lose(number, RolloutJobResult::Failed, chance),
            (Later::StartTimeout, State::Starting) => {
                self.lose(number, RolloutJobResult::Timeout, chance)
            }
            (Later::Exit, State::Ready) => self.lose(number, RolloutJobResult::Failed, chance),
            (Later::Stopped, State::Stopping) => self.stopped(number, chance),
            (Later::AutoRestart, State::Restarting) => {
                let restarts = self.units[&number].restarts + 1;
                self.begin(number, restarts, chance);
            }
            // The process has reached another state meanwhile.
            _ => {}
        }
    }

    fn stopped(&mut self, number: u32, chance: &mut Chance) {
        self.change(number, State::Dead, chance);
        match self.units[&number].job {
            Some(job) if job.change != UnitJob::Stop => self.begin(number, 0, chance),
            Some(_) => self.end_job(number, RolloutJobResult::Done, chance),
            None => {}
        }
    }

    /// The process exits unasked; systemd will start it again.
    fn lose(&mut self, number: u32, result: RolloutJobResult, chance: &mut Chance) {
        self.note_settled(number);
        if self.units[&number].state == State::Ready {
            self.deaths.push((Serial(self.units[&number].serial), self.now));
        }
        self.units.get_mut(&number).unwrap().ready_at = None;
        self.change(number, State::Restarting, chance);
        self.end_job(number, result, chance);
        let pause = chance.between(50, 500);
        self.after(pause, number, Later::AutoRestart);
    }

    fn note_settled(&mut self, number: u32) {
        let (now, min_ready) = (self.now, self.weather.min_ready);
        let unit = self.units.get_mut(&number).unwrap();
        // Without `min_ready` the driver does not look at the instance again.
        let counts = !unit.mute || min_ready.is_zero();
        unit.settled |= counts && unit.ready_at.is_some_and(|ready| now.since(ready) >= min_ready);
    }

    pub fn settled(&mut self, number: u32) -> bool {
        self.note_settled(number);
        self.units[&number].settled
    }

    /// A process is forked.
    fn begin(&mut self, number: u32, restarts: u32, chance: &mut Chance) {
        self.serials += 1;
        let loaded = if self.pinned.contains(&number) { 0 } else { self.loaded };
        let serial = self.serials;
        let unit = self.units.get_mut(&number).unwrap();
        unit.serial = serial;
        unit.restarts = restarts;
        unit.mute = false;
        unit.definition = loaded;
        unit.settled &= restarts > 0;
        self.change(number, State::Starting, chance);
        let start = self.weather.start;
        let after = chance.between(start / 2, start * 2);
        let limit = u64::try_from(self.weather.listen_timeout.as_millis()).unwrap();
        if !chance.percent(self.weather.bad[loaded]) {
            self.after(after.min(limit), number, Later::Ready);
            return;
        }
        match chance.between(0, 2) {
            0 => self.after(after, number, Later::Exit),
            1 => self.after(limit, number, Later::StartTimeout),
            _ => {
                let settle = u64::try_from(self.weather.min_ready.as_millis()).unwrap();
                let later = if self.weather.death > 0 { 3000 } else { 0 };
                self.after(after, number, Later::Ready);
                let life = chance.between(1, (settle + later).max(2) - 1);
                // Not drawn by chance: one more draw would change what the kept seeds stand for.
                if serial.is_multiple_of(3) {
                    self.units.get_mut(&number).unwrap().mute = true;
                } else {
                    self.after(after + life, number, Later::Exit);
                }
            }
        }
    }

    fn plan_death(&mut self, number: u32, chance: &mut Chance) {
        if chance.percent(self.weather.death) {
            let life = chance.between(1, 20_000);
            self.after(life, number, Later::Exit);
        }
    }

    /// Somebody kills a process.
    pub fn kill(&mut self, number: u32, chance: &mut Chance) {
        if matches!(self.units[&number].state, State::Starting | State::Ready) {
            self.lose(number, RolloutJobResult::Failed, chance);
        }
    }

    fn after(&mut self, after: u64, number: u32, what: Later) {
        let serial = self.units[&number].serial;
        self.put(after, Happening::Process { number, serial, what });
    }

    fn put(&mut self, after: u64, happening: Happening) {
        self.counted += 1;
        let time = self.now + Duration::from_millis(after);
        self.queue.insert((time, self.counted), happening);
    }
}

impl Unit {
    fn none() -> Self {
        Self {
            state: State::Dead,
            serial: 0,
            restarts: 0,
            definition: 0,
            ready_at: None,
            settled: false,
            mute: false,
            job: None,
        }
    }

    pub fn sight(&self) -> Sight {
        Sight { state: self.state, serial: Serial(self.serial) }
    }
}
