//! What the units of an app are for, one row of one table for each: their names, which apps have them, and
//! what follows from that for plans and verbs, none of which asks for the kind of a unit.
//!
//! A key of the file that needs a unit of its own has its row here; names, `Wants=`, plans, `describe`,
//! `doctor` and `delete` follow from it.

use super::app::App;
use super::health::Health;
use crate::unit::UnitKind;

/// What a unit of an app is for, in the order in which units go with an app that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// What is started, stopped, reloaded and enabled.
    Group,
    /// The template of the instances, `api@.service`.
    Instance,
    /// Holds an address.
    Listener,
    /// Starts the group when a client connects while it is down.
    Wake,
    /// Closes listeners before instances are asked to stop.
    Close,
    /// Elapses when the schedule of the app says so.
    Timer,
    /// The service that the timer of the schedule starts.
    Timed,
    /// Reloads the app when files change.
    Watch,
    /// Timer of [`Role::MemoryCheck`].
    MemoryTimer,
    /// Replaces instances that need more than `max_memory_restart`.
    MemoryCheck,
    /// Timer of [`Role::HealthCheck`].
    HealthTimer,
    /// Replaces instances that fail the checks of `health`.
    HealthCheck,
    /// What runs before instances are replaced.
    BeforeReload,
    /// What runs when all have been replaced.
    AfterReload,
    /// Limits all processes of the app.
    Slice,
}

/// What is true of all units of a role.
#[derive(Clone, Copy)]
struct RoleRow {
    role: Role,
    /// The word in `Role=` of the unit's record.
    word: &'static str,
    /// What the unit's name has after the app's: of a listener before its address.
    rest: &'static str,
    kind: UnitKind,
    /// Which apps have such a unit.
    has: fn(&App) -> bool,
    /// Whether no other app may have its name although this one has no such unit yet.
    reserved: bool,
    /// See [`Role::is_trigger`].
    trigger: bool,
    /// See [`Role::is_live`].
    live: bool,
    /// See [`Role::shown`].
    shown: Option<Shown>,
}

/// What `list` and `describe` say of a unit, from its file and from the manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The key in JSON, and the word before the line in text.
    pub name: &'static str,
    /// Section of the unit with the lines that are shown.
    pub section: &'static str,
    /// Key of these lines in the section.
    pub key: &'static str,
    /// Key of the lines in JSON.
    pub json: &'static str,
    /// The manager's property that says when the unit acts next, microseconds since 1970.
    pub next: Option<&'static str>,
}

/// A unit that every app has.
const EVERY: RoleRow = RoleRow {
    role: Role::Group,
    word: "group",
    rest: "",
    kind: UnitKind::Service,
    has: |_| true,
    reserved: true,
    trigger: false,
    live: false,
    shown: None,
};

/// A unit of apps with listeners.
const LISTENING: RoleRow = RoleRow { has: |app| !app.listeners.is_empty(), ..EVERY };

/// A unit of apps with a schedule. Another app may be named `api-cron`, as long as `api` has none.
const SCHEDULED: RoleRow =
    RoleRow { has: |app| !app.schedules.is_empty(), reserved: false, ..EVERY };

/// A unit of apps whose instances may need so much memory.
const MEASURED: RoleRow =
    RoleRow { has: |app| app.max_memory.is_some() && !app.is_job(), reserved: false, ..EVERY };

/// A unit of apps whose instances are checked while they serve.
const CHECKED: RoleRow = RoleRow {
    has: |app| app.health.as_ref().is_some_and(Health::goes_on),
    reserved: false,
    ..EVERY
};

