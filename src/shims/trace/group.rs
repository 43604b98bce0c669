//! `--group STATE SCRIPT start UNIT SOCKET…` and `--group STATE SCRIPT stop UNIT FOLDER SOCKET…`: what the group's unit of an
//! app runs. In the usual case it does by itself what `systemctl start` and `stop` of an app wait for, in a millisecond
//! where a shell takes three; in every other case it becomes SCRIPT (`units/group`), whose words are those behind STATE.
//!
//! Where a command follows the starts of all instances it says how they end (`followed`), and nobody else is asked.
//!
//! Usual is a start at which every instance has a job, and one of them is up when those are over, and a stop of an app
//! without listeners whose instances all end by jobs of their own. Where no instance has come up, the script is told so
//! by `started` in the place of `start`: whoever is idle by then has run, and is not started once more.
//!
//! STATE is the file of the group below the manager's runtime directory. `--group-user` asks the manager of a user. It
//! starts and stops nothing.

use crate::followed::{self, Followed};
use crate::handover::listing::{AppUnits, UnitJob};
use crate::kernel::{self, ENOENT};
use crate::sys::{self, Errno};
use crate::units::{self, App};
use crate::{guard, start};

/// Words that are handed on at most: those of 64 listeners, and a few.
const WORDS: usize = 80;
/// Beside STATE while a stop keeps clients out.
const HELD: &[u8] = b".held";
/// Beside STATE where every instance gave up.
const GAVE_UP: &[u8] = b".gave-up";

/// How a start or a stop goes on.
enum Next {
    /// It is over, and went well.
    Done,
    /// The script sees to it.
    Script,
    /// The script sees to it, and starts none once more.
    Started,
}

/// Does it; `words` are what follows the verb, and `text` reads one.
pub fn run<'a>(
    user: bool,
    words: &[*const u8],
    text: impl Fn(&*const u8) -> &'a [u8],
    environment: *mut *const u8,
) -> ! {
    let [state, script, verb, unit, rest @ ..] = words else { sys::exit_group(start::USAGE) };
    let app = App { user, group: text(unit), state: text(state) };
    let next = match (text(verb), rest) {
        (b"start", sockets) => begin(&app, sockets.iter().map(text), environment),
        (b"stop", [_]) => end(&app, environment),
        _ => Next::Script,
    };
    match next {
        Next::Done => sys::exit_group(0),
        Next::Script => start::execute(script, environment.cast_const()),
        Next::Started => started(words.get(1..).unwrap_or_default(), environment),
    }
}

fn begin<'a>(
    app: &App<'_>,
    sockets: impl ExactSizeIterator<Item = &'a [u8]>,
    environment: *mut *const u8,
) -> Next {
    // A stop that this start has overtaken may have begun to close the listeners.
    if sockets.len() > 0 && !is_missing(app.state, HELD) {
        return Next::Script;
    }
    match followed::wait(app.state) {
        Followed::Up => Next::Done,
        // Every instance had a job, and whoever is idle by now has run.
        Followed::Otherwise => match units::wait(app, sockets, |app| app.starting > 0, environment)
        {
            Some(stands) if stands.up > 0 => Next::Done,
            _ => Next::Started,
        },
        Followed::ByNobody => {
            let waits = |app: &AppUnits| app.starting > 0 && app.idle == 0;
            match units::wait(app, sockets, waits, environment) {
                Some(stands) if stands.idle == 0 && stands.up > 0 => Next::Done,
                Some(stands) if stands.idle == 0 => Next::Started,
                _ => Next::Script,
            }
        }
    }
}

fn end(app: &App<'_>, environment: *mut *const u8) -> Next {
    let result = guard::variable(environment, b"SERVICE_RESULT=");
    if result.is_some_and(|result| result != b"success") {
        return Next::Script;
    }
    let waits = |app: &AppUnits| (app.stopping > 0 || app.held) && app.own != UnitJob::Start;
    let stands = units::wait(app, core::iter::empty(), waits, environment);
    let gone = stands.is_some_and(|stands| stands.up == 0 && stands.loose == 0);
    if gone && is_missing(app.state, GAVE_UP) { Next::Done } else { Next::Script }
}

/// Whether there is certainly no such file beside STATE.
fn is_missing(state: &[u8], ending: &[u8]) -> bool {
    match kernel::open_ending(state, ending) {
        Ok(fd) => {
            sys::close(fd);
            false
        }
        Err(error) => error == Errno(ENOENT),
    }
}

/// Becomes the script with `started` in the place of its verb.
fn started(words: &[*const u8], environment: *mut *const u8) -> ! {
    let mut arguments = [core::ptr::null(); WORDS];
    // The array ends with null.
    if words.len() < WORDS {
        arguments.iter_mut().zip(words).for_each(|(place, word)| *place = *word);
        if let Some(verb) = arguments.get_mut(1) {
            *verb = c"started".as_ptr().cast();
        }
        start::execute(&arguments[0], environment.cast_const());
    }
    match words.first() {
        Some(script) => start::execute(script, environment.cast_const()),
        None => sys::exit_group(start::USAGE),
    }
}
