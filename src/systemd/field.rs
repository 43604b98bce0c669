//! The parts of an instance's state, and the properties that they are made of.

use super::proxy::{SERVICE_UNIT, UNIT};

/// Interface and name.
pub(super) type Property = (&'static str, &'static str);

/// A part of [`InstanceState`] that costs time to fetch; the others come with every question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "named as the fields of InstanceState, which are documented")]
pub enum Field {
    MainPid,
    Restarts,
    Result,
    Started,
    Exited,
    Exit,
    Memory,
    Cpu,
    ActiveSince,
    InactiveSince,
    StatusText,
    Invocation,
    /// Dear on newer managers, which look at every file: 257 takes half a millisecond for each
    /// unit. Ask it of one instance of a template.
    NeedReload,
    UnitFileState,
    Fragment,
    DropIns,
    User,
}

impl Field {
    /// Everything.
    pub const ALL: [Field; 17] = [
        Field::MainPid,
        Field::Restarts,
        Field::Result,
        Field::Started,
        Field::Exited,
        Field::Exit,
        Field::Memory,
        Field::Cpu,
        Field::ActiveSince,
        Field::InactiveSince,
        Field::StatusText,
        Field::Invocation,
        Field::NeedReload,
        Field::UnitFileState,
        Field::Fragment,
        Field::DropIns,
        Field::User,
    ];

    /// The columns of a table of instances.
    pub const TABLE: [Field; 7] = [
        Field::MainPid,
        Field::Restarts,
        Field::Result,
        Field::Started,
        Field::Memory,
        Field::Cpu,
        Field::User,
    ];

    pub(super) fn properties(self) -> &'static [Property] {
        match self {
            Field::MainPid => &[(SERVICE_UNIT, "MainPID")],
            Field::Restarts => &[(SERVICE_UNIT, "NRestarts")],
            Field::Result => &[(SERVICE_UNIT, "Result")],
            Field::Started => &[
                (SERVICE_UNIT, "ExecMainStartTimestamp"),
                (SERVICE_UNIT, "ExecMainStartTimestampMonotonic"),
            ],
            Field::Exited => &[
                (SERVICE_UNIT, "ExecMainExitTimestamp"),
                (SERVICE_UNIT, "ExecMainExitTimestampMonotonic"),
            ],
            Field::Exit => &[(SERVICE_UNIT, "ExecMainCode"), (SERVICE_UNIT, "ExecMainStatus")],
            Field::Memory => &[(SERVICE_UNIT, "MemoryCurrent")],
            Field::Cpu => &[(SERVICE_UNIT, "CPUUsageNSec")],
            Field::ActiveSince => {
                &[(UNIT, "ActiveEnterTimestamp"), (UNIT, "ActiveEnterTimestampMonotonic")]
            }
            Field::InactiveSince => {
                &[(UNIT, "InactiveEnterTimestamp"), (UNIT, "InactiveEnterTimestampMonotonic")]
            }
            Field::StatusText => &[(SERVICE_UNIT, "StatusText")],
            Field::Invocation => &[(UNIT, "InvocationID")],
            Field::NeedReload => &[(UNIT, "NeedDaemonReload")],
            Field::UnitFileState => &[(UNIT, "UnitFileState")],
            Field::Fragment => &[(UNIT, "FragmentPath")],
            Field::DropIns => &[(UNIT, "DropInPaths")],
            Field::User => &[(SERVICE_UNIT, "User")],
        }
    }
}
