//! The handover's part of the environment: reading it, and taking it out again.
//!
//! Values are bytes as the process has them. Whatever does not parse counts
//! as absent: a stray variable must never stop somebody else's program.

use super::address::UnixName;
use super::digits::decimal;

/// More listeners than this are left to programs that speak `LISTEN_FDS`.
pub const MAX_LISTENERS: usize = 64;
/// First inherited descriptor (`SD_LISTEN_FDS_START`).
pub const FIRST_DESCRIPTOR: i32 = 3;
/// Where the preload library and the tracer keep copies of them: high enough for no program to care, low enough for
/// `select()` and for a soft limit of 1024. Fixed, so that a program finds what its parent put there.
pub const HOME: i32 = 900;
/// Where a traced program that begins cold has sockets in their place, behind the homes and the two descriptors of the
/// preload library: those of the first 58 listeners fit below a limit of 1024.
pub const FIRST_PRIVATE: i32 = 966;
/// File name of the preload library, as it ends an entry of `LD_PRELOAD`.
pub const LIBRARY: &[u8] = super::contract::LIBRARY.as_bytes();
/// File name of the Node file, as it ends a `--require` in `NODE_OPTIONS`.
pub const NODE_FILE: &[u8] = b"/clusterctl.cjs";
/// `unlink()` of this plus a payload sends the payload to `NOTIFY_SOCKET`.
pub const NOTIFY_PREFIX: &[u8] = b"/proc/self/clusterctl/notify/";
/// `unlink()` of this plus the number of a connection does nothing and succeeds while something waits to be read there.
pub const UNREAD_PREFIX: &[u8] = b"/proc/self/clusterctl/unread/";
/// As [`UNREAD_PREFIX`]; where nothing waits, the connection ends in both directions at once, and `unlink()` fails.
pub const END_PREFIX: &[u8] = b"/proc/self/clusterctl/end/";

/// When `READY=1` is sent on the program's behalf (`CLUSTERCTL_READY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// At the first `listen()` on a taken listener.
    First,
    /// When all inherited listeners are taken and listening.
    All,
    /// Never: the program says so itself.
    App,
}

/// What happens to one `NAME=value` entry in the environment of a program
/// that must not inherit the handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Not a variable of the handover.
    Keep,
    /// A variable of the handover alone.
    Drop,
    /// Ours and others': this many bytes were written to the buffer instead.
    Rewritten(usize),
}

/// `LISTEN_FDS`: decimal digits only, at most [`MAX_LISTENERS`].
#[must_use]
pub fn listen_fds(value: &[u8]) -> usize {
    number(value).map_or(0, |count| (count as usize).min(MAX_LISTENERS))
}

/// `CLUSTERCTL_READY`; anything unknown is the default, `first`.
#[must_use]
pub fn ready(value: &[u8]) -> Ready {
    match value {
        b"all" => Ready::All,
        b"app" => Ready::App,
        _ => Ready::First,
    }
}

/// `CLUSTERCTL_KILL_TIMEOUT_MS`, in milliseconds.
#[must_use]
pub fn kill_timeout_ms(value: &[u8]) -> Option<u32> {
    number(value)
}

/// `CLUSTERCTL_STREAM_TIMEOUT_MS`, in milliseconds.
#[must_use]
pub fn stream_timeout_ms(value: &[u8]) -> Option<u32> {
    number(value)
}

/// `CLUSTERCTL_KILL_SIGNAL`: the number of the signal that asks the program to stop. Only those are
/// known that programs take for it.
#[must_use]
pub fn kill_signal(value: &[u8]) -> Option<i32> {
    match value {
        b"SIGINT" => Some(2),
        b"SIGQUIT" => Some(3),
        b"SIGUSR1" => Some(10),
        b"SIGTERM" => Some(15),
        b"SIGWINCH" => Some(28),
        _ => None,
    }
}

/// The name of the `index`-th listener in `LISTEN_FDNAMES`.
#[must_use]
pub fn listener_name(value: &[u8], index: usize) -> Option<&[u8]> {
    value.split(|byte| *byte == b':').nth(index).filter(|name| !name.is_empty())
}

/// `CLUSTERCTL_BIND`: the port that programs ask for to get the listener of this name, from
/// `name=port` pairs with `:` between them.
#[must_use]
pub fn bound_port(value: &[u8], name: &[u8]) -> Option<u16> {
    let mut pairs = value.split(|byte| *byte == b':');
    let port = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))?;
    number(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0)
}

/// `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
#[must_use]
pub fn notify_socket(value: &[u8]) -> Option<UnixName> {
    match value {
        [b'/', _, ..] => UnixName::new(value),
        [b'@', name @ .., last] => {
            let mut bytes = [0; 108];
            bytes.get_mut(1..=name.len())?.copy_from_slice(name);
            *bytes.get_mut(1 + name.len())? = *last;
            UnixName::new(bytes.get(..name.len() + 2)?)
        }
        _ => None,
    }
}

