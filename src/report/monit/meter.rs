//! What an instance has used in the last looks. It looks at nothing itself.

use std::collections::VecDeque;

use crate::limits::MONIT_LOOKS;

/// CPU and memory over time, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct Meter {
    /// Percent of one CPU.
    cpu: VecDeque<f64>,
    /// Bytes.
    memory: VecDeque<u64>,
}

impl Meter {
    pub(super) fn push(&mut self, cpu: f64, memory: u64) {
        self.cpu.push_back(cpu);
        self.memory.push_back(memory);
        while self.cpu.len() > MONIT_LOOKS {
            self.cpu.pop_front();
            self.memory.pop_front();
        }
    }

    pub(super) fn cpu_now(&self) -> f64 {
        self.cpu.back().copied().unwrap_or(0.0)
    }

    pub(super) fn memory_now(&self) -> u64 {
        self.memory.back().copied().unwrap_or(0)
    }

    /// The last looks at CPU, in tenths of a percent, at most so many, and the height of a whole CPU, or
    /// of the most that was used.
    pub(super) fn cpu(&self, most: usize) -> (Vec<u64>, u64) {
        let all: Vec<u64> = self.cpu.iter().map(|share| (share * 10.0).round() as u64).collect();
        let highest = all.iter().copied().max().unwrap_or(0).max(WHOLE);
        (last(all, most), highest)
    }

    /// The same of memory, in bytes; the height is twice the most, so that growth and fall show.
    pub(super) fn memory(&self, most: usize) -> (Vec<u64>, u64) {
        let all: Vec<u64> = self.memory.iter().copied().collect();
        let highest = all.iter().copied().max().unwrap_or(0).saturating_mul(2).max(1);
        (last(all, most), highest)
    }
}

/// One CPU in tenths of a percent.
const WHOLE: u64 = 1000;

fn last(mut all: Vec<u64>, most: usize) -> Vec<u64> {
    all.split_off(all.len().saturating_sub(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_looks_are_kept() {
        let mut meter = Meter::default();
        for look in 0..=MONIT_LOOKS {
            meter.push(look as f64, look as u64);
        }
        assert_eq!(meter.memory.len(), MONIT_LOOKS);
        let (newest, _) = meter.memory(2);
        assert_eq!(newest, [MONIT_LOOKS as u64 - 1, MONIT_LOOKS as u64]);
        assert_eq!(meter.memory_now(), MONIT_LOOKS as u64);
    }

    #[test]
    fn a_little_cpu_does_not_look_like_all_of_it() {
        let mut meter = Meter::default();
        meter.push(1.0, 100);
        assert_eq!(meter.cpu(8), (vec![10], 1000));
        meter.push(250.0, 100);
        assert_eq!(meter.cpu(8), (vec![10, 2500], 2500));
    }
}
