//! Instances that are pinned: as long as nothing is known of the new definition, the manager starts those that serve from
//! the old one, should they die meanwhile. Never says how that is done.

use std::collections::BTreeSet;

use super::command::Instruction;
use super::event::Serial;
use super::machine::Rollout;

impl Rollout {
    /// The new definition is proven, or is put in force by force.
    pub(super) fn unpin_all(&mut self, out: &mut Vec<Instruction>) {
        self.unpin(self.pinned.clone(), out);
    }

    /// Before a job of ours starts one of them.
    pub(super) fn unpin(&mut self, instances: BTreeSet<u32>, out: &mut Vec<Instruction>) {
        if instances.is_empty() {
            return;
        }
        self.pinned.retain(|number| !instances.contains(number));
        out.push(Instruction::Unpin { instances });
    }

    /// The answer.
    pub(super) fn unpinned(&mut self, instances: &BTreeSet<u32>, since: Serial) {
        let of = |number: &u32| instances.contains(number);
        for (_, slot) in self.slots.iter_mut().filter(|(number, _)| of(number)) {
            slot.old_until = since;
        }
    }
}
