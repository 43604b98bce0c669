//! `--units WHEN GROUP STATE SOCKET…`: how an app stands, for the script of its group: one line with the job of the
//! group, the number of listeners that are being stopped, and the numbers of instances that are up, that start without
//! a job, and that are idle without a job (`handover::listing`).
//!
//! WHEN is `now`, `started` (no instance has a start job any more; as `now` where one is idle), `gone` (none is ending
//! any more, and nobody keeps a copy of a listener during a stop), or `over` (as `gone` where the group is being stopped, else as `now`). STATE is a file below the manager's
//! runtime directory, beside which the lock is. `--units-user` asks the manager of a user.
//!
//! Idle is what was idle at the first look: whoever had a job then and is idle when it is over has run, and ended.
//!
//! Whoever waits asks again and again, with growing pauses. The manager would tell a client that waits for its signals of
//! every change of every unit: with a hundred apps that start or stop together, that is more work for it than all
//! starts. Ends with 1 where the manager does not say.

use core::fmt::Write;

use crate::guard::{Line, socket};
use crate::handover::listing::{AppUnits, LISTING, UnitJob, question};
use crate::{manager, start, sys};

/// Milliseconds between two looks at most, and at least.
const LONGEST_MS: u64 = 200;
const SHORTEST_MS: u64 = 5;
/// How many times as long as its last answer took the manager is left alone: of a hundred apps that wait at the same time each
/// would ask without a pause otherwise, and the manager would have no time for what they wait for.
const REST: u64 = 5;

/// The verb that a first argument is: whether a user's manager is meant.
pub fn verb(word: &[u8]) -> Option<bool> {
    match word {
        b"--units" => Some(false),
        b"--units-user" => Some(true),
        _ => None,
    }
}

/// Does it; `words` are what follows the verb.
pub fn run(user: bool, words: &[*const u8], environment: *mut *const u8) -> ! {
    // SAFETY: the kernel's own strings.
    let text = |word: &*const u8| unsafe { sys::c_bytes(*word) };
    let [when, group, state, sockets @ ..] = words else { sys::exit_group(start::USAGE) };
    let waits: fn(&AppUnits) -> bool = match text(when) {
        b"now" => |_| false,
        b"started" => |app| app.starting > 0 && app.idle == 0,
        b"gone" => |app| app.stopping > 0 || app.held,
        b"over" => |app| (app.stopping > 0 || app.held) && app.own != UnitJob::Start,
        _ => sys::exit_group(start::USAGE),
    };
    let (mut buffer, mut path) = ([0; LISTING], [0; 108]);
    let Some(question) = question(text(group), sockets.iter().map(text), &mut buffer) else {
        sys::exit_group(1)
    };
    let Some(path) = socket(user, environment, &mut path) else { sys::exit_group(1) };
    let (begun, mut last, mut idle) = (sys::milliseconds(), usize::MAX, None);
    loop {
        let asked = sys::milliseconds();
        let Some(mut app) = manager::units(path, (text(group), last), question, text(state)) else {
            sys::exit_group(1)
        };
        // What waits is waited for, and no restart that comes later.
        last = last.min(app.newest);
        app.idle = *idle.get_or_insert(app.idle);
        if !waits(&app) {
            tell(&app);
            sys::exit_group(0)
        }
        // Nothing but a signal of the manager announces it. A wait is longer than it need be by a fifth at most.
        let now = sys::milliseconds();
        let (waited, took) = (now.saturating_sub(begun), now.saturating_sub(asked));
        sys::sleep_ms((waited / 5).max(took * REST).clamp(SHORTEST_MS, LONGEST_MS));
    }
}

fn tell(app: &AppUnits) {
    let AppUnits { own, closing, up, loose, idle, .. } = app;
    let mut line = Line::new();
    let _ = writeln!(line, "{} {closing} {up} {loose} {idle}", own.word());
    sys::write(1, line.written());
}
