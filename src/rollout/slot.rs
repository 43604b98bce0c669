//! One instance as the machine keeps it. Never decides what to do with it.

use super::command::{Change, Ticket};
use super::event::{Serial, Sight, State};
use super::time::Time;

/// Which definition a process was started from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Definition {
    Old,
    New,
}

/// A deadline, and whether the question before it becomes a failure has been asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wait {
    pub until: Time,
    pub asked: bool,
}

impl Wait {
    pub fn until(until: Time) -> Self {
        Self { until, asked: false }
    }
}

/// A job of ours that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Job {
    pub change: Change,
    pub ticket: Ticket,
    pub wait: Wait,
    /// The former process is gone and the next one was seen; for the view only.
    pub starting: bool,
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
    pub made: Definition,
    pub life: Life,
    pub since: Time,
    /// A job was submitted for it in this rollout.
    pub touched: bool,
    /// The latest sighting.
    last: Option<(Serial, State)>,
    /// Processes up to this one are none of the last start's.
    base: Serial,
    /// The process that is counted on, once it was seen.
    born: Option<Serial>,
    /// How often systemd had restarted it when it was last seen.
    restarts: u32,
    /// The process that the last start leads to has at most so many restarts behind it.
    expected: u32,
    /// systemd has restarted that process since.
    restarted: bool,
}

/// Whose sighting it is, seen from the process that is counted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A process before it.
    Former,
    /// The process itself.
    Own,
    /// A process after it: it died unseen.
    Successor,
}

impl Slot {
    /// An instance that does not exist.
    pub fn gone(now: Time) -> Self {
        Self {
            made: Definition::New,
            life: Life::Gone,
            since: now,
            touched: false,
            last: None,
            base: Serial(0),
            born: None,
            restarts: 0,
            expected: 0,
            restarted: false,
        }
    }

    /// An instance found at the start.
    pub fn found(sight: &Sight, made: Definition, life: Life, now: Time) -> Self {
        Self {
            made,
            life,
            last: Some(sight.rank()),
            base: Serial(0),
            born: Some(sight.serial),
            restarts: sight.restarts,
            ..Self::gone(now)
        }
    }

    pub fn enter(&mut self, life: Life, now: Time) {
        self.life = life;
        self.since = now;
    }

    /// A job is submitted; what is seen of earlier processes does not count from here on.
    pub fn submit(&mut self, job: Job, now: Time) {
        if job.change != Change::Stop {
            let joins = job.change == Change::Start && self.alive();
            let last = self.last.map_or(self.base, |(serial, _)| serial);
            // systemd counts restarts from zero for a start of its own, and goes on counting where one is joined.
            (self.base, self.expected) = match self.last {
                // The process that starts already is the one.
                Some((_, State::Starting | State::Ready)) if joins => {
                    (Serial(last.0.saturating_sub(1)), self.restarts)
                }
                Some((_, State::Restarting)) if joins => (last, self.restarts.saturating_add(1)),
                Some(_) | None => (last, 0),
            };
            self.born = None;
            self.restarted = false;
        }
        self.touched = true;
        self.enter(Life::Busy(job), now);
    }

    /// Takes note of a sighting; false if it is older than what is known already.
    pub fn note(&mut self, sight: &Sight) -> bool {
        if self.last > Some(sight.rank()) {
            return false;
        }
        self.last = Some(sight.rank());
        self.restarts = sight.restarts;
        true
    }

    /// Whose sighting this is. The first process seen after a start is taken for the started one, unless systemd
    /// has already restarted it.
    pub fn whose(&mut self, sight: &Sight) -> Whose {
        match self.born {
            Some(born) if sight.serial == born => Whose::Own,
            Some(born) if sight.serial < born => Whose::Former,
            Some(_) => Whose::Successor,
            None if sight.serial <= self.base => Whose::Former,
            None if sight.restarts > self.expected => {
                self.restarted = true;
                Whose::Successor
            }
            None => {
                self.born = Some(sight.serial);
                Whose::Own
            }
        }
    }

    /// The process of the last start was already seen to have ended.
    pub fn died(&self) -> bool {
        let successor = |serial| self.born.is_some_and(|born| serial > born);
        let ended = |(serial, state)| serial > self.base && state > State::Ready;
        self.restarted || self.last.is_some_and(|last| ended(last) || successor(last.0))
    }

    /// From now on the process of this sighting is counted on.
    pub fn adopt(&mut self, sight: &Sight) {
        self.born = Some(sight.serial);
    }

    /// What was last seen of the processes since the last start was that one is ready.
    pub fn looks_ready(&self) -> bool {
        self.last.is_some_and(|(serial, state)| serial > self.base && state == State::Ready)
    }

    pub fn alive(&self) -> bool {
        self.life != Life::Gone
    }

    pub fn serving(&self) -> bool {
        self.life == Life::Serving
    }

    pub fn busy(&self) -> bool {
        matches!(self.life, Life::Busy(_))
    }

    /// A start or restart of ours is under way.
    pub fn starting(&self) -> bool {
        matches!(self.life, Life::Busy(job) if job.change != Change::Stop)
    }

    pub fn settling(&self) -> bool {
        matches!(self.life, Life::Settling(_))
    }

    /// Not ready, and nothing waits for it: taking it down costs nothing.
    pub fn idle(&self) -> bool {
        matches!(self.life, Life::Down | Life::Failed)
    }

    pub fn wait(&self) -> Option<Wait> {
        match self.life {
            Life::Busy(job) => Some(job.wait),
            Life::Settling(wait) | Life::Recovering(wait) => Some(wait),
            Life::Gone | Life::Serving | Life::Down | Life::Failed | Life::Stuck => None,
        }
    }

    pub fn set_wait(&mut self, new: Wait) {
        match &mut self.life {
            Life::Busy(job) => job.wait = new,
            Life::Settling(wait) | Life::Recovering(wait) => *wait = new,
            Life::Gone | Life::Serving | Life::Down | Life::Failed | Life::Stuck => {}
        }
    }
}
