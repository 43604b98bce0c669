//! Calls that a stopped thread makes for us, in the place of one of its own.
//!
//! While it does, its signals wait: a handler must not run with registers that are not the
//! program's. At the end everything but the result is as it was.

use core::ffi::c_int;

use crate::ptrace;
use crate::registers::Registers;

/// No system call at all.
pub const NONE: u64 = u64::MAX;

/// Number and arguments of a call.
#[derive(Clone, Copy)]
pub struct Made {
    pub number: u64,
    pub arguments: [u64; 6],
}

/// What a thread does instead of its call.
#[derive(Clone, Copy)]
pub struct Plan {
    /// In the place of the call; its failure is the program's result, and ends the plan.
    pub first: Made,
    /// Afterwards; what comes of them does not matter.
    pub then: [Option<Made>; 4],
    /// What the program sees.
    pub result: i64,
    /// The listener that it has taken by then.
    pub takes: Option<usize>,
}

/// A plan under way.
#[derive(Clone, Copy)]
struct Running {
    thread: c_int,
    before: Registers,
    mask: u64,
    plan: Plan,
    next: usize,
}

/// The plans under way, one per thread.
pub struct Injections {
    running: [Option<Running>; 16],
}

/// How a plan ended.
pub enum End {
    /// It goes on.
    NotYet,
    /// As planned, or with the failure of its first call: the listener that was taken by that call.
    Done { takes: Option<usize>, first: u64, failed: bool },
}

impl Injections {
    pub fn new() -> Injections {
        Injections { running: [const { None }; 16] }
    }

    /// Whether any thread is in the middle of a plan.
    pub fn any(&self) -> bool {
        self.running.iter().any(Option::is_some)
    }

    pub fn has(&self, thread: c_int) -> bool {
        self.running.iter().flatten().any(|running| running.thread == thread)
    }

    /// A thread that is gone, or is another program now.
    pub fn forget(&mut self, thread: c_int) {
        for place in &mut self.running {
            if place.as_ref().is_some_and(|running| running.thread == thread) {
                *place = None;
            }
        }
    }

    /// Begins a plan at the entry of a call. `None`: the call goes its usual way.
    pub fn begin(&mut self, thread: c_int, plan: Plan) -> Option<()> {
        let place = self.running.iter_mut().find(|place| place.is_none())?;
        let before = ptrace::registers(thread)?;
        let mask = ptrace::signal_mask(thread)?;
        let mut registers = before;
        registers.replace(plan.first.number, plan.first.arguments);
        ptrace::set_registers(thread, &registers)?;
        ptrace::set_number(thread, plan.first.number);
        ptrace::set_signal_mask(thread, u64::MAX);
        *place = Some(Running { thread, before, mask, plan, next: 0 });
        Some(())
    }

    /// One of the plan's calls has ended with this result.
    pub fn advance(&mut self, thread: c_int, result: i64) -> End {
        let mut all = self.running.iter_mut();
        let place = all.find(|place| place.as_ref().is_some_and(|one| one.thread == thread));
        let Some((place, mut running)) = place.and_then(|place| place.map(|one| (place, one)))
        else {
            return End::NotYet;
        };
        let plan = running.plan;
        let failed = running.next == 0 && result < 0 && plan.first.number != NONE;
        let next = plan.then.get(running.next).copied().flatten().filter(|_| !failed);
        let mut registers = running.before;
        if let Some(made) = next {
            running.next += 1;
            *place = Some(running);
            registers.repeat(made.number, made.arguments);
            let _ = ptrace::set_registers(thread, &registers);
            return End::NotYet;
        }
        *place = None;
        registers.set_result(if failed { result } else { plan.result });
        let _ = ptrace::set_registers(thread, &registers);
        ptrace::set_signal_mask(thread, running.mask);
        End::Done { takes: plan.takes, first: plan.first.number, failed }
    }
}
