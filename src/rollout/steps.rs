//! What to do next, given what is known. Called after every event; never waits, never reads an event.

use super::command::{Instruction, JobReason, UnitJob};
use super::machine::{Course, EarlyEnd, Rollout};
use super::outcome::{Failure, Outcome};
use super::slot::{Life, Slot, StartedFrom};
use super::time::Time;

impl Rollout {
    /// Goes on until nothing changes without another event.
    pub(super) fn step(&mut self, now: Time, out: &mut Vec<Instruction>) {
        self.held_back = None;
        loop {
            let course = self.course.clone();
            match course.clone() {
                Course::Rolling => self.roll(None, now, out),
                Course::RollingBack(because) => self.roll(Some(because), now, out),
                Course::Forced(because) => self.force(because, now, out),
                Course::Aborting { because, back } => self.abort(because, back, now, out),
                Course::Leaving(ending) => self.leave(ending, now, out),
                Course::Restoring { .. } | Course::Finished(_) => {}
            }
            if self.course == course {
                return;
            }
        }
    }

    fn roll(&mut self, because: Option<Failure>, now: Time, out: &mut Vec<Instruction>) {
        if self.proven() {
            self.unpin_all(out);
        }
        if self.reached() {
            if self.all_answer(now, out) {
                self.course = Course::Finished(match because {
                    None => Outcome::Complete,
                    Some(because) => Outcome::RolledBack { because, down: self.down() },
                });
            }
        } else if self.interrupted {
            if self.quiet() {
                self.leave_with(EarlyEnd::Interrupted(because), now);
            }
        } else {
            self.start_missing(now, out);
            if self.outdated().next().is_some() {
                // Where one more may go, a further process beside all would only be started and ended.
                if self.proven() {
                    self.replace(now, out);
                }
                self.add_surge(now, out);
                self.replace(now, out);
            } else {
                self.remove_surplus(now, out);
            }
        }
    }

    /// All at once, as `systemctl start` would: they take nothing from anybody, and prove the definition as well.
    fn start_missing(&mut self, now: Time, out: &mut Vec<Instruction>) {
        let goal = self.goal();
        let back = self.going_back();
        for number in 0..self.target() {
            let Some(slot) = self.slots.get(&number) else { continue };
            // On the way back only what the rollout took away is put back.
            if back && !slot.touched {
                continue;
            }
            match slot.life {
                Life::Gone => self.submit(number, UnitJob::Start, JobReason::Missing, now, out),
                // Also one that failed, and that systemd has started again with the right definition since.
                Life::Down | Life::Failed if slot.made == goal => {
                    self.submit(number, UnitJob::Start, JobReason::NotReady, now, out);
                }
                Life::Down | Life::Failed | Life::Stuck => {}
                Life::Busy(_) | Life::Settling(_) | Life::Recovering(_) | Life::Serving => {}
            }
        }
    }

    /// Surge instances, as many as are of use. On the way back those of the failed definition that still serve will do.
    fn add_surge(&mut self, now: Time, out: &mut Vec<Instruction>) {
        let (goal, back) = (self.goal(), self.going_back());
        let serving = self.outdated().any(|number| self.slots[&number].serving());
        if back && !serving {
            return;
        }
        let limit = self.limits().surge;
        let useful = limit.min(count(self.outdated()) + self.changing());
        while !self.holds_back(now) {
            let usable = |slot: &Slot| {
                (slot.made == goal || back) && slot.alive() && !slot.idle() && !stopping(slot)
            };
            if self.extra(usable) >= useful {
                return;
            }
            let outdated = |slot: &Slot| slot.made != goal && slot.serving();
            let (number, change) = if let Some(number) = self.extras(Slot::idle).next() {
                (number, UnitJob::Restart)
            } else if self.extra(Slot::alive) < limit {
                (self.free_number(), UnitJob::Start)
            } else if let Some(number) = self.extras(outdated).next()
                && self.can_spare_one()
            {
                (number, UnitJob::Restart)
            } else {
                return;
            };
            let first = !self.proven() && self.extra(usable) == 0;
            let reason = if first { JobReason::Canary } else { JobReason::Surge };
            self.submit(number, change, reason, now, out);
        }
    }

