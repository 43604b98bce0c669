//! Which of the instances that share a listener takes the next connection: the one with the fewest open, or
//! one that has hardly more. Who has more leaves the connection in the kernel's queue, where it stays until
//! somebody takes it: nothing is ever on its way between two processes.
//!
//! Nobody waits for one who does not come: a member that had its chance, and let a client wait, counts no more
//! until it comes to accept again. Counts come from a page that others write, and may say anything.
//!
//! Decides only; never reads a clock, a page or a descriptor.

/// What an instance tells the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Connections that it has open.
    pub connections: u32,
    /// It takes clients, and has not let one wait since it last came to accept.
    pub counts: bool,
}

/// So many connections more than the least may an instance have, at least.
const LEAST_SLACK: u32 = 2;
/// And such a part of what the least has: one of 32, so that the most is within 1.05 of the least.
const SLACK_PART: u32 = 32;

/// How many connections more than the least an instance may have.
#[must_use]
pub fn slack(least: u32) -> u32 {
    (least / SLACK_PART).max(LEAST_SLACK)
}

/// Whether one with so many connections leaves the next one to a member with so many.
#[must_use]
pub fn leaves_to(own: u32, other: u32) -> bool {
    own >= other.saturating_add(slack(other))
}

/// The member with the fewest connections among those that count.
#[must_use]
pub fn least(members: impl Iterator<Item = Member>) -> Option<u32> {
    members.filter(|member| member.counts).map(|member| member.connections).min()
}

/// How an instance stands that has more than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It takes what comes.
    Open,
    /// It is woken by the next client, and then closes if it still has more than others. So nobody is woken while
    /// no client comes.
    Ajar,
    /// It is not woken by clients, but by a timer, and by whoever has caught up with it.
    Closed,
}

/// What one does whose timer wakes it at a closed gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody waits: the next client wakes it.
    Rest,
    /// Others take what comes: it stays away.
    Stay,
    /// A client waits, and nobody has taken any since: those who had the chance count no more.
    GiveUp,
}

/// What becomes of a closed gate: whether a client waits, and whether anybody has taken one since it was closed or
/// looked at.
#[must_use]
pub fn at_timer(waiting: bool, taken: bool) -> Step {
    match (waiting, taken) {
        (false, _) => Step::Rest,
        (true, true) => Step::Stay,
        (true, false) => Step::GiveUp,
    }
}

