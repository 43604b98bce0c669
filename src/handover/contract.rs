//! What parts that are written in different languages agree on word for word: the units and this program,
//! the preload library, the tracer, the Node file, and the scripts of `units/`.
//!
//! Names and formats alone. What a value means is in [`super::environment`]. The tests compare them with
//! the Node file and the scripts, in which they are written out.

use core::fmt;

/// When `READY=1` is sent on the program's behalf: one of the three words below.
pub const READY: &str = "CLUSTERCTL_READY";
/// At the first `listen()` on an inherited listener.
pub const READY_FIRST: &str = "first";
/// When all of them are taken and listening.
pub const READY_ALL: &str = "all";
/// Never: the program says so itself.
pub const READY_APP: &str = "app";
/// Which ports programs ask for to get which listeners: `http=3000:admin=3001`.
pub const BIND: &str = "CLUSTERCTL_BIND";
/// `1` where the library finishes what the program has begun.
pub const DRAIN: &str = "CLUSTERCTL_DRAIN";
/// Name of the signal that asks the program to stop, where that is not SIGTERM.
pub const KILL_SIGNAL: &str = "CLUSTERCTL_KILL_SIGNAL";
/// Milliseconds between that signal and SIGKILL.
pub const KILL_TIMEOUT: &str = "CLUSTERCTL_KILL_TIMEOUT_MS";
/// Milliseconds that streams without an end may go on after that signal.
pub const STREAM_TIMEOUT: &str = "CLUSTERCTL_STREAM_TIMEOUT_MS";
/// Where the instance's door is to be: the Unix socket by which this one instance is reached, past the
/// listeners that it shares with others. What is said there: [`super::door`].
pub const DOOR: &str = "CLUSTERCTL_DOOR";
/// `1` where the instance begins out of rotation: only its door gives it connections, until `open`.
pub const DOOR_COLD: &str = "CLUSTERCTL_DOOR_COLD";
/// How clients are spread over the instances, where they do not go to whoever takes them first: one of the words below.
pub const BALANCE: &str = "CLUSTERCTL_BALANCE";
/// To whoever has the fewest connections open, or hardly more.
pub const BALANCE_EVEN: &str = "even";
/// To the one that owns the client's address.
pub const BALANCE_CLIENT: &str = "client";
/// `1` where the library tells the manager that the program lives (`WATCHDOG_USEC`).
pub const WATCHDOG: &str = "CLUSTERCTL_WATCHDOG";
/// Milliseconds until a traced program must be ready.
pub const LISTEN_TIMEOUT: &str = "CLUSTERCTL_LISTEN_TIMEOUT_MS";
/// Under which name the journal knows what the program writes to standard error, which gets a stream of its own.
pub const STDERR: &str = "CLUSTERCTL_STDERR";
/// `1` where `process.send('ready')` makes an instance ready.
pub const WAIT_READY: &str = "CLUSTERCTL_WAIT_READY";
/// `1` where a Node program gets the message `shutdown` instead of the signal.
pub const SHUTDOWN_WITH_MESSAGE: &str = "CLUSTERCTL_SHUTDOWN_WITH_MESSAGE";

/// Folder of all doors, below the runtime folder of clusterctl.
pub const DOORS: &str = "doors";
/// File name of the socket in the folder of one instance.
pub const DOOR_SOCKET: &str = "door";
/// Folder of the marks of instances that `rollout.check` checks, likewise.
pub const CANARIES: &str = "canaries";

/// The value of a variable, if an entry of the environment is that one.
#[must_use]
pub fn value<'a>(entry: &'a [u8], name: &str) -> Option<&'a [u8]> {
    entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// What follows the name of a group in the file by which a command tells it how the starts of its instances end.
pub const FOLLOWED: &str = ".followed";
/// In such a file: all have ended, and every instance is up.
pub const FOLLOWED_UP: &[u8; 3] = b"up\n";
/// In such a file: all have ended.
pub const FOLLOWED_ENDED: &[u8; 6] = b"ended\n";

/// File name of the preload library.
pub const LIBRARY: &str = "libclusterctl_preload.so";
/// File name of the Node file.
pub const NODE_FILE: &str = "clusterctl.cjs";
/// File name of the tracer.
pub const TRACER: &str = "clusterctl-exec";

