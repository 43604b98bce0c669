//! `--units WHEN GROUP STATE SOCKET…`: how an app stands, for the script of its group: one line with the job of the
//! group, the number of listeners that are being stopped, and the numbers of instances that are up, and that start
//! without a job (`handover::listing`).
//!
//! WHEN is `now`, or `gone` (no instance is ending any more, and nobody keeps a copy of a listener during a stop). STATE is a
//! file below the manager's runtime directory, beside which the lock is. `--units-user` asks the manager of a user.
//!
//! Idle is what was idle at the first look: whoever had a job then and is idle when it is over has run, and ended.
//!
//! Whoever waits asks again and again, with growing pauses. The manager would tell a client that waits for its signals of
//! every change of every unit: with a hundred apps that start or stop together, that is more work for it than all
//! starts. Ends with 1 where the manager does not say.

use core::fmt::Write;

use crate::guard::{Line, socket};
use crate::handover::listing::{AppUnits, LISTING, question};
use crate::{manager, start, sys};

/// Milliseconds between two looks at most, and at least.
const LONGEST_MS: u64 = 200;
const SHORTEST_MS: u64 = 5;
/// How many times as long as its last answer took the manager is left alone: of a hundred apps that wait at the same time each
/// would ask without a pause otherwise, and the manager would have no time for what they wait for.
const REST: u64 = 5;

/// Does it; `words` are what follows the verb.
pub fn run(user: bool, words: &[*const u8], environment: *mut *const u8) -> ! {
    // SAFETY: the kernel's own strings.
    let text = |word: &*const u8| unsafe { sys::c_bytes(*word) };
    let [when, group, state, sockets @ ..] = words else { sys::exit_group(start::USAGE) };
    let waits: fn(&AppUnits) -> bool = match text(when) {
        b"now" => |_| false,
        b"gone" => |app| app.stopping > 0 || app.held,
        _ => sys::exit_group(start::USAGE),
    };
    let app = App { user, group: text(group), state: text(state) };
    let Some(stands) = wait(&app, sockets.iter().map(text), waits, environment) else {
        sys::exit_group(1)
    };
    tell(&stands);
    sys::exit_group(0)
}

/// Which app is asked about, and where.
pub struct App<'a> {
    /// Whether the manager of a user is meant.
    pub user: bool,
    /// The unit of its group.
    pub group: &'a [u8],
    /// A file below the manager's runtime directory, beside which the lock is.
    pub state: &'a [u8],
}

/// How an app stands as soon as nothing is waited for any more; `None` where the manager does not say.
pub fn wait<'a>(
    app: &App<'_>,
    sockets: impl Iterator<Item = &'a [u8]>,
    waits: fn(&AppUnits) -> bool,
    environment: *mut *const u8,
) -> Option<AppUnits> {
    let (mut buffer, mut path) = ([0; LISTING], [0; 108]);
    let question = question(app.group, sockets, &mut buffer)?;
    let path = socket(app.user, environment, &mut path)?;
    let (begun, mut last, mut idle) = (sys::milliseconds(), usize::MAX, None);
    loop {
        let asked = sys::milliseconds();
        let mut stands = manager::units(path, (app.group, last), question, app.state)?;
        // What waits is waited for, and no restart that comes later.
        last = last.min(stands.newest);
        stands.idle = *idle.get_or_insert(stands.idle);
        if !waits(&stands) {
            return Some(stands);
        }
        // Nothing but a signal of the manager announces it. A wait is longer than it need be by a fifth at most.
        let now = sys::milliseconds();
        let (waited, took) = (now.saturating_sub(begun), now.saturating_sub(asked));
        sys::sleep_ms((waited / 5).max(took * REST).clamp(SHORTEST_MS, LONGEST_MS));
    }
}

fn tell(app: &AppUnits) {
    let AppUnits { own, closing, up, loose, .. } = app;
    let mut line = Line::EMPTY;
    let _ = writeln!(line, "{} {closing} {up} {loose}", own.word());
    sys::write(1, line.written());
}