/// One row for each role, in their order.
const ROWS: [RoleRow; 15] = [
    EVERY,
    RoleRow { role: Role::Instance, word: "instance", rest: "@", live: true, ..EVERY },
    RoleRow {
        role: Role::Listener,
        word: "listener",
        rest: "-",
        kind: UnitKind::Socket,
        trigger: true,
        ..LISTENING
    },
    RoleRow { role: Role::Wake, word: "wake", rest: "-wake", ..LISTENING },
    RoleRow { role: Role::Close, word: "close", rest: "-close", ..LISTENING },
    RoleRow {
        role: Role::Timer,
        word: "timer",
        rest: "-cron",
        kind: UnitKind::Timer,
        trigger: true,
        live: true,
        shown: Some(Shown {
            name: "schedule",
            section: "Timer",
            key: "OnCalendar",
            json: "calendar",
            next: Some("NextElapseUSecRealtime"),
        }),
        ..SCHEDULED
    },
    RoleRow { role: Role::Timed, word: "timed", rest: "-cron", ..SCHEDULED },
    RoleRow {
        role: Role::Watch,
        word: "watch",
        rest: "-watch",
        has: |app| app.reloads.watch.is_some(),
        reserved: false,
        trigger: true,
        shown: Some(Shown {
            name: "watch",
            section: "X-Clusterctl",
            key: "Watch",
            json: "paths",
            next: None,
        }),
        ..EVERY
    },
    RoleRow {
        role: Role::MemoryTimer,
        word: "memory-timer",
        rest: "-memory",
        kind: UnitKind::Timer,
        trigger: true,
        live: true,
        ..MEASURED
    },
    RoleRow { role: Role::MemoryCheck, word: "memory-check", rest: "-memory", ..MEASURED },
    RoleRow {
        role: Role::HealthTimer,
        word: "health-timer",
        rest: "-health",
        kind: UnitKind::Timer,
        trigger: true,
        live: true,
        ..CHECKED
    },
    RoleRow { role: Role::HealthCheck, word: "health-check", rest: "-health", ..CHECKED },
    RoleRow {
        role: Role::BeforeReload,
        word: "before-reload",
        rest: "-before-reload",
        has: |app| !app.reloads.before.is_empty(),
        reserved: false,
        ..EVERY
    },
    RoleRow {
        role: Role::AfterReload,
        word: "after-reload",
        rest: "-after-reload",
        has: |app| !app.reloads.after.is_empty(),
        reserved: false,
        ..EVERY
    },
    RoleRow { role: Role::Slice, word: "slice", kind: UnitKind::Slice, live: true, ..EVERY },
];

impl Role {
    /// All roles, in their order.
    pub const ALL: [Role; ROWS.len()] = {
        let mut all = [Role::Group; ROWS.len()];
        let mut place = 0;
        while place < all.len() {
            all[place] = ROWS[place].role;
            place += 1;
        }
        all
    };

    fn row(self) -> RoleRow {
        ROWS[self as usize]
    }

    /// The word in `Role=` of the unit's record.
    pub fn word(self) -> &'static str {
        self.row().word
    }

    /// What the name of the unit has between the app's name and the suffix, and the suffix.
    pub fn name_parts(self) -> (&'static str, UnitKind) {
        (self.row().rest, self.row().kind)
    }

    /// Whether an app has units of this role.
    pub fn is_of(self, app: &App) -> bool {
        (self.row().has)(app)
    }

    /// Whether the name of such a unit is taken, also by an app that has none yet.
    pub fn is_reserved(self) -> bool {
        self.row().reserved
    }

    /// Whether a unit of this role starts other units when something happens: it is opened while the app is
    /// up, closed with the app, and closed before its file is removed.
    pub fn is_trigger(self) -> bool {
        self.row().trigger
    }

    /// Whether instances read something of this unit at their start.
    pub fn is_read_at_start(self) -> bool {
        matches!(self, Role::Instance | Role::Listener)
    }

    /// Whether the manager acts on changed settings while something runs from it.
    pub fn is_live(self) -> bool {
        self.row().live
    }

    /// What `list` and `describe` show of units of this role.
    pub fn shown(self) -> Option<Shown> {
        self.row().shown
    }
}

impl App {
    /// The roles of the units that the app has.
    pub fn roles(&self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(|role| role.is_of(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_its_row() {
        for (place, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(role as usize, place, "{role:?}");
            let same = Role::ALL.into_iter().filter(|other| other.word() == role.word());
            assert_eq!(same.count(), 1, "{role:?}");
            let same =
                Role::ALL.into_iter().filter(|other| other.name_parts() == role.name_parts());
            assert_eq!(same.count(), 1, "{role:?}");
        }
    }
}
