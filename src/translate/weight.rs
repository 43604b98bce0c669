//! What a changed line of the template costs. Knows keys, never values.
//!
//! Tried on systemd 252 and 257: after a daemon-reload alone the manager acts on the new values of
//! the live keys, and the limits in the cgroups of running services follow, also when a line is
//! gone. `SetUnitProperties` would do the same and leave a drop-in behind that shadows the file.
//! A key that no list here names counts as one that the process depends on.

use crate::unit::UnitFile;

use super::MARK;

/// What depends on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nothing: it is there for people.
    Free,
    /// The manager, which acts on it as soon as it has read it.
    Live,
    /// The process, which got it at its start.
    Process,
}

const FREE: [&str; 4] = ["Description", "Documentation", "SourcePath", "WantedBy"];

/// systemd.kill(5), the timeouts and restart rules of systemd.service(5).
const WHEN_NEEDED: [&str; 23] = [
    "TimeoutStartSec",
    "TimeoutStopSec",
    "TimeoutSec",
    "TimeoutAbortSec",
    "Restart",
    "RestartSec",
    "RestartSteps",
    "RestartMaxDelaySec",
    "RestartPreventExitStatus",
    "RestartForceExitStatus",
    "SuccessExitStatus",
    "KillMode",
    "KillSignal",
    "RestartKillSignal",
    "FinalKillSignal",
    "SendSIGKILL",
    "SendSIGHUP",
    "ExecStop",
    "ExecStopPost",
    "AssertPathIsDirectory",
    "ExecCondition",
    "OnFailure",
    "OnSuccess",
];

/// Keys that say when a unit starts another one: systemd.timer(5), and those of systemd.path(5) that
/// systemd.socket(5) does not have.
const TRIGGERS: [&str; 20] = [
    "OnActiveSec",
    "OnBootSec",
    "OnStartupSec",
    "OnUnitActiveSec",
    "OnUnitInactiveSec",
    "OnCalendar",
    "AccuracySec",
    "RandomizedDelaySec",
    "RandomizedOffsetSec",
    "FixedRandomDelay",
    "OnClockChange",
    "OnTimezoneChange",
    "Persistent",
    "WakeSystem",
    "RemainAfterElapse",
    "PathExists",
    "PathExistsGlob",
    "PathChanged",
    "PathModified",
    "DirectoryNotEmpty",
];

/// systemd.resource-control(5), as far as it is a number in a cgroup.
const LIMITS: [&str; 26] = [
    "CPUAccounting",
    "CPUWeight",
    "StartupCPUWeight",
    "CPUQuota",
    "CPUQuotaPeriodSec",
    "AllowedCPUs",
    "AllowedMemoryNodes",
    "MemoryAccounting",
    "MemoryMin",
    "MemoryLow",
    "MemoryHigh",
    "MemoryMax",
    "MemorySwapMax",
    "MemoryZSwapMax",
    "TasksAccounting",
    "TasksMax",
    "IOAccounting",
    "IOWeight",
    "StartupIOWeight",
    "IODeviceWeight",
    "IOReadBandwidthMax",
    "IOWriteBandwidthMax",
    "IOReadIOPSMax",
    "IOWriteIOPSMax",
    "ManagedOOMSwap",
    "ManagedOOMMemoryPressure",
];

/// What depends on the lines of a key.
pub fn weight(key: &str) -> Weight {
    if FREE.contains(&key) {
        Weight::Free
    } else if WHEN_NEEDED.contains(&key) || TRIGGERS.contains(&key) || LIMITS.contains(&key) {
        Weight::Live
    } else {
        Weight::Process
    }
}

/// Everything in a unit that a running process depends on.
pub fn substance(unit: &UnitFile) -> String {
    let mut text = String::new();
    for section in unit.sections.iter().filter(|section| section.name != MARK) {
        for (key, value) in &section.lines {
            if weight(key) == Weight::Process {
                text.push_str(&format!("{}.{key}={value}\n", section.name));
            }
        }
    }
    text
}
