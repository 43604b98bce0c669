//! What processes do that are not ready: what they listen on, and what they wait for (proc(5)).

use std::collections::BTreeSet;
use std::fs;

use super::sockets::{self, Table};
use crate::plan::reason::SeenProcess;

/// Looks at processes. Sockets in `handed` are those that the manager handed over.
pub fn look(pids: &[u32], handed: &BTreeSet<u64>) -> Vec<SeenProcess> {
    let table = Table::read();
    let look = |pid: &u32| {
        let held = sockets::sockets_of(*pid)?;
        Some(SeenProcess {
            pid: *pid,
            name: sockets::process_name(*pid),
            listens: table.of(&held.difference(handed).copied().collect()),
            waits: connecting(&held).or_else(|| waits(*pid)),
        })
    };
    pids.iter().filter_map(look).collect()
}

/// A connection that nobody has answered yet, whether its process waits for it or for events.
fn connecting(held: &BTreeSet<u64>) -> Option<String> {
    let (peer, _) = sockets::connecting().into_iter().find(|(_, inode)| held.contains(inode))?;
    Some(format!("in connect() to {peer}"))
}

/// System calls by their numbers (`/proc/PID/syscall`).
#[cfg(target_arch = "x86_64")]
const CALLS: [(&str, Call); 8] = [
    ("0", Call::Read),
    ("42", Call::Connect),
    ("45", Call::Read),
    ("61", Call::Child),
    ("72", Call::Lock),
    ("73", Call::Lock),
    ("35", Call::Sleep),
    ("230", Call::Sleep),
];
#[cfg(target_arch = "aarch64")]
const CALLS: [(&str, Call); 8] = [
    ("63", Call::Read),
    ("203", Call::Connect),
    ("207", Call::Read),
    ("260", Call::Child),
    ("25", Call::Lock),
    ("32", Call::Lock),
    ("101", Call::Sleep),
    ("115", Call::Sleep),
];

#[derive(Clone, Copy)]
enum Call {
    Read,
    Connect,
    Child,
    Lock,
    Sleep,
}

/// What the main thread of a process waits for, where its call says so.
fn waits(pid: u32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number = words.next()?;
    let (_, call) = CALLS.iter().find(|(known, _)| *known == number)?;
    let descriptor = words.next().and_then(|word| {
        let number = u64::from_str_radix(word.trim_start_matches("0x"), 16).ok()?;
        let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).ok()?;
        Some(target.to_string_lossy().escape_debug().to_string())
    });
    match (call, descriptor) {
        (Call::Connect, _) => Some("in connect()".to_owned()),
        // A shell waits for its child, which is looked at itself.
        (Call::Child, _) => None,
        (Call::Sleep, _) => Some("in sleep()".to_owned()),
        (Call::Lock, Some(file)) => Some(format!("for a lock on {file}")),
        (Call::Read, Some(file)) => match file.strip_prefix("socket:[") {
            Some(inode) => {
                let inode = inode.trim_end_matches(']').parse().ok()?;
                let peer = sockets::peer(inode)?;
                Some(format!("for an answer of {peer}"))
            }
            None => Some(format!("in read() of {file}")),
        },
        (Call::Lock | Call::Read, None) => None,
    }
}
