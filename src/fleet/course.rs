//! In which order hosts are worked on: the first ones alone, then batches; no further one after a failure or
//! Ctrl-C. It reads no clock.

use std::ops::Range;

use crate::ecosystem::Share;

/// How far a command has come on its way over the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    count: usize,
    first: usize,
    limit: usize,
    keep_going: bool,
    begun: usize,
    good: usize,
    failed: bool,
    interrupted: bool,
}

impl Course {
    /// A way over `count` hosts. Each of the `first` goes alone, and so does the one after a first one that failed,
    /// where `keep_going` says that others follow.
    pub fn new(count: usize, first: u32, limit: Share, keep_going: bool) -> Course {
        Course {
            count,
            first: first as usize,
            limit: at_a_time(count, limit),
            keep_going,
            begun: 0,
            good: 0,
            failed: false,
            interrupted: false,
        }
    }

    /// The hosts to begin now, by their places in the list; `None` when no further one is begun. Those that were
    /// begun before have ended.
    pub fn begin(&mut self) -> Option<Range<usize>> {
        let stopped = self.interrupted || self.failed && !self.keep_going;
        if stopped || self.begun == self.count {
            return None;
        }
        let size = if self.good < self.first { 1 } else { self.limit };
        let batch = self.begun..self.count.min(self.begun + size);
        self.begun = batch.end;
        Some(batch)
    }

    /// A host has ended.
    pub fn ended(&mut self, good: bool) {
        match good {
            true => self.good += 1,
            false => self.failed = true,
        }
    }

    /// No further host is begun.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// The hosts that were not begun.
    pub fn left(&self) -> Range<usize> {
        self.begun..self.count
    }
}

/// How many hosts a limit means: at least one.
fn at_a_time(count: usize, limit: Share) -> usize {
    let hosts = match limit {
        Share::Count(hosts) => hosts as usize,
        Share::Percent(percent) => count * percent as usize / 100,
    };
    hosts.max(1)
}

/// The batches in which hosts are worked on when all goes well.
pub fn batches(count: usize, first: u32, limit: Share) -> Vec<Range<usize>> {
    let mut course = Course::new(count, first, limit, false);
    let mut all = Vec::new();
    while let Some(batch) = course.begin() {
        batch.clone().for_each(|_| course.ended(true));
        all.push(batch);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_alone_then_batches() {
        assert_eq!(batches(3, 1, Share::Count(1)), [0..1, 1..2, 2..3]);
        assert_eq!(batches(6, 1, Share::Count(2)), [0..1, 1..3, 3..5, 5..6]);
        assert_eq!(batches(9, 2, Share::Percent(50)), [0..1, 1..2, 2..6, 6..9]);
        assert_eq!(batches(3, 0, Share::Percent(100)), vec![0..3]);
        assert_eq!(batches(3, 0, Share::Percent(1)), [0..1, 1..2, 2..3]);
        assert_eq!(batches(0, 1, Share::Count(1)), vec![]);
        assert_eq!(batches(2, 5, Share::Count(2)), [0..1, 1..2]);
    }

    #[test]
    fn the_first_failure_ends_it() {
        let mut course = Course::new(4, 1, Share::Count(2), false);
        assert_eq!(course.begin(), Some(0..1));
        course.ended(true);
        assert_eq!(course.begin(), Some(1..3));
        course.ended(true);
        course.ended(false);
        assert_eq!(course.begin(), None);
        assert_eq!(course.left(), 3..4);
    }

    #[test]
    fn who_keeps_going_still_needs_a_first_one_that_succeeds() {
        let mut course = Course::new(4, 1, Share::Count(9), true);
        assert_eq!(course.begin(), Some(0..1));
        course.ended(false);
        assert_eq!(course.begin(), Some(1..2));
        course.ended(true);
        assert_eq!(course.begin(), Some(2..4));
        course.ended(false);
        course.ended(true);
        assert_eq!((course.begin(), course.left()), (None, 4..4));
    }

    #[test]
    fn after_an_interrupt_none_is_begun() {
        let mut course = Course::new(4, 0, Share::Count(2), true);
        assert_eq!(course.begin(), Some(0..2));
        course.interrupt();
        assert_eq!((course.begin(), course.left()), (None, 2..4));
    }

    proptest! {
        #[test]
        fn every_host_is_begun_once(count in 0usize..50, first in 0u32..60, percent in 1u32..=100) {
            let all: Vec<usize> =
                batches(count, first, Share::Percent(percent)).into_iter().flatten().collect();
            prop_assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
