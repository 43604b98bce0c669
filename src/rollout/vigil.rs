//! Whether instances that somebody started stay ready: what `apply` of a new app, `start` and `restart` wait for, and what
//! "nothing to do" rests on. Pure, as the rollout: it is told what was seen, and answers when to look again.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::event::{Serial, Sight, State};
use super::time::Time;

/// What an instance looks like at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its state and its process.
    pub sight: Sight,
    /// Since when it is ready; without meaning for one that is not.
    pub ready_since: Time,
    /// Automatic restarts behind it.
    pub restarts: u32,
    /// Its process ended without a complaint.
    pub well: bool,
}

/// What is expected of the instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// How long they must have been ready.
    pub min_ready: Duration,
    /// How long one may take that is on its way; `None`: all were reported ready already.
    pub patience: Option<Duration>,
    /// A program that is not restarted may end, if it does so well.
    pub may_end: bool,
}

/// Why an instance does not serve; reads as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotServing {
    /// Ready, and dead again within `min_ready`.
    Died,
    /// systemd starts it again and again.
    Loops {
        /// How often it did.
        restarts: u32,
    },
    /// Not ready in time.
    NotReady,
    /// No process, and none will come by itself.
    Down,
    /// Ready, and without the listeners that made it so.
    NotListening,
}

/// Waits until all instances have been ready for a while, or one is lost.
#[derive(Debug, Clone)]
pub struct Vigil {
    expected: Expected,
    begun: Time,
    watched: BTreeMap<u32, Watched>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watched {
    /// Not ready yet; the process that was seen first.
    Awaited(Serial),
    Ready {
        serial: Serial,
        since: Time,
        confirmed: Time,
    },
    Ended,
    Lost(NotServing),
}

/// A process that had so many automatic restarts and waits for the next one is not waited for.
const LOOPS: u32 = 2;

impl Vigil {
    /// Begins with a look at each instance.
    #[must_use]
    pub fn new(expected: Expected, looks: &BTreeMap<u32, Look>, now: Time) -> Self {
        let first = |look: &Look| match look.sight.state {
            State::Ready => Watched::ready(look, now),
            State::Dead if expected.may_end && look.well => Watched::Ended,
            _ if expected.patience.is_none() => Watched::Lost(NotServing::Died),
            State::Restarting | State::Stopping if look.restarts >= LOOPS => {
                Watched::Lost(NotServing::Loops { restarts: look.restarts })
            }
            State::Starting | State::Restarting | State::Stopping => {
                Watched::Awaited(look.sight.serial)
            }
            State::Dead => Watched::Lost(NotServing::Down),
        };
        let watched = looks.iter().map(|(&number, look)| (number, first(look))).collect();
        Self { expected, begun: now, watched }
    }

    /// Takes in another look at an instance.
    pub fn seen(&mut self, number: u32, look: &Look, now: Time) {
        let may_end = self.expected.may_end && look.well;
        let just_started = self.expected.patience.is_none();
        let stayed = |since| now.since(since) >= self.expected.min_ready;
        let Some(watched) = self.watched.get_mut(&number) else { return };
        let state = look.sight.state;
        *watched = match *watched {
            Watched::Lost(_) | Watched::Ended => return,
            _ if state == State::Dead && may_end => Watched::Ended,
            Watched::Ready { serial, since, .. }
                if state == State::Ready && look.sight.serial == serial =>
            {
                Watched::Ready { serial, since, confirmed: now }
            }
            // An instance that nobody has just started: one death after a long run is no loop, if the next process
            // stays ready.
            Watched::Ready { serial, since, .. } if !just_started && stayed(since) => match state {
                State::Ready => Watched::ready(look, now),
                State::Dead => Watched::Lost(NotServing::Down),
                State::Starting | State::Stopping | State::Restarting => Watched::Awaited(serial),
            },
            // Of one that was just started the first death is told, however often it has died before this look.
            Watched::Ready { .. } if !just_started && look.restarts > 0 => {
                Watched::Lost(NotServing::Loops { restarts: look.restarts })
            }
            Watched::Ready { .. } => Watched::Lost(NotServing::Died),
            Watched::Awaited(_) if state == State::Ready => Watched::ready(look, now),
            Watched::Awaited(_) if state == State::Dead => Watched::Lost(NotServing::Down),
            // The next process ended too, and was never ready.
            Watched::Awaited(first) if state == State::Restarting && look.sight.serial > first => {
                Watched::Lost(NotServing::Loops { restarts: look.restarts })
            }
            Watched::Awaited(first) => Watched::Awaited(first),
        };
    }

