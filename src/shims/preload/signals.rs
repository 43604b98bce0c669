//! What the program's signal handlers say about interrupted calls.

use core::ffi::{c_int, c_void};

use crate::{next, sys};

/// `struct sigaction` of glibc and musl on 64-bit machines.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Action {
    pub handler: usize,
    pub mask: [u64; 16],
    pub flags: c_int,
    pub restorer: usize,
}

impl Action {
    pub const NONE: Action = Action { handler: sys::SIG_DFL, mask: [0; 16], flags: 0, restorer: 0 };

    /// What the C library would report of an action that the kernel has.
    pub fn of_kernel(action: &sys::KernelAction) -> Action {
        /// The C library's own, which it hides.
        const SA_RESTORER: usize = 0x0400_0000;
        let [handler, flags, _, mask] = *action;
        let mut all = [0; 16];
        if let Some(first) = all.first_mut() {
            *first = mask as u64;
        }
        Action { handler, mask: all, flags: (flags & !SA_RESTORER) as c_int, restorer: 0 }
    }
}

/// What happens on a signal now.
pub fn disposition(signal: c_int) -> Action {
    let mut action = Action::NONE;
    // SAFETY: a null action only asks; the other is on this stack.
    unsafe { next::sigaction(signal, sys::NULL, (&raw mut action).cast::<c_void>()) };
    action
}

/// ILL, TRAP, ABRT, BUS, FPE, SEGV and SYS come from what a thread does, not while it waits:
/// sanitizers and crash reporters handle them without `SA_RESTART`.
const OF_THE_THREAD_ITSELF: [c_int; 7] = [4, 5, 6, 7, 8, 11, 31];

/// Whether a blocking call that a signal interrupted shall go on: `poll()`
/// never does by itself. Which signal it was is unknown, so one handler
/// without `SA_RESTART` is enough for `EINTR`: its program expects that.
pub fn restart() -> bool {
    let before = sys::errno();
    let mut others = (1..=sys::SIGNALS).filter(|signal| !OF_THE_THREAD_ITSELF.contains(signal));
    let all = others.all(|signal| {
        let action = disposition(signal);
        matches!(action.handler, sys::SIG_DFL | sys::SIG_IGN) || action.flags & sys::SA_RESTART != 0
    });
    sys::set_errno(before);
    all
}
