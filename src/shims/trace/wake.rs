//! `--wake STATE SCRIPT FOLDER GROUP TEMPLATE SOCKET…`: what the first connection to a listener of an app starts that has no
//! instance up. In the usual case, an app that is down as a whole while a listener of it is open, the group is started,
//! in a millisecond where the script takes thirty; in every other case this becomes SCRIPT (`units/wake`), whose words
//! are those behind it.
//!
//! STATE is the file of the group below the manager's runtime directory. `--wake-user` asks the manager of a user. It
//! waits for nothing, and never starts an instance by itself.

use crate::guard::socket;
use crate::units::{self, App};
use crate::{manager, start, sys};

/// Does it; `words` are what follows the verb, and `text` reads one.
pub fn run<'a>(
    user: bool,
    words: &[*const u8],
    text: impl Fn(&*const u8) -> &'a [u8],
    environment: *mut *const u8,
) -> ! {
    let [state, script, _, group, _, sockets @ ..] = words else { sys::exit_group(start::USAGE) };
    let app = App { user, group: text(group), state: text(state) };
    if started(&app, sockets.iter().map(text), environment) {
        sys::exit_group(0)
    }
    start::execute(script, environment.cast_const())
}

/// Starts the group, if that is all there is to do.
fn started<'a>(
    app: &App<'_>,
    sockets: impl Iterator<Item = &'a [u8]>,
    environment: *mut *const u8,
) -> bool {
    let stands = units::wait(app, sockets, |_| false, environment);
    let sleeps = stands.is_some_and(|stands| {
        let instances = stands.starting + stands.stopping + stands.up + stands.loose;
        !stands.busy && stands.listening > 0 && instances == 0 && !stands.held
    });
    let mut path = [0; 108];
    let path = if sleeps { socket(app.user, environment, &mut path) } else { None };
    path.is_some_and(|path| manager::start(path, app.group))
}