    /// When to look at all of them again; `None` when nothing more is to be learnt.
    #[must_use]
    pub fn deadline(&self, now: Time) -> Option<Time> {
        if self.lost(now).next().is_some() || self.held() {
            return None;
        }
        Some(if self.awaits() { self.given_up() } else { self.over() })
    }

    /// Instances that do not serve, as far as is known now.
    pub fn lost(&self, now: Time) -> impl Iterator<Item = (u32, NotServing)> {
        let late = self.given_up() <= now;
        self.watched.iter().filter_map(move |(&number, watched)| match watched {
            Watched::Lost(lost) => Some((number, *lost)),
            Watched::Awaited(_) if late => Some((number, NotServing::NotReady)),
            Watched::Awaited(_) | Watched::Ready { .. } | Watched::Ended => None,
        })
    }

    fn held(&self) -> bool {
        let over = self.over();
        self.watched.values().all(|watched| match watched {
            Watched::Ready { confirmed, .. } => *confirmed >= over,
            Watched::Ended => true,
            Watched::Awaited(_) | Watched::Lost(_) => false,
        })
    }

    fn awaits(&self) -> bool {
        self.watched.values().any(|watched| matches!(watched, Watched::Awaited(_)))
    }

    fn given_up(&self) -> Time {
        self.begun + self.expected.patience.unwrap_or_default()
    }

