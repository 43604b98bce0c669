//! The role of a unit file that is read from disk. It writes none.

use super::MARK;
use crate::ecosystem::{AppName, Role};
use crate::unit::{UnitFile, UnitKind};

impl Role {
    /// The role of a unit of ours.
    pub fn of(unit: &UnitFile) -> Role {
        Role::written(unit).unwrap_or_else(|| Role::named(unit))
    }

    /// The role in the unit's record.
    pub(super) fn written(unit: &UnitFile) -> Option<Role> {
        let word = unit.get(MARK, "Role")?;
        Role::ALL.into_iter().find(|role| role.word() == word)
    }

    /// Units of older versions, and those whose mark somebody has edited, do not say it.
    fn named(unit: &UnitFile) -> Role {
        let kind = unit.name.kind();
        let of_kind = Role::ALL.into_iter().filter(|role| role.name_parts().1 == kind);
        let of_kind: Vec<Role> = of_kind.collect();
        if let [only] = of_kind[..] {
            return only;
        }
        let app = unit.get(MARK, "App").and_then(|name| AppName::parse(name).ok());
        if app.is_some_and(|app| app.group_unit() == unit.name) {
            return Role::Group;
        }
        // A name that is not reserved may be the one of another app's group.
        let known = |role: &&Role| {
            **role != Role::Group && (role.is_reserved() || kind != UnitKind::Service)
        };
        let named = |role: &&Role| unit.name.stem().ends_with(role.name_parts().0);
        of_kind.iter().filter(known).find(named).copied().unwrap_or(Role::Group)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::unit::UnitName;

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
            ("api-memory.timer", Role::MemoryTimer),
        ] {
            assert_eq!(of(name, ""), role, "{name}");
            assert_eq!(of(name, "[X-Clusterctl]\nRole=nothing\n"), role, "{name}");
        }
        // An app may be named `api-wake`: the record wins over the name.
        assert_eq!(of("api-wake.service", "[X-Clusterctl]\nRole=group\n"), Role::Group);
        assert_eq!(of("api-wake.service", "[X-Clusterctl]\nApp=api-wake\n"), Role::Group);
        assert_eq!(of("api-cron.service", ""), Role::Group);
    }
}