/// The number of the instance in the path of its door, and where what comes before it ends:
/// `/run/clusterctl/doors/api@2/door`.
#[must_use]
pub fn instance(path: &[u8]) -> Option<(usize, u16)> {
    let folder = path.len() - path.iter().rev().position(|byte| *byte == b'/')? - 1;
    let start = path.get(..folder)?.iter().rposition(|byte| *byte == b'@')? + 1;
    let digits = path.get(start..folder)?;
    let number = super::digits::decimal(digits).and_then(|number| u16::try_from(number).ok())?;
    Some((start, number))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_slack_is_a_part_of_the_least() {
        for (least, expected) in [(0, 2), (64, 2), (98, 3), (1000, 31), (u32::MAX, u32::MAX / 32)] {
            assert_eq!(slack(least), expected, "{least}");
        }
        assert!(!leaves_to(1, 0) && leaves_to(2, 0) && leaves_to(u32::MAX, u32::MAX));
    }

    #[test]
    fn an_instance_is_known_by_the_path_of_its_door() {
        for (path, expected) in [
            (&b"/run/clusterctl/doors/api@2/door"[..], Some((26, 2))),
            (b"/run/a@7/api@1024/door", Some((13, 1024))),
            (b"/run/api@/door", None),
            (b"/run/api@x/door", None),
            (b"/run/api@99999/door", None),
            (b"/run/api/door", None),
            (b"door", None),
            (b"", None),
        ] {
            assert_eq!(instance(path), expected, "{path:?}");
        }
    }

    /// A number generator that needs no crate: xorshift.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 16).unwrap() % limit
        }
    }

    #[derive(Clone, Copy)]
    struct Instance {
        member: Member,
        gate: Gate,
        seen: u32,
        stuck: bool,
    }

    /// Instances at one queue, as the preload library has them.
    struct World {
        instances: Vec<Instance>,
        waiting: u32,
        taken: u32,
    }

    impl World {
        fn new(count: usize) -> World {
            let member = Member { connections: 0, counts: false };
            let one = Instance { member, gate: Gate::Open, seen: 0, stuck: false };
            World { instances: vec![one; count], waiting: 0, taken: 0 }
        }

        fn leaves(&self, own: usize) -> bool {
            let others = self.instances.iter().enumerate().filter(|(at, _)| *at != own);
            least(others.map(|(_, one)| one.member))
                .is_some_and(|least| leaves_to(self.instances[own].member.connections, least))
        }

        /// One that a client, or whoever has caught up, has woken.
        fn wakes(&mut self, at: usize) {
            if self.instances[at].stuck {
                return;
            }
            self.instances[at].member.counts = true;
            if self.leaves(at) {
                if self.instances[at].gate != Gate::Closed {
                    self.instances[at].seen = self.taken;
                }
                self.instances[at].gate = Gate::Closed;
                return;
            }
            self.instances[at].gate = Gate::Open;
            if self.waiting == 0 {
                return;
            }
            self.waiting -= 1;
            self.taken += 1;
            self.instances[at].member.connections += 1;
            for other in 0..self.instances.len() {
                if self.instances[other].gate == Gate::Closed && !self.leaves(other) {
                    self.wakes(other);
                }
            }
        }

        fn timer(&mut self, at: usize) {
            let own = self.instances[at];
            if own.gate != Gate::Closed || own.stuck {
                return;
            }
            match at_timer(self.waiting > 0, self.taken != own.seen) {
                Step::Rest => self.instances[at].gate = Gate::Ajar,
                Step::Stay => self.instances[at].seen = self.taken,
                Step::GiveUp => {
                    for other in &mut self.instances {
                        let blocks = leaves_to(own.member.connections, other.member.connections);
                        other.member.counts &= !blocks;
                    }
                    self.wakes(at);
                }
            }
        }

        /// A client comes, and whoever is awake may take it, in any order.
        fn client(&mut self, random: &mut Random) {
            self.waiting += 1;
            let first = random.below(self.instances.len());
            for at in 0..self.instances.len() {
                let at = (first + at) % self.instances.len();
                if self.waiting > 0 && self.instances[at].gate != Gate::Closed {
                    self.wakes(at);
                }
            }
        }

        fn counts(&self) -> Vec<u32> {
            self.instances.iter().map(|one| one.member.connections).collect()
        }
    }

    #[test]
    fn connections_that_stay_are_spread() {
        for seed in 1..200 {
            let (mut random, mut world) = (Random(seed * 7919), World::new(4));
            for _ in 0..400 {
                world.client(&mut random);
                let at = random.below(4);
                world.timer(at);
                assert_eq!(world.waiting, 0, "{seed}");
            }
            let counts = world.counts();
            let (most, least) = (*counts.iter().max().unwrap(), *counts.iter().min().unwrap());
            assert!(most * 100 <= least * 105, "{seed}: {counts:?}");
        }
    }

    /// One is replaced, and the clients that it had come back.
    #[test]
    fn one_who_is_new_catches_up() {
        let (mut random, mut world) = (Random(7), World::new(4));
        (0..400).for_each(|_| world.client(&mut random));
        for at in 0..4 {
            let lost = world.instances[at].member.connections;
            world.instances[at] = World::new(1).instances[0];
            (0..lost).for_each(|_| world.client(&mut random));
        }
        let counts = world.counts();
        let (most, least) = (*counts.iter().max().unwrap(), *counts.iter().min().unwrap());
        assert!(most * 100 <= least * 110, "{counts:?}");
    }

    /// Whatever happens to some, no client waits for longer than two timers of those who live.
    #[test]
    fn nobody_waits_for_one_who_does_not_come() {
        for seed in 1..500 {
            let (mut random, mut world) = (Random(seed * 104_729), World::new(4));
            for _ in 0..300 {
                match random.below(8) {
                    0 => world.instances[1 + random.below(3)].stuck ^= true,
                    1 => {
                        let at = random.below(4);
                        let less = random.below(50) as u32;
                        let member = &mut world.instances[at].member;
                        member.connections = member.connections.saturating_sub(less);
                    }
                    // Whatever somebody writes into the page.
                    2 => world.instances[1].member.connections = random.below(1 << 20) as u32,
                    _ => world.client(&mut random),
                }
                for _ in 0..2 {
                    (0..4).for_each(|at| world.timer(at));
                }
                assert_eq!(world.waiting, 0, "{seed}");
            }
        }
    }
}