/// `CLUSTERCTL_DOOR`: an absolute path, which may be too long for a socket.
#[must_use]
pub fn is_path(value: &[u8]) -> bool {
    matches!(value, [b'/', _, ..])
}

/// What is to be sent when a program unlinks `path`.
#[must_use]
pub fn notify_payload(path: &[u8]) -> Option<&[u8]> {
    path.strip_prefix(NOTIFY_PREFIX).filter(|payload| !payload.is_empty())
}

/// The connection that is to be looked at when a program unlinks `path`, and whether it ends if nothing waits there.
#[must_use]
pub fn connection(path: &[u8]) -> Option<(i32, bool)> {
    let looks = path.strip_prefix(UNREAD_PREFIX).map(|digits| (digits, false));
    let (digits, ends) = looks.or_else(|| Some((path.strip_prefix(END_PREFIX)?, true)))?;
    Some((i32::try_from(number(digits)?).ok()?, ends))
}

/// Decides about one entry; `buffer` takes what is left of a shared one. A
/// rest that does not fit keeps the entry as it is.
#[must_use]
pub fn fate(entry: &[u8], buffer: &mut [u8]) -> Fate {
    const OURS: [&[u8]; 5] =
        [b"LISTEN_FDS=", b"LISTEN_PID=", b"LISTEN_PIDFDID=", b"LISTEN_FDNAMES=", b"CLUSTERCTL_"];
    if OURS.iter().any(|prefix| entry.starts_with(prefix)) {
        return Fate::Drop;
    }
    if let Some(list) = entry.strip_prefix(b"LD_PRELOAD=") {
        return rewrite(b"LD_PRELOAD=", list, library_in, buffer);
    }
    if let Some(options) = entry.strip_prefix(b"NODE_OPTIONS=") {
        return rewrite(b"NODE_OPTIONS=", options, node_file_in, buffer);
    }
    Fate::Keep
}

/// Where `list` names our library, one separator included.
fn library_in(list: &[u8]) -> Option<(usize, usize)> {
    let mut start = 0;
    for word in list.split(|byte| matches!(byte, b':' | b' ')) {
        let end = start + word.len();
        if word.rsplit(|byte| *byte == b'/').next() == Some(LIBRARY) {
            return Some(with_separator(list, start, end));
        }
        start = end + 1;
    }
    None
}

/// Where `options` says `--require <dir>/clusterctl.cjs`, one space included.
/// Node lets a path with spaces be quoted.
fn node_file_in(options: &[u8]) -> Option<(usize, usize)> {
    const REQUIRE: &[u8] = b"--require ";
    let mut start = 0;
    while let Some(rest) = options.get(start..) {
        if let Some(path) = rest.strip_prefix(REQUIRE) {
            let length = word_length(path);
            let word = path.get(..length)?;
            let bare = word.strip_suffix(b"\"").unwrap_or(word);
            if bare.ends_with(NODE_FILE) {
                return Some(with_separator(options, start, start + REQUIRE.len() + length));
            }
        }
        start += rest.iter().position(|byte| *byte == b' ')? + 1;
    }
    None
}

/// Length of the word at the start, with its quotes.
fn word_length(text: &[u8]) -> usize {
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b' ' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

fn with_separator(text: &[u8], start: usize, end: usize) -> (usize, usize) {
    if end < text.len() { (start, end + 1) } else { (start.saturating_sub(1), end) }
}

/// Where a value names something of ours, as a range.
type Find = fn(&[u8]) -> Option<(usize, usize)>;

/// Writes the entry without what is ours; more than one program may have put it there.
fn rewrite(name: &[u8], value: &[u8], find: Find, buffer: &mut [u8]) -> Fate {
    let parts = find(value).and_then(|cut| Some((value.get(..cut.0)?, value.get(cut.1..)?)));
    let Some((before, after)) = parts else {
        return Fate::Keep;
    };
    let mut length = 0;
    for part in [name, before, after] {
        let Some(place) = buffer.get_mut(length..length + part.len()) else {
            // Where nothing is left, nothing is to be written.
            return if before.len() + after.len() == 0 { Fate::Drop } else { Fate::Keep };
        };
        place.copy_from_slice(part);
        length += part.len();
    }
    let mut rest = buffer.get_mut(name.len()..length).unwrap_or_default();
    while let Some((from, to)) = find(rest) {
        for at in to..rest.len() {
            if let (Some(byte), Some(place)) = (rest.get(at).copied(), rest.get_mut(from + at - to))
            {
                *place = byte;
            }
        }
        let left = rest.len() - (to - from);
        rest = rest.get_mut(..left).unwrap_or_default();
    }
    if rest.is_empty() { Fate::Drop } else { Fate::Rewritten(name.len() + rest.len()) }
}

fn number(value: &[u8]) -> Option<u32> {
    decimal(value).and_then(|number| u32::try_from(number).ok())
}
