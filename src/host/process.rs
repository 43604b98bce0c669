//! What a process and its cgroup use, from proc(5) and cgroups(7). Reading files is several times
//! faster than asking the manager.

use std::fs;
use std::path::Path;

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time since its start.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Time since its start.
    pub uptime_seconds: f64,
}

/// What all processes of a cgroup use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgroupUsage {
    /// CPU time since it was made.
    pub cpu_seconds: f64,
    /// Memory, page cache included.
    pub memory_bytes: u64,
}

/// What the cgroup of a process uses; `None` without unified cgroups or their controllers.
pub fn cgroup_usage(pid: u32) -> Option<CgroupUsage> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let dir = Path::new("/sys/fs/cgroup").join(path);
    let memory = fs::read_to_string(dir.join("memory.current")).ok()?;
    let cpu = fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let usec: u64 = cpu.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()?;
    Some(CgroupUsage {
        cpu_seconds: usec as f64 / 1e6,
        memory_bytes: memory.trim_end().parse().ok()?,
    })
}

/// What a process uses; `None` when it is gone.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, parentheses included.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let ticks = number(11)? + number(12)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let pages = number(21)?;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let now = now.tv_sec as f64 + now.tv_nsec as f64 / 1e9;
    let started = number(19)? as f64 / per_second as f64;
    Some(Usage {
        cpu_seconds: ticks as f64 / per_second as f64,
        memory_bytes: pages * rustix::param::page_size() as u64,
        uptime_seconds: (now - started).max(0.0),
    })
}

/// Login name of the calling user, or its number.
pub fn own_user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}
