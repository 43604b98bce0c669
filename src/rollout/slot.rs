//! One instance as the machine keeps it. Never decides what to do with it.

use super::command::{Ticket, UnitJob};
use super::event::{Serial, Sight, State};
use super::time::Time;

/// Which definition a process was started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartedFrom {
    Old,
    New,
}

/// A deadline. When it passes, the machine asks about the instance first (`asked`), and fails only if the
/// answer does not settle it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub until: Time,
    pub asked: bool,
}

impl Wait {
    pub(super) fn until(until: Time) -> Self {
        Self { until, asked: false }
    }
}

/// A job of ours that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub change: UnitJob,
    pub ticket: Ticket,
    pub wait: Wait,
    /// When it was submitted.
    pub since: Time,
    /// The former process is gone and the next one was seen; only the live view uses this.
    pub starting: bool,
    /// The job was reported done, and the instance is being looked at.
    pub done: bool,
}

/// What is going on with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// No process.
    Gone,
    /// Ready, and counted on.
    Serving,
    /// Not ready, and nothing waits for it.
    Down,
    /// A job of ours is under way.
    Busy(Job),
    /// Ready, not yet for long enough.
    Settling(Wait),
    /// Was lost; should come back by itself.
    Recovering(Wait),
    /// Did not get ready.
    Failed,
    /// Would not stop.
    Stuck,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub made: StartedFrom,
    pub life: Life,
    pub since: Time,
    /// A job was submitted for it in this rollout.
    pub touched: bool,
    /// It was started by this rollout, or by an interrupted one that this one goes on with: its death counts against the
    /// definition.
    pub fresh: bool,
    /// Since when its process has been ready, as far as was told.
    pub ready_since: Time,
    /// Its process has been ready for `min_ready`.
    pub settled: bool,
    /// When it was last asked about.
    pub asked_at: Time,
    /// When the last question was asked whose answer was that it is ready.
    pub confirmed: Time,
    /// The latest sighting.
    last: Option<(Serial, State)>,
    /// Start time of the newest process seen before our last start job; sightings up to it belong to an
    /// earlier process.
    base: Serial,
    /// The process that is counted on, once it was seen.
    born: Option<Serial>,
    /// Processes that start by themselves up to this one run the old definition.
    pub old_until: Serial,
    /// systemd has refused to start it anew.
    pub refused: bool,
    /// The slot as it was before the last job was submitted, for a job that systemd refuses.
    before: Option<Box<Slot>>,
}

/// Whose sighting it is, seen from the process that is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A process before the one that is counted on.
    Former,
    /// The process itself.
    Own,
    /// A process after the one that is counted on, which died unseen.
    Successor,
}

impl Slot {
    /// An instance that does not exist.
    pub(super) fn gone(now: Time) -> Self {
        Self {
            made: StartedFrom::New,
            life: Life::Gone,
            since: now,
            touched: false,
            fresh: false,
            ready_since: now,
            settled: false,
            asked_at: now,
            confirmed: now,
            last: None,
            base: Serial(0),
            born: None,
            old_until: Serial(0),
            refused: false,
            before: None,
        }
    }

    /// An instance found at the start.
    pub(super) fn found(sight: &Sight, made: StartedFrom, life: Life, now: Time) -> Self {
        Self { made, life, last: Some(sight.rank()), born: Some(sight.serial), ..Self::gone(now) }
    }

    pub(super) fn enter(&mut self, life: Life, now: Time) {
        self.life = life;
        self.since = now;
    }

    /// A job is submitted, and starts a process of the definition `made` unless it is a stop; what is seen of earlier
    /// processes does not count from here on.
    pub(super) fn submit(&mut self, job: Job, made: StartedFrom, now: Time) {
        self.before = None;
        self.before = Some(Box::new(self.clone()));
        if job.change != UnitJob::Stop {
            self.made = made;
            let joins = job.change == UnitJob::Start && self.alive();
            let last = self.last.map_or(self.base, |(serial, _)| serial);
            self.base = match self.last {
                // The job joins a start that is under way: its process is the one that is counted on.
                Some((_, State::Starting | State::Ready)) if joins => {
                    Serial(last.0.saturating_sub(1))
                }
                Some(_) | None => last,
            };
            self.born = None;
            self.fresh = true;
            self.settled = false;
        }
        self.touched = true;
        self.enter(Life::Busy(job), now);
    }

    /// There is no such job: everything is as before it was submitted.
    pub(super) fn refuse(&mut self) {
        if let Some(before) = self.before.take() {
            *self = Self { last: self.last, old_until: self.old_until, refused: true, ..*before };
        }
    }

    /// Takes note of a sighting; false if it is older than what is known already.
    pub(super) fn note(&mut self, sight: &Sight) -> bool {
        if self.last > Some(sight.rank()) {
            return false;
        }
        self.last = Some(sight.rank());
        true
    }

    /// Whose sighting this is.
    pub(super) fn whose(&self, sight: &Sight) -> Whose {
        match self.born {
            Some(born) if sight.serial == born => Whose::Own,
            Some(born) if sight.serial < born => Whose::Former,
            Some(_) => Whose::Successor,
            None if sight.serial <= self.base => Whose::Former,
            None => Whose::Own,
        }
    }

    /// From now on the process of this sighting is counted on.
    pub(super) fn adopt(&mut self, sight: &Sight) {
        self.count_on(sight.serial);
    }

    fn count_on(&mut self, serial: Serial) {
        if self.born != Some(serial) {
            self.settled = false;
        }
        self.born = Some(serial);
    }

    /// If what was last seen of the processes since the last start was that one is ready, that one is counted on.
    pub(super) fn adopt_ready(&mut self) -> bool {
        match self.last {
            Some((serial, State::Ready)) if serial > self.base => {
                self.count_on(serial);
                true
            }
            Some(_) | None => false,
        }
    }

    pub(super) fn alive(&self) -> bool {
        self.life != Life::Gone
    }

    pub(super) fn serving(&self) -> bool {
        self.life == Life::Serving
    }

    pub(super) fn busy(&self) -> bool {
        matches!(self.life, Life::Busy(_))
    }

    /// A start or restart of ours is under way.
    pub(super) fn starting(&self) -> bool {
        matches!(self.life, Life::Busy(job) if job.change != UnitJob::Stop)
    }

    pub(super) fn settling(&self) -> bool {
        matches!(self.life, Life::Settling(_))
    }

    pub(super) fn ready(&self) -> bool {
        self.serving() || self.settling()
    }

    /// Not ready, and nothing waits for it: taking it down costs nothing.
    pub(super) fn idle(&self) -> bool {
        matches!(self.life, Life::Down | Life::Failed)
    }

    pub(super) fn wait(&self) -> Option<Wait> {
        match self.life {
            Life::Busy(job) => Some(job.wait),
            Life::Settling(wait) | Life::Recovering(wait) => Some(wait),
            Life::Gone | Life::Serving | Life::Down | Life::Failed | Life::Stuck => None,
        }
    }

    pub(super) fn set_wait(&mut self, new: Wait) {
        match &mut self.life {
            Life::Busy(job) => job.wait = new,
            Life::Settling(wait) | Life::Recovering(wait) => *wait = new,
            Life::Gone | Life::Serving | Life::Down | Life::Failed | Life::Stuck => {}
        }
    }
}
