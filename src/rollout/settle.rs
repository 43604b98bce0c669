//! What `min_ready` means: when an instance counts, when the definition is proven, and when all have stayed.
//!
//! Done means that it stays; `vigil` holds the same for instances that plain jobs start. The canary has to stay ready
//! for `min_ready`; the others are relied on as soon as they are ready, and the death of any new
//! one ends the rollout until the last has stayed ready too. Before it says so, the machine asks
//! every new instance once more, since a signal may be on its way. `apply` of a new app, `start`
//! and `restart` run plain jobs and watch the instances afterwards by the same rule; "nothing to
//! do" rests on such a look as well.

use super::command::{Doubt, Instruction};
use super::machine::{Course, Rollout};
use super::slot::{Life, Slot, StartedFrom, Wait};
use super::time::Time;

impl Rollout {
    /// An instance was seen ready; what it counts for depends on `min_ready`.
    pub(super) fn became_ready(&mut self, instance: u32, now: Time) {
        let settles = self.under_way() && !self.policy.min_ready.is_zero();
        let until = now + self.policy.min_ready;
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        slot.ready_since = now;
        if settles {
            slot.enter(Life::Settling(Wait::until(until)), now);
        } else {
            slot.settled = self.policy.min_ready.is_zero();
            slot.enter(Life::Serving, now);
        }
    }

    /// An instance that was asked about is still ready.
    pub(super) fn stayed_ready(&mut self, instance: u32, now: Time) {
        let Some(slot) = self.slots.get_mut(&instance) else { return };
        slot.confirmed = slot.asked_at;
        // An instance that answers the roll call has served all the time.
        let since = if slot.settled { slot.since } else { now };
        slot.settled = true;
        slot.enter(Life::Serving, since);
    }

    /// One instance has been ready for `min_ready` with the definition that all shall run. The old one ran before.
    pub(super) fn proven(&self) -> bool {
        let goal = self.goal();
        let proof = |slot: &Slot| slot.fresh && slot.settled && slot.made == goal;
        self.going_back() || self.numbers(|slot| proof(slot) && slot.ready()).next().is_some()
    }

    /// Until all new instances have been ready for `min_ready`, the death of one ends the rollout.
    pub(super) fn on_probation(&self, instance: u32) -> bool {
        let counts = |slot: &Slot| slot.fresh && slot.made == StartedFrom::New;
        self.course == Course::Rolling
            && !self.held
            && self.slots.get(&instance).is_some_and(counts)
    }

    /// Whether all new instances were still ready when the last of them had been so for `min_ready`, and after our last
    /// job. Asks those of whom that is not known.
    pub(super) fn all_answer(&mut self, now: Time, out: &mut Vec<Instruction>) -> bool {
        let (goal, target, min_ready) = (self.goal(), self.target(), self.policy.min_ready);
        let new = move |slot: &Slot| slot.fresh && slot.serving() && slot.made == goal;
        let new = self.numbers(new).filter(|&number| number < target);
        let new: Vec<(u32, &Slot)> = new.map(|number| (number, &self.slots[&number])).collect();
        let over = new.iter().map(|(_, slot)| slot.ready_since + min_ready);
        let over = over.max().unwrap_or_default().max(self.last_end);
        let silent = new.iter().filter(|(_, slot)| slot.confirmed < over);
        let silent: Vec<u32> = silent.map(|(number, _)| *number).collect();
        for &number in &silent {
            if let Some(slot) = self.slots.get_mut(&number) {
                slot.life = Life::Settling(Wait::until(over));
            }
            // The failure of another instance has ended this one's wait early: it waits on.
            if over <= now {
                self.ask(number, Doubt::RollCall, now, out);
            }
        }
        silent.is_empty()
    }
}
