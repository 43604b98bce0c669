//! `--guard STATE UNIT MAX MIN_UPTIME_MS DELAY_MS [BACKOFF_MS MAX_MS] [--env FILE]…`, the
//! `ExecCondition=` of an instance: ends a restart loop without a start limit, and makes the pauses
//! between restarts, which a timer of the manager would make up to 250 ms longer. What is decided is in
//! `handover::guard`, what it is decided by comes from the manager (`manager`).
//!
//! STATE is the file of this instance below the manager's runtime directory, MAX may be `unlimited`,
//! DELAY `-` where the manager makes the pause. FILE is one of variables that the manager reads for
//! the program, and that must be there. `--guard-user` asks the manager of a user.
//!
//! Ends with 0 to start. Giving up is left to the script `restart-guard`, which ends with 1: the unit ends
//! inactive, `Result=exec-condition`. With 255 where a FILE cannot be read: the start fails, and counts
//! as a short run; the manager itself would fail it before this runs, so that the restarts never end.
//!
//! Where the manager does not say what the last run was, the instance starts, and the run counts for
//! nothing.

use core::ffi::c_int;
use core::fmt::Write;

use crate::handover::buffer::Buffer;
use crate::handover::contract::GuardNotes;
use crate::handover::digits::decimal;
use crate::handover::environment::notify_socket;
use crate::handover::guard::{self, Reason, Rules, StartVerdict};
use crate::kernel::{self, ENOENT};
use crate::say::{Text, say};
use crate::sys::{self, Errno};
use crate::{manager, notify, start, variables};

/// The one code of an `ExecCondition=` that is a failure.
const FAILS: c_int = 255;
/// Where the manager of the system listens.
const SYSTEM: &[u8] = b"/run/systemd/private";
/// Behind the runtime directory of a user.
const OWN: &[u8] = b"/systemd/private";
/// Longest line of notes, and longest line of the log.
const LINE: usize = 128;
/// A line that is written at once.
pub type Line = Buffer<LINE>;
/// Milliseconds beyond a pause that a start may take in the manager's eyes.
const MARGIN_MS: u64 = 5000;

/// Does it; `name` is how this file was called, `words` are what follows the verb.
pub fn run(user: bool, name: *const u8, words: &[*const u8], environment: *mut *const u8) -> ! {
    // SAFETY: the kernel's own strings.
    let text = |word: &*const u8| unsafe { sys::c_bytes(*word) };
    let [state, unit, rest @ ..] = words else { usage() };
    let Some((rules, files)) = rules(rest, &text) else { usage() };
    let notes = read(*state);
    if let Some(first) = guard::by_hand(notes) {
        save(*state, first);
        allow(files, &text, environment);
    }
    let mut path = [0; 108];
    let past = socket(user, environment, &mut path)
        .and_then(|path| manager::past(path, text(unit), text(state)));
    let (Some(notes), Some(past)) = (notes, past) else {
        say(format_args!("the service manager does not tell how {} ended", Text(text(unit))));
        allow(files, &text, environment)
    };
    match guard::decide(notes, past, rules) {
        StartVerdict::Start(noted, pause) => {
            save(*state, noted);
            wait(pause, environment);
            allow(files, &text, environment)
        }
        StartVerdict::GiveUp(noted, reason) => {
            save(*state, noted);
            tell(reason, rules.least_uptime);
            give_up(name, *state, *unit, if user { environment } else { core::ptr::null_mut() })
        }
    }
}

fn usage() -> ! {
    say(format_args!(
        "usage: clusterctl-exec --guard STATE UNIT MAX MS DELAY [MS MAX] [--env FILE]…"
    ));
    sys::exit_group(start::USAGE)
}

/// Reads the rules from the words; returns them with the words that are left, the files.
fn rules<'a, 'b>(
    words: &'a [*const u8],
    text: &impl Fn(&*const u8) -> &'b [u8],
) -> Option<(Rules, &'a [*const u8])> {
    let [max, least_uptime, delay, rest @ ..] = words else { return None };
    let max = match text(max) {
        b"unlimited" => None,
        number => Some(u32::try_from(decimal(number)?).ok()?),
    };
    let least_uptime = decimal(text(least_uptime))?;
    let delay = match text(delay) {
        b"-" => None,
        number => Some(decimal(number)?),
    };
    let (backoff, files) = match rest {
        [first, longest, files @ ..] if text(first) != b"--env" => {
            ((decimal(text(first))?, decimal(text(longest))?), files)
        }
        files => ((0, 0), files),
    };
    Some((Rules { max, least_uptime, delay, backoff }, files))
}

