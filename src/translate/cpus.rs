//! `instances = "max"` after the number of CPUs has changed. Nothing rewrites unit files at boot, so the
//! number of instances stays until the next apply; `list` and `doctor` say so. It changes no unit.

use super::GroupRecord;
use crate::ecosystem::Instances;

/// How many instances the file asked for, and how many it asks for on a machine with this many
/// CPUs, when these differ.
pub fn other_cpus(group: &GroupRecord, cpus: u32) -> Option<(u32, u32)> {
    let now = Instances::AllCpusBut(group.all_cpus_but?).on(cpus);
    let then = group.instances?;
    (now != then).then_some((then, now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::translate::Record;
    use crate::unit::{UnitFile, UnitName};

    fn group(mark: &str) -> GroupRecord {
        let name = UnitName::parse("api.service").unwrap();
        Record::read(&UnitFile::parse(name, &format!("[X-Clusterctl]\n{mark}"))).group
    }

    #[test]
    fn only_a_number_of_cpus_changes_with_them() {
        let max = group("Instances=2\nAllCpusBut=0\n");
        assert_eq!(other_cpus(&max, 2), None);
        assert_eq!(other_cpus(&max, 4), Some((2, 4)));
        assert_eq!(other_cpus(&max, 1), Some((2, 1)));
        let all_but_one = group("Instances=1\nAllCpusBut=1\n");
        assert_eq!(other_cpus(&all_but_one, 1), None, "never none at all");
        assert_eq!(other_cpus(&all_but_one, 3), Some((1, 2)));
        assert_eq!(other_cpus(&group("Instances=2\n"), 4), None);
    }
}