/// What the guard (`clusterctl-exec --guard`) notes of an instance at each start, in one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardNotes {
    /// Up to this moment, in microseconds of `CLOCK_MONOTONIC`, being ready does not count.
    pub seen: u64,
    /// Runs in a row that were too short to count as a run; `None` when the instance has given up.
    pub short_runs: Option<u32>,
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Whether the next start is by hand, which the guard need not ask the manager.
    pub announced: bool,
}

/// In the place of the number of short runs: the instance has given up.
const GAVE_UP: &str = "errored";
/// Behind the numbers: the next start is by hand.
const ANNOUNCED: &str = "announced";

impl GuardNotes {
    /// Reads the line; `None` when it is none of the guard's.
    #[must_use]
    pub fn read(text: &str) -> Option<GuardNotes> {
        let mut words = text.split_whitespace();
        let seen = words.next()?.parse().ok()?;
        let short_runs = match words.next()? {
            GAVE_UP => None,
            number => Some(number.parse().ok()?),
        };
        let restarts = words.next()?.parse().ok()?;
        Some(GuardNotes { seen, short_runs, restarts, announced: words.next() == Some(ANNOUNCED) })
    }
}

impl fmt::Display for GuardNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.seen)?;
        match self.short_runs {
            Some(number) => write!(f, "{number}")?,
            None => f.write_str(GAVE_UP)?,
        }
        write!(f, " {}", self.restarts)?;
        if self.announced { write!(f, " {ANNOUNCED}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::environment;
    use super::*;

    const NODE_TEXT: &str = include_str!("../shims/node/clusterctl.cjs");
    const GUARD_TEXT: &str = include_str!("../../units/restart-guard");
    const WAKE_TEXT: &str = include_str!("../../units/wake");
    const CLOSE_TEXT: &str = include_str!("../../units/close");

    /// Words of a text that are names of our variables. Those that the Node file gives to its own children
    /// are nobody else's.
    fn names(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words
            .filter(|word| word.starts_with("CLUSTERCTL_") && !word.starts_with("CLUSTERCTL_NODE_"))
    }

    #[test]
    fn the_node_file_knows_its_variables_by_their_names() {
        let known = [WAIT_READY, SHUTDOWN_WITH_MESSAGE, KILL_SIGNAL, KILL_TIMEOUT, STREAM_TIMEOUT];
        for name in names(NODE_TEXT) {
            assert!(known.contains(&name), "it reads {name}, which nobody sets");
        }
        for name in known {
            assert!(names(NODE_TEXT).any(|word| word == name), "it does not read {name}");
        }
    }

    #[test]
    fn a_variable_is_known_by_its_whole_name() {
        assert_eq!(value(b"CLUSTERCTL_DRAIN=1", DRAIN), Some(&b"1"[..]));
        assert_eq!(value(b"CLUSTERCTL_DRAIN=", DRAIN), Some(&b""[..]));
        for other in [&b"CLUSTERCTL_DRAIN"[..], b"CLUSTERCTL_DRAINS=1", b"CLUSTERCTL_READY=1", b""]
        {
            assert_eq!(value(other, DRAIN), None);
        }
    }

    #[test]
    fn words_and_names_of_files_are_those_of_the_readers() {
        use environment::Ready;
        for (word, ready) in
            [(READY_FIRST, Ready::First), (READY_ALL, Ready::All), (READY_APP, Ready::App)]
        {
            assert_eq!(environment::ready(word.as_bytes()), ready);
        }
        assert_eq!(environment::LIBRARY, LIBRARY.as_bytes());
        assert_eq!(environment::NODE_FILE, [b"/", NODE_FILE.as_bytes()].concat());
        assert!(CLOSE_TEXT.contains(&["${0%/*}/", TRACER].concat()));
    }

    #[test]
    fn notes_are_written_as_they_are_read() {
        for text in ["0 0 0", "812345 3 4", "99 errored 17", "5 0 0 announced"] {
            let notes = GuardNotes::read(text).unwrap();
            assert_eq!(notes.to_string(), text);
        }
        for text in ["", "1", "1 2", "x 0 0", "1 x 0", "1 0 x"] {
            assert_eq!(GuardNotes::read(text), None, "{text:?}");
        }
        for script in [GUARD_TEXT, WAKE_TEXT] {
            assert!(script.contains(r#"read -r _ count _"#));
            assert!(script.contains(&format!(r#"[ "$count" = {GAVE_UP} ]"#)));
        }
    }
}