/// Lets the start go on.
fn allow<'a>(
    files: &[*const u8],
    text: &impl Fn(&*const u8) -> &'a [u8],
    environment: *mut *const u8,
) -> ! {
    let files = files.iter().filter(|word| text(word) != b"--env");
    let readable = variables::are_readable(files.copied(), environment);
    sys::exit_group(if readable { 0 } else { FAILS })
}

fn read(state: *const u8) -> Option<GuardNotes> {
    let fd = kernel::open(state).ok()?;
    let mut bytes = [0; LINE];
    let length = kernel::read(fd, &mut bytes).unwrap_or(0);
    sys::close(fd);
    // Unreadable notes count as none: the manager is asked.
    let text = core::str::from_utf8(bytes.get(..length)?).ok();
    text.and_then(GuardNotes::read)
}

/// Notes for the next start, and for who asks. What cannot be noted does not keep the app from starting.
fn save(state: *const u8, notes: GuardNotes) {
    let mut line = Line::EMPTY;
    let _ = writeln!(line, "{notes}");
    let opened = match kernel::open_to_replace(state) {
        Err(Errno(ENOENT)) => {
            // SAFETY: the kernel's own string.
            kernel::make_folder_of(unsafe { sys::c_bytes(state) });
            kernel::open_to_replace(state)
        }
        opened => opened,
    };
    if let Ok(fd) = opened {
        sys::write(fd, line.written());
        sys::close(fd);
    }
}

/// The manager's socket.
pub fn socket(user: bool, environment: *mut *const u8, to: &mut [u8; 108]) -> Option<&[u8]> {
    if !user {
        return Some(SYSTEM);
    }
    let folder = variable(environment, b"XDG_RUNTIME_DIR=")?;
    let length = folder.len() + OWN.len();
    to.get_mut(..folder.len())?.copy_from_slice(folder);
    to.get_mut(folder.len()..length)?.copy_from_slice(OWN);
    to.get(..length)
}

/// The value of a variable, which is named with its `=`.
pub fn variable<'a>(environment: *mut *const u8, name: &[u8]) -> Option<&'a [u8]> {
    start::entries(environment).find_map(|place| {
        // SAFETY: a place in use holds a C string of the kernel's, which stays.
        unsafe { sys::c_bytes(*place) }.strip_prefix(name)
    })
}

fn wait(pause: u64, environment: *mut *const u8) {
    if pause == 0 {
        return;
    }
    let mut line = Line::EMPTY;
    let micros = pause.saturating_add(MARGIN_MS).saturating_mul(1000);
    let _ = write!(line, "EXTEND_TIMEOUT_USEC={micros}");
    if let Some(name) = variable(environment, b"NOTIFY_SOCKET=").and_then(notify_socket) {
        notify::send_to(&name, line.written());
    }
    sys::sleep_ms(pause);
}

fn tell(reason: Reason, least_uptime: u64) {
    let mut line = Line::EMPTY;
    let _ = match reason {
        Reason::NoRestarts => writeln!(line, "gave up: it ended, and max_restarts is 0"),
        Reason::ShortRuns(count) => writeln!(
            line,
            "gave up: {count} runs in a row ended within {least_uptime} ms of being ready"
        ),
    };
    sys::write(1, line.written());
}

/// Becomes the script beside this file that sees to the rest of the app.
fn give_up(name: *const u8, state: *const u8, unit: *const u8, environment: *mut *const u8) -> ! {
    const SCRIPT: &[u8] = b"restart-guard\0";
    let mut path = [0; 4096];
    // SAFETY: the kernel's own string.
    let own = unsafe { sys::c_bytes(name) };
    let folder = own.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    if let Some(place) = path.get_mut(..folder)
        && let Some(from) = own.get(..folder)
    {
        place.copy_from_slice(from);
    }
    if let Some(place) = path.get_mut(folder..folder + SCRIPT.len()) {
        place.copy_from_slice(SCRIPT);
    }
    let none = core::ptr::null();
    let arguments = [path.as_ptr(), state, unit, none];
    let bare = [none];
    let environment = if environment.is_null() { bare.as_ptr() } else { environment.cast_const() };
    kernel::execute(path.as_ptr(), arguments.as_ptr(), environment);
    sys::exit_group(1)
}
