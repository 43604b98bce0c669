//! `instances = "max"` after the number of CPUs has changed. Unit files are plain files: nothing
//! changes them at boot, so the number stays until the next apply, and verbs that show say so.

use crate::ecosystem::{App, Instances};
use crate::unit::{Section, UnitFile};

use super::MARK;

const KEY: &str = "AllCpusBut";

/// Remembers in the group unit that the number of instances is one of CPUs.
pub(super) fn record(section: &mut Section, app: &App) {
    if let Instances::AllCpusBut(less) = app.instances {
        section.set(KEY, less.to_string());
    }
}

/// How many instances the file asked for, and how many it asks for on a machine with this many
/// CPUs, when these differ.
pub fn other_cpus(group: &UnitFile, cpus: u32) -> Option<(u32, u32)> {
    let less: u32 = group.get(MARK, KEY)?.parse().ok()?;
    let then: u32 = group.get(MARK, "Instances")?.parse().ok()?;
    let now = Instances::AllCpusBut(less).on(cpus);
    (now != then).then_some((then, now))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::unit::UnitName;

    fn group(mark: &str) -> UnitFile {
        let name = UnitName::parse("api.service").unwrap();
        UnitFile::parse(name, &format!("[X-Clusterctl]\n{mark}"))
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
