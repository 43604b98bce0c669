//! Which directives a manager does not know yet. Knows names, never values.
//!
//! The versions are those of the manual ("Added in version"); a booted test compares them with
//! what the systemd of each root says that it reads.
//!
//! Units hold only what systemd 252 reads, apart from directives that the file itself asks for;
//! those are left out, and named, where the manager is too old (`translate/since.rs`,
//! docs/versions.md). So an upgrade of systemd changes no unit.

use std::collections::BTreeMap;

use crate::ecosystem::{AppName, Ecosystem};

use super::Target;

/// The oldest version that is supported.
pub const FLOOR: u32 = 252;

/// Directives of `[Service]`, `[Socket]` and `[Slice]` that came after the oldest version that is
/// supported, by the version in which they came.
pub const NEWER: [(u32, &[&str]); 10] = [
    (
        253,
        &[
            "LogFilterPatterns",
            "MemoryZSwapMax",
            "OpenFile",
            "ReloadSignal",
            "StartupMemoryHigh",
            "StartupMemoryLow",
            "StartupMemoryMax",
            "StartupMemorySwapMax",
            "StartupMemoryZSwapMax",
        ],
    ),
    (
        254,
        &[
            "DelegateSubgroup",
            "ExtensionImagePolicy",
            "FileDescriptorStorePreserve",
            "ImportCredential",
            "MemoryKSM",
            "MemoryPressureThresholdSec",
            "MemoryPressureWatch",
            "MountImagePolicy",
            "RestartMaxDelaySec",
            "RestartMode",
            "RestartSteps",
            "RootEphemeral",
            "RootImagePolicy",
        ],
    ),
    (
        255,
        &[
            "CoredumpReceive",
            "NFTSet",
            "PollLimitBurst",
            "PollLimitIntervalSec",
            "SetLoginEnvironment",
        ],
    ),
    (256, &["MemoryZSwapWriteback", "PassFileDescriptorsToExec"]),
    (257, &["BindLogSockets", "ManagedOOMMemoryPressureDurationSec", "PrivatePIDs"]),
    (
        258,
        &[
            "AcceptFileDescriptors",
            "BPFDelegateAttachments",
            "BPFDelegateCommands",
            "BPFDelegateMaps",
            "BPFDelegatePrograms",
            "CacheDirectoryAccounting",
            "CacheDirectoryQuota",
            "ConcurrencyHardMax",
            "ConcurrencySoftMax",
            "DeferTrigger",
            "DeferTriggerMaxSec",
            "DelegateNamespaces",
            "LogsDirectoryAccounting",
            "LogsDirectoryQuota",
            "PassPIDFD",
            "PrivateBPF",
            "StateDirectoryAccounting",
            "StateDirectoryQuota",
        ],
    ),
    (259, &["ExecReloadPost", "UserNamespacePath"]),
    (260, &["BindNetworkInterface", "MemoryTHP", "RefreshOnReload", "RootMStack"]),
    (
        261,
        &[
            "CPUPressureThresholdSec",
            "CPUPressureWatch",
            "CPUSetPartition",
            "IOPressureThresholdSec",
            "IOPressureWatch",
            "OOMRules",
        ],
    ),
    (
        262,
        &[
            "ActivatingConcurrencyMax",
            "LUOSession",
            "RestartRandomizedDelaySec",
            "XAttrAccept",
            "XAttrEntryPoint",
            "XAttrListen",
        ],
    ),
];

/// The version in which a directive came; `None` for those that every supported version has, and
/// for unknown ones, of which the manager itself complains.
pub fn since(directive: &str) -> Option<u32> {
    NEWER.iter().find(|(_, names)| names.contains(&directive)).map(|(version, _)| *version)
}

/// A directive that is not written because the manager is too old for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The directive.
    pub directive: String,
    /// The first version that has it.
    pub since: u32,
}

/// What [`super::translate`] leaves out of the units of each app for this version of the manager.
pub fn left_out(ecosystem: &Ecosystem, systemd: u32) -> BTreeMap<AppName, Vec<LeftOut>> {
    let mut all = BTreeMap::new();
    for (name, app) in &ecosystem.apps {
        let lines = [&app.service, &app.slice, &app.socket].into_iter().flatten();
        let newer = lines.filter_map(|(key, _)| {
            let since = since(key).filter(|since| *since > systemd)?;
            Some(LeftOut { directive: key.clone(), since })
        });
        let mut newer: Vec<LeftOut> = newer.collect();
        newer.sort();
        newer.dedup();
        if !newer.is_empty() {
            all.insert(name.clone(), newer);
        }
    }
    all
}

impl Target {
    /// Whether the manager reads this directive.
    pub(super) fn knows(&self, directive: &str) -> bool {
        since(directive).is_none_or(|version| version <= self.systemd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_written_from_its_version_on() {
        let target = |systemd| Target {
            scope: crate::ecosystem::Scope::System,
            systemd,
            handover: "/h".into(),
            environment: "/e".into(),
            secret: crate::translate::Secret::default(),
            locks: "/l".into(),
            namespaces: true,
            program: "/p".into(),
        };
        assert!(!target(253).knows("RestartSteps"));
        assert!(target(254).knows("RestartSteps"));
        assert!(target(252).knows("CPUWeight"));
        assert!(target(252).knows("NoSuchThing"), "the manager says so itself");
    }
}