    /// Replaces in place, those that do not serve first. With 4 instances, `max_surge = 1`: 4 + 1 serve, so one may go;
    /// with `max_surge = 2`, `max_unavailable = 1` and 10 instances: 10 + 2 serve, 9 must, so three may go.
    fn replace(&mut self, now: Time, out: &mut Vec<Instruction>) {
        let proven = self.proven() || self.needs_no_canary();
        if !proven && self.numbers(|slot| slot.starting() || waits(slot)).next().is_some() {
            return;
        }
        let window = if proven { self.limits().batch() } else { 1 };
        let reason = match (self.going_back(), proven) {
            (true, _) => JobReason::RollBack,
            (false, true) => JobReason::Outdated,
            (false, false) => JobReason::Canary,
        };
        let (down, up): (Vec<u32>, Vec<u32>) =
            self.outdated().partition(|number| self.slots[number].idle());
        // Both are counts over all instances, which only a job changes.
        let paced = !self.needs_no_canary();
        let (mut changing, mut spare) = (self.changing(), self.can_spare_one());
        for number in down.into_iter().chain(up) {
            if changing >= window || paced && self.holds_back(now) {
                return;
            }
            let slot = &self.slots[&number];
            if slot.idle() || slot.serving() && spare {
                self.submit(number, UnitJob::Restart, reason, now, out);
                (changing, spare) = (self.changing(), self.can_spare_one());
            }
        }
    }

    /// All at once, highest first: those that stay serve, and draining costs nobody anything.
    fn remove_surplus(&mut self, now: Time, out: &mut Vec<Instruction>) {
        let stays = |slot: &Slot| slot.serving() || self.as_before(slot);
        if !(0..self.target()).all(|number| self.slots.get(&number).is_some_and(stays))
            || !self.held && !self.all_answer(now, out)
        {
            return;
        }
        self.held = true;
        let removable = |slot: &Slot| slot.alive() && !slot.busy() && slot.life != Life::Stuck;
        let surplus: Vec<u32> = self.extras(removable).collect();
        for number in surplus.into_iter().rev() {
            let reason =
                if number < self.lasting() { JobReason::Surplus } else { JobReason::SurgeOver };
            self.submit(number, UnitJob::Stop, reason, now, out);
        }
    }

    /// With `force`, as PM2 does: restarts the remaining instances at once, and ends when they have started.
    fn force(&mut self, because: Failure, now: Time, out: &mut Vec<Instruction>) {
        self.unpin_all(out);
        self.stop_failed_surge(now, out);
        if !self.interrupted {
            for number in 0..self.wanted {
                let slot = &self.slots[&number];
                let renewed = slot.alive() && slot.made == StartedFrom::New;
                if slot.busy() || renewed || slot.refused {
                    continue;
                }
                let change = if slot.alive() { UnitJob::Restart } else { UnitJob::Start };
                self.submit(number, change, JobReason::Forced, now, out);
            }
        }
        if !self.quiet() {
            return;
        }
        if self.interrupted {
            return self.leave_with(EarlyEnd::Interrupted(Some(because)), now);
        }
        let removable = |slot: &Slot| slot.alive() && slot.life != Life::Stuck;
        let surplus: Vec<u32> = self.extras(removable).collect();
        for &number in surplus.iter().rev() {
            self.submit(number, UnitJob::Stop, JobReason::SurgeOver, now, out);
        }
        if surplus.is_empty() {
            let unready = self.numbers(|slot| slot.alive() && !slot.serving()).collect();
            self.course = Course::Finished(Outcome::Forced { because, unready });
        }
    }

    /// Waits for what was submitted before the failure: only then is it clear what runs which definition.
    fn abort(&mut self, because: Failure, back: bool, now: Time, out: &mut Vec<Instruction>) {
        self.stop_failed_surge(now, out);
        if self.numbers(Slot::starting).next().is_some() {
            return;
        }
        if back {
            self.restore(because, now, out);
        } else {
            self.leave_with(EarlyEnd::Failed { because, then: None }, now);
        }
    }

    /// Removes the surge instances that are not needed for as many to serve as before, then ends.
    fn leave(&mut self, ending: EarlyEnd, now: Time, out: &mut Vec<Instruction>) {
        self.stop_waiting(now);
        if !self.quiet() {
            return;
        }
        let untouched = matches!(ending, EarlyEnd::Failed { then: Some(_), .. });
        if !untouched {
            self.stop_failed_surge(now, out);
            let floor = self.floor().min(self.served_at_start);
            let lasting = self.lasting();
            let serving: Vec<u32> =
                self.numbers(Slot::serving).filter(|&number| number >= lasting).collect();
            for number in serving.into_iter().rev() {
                if self.serving() > floor {
                    self.submit(number, UnitJob::Stop, JobReason::SurgeOver, now, out);
                }
            }
        }
        if self.quiet() {
            let left = self.left();
            self.course = Course::Finished(match ending {
                EarlyEnd::Failed { because, then } => Outcome::Failed { because, then, left },
                EarlyEnd::Interrupted(because) => Outcome::Interrupted { because, left },
            });
        }
    }

