//! How many starts may begin at the same time: as many as there are processors for their first moments, in which a program
//! computes. Never holds up what waits for something else, and never a plain restart of everything.

use std::time::Duration;

use super::command::UnitJob;
use super::machine::Rollout;
use super::slot::{Life, Slot};
use super::time::Time;

/// The first moments of a start, in which it computes: a Node server listens within a twentieth of a second.
const MOMENTS: Duration = crate::limits::ROLLOUT_MOMENTS;

impl Rollout {
    /// Whether a further start waits, because as many have just begun as may at a time. A start that takes longer than its
    /// first moments waits for something else than a processor, and holds nobody back.
    pub(super) fn holds_back(&mut self, now: Time) -> bool {
        let begun = |slot: &Slot| match slot.life {
            Life::Busy(job) if job.change != UnitJob::Stop => Some(job.since + MOMENTS),
            _ => None,
        };
        let mut young: Vec<Time> =
            self.slots.values().filter_map(begun).filter(|until| *until > now).collect();
        if young.len() < self.starts_at_once.max(1) as usize {
            return false;
        }
        young.sort_unstable();
        let next = young.first().copied();
        self.held_back = self.held_back.into_iter().chain(next).min();
        true
    }
}
