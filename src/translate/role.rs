//! What a unit of an app is for, and what follows from that for plans and verbs, none of which asks
//! for the kind of a unit.

use super::MARK;
use crate::unit::{UnitFile, UnitKind, UnitName};

/// What a unit of an app is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What is started, stopped, reloaded and enabled.
    Group,
    /// The template of the instances.
    Instance,
    /// Holds an address.
    Listener,
    /// Starts the group when a client connects while it is down.
    Wake,
    /// Closes listeners before instances are asked to stop.
    Close,
    /// Elapses when the schedule of the app says so.
    Timer,
    /// What its timer starts.
    Timed,
    /// Limits all processes of the app.
    Slice,
}

impl Role {
    pub(super) const ALL: [Role; 8] = [
        Role::Group,
        Role::Instance,
        Role::Listener,
        Role::Wake,
        Role::Close,
        Role::Timer,
        Role::Timed,
        Role::Slice,
    ];

    /// As units have it.
    pub fn word(self) -> &'static str {
        match self {
            Role::Group => "group",
            Role::Instance => "instance",
            Role::Wake => "wake",
            Role::Close => "close",
            Role::Timer => "timer",
            Role::Timed => "timed",
            Role::Slice => "slice",
            Role::Listener => "listener",
        }
    }

    /// The role of a unit of ours.
    pub fn of(unit: &UnitFile) -> Role {
        Role::written(unit).unwrap_or_else(|| Role::named(&unit.name))
    }

    /// What a unit says of itself.
    pub(super) fn written(unit: &UnitFile) -> Option<Role> {
        let word = unit.get(MARK, "Role")?;
        Role::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Units of older versions, and those whose mark somebody has edited, do not say it.
    fn named(name: &UnitName) -> Role {
        match name.kind() {
            UnitKind::Socket => Role::Listener,
            UnitKind::Slice => Role::Slice,
            UnitKind::Timer => Role::Timer,
            _ if name.is_template() => Role::Instance,
            _ if name.stem().ends_with("-wake") => Role::Wake,
            _ if name.stem().ends_with("-close") => Role::Close,
            _ => Role::Group,
        }
    }

    /// Whether it starts other units when something happens: opened while the app is up, closed with
    /// it, and before its file goes.
    pub fn is_trigger(self) -> bool {
        matches!(self, Role::Listener | Role::Timer)
    }

    /// Whether instances get something of it at their start.
    pub fn is_read_at_start(self) -> bool {
        matches!(self, Role::Instance | Role::Listener)
    }

    /// Whether the manager acts on changed settings while something runs from it.
    pub fn is_live(self) -> bool {
        matches!(self, Role::Instance | Role::Slice | Role::Timer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_unit_without_a_word_of_its_role_is_known_by_its_name() {
        let of = |name: &str, text: &str| {
            Role::of(&UnitFile::parse(UnitName::parse(name).unwrap(), text))
        };
        for (name, role) in [
            ("api.service", Role::Group),
            ("api@.service", Role::Instance),
            ("api-wake.service", Role::Wake),
            ("api-close.service", Role::Close),
            ("api-3000.socket", Role::Listener),
            ("clusterctl-api.slice", Role::Slice),
            ("api-cron.timer", Role::Timer),
        ] {
            assert_eq!(of(name, ""), role, "{name}");
            assert_eq!(of(name, "[X-Clusterctl]\nRole=nothing\n"), role, "{name}");
        }
        // An app may be named so.
        assert_eq!(of("api-wake.service", "[X-Clusterctl]\nRole=group\n"), Role::Group);
    }
}
