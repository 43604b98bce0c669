//! The number of CPUs that a process of this machine may use. It changes no affinity.

use std::fs;
use std::path::{Path, PathBuf};

/// Affinity and cgroup quota count; at least 1.
///
/// The standard library reads the quota of our own cgroup, which is the caller's session; what
/// counts for instances is the machine's or container's, so the root of what we see counts too.
pub fn usable() -> u32 {
    let own = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let own = u32::try_from(own).unwrap_or(u32::MAX);
    quota(Path::new("/sys/fs/cgroup")).map_or(own, |quota| own.min(quota)).max(1)
}

/// Whole CPUs of the quota at the root of a cgroup tree, version 2 or 1.
fn quota(root: &Path) -> Option<u32> {
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    if let Some(text) = read(root.join("cpu.max")) {
        let (quota, period) = text.trim().split_once(' ')?;
        return whole(quota, period);
    }
    let quota = read(root.join("cpu/cpu.cfs_quota_us"))?;
    let period = read(root.join("cpu/cpu.cfs_period_us"))?;
    whole(quota.trim(), period.trim())
}

fn whole(quota: &str, period: &str) -> Option<u32> {
    let quota: u64 = quota.parse().ok()?; // "max" and "-1" are no limit
    let period: u64 = period.parse().ok().filter(|period| *period > 0)?;
    u32::try_from((quota / period).max(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_rounded_down_to_whole_cpus() {
        assert_eq!(whole("250000", "100000"), Some(2));
        assert_eq!(whole("50000", "100000"), Some(1));
        assert_eq!(whole("max", "100000"), None);
        assert_eq!(whole("-1", "100000"), None);
    }
}
