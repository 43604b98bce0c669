//! The bus of the world: jobs that are submitted and end, questions, and signals as reliable as the weather.

use clusterctl::rollout::{RolloutEvent, RolloutJobResult, Serial, State, Ticket, UnitJob};

use super::{Happening, Job, Later, Unit, World};
use crate::chance::Chance;

impl World {
    pub fn submit(&mut self, number: u32, change: UnitJob, ticket: Ticket, chance: &mut Chance) {
        self.units.entry(number).or_insert_with(Unit::none);
        let former = self.units[&number].job;
        if let Some(job) = former
            && (job.change == UnitJob::Stop) != (change == UnitJob::Stop)
        {
            self.end_job(number, RolloutJobResult::Canceled, chance);
        }
        let driver = self.driver;
        self.units.get_mut(&number).unwrap().job = Some(Job { change, ticket, driver });
        let state = self.units[&number].state;
        match (change, state) {
            (UnitJob::Start, State::Ready) => self.end_job(number, RolloutJobResult::Done, chance),
            (UnitJob::Stop, State::Dead) => self.end_job(number, RolloutJobResult::Done, chance),
            (UnitJob::Start | UnitJob::Restart, State::Dead) => self.begin(number, 0, chance),
            (UnitJob::Restart, State::Restarting) => {
                self.change(number, State::Dead, chance);
                self.begin(number, 0, chance);
            }
            (UnitJob::Stop, State::Restarting) => {
                self.change(number, State::Dead, chance);
                self.end_job(number, RolloutJobResult::Done, chance);
            }
            (UnitJob::Restart | UnitJob::Stop, State::Starting | State::Ready) => {
                self.drain(number, chance)
            }
            // The job waits for what is under way.
            (UnitJob::Start, State::Starting | State::Stopping | State::Restarting) => {}
            (UnitJob::Restart | UnitJob::Stop, State::Stopping) => {}
        }
    }

    fn drain(&mut self, number: u32, chance: &mut Chance) {
        self.units.get_mut(&number).unwrap().ready_at = None;
        self.change(number, State::Stopping, chance);
        let limit = u64::try_from(self.weather.kill_timeout.as_millis()).unwrap();
        let mut after = chance.between(1, limit);
        if chance.percent(self.weather.stuck) {
            after = limit + 60_000;
        }
        self.after(after, number, Later::Stopped);
    }

    pub(super) fn change(&mut self, number: u32, state: State, chance: &mut Chance) {
        let unit = self.units.get_mut(&number).unwrap();
        unit.state = state;
        let sight = unit.sight();
        self.tell(self.driver, RolloutEvent::Seen { instance: number, sight }, chance);
    }

    pub(super) fn end_job(&mut self, number: u32, result: RolloutJobResult, chance: &mut Chance) {
        if let Some(job) = self.units.get_mut(&number).unwrap().job.take() {
            let event = RolloutEvent::JobDone { instance: number, ticket: job.ticket, result };
            self.ended.insert((job.driver, job.ticket), Serial(self.units[&number].serial));
            self.tell(job.driver, event, chance);
        }
    }

    /// The answer to a question; it always comes, though not at once. The bus keeps the order of signals and
    /// answers, so that no older sighting comes between.
    pub fn look(&mut self, number: u32, chance: &mut Chance) {
        let unit = self.units.get(&number).cloned().unwrap_or_else(Unit::none);
        let sight = unit.sight();
        let event = match unit.mute && unit.state == State::Ready {
            true => {
                RolloutEvent::NotListening { instance: number, sight, what: "closed it".to_owned() }
            }
            false => RolloutEvent::Seen { instance: number, sight },
        };
        self.looked.insert(number, (self.now, unit));
        let older = |happening: &Happening| {
            let Happening::Deliver { event: RolloutEvent::Seen { instance, .. }, .. } = happening
            else {
                return false;
            };
            *instance == number
        };
        self.queue.retain(|_, happening| !older(happening));
        let after = if self.weather.late > 0 { chance.between(0, 1000) } else { 0 };
        self.deliver(after, self.driver, event);
    }

    /// A signal, as reliable as the weather.
    pub fn tell(&mut self, driver: u32, event: RolloutEvent, chance: &mut Chance) {
        if chance.percent(self.weather.lost) {
            return;
        }
        let times = if chance.percent(self.weather.twice) { 2 } else { 1 };
        for _ in 0..times {
            let late = chance.percent(self.weather.late);
            let after = if late { chance.between(0, 4000) } else { 0 };
            self.deliver(after, driver, event.clone());
        }
    }

    pub fn deliver(&mut self, after: u64, driver: u32, event: RolloutEvent) {
        self.put(after, Happening::Deliver { driver, event });
    }
}
