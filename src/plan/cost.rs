//! How a file changes, and what that costs.

use std::collections::BTreeSet;

use super::action::{ChangeKind, Cost, FileChange, FileId};
use crate::ecosystem::Role;
use crate::translate::{Weight, weight};
use crate::unit::{UnitFile, UnitName};

/// The listener's name in `LISTEN_FDNAMES`.
pub(super) const FD_NAME: &str = "FileDescriptorName";

/// Keys of a socket unit that do not touch the open socket.
pub(super) fn is_socket_key(key: &str) -> bool {
    let free = [
        "Description",
        "Documentation",
        "SourcePath",
        "Source",
        "Service",
        "App",
        "Role",
        "RemoveOnStop",
        "ExecStopPost",
        FD_NAME,
        "Bind",
    ];
    !free.contains(&key)
}

pub(super) fn replaced(before: Option<&str>, after: &str, keep_time: bool) -> Option<ChangeKind> {
    match before {
        None => Some(ChangeKind::Create { text: after.to_owned() }),
        Some(before) if before != after => Some(ChangeKind::Replace {
            before: before.to_owned(),
            after: after.to_owned(),
            keep_time,
        }),
        Some(_) => None,
    }
}

impl FileChange {
    /// What a changed file costs; `None` for one that is new or goes.
    pub fn cost(&self) -> Option<Cost> {
        let ChangeKind::Replace { before, after, keep_time } = &self.change else { return None };
        let FileId::Unit(unit) = &self.file else {
            return Some(if *keep_time { Cost::Nothing } else { Cost::Rollout });
        };
        let role = Role::of(&UnitFile::parse(unit.clone(), after));
        if role.is_read_at_start() && !keep_time {
            return Some(Cost::Rollout);
        }
        let mut keys = different_keys(unit, before, after);
        if role == Role::Listener && keys.iter().any(|key| is_socket_key(key)) {
            return Some(Cost::Reopen);
        }
        // What the group and the wake unit do matters only when they do it.
        keys.retain(|key| role.is_live() && weight(key) == Weight::Live);
        Some(if keys.is_empty() { Cost::Nothing } else { Cost::Live(keys) })
    }
}

/// Keys whose values differ between two texts of one unit.
pub(super) fn different_keys(unit: &UnitName, before: &str, after: &str) -> BTreeSet<String> {
    let pairs = |text: &str| {
        let file = UnitFile::parse(unit.clone(), text);
        let lines = file.sections.into_iter().flat_map(|section| section.lines);
        lines
            .filter(|(key, _)| !["Revision", "Checksum"].contains(&key.as_str()))
            .collect::<BTreeSet<_>>()
    };
    pairs(before).symmetric_difference(&pairs(after)).map(|(key, _)| key.clone()).collect()
}