    fn leave_with(&mut self, ending: EarlyEnd, now: Time) {
        self.course = Course::Leaving(ending);
        self.stop_waiting(now);
    }

    fn stop_failed_surge(&mut self, now: Time, out: &mut Vec<Instruction>) {
        let lasting = self.lasting();
        let failed: Vec<u32> =
            self.numbers(Slot::idle).filter(|&number| number >= lasting).collect();
        for number in failed.into_iter().rev() {
            self.submit(number, UnitJob::Stop, JobReason::SurgeFailed, now, out);
        }
    }

    /// Exactly the wanted instances, all serving with the wanted definition. On the way back, those that the rollout
    /// never touched may be as bad as they were.
    fn reached(&self) -> bool {
        let (goal, target) = (self.goal(), self.target());
        self.slots.iter().all(|(&number, slot)| {
            if number >= target {
                return !slot.alive();
            }
            self.as_before(slot) || slot.serving() && slot.made == goal
        })
    }

    /// Wanted instances that do not serve.
    fn down(&self) -> Vec<u32> {
        let serves = |number: &u32| self.slots.get(number).is_some_and(Slot::serving);
        (0..self.target()).filter(|number| !serves(number)).collect()
    }

    /// On the way back: an instance that the rollout left alone, and that is not of the new definition either.
    fn as_before(&self, slot: &Slot) -> bool {
        self.going_back() && !slot.touched && (!slot.alive() || self.is_former(slot))
    }

    /// No job of ours is under way, and nothing of ours settles.
    fn quiet(&self) -> bool {
        self.numbers(|slot| slot.busy() || slot.settling()).next().is_none()
    }

    /// Without surge, and with leave to have everything down, somebody wants a plain restart.
    fn needs_no_canary(&self) -> bool {
        let limits = self.limits();
        limits.surge == 0 && limits.unavailable >= self.target()
    }

    /// Those that stay but run the wrong definition, and are not being replaced yet.
    fn outdated(&self) -> impl DoubleEndedIterator<Item = u32> {
        let (goal, target) = (self.goal(), self.target());
        let wrong = move |slot: &Slot| slot.made != goal && slot.alive() && !slot.busy();
        self.numbers(wrong).filter(move |&number| number < target)
    }

    /// How many that stay are being replaced. One that is ready is no longer waited for.
    fn changing(&self) -> u32 {
        let target = self.target();
        count(self.numbers(Slot::starting).filter(|&number| number < target))
    }

    /// How many serve. As long as nothing is proven, one that has just become ready is not relied on.
    fn serving(&self) -> u32 {
        let proven = self.proven();
        count(self.numbers(|slot| slot.serving() || proven && slot.settling()))
    }

    fn can_spare_one(&self) -> bool {
        self.serving() > self.floor()
    }

    /// How many instances must serve. On the way back, instances that were down before and never touched are
    /// not waited for.
    fn floor(&self) -> u32 {
        let target = self.target();
        let floor = target.saturating_sub(self.limits().unavailable);
        let lost = self.numbers(|slot| self.as_before(slot) && !slot.ready());
        floor.saturating_sub(count(lost.filter(|&number| number < target)))
    }

    fn extras(&self, which: impl Fn(&Slot) -> bool) -> impl DoubleEndedIterator<Item = u32> {
        let target = self.target();
        self.numbers(which).filter(move |&number| number >= target)
    }

    fn extra(&self, which: impl Fn(&Slot) -> bool) -> u32 {
        count(self.extras(which))
    }

    fn free_number(&self) -> u32 {
        let taken = |number: &u32| self.slots.get(number).is_some_and(Slot::alive);
        (self.target()..=u32::MAX).find(|number| !taken(number)).unwrap_or(u32::MAX)
    }
}

fn stopping(slot: &Slot) -> bool {
    slot.busy() && !slot.starting()
}

fn waits(slot: &Slot) -> bool {
    matches!(slot.life, Life::Settling(_) | Life::Recovering(_))
}

fn count(numbers: impl Iterator<Item = u32>) -> u32 {
    u32::try_from(numbers.count()).unwrap_or(u32::MAX)
}