    /// When the last one has been ready for long enough.
    fn over(&self) -> Time {
        let since = self.watched.values().filter_map(|watched| match watched {
            Watched::Ready { since, .. } => Some(*since),
            Watched::Awaited(_) | Watched::Ended | Watched::Lost(_) => None,
        });
        since.max().map_or(self.begun, |since| since + self.expected.min_ready)
    }
}

impl Watched {
    fn ready(look: &Look, now: Time) -> Self {
        let (serial, since) = (look.sight.serial, look.ready_since);
        Self::Ready { serial, since, confirmed: now }
    }
}

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Died => f.write_str("died soon after it was ready"),
            Self::Loops { restarts: 0 | 1 } => f.write_str("ends again and again"),
            Self::Loops { restarts } => {
                write!(f, "ends again and again: systemd restarted it {restarts} times")
            }
            Self::NotReady => f.write_str("was not ready in time"),
            Self::NotListening => f.write_str("does not listen on what it was ready with"),
            Self::Down => f.write_str("does not run, and systemd does not start it again"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn look(state: State, process: u64, ready_since: u64, restarts: u32) -> Look {
        let sight = Sight { state, serial: Serial(process) };
        Look { sight, ready_since: at(ready_since), restarts, well: false }
    }

    fn vigil(patience: Option<Duration>, looks: &[Look]) -> Vigil {
        let looks = looks.iter().enumerate().map(|(n, look)| (u32::try_from(n).unwrap(), *look));
        let expected = Expected { min_ready: SECOND, patience, may_end: false };
        Vigil::new(expected, &looks.collect(), at(5000))
    }

    fn lost(vigil: &Vigil, now: u64) -> Vec<(u32, NotServing)> {
        vigil.lost(at(now)).collect()
    }

    #[test]
    fn what_has_been_ready_for_long_is_not_waited_for() {
        let vigil = vigil(None, &[look(State::Ready, 1, 4000, 0), look(State::Ready, 2, 0, 9)]);
        assert_eq!((vigil.deadline(at(5000)), lost(&vigil, 5000)), (None, vec![]));
    }

    #[test]
    fn all_are_looked_at_when_the_last_has_been_ready_for_long_enough() {
        let young = look(State::Ready, 2, 4900, 0);
        let mut vigil = vigil(None, &[look(State::Ready, 1, 4000, 0), young]);
        assert_eq!(vigil.deadline(at(5000)), Some(at(5900)));
        vigil.seen(1, &young, at(5900));
        // One answer is not all.
        assert_eq!(vigil.deadline(at(5900)), Some(at(5900)));
        vigil.seen(0, &look(State::Ready, 1, 4000, 0), at(5900));
        assert_eq!((vigil.deadline(at(5900)), lost(&vigil, 5900)), (None, vec![]));
    }

    #[test]
    fn a_death_is_told_at_once_also_when_it_is_back() {
        let late = look(State::Restarting, 4, 0, 2);
        for next in [look(State::Restarting, 2, 0, 0), look(State::Ready, 3, 5200, 1), late] {
            let mut vigil = vigil(None, &[look(State::Ready, 2, 4900, 0)]);
            vigil.seen(0, &next, at(5300));
            assert_eq!(
                (vigil.deadline(at(5300)), lost(&vigil, 5300)),
                (None, vec![(0, NotServing::Died)])
            );
        }
        // It was ready when its job was done.
        let vigil = vigil(None, &[look(State::Restarting, 2, 0, 0)]);
        assert_eq!(lost(&vigil, 5000), [(0, NotServing::Died)]);
    }

    #[test]
    fn one_on_its_way_is_waited_for_and_a_loop_is_not() {
        let patience = Some(10 * SECOND);
        let loops = NotServing::Loops { restarts: 2 };
        let looping = vigil(patience, &[look(State::Restarting, 2, 0, 2)]);
        assert_eq!(lost(&looping, 5000), [(0, loops)]);
        let mut once = vigil(patience, &[look(State::Restarting, 2, 0, 1)]);
        assert_eq!((once.deadline(at(5000)), lost(&once, 5000)), (Some(at(15_000)), vec![]));
        assert_eq!(lost(&once, 15_000), [(0, NotServing::NotReady)]);
        once.seen(0, &look(State::Starting, 3, 0, 1), at(6000));
        let mut back = once.clone();
        back.seen(0, &look(State::Ready, 3, 6500, 1), at(6500));
        assert_eq!((back.deadline(at(6500)), lost(&back, 6500)), (Some(at(7500)), vec![]));
        once.seen(0, &look(State::Restarting, 3, 0, 2), at(6500));
        assert_eq!(lost(&once, 6500), [(0, loops)]);
    }

    #[test]
    fn one_death_after_a_long_run_is_no_loop() {
        let patience = Some(10 * SECOND);
        let mut long =
            vigil(patience, &[look(State::Ready, 2, 1000, 0), look(State::Ready, 3, 4500, 0)]);
        long.seen(0, &look(State::Restarting, 2, 0, 0), at(5200));
        assert_eq!((long.deadline(at(5200)), lost(&long, 5200)), (Some(at(15_000)), vec![]));
        long.seen(0, &look(State::Ready, 4, 5400, 1), at(5400));
        assert_eq!((long.deadline(at(5400)), lost(&long, 5400)), (Some(at(6400)), vec![]));
        long.seen(0, &look(State::Restarting, 4, 0, 1), at(6000));
        assert_eq!(lost(&long, 6000), [(0, NotServing::Loops { restarts: 1 })]);
    }

    #[test]
    fn a_program_without_restarts_may_end_well() {
        let ended = |well| Look { well, ..look(State::Dead, 2, 0, 0) };
        for (well, expected) in [(true, vec![]), (false, vec![(0, NotServing::Died)])] {
            let expects = Expected { min_ready: SECOND, patience: None, may_end: true };
            let vigil = Vigil::new(expects, &[(0, ended(well))].into(), at(5000));
            assert_eq!((vigil.deadline(at(5000)), lost(&vigil, 5000)), (None, expected));
        }
    }
}
