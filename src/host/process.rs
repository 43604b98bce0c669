//! What a process and its cgroup use, from proc(5) and cgroups(7). Reading files is several times
//! faster than asking the manager.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What one process uses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU time since its start.
    pub cpu_seconds: f64,
    /// Resident memory.
    pub memory_bytes: u64,
    /// Time since its start.
    pub uptime_seconds: f64,
    /// The process that started it, or that took it over.
    pub parent: u32,
}

/// What all processes of a cgroup use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CgroupUsage {
    /// CPU time since it was made.
    pub cpu_seconds: f64,
    /// Memory, page cache included; `None` without the memory controller.
    pub memory_bytes: Option<u64>,
}

/// The cgroup of a process; `None` without unified cgroups.
pub fn cgroup_of(pid: u32) -> Option<PathBuf> {
    let groups = read(format!("/proc/{pid}/cgroup"))?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(unified().join(path))
}

/// Unified cgroups beside those of version 1.
const BESIDE: &str = "/sys/fs/cgroup/unified";

/// Where unified cgroups are. Beside those of version 1 they have a folder of their own.
fn unified() -> &'static Path {
    static ROOT: OnceLock<&Path> = OnceLock::new();
    ROOT.get_or_init(|| {
        let beside = Path::new(BESIDE);
        if beside.is_dir() { beside } else { Path::new("/sys/fs/cgroup") }
    })
}

/// The variables that a process was started with, in their order.
///
/// # Errors
/// It is gone, or somebody else's.
pub fn variables(pid: u32) -> std::io::Result<Vec<(String, String)>> {
    let block = fs::read(format!("/proc/{pid}/environ"))?;
    let all = block.split(|byte| *byte == 0).filter(|one| !one.is_empty());
    let pair = |one: &[u8]| {
        let text = String::from_utf8_lossy(one).into_owned();
        text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    Ok(all.filter_map(pair).collect())
}

/// What a cgroup uses; `None` if it is none, as with cgroups of version 1.
pub fn cgroup_usage(dir: &Path) -> Option<CgroupUsage> {
    let cpu = read(dir.join("cpu.stat"))?;
    let usec: u64 = cpu.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()?;
    // Beside cgroups of version 1 their controller counts, below the same path.
    let old = || {
        let below = dir.strip_prefix(BESIDE).ok()?;
        read(Path::new("/sys/fs/cgroup/memory").join(below).join("memory.usage_in_bytes"))
    };
    let memory = if counts_memory() { read(dir.join("memory.current")) } else { None };
    let memory = memory.or_else(old);
    Some(CgroupUsage {
        cpu_seconds: usec as f64 / 1e6,
        memory_bytes: memory.and_then(|text| text.trim_end().parse().ok()),
    })
}

/// Whether unified cgroups count memory at all: beside those of version 1, which may have the controller, they do not.
fn counts_memory() -> bool {
    static COUNTS: OnceLock<bool> = OnceLock::new();
    *COUNTS.get_or_init(|| {
        let controllers = read(unified().join("cgroup.controllers"));
        // Where that is not told, each cgroup is asked.
        controllers.is_none_or(|all| all.split_whitespace().any(|one| one == "memory"))
    })
}

/// Processes of a cgroup, or nothing if there are more than `most`.
pub fn processes(dir: &Path, most: usize) -> Option<Vec<u32>> {
    let text = read(dir.join("cgroup.procs"))?;
    let pids: Vec<u32> = text.lines().take(most + 1).filter_map(|line| line.parse().ok()).collect();
    (pids.len() <= most).then_some(pids)
}

/// Processes of a cgroup and of those below it; `None` if it is none.
pub fn all_processes(dir: &Path) -> Option<Vec<u32>> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).ok()?;
    let mut pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    let below = fs::read_dir(dir).into_iter().flatten().flatten();
    for dir in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        pids.extend(all_processes(&dir.path()).unwrap_or_default());
    }
    Some(pids)
}

/// Memory that all processes of an instance need, by its main one: what they have in memory of their own, and of
/// files that they have mapped. Cache that the kernel would give up is none.
pub fn resident(main: u32) -> Option<u64> {
    let dir = cgroup_of(main);
    let counted = dir.and_then(|dir| read(dir.join("memory.stat")));
    let field = |text: &str, name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    match counted {
        Some(text) => Some(field(&text, "anon")? + field(&text, "file_mapped")?),
        // Without the memory controller each process is counted, and what they share more than once.
        None => of_family(main),
    }
}

fn of_family(pid: u32) -> Option<u64> {
    let status = read(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let own: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| read(task.path().join("children")));
    let children: Vec<u32> = children
        .flat_map(|text| {
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    Some(own * 1024 + children.into_iter().filter_map(of_family).sum::<u64>())
}

/// `accept` and `accept4`, as `/proc/PID/syscall` numbers them.
#[cfg(target_arch = "x86_64")]
const ACCEPT: [&str; 2] = ["43", "288"];
#[cfg(target_arch = "aarch64")]
const ACCEPT: [&str; 2] = ["202", "242"];

/// Whether a thread of this process, or of one that it started, waits in `accept()`. False where
/// the kernel does not tell.
pub fn accepts(pid: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut tasks = tasks.map(|task| task.path());
    tasks.any(|task| {
        let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
        let waits = read("syscall").split(' ').next().is_some_and(|call| ACCEPT.contains(&call));
        let children = read("children");
        let mut children = children.split_whitespace().filter_map(|child| child.parse().ok());
        waits || children.any(accepts)
    })
}

/// A process and all that it has started.
pub fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        all.extend(children.flat_map(family));
    }
    all
}

/// Whether the working directory of a process was removed.
pub fn is_uprooted(pid: u32) -> bool {
    let cwd = fs::read_link(format!("/proc/{pid}/cwd"));
    cwd.is_ok_and(|cwd| cwd.as_os_str().as_encoded_bytes().ends_with(b" (deleted)"))
}

/// A variable that a process was started with; `None` also where that cannot be seen.
pub fn variable_of(pid: u32, name: &str) -> Option<String> {
    let block = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut entries = block.split(|byte| *byte == 0);
    let value =
        entries.find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Whether a thread of a process waits in `accept()` of this descriptor.
pub(super) fn accepts_at(pid: u32, fd: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let descriptor = format!("{fd:#x}");
    tasks.map(|task| task.path()).any(|task| {
        let text = fs::read_to_string(task.join("syscall")).unwrap_or_default();
        let mut words = text.split(' ');
        let accepts = words.next().is_some_and(|call| ACCEPT.contains(&call));
        accepts && words.next() == Some(descriptor.as_str())
    })
}

/// What a process uses; `None` when it is gone.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = read(format!("/proc/{pid}/stat"))?;
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
        parent: u32::try_from(number(1)?).ok()?,
    })
}

/// Whether a process has ended, also while nobody has heard of that yet.
pub fn has_ended(pid: u32) -> bool {
    let stat = read(format!("/proc/{pid}/stat"));
    let state = stat.as_deref().and_then(|stat| stat.rsplit_once(") ")?.1.chars().next());
    state.map_or_else(|| is_gone(pid), |state| matches!(state, 'Z' | 'X'))
}

/// Whether no process has this number, hidden ones included.
pub fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_none_or(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

/// The beginning of a file of the kernel's, which fits into one page. Half the system calls of
/// [`fs::read_to_string`], which counts when hundreds are read.
fn read(path: impl AsRef<Path>) -> Option<String> {
    let mut page = [0; 4096];
    let length = fs::File::open(path).ok()?.read(&mut page).ok()?;
    Some(String::from_utf8_lossy(&page[..length]).into_owned())
}
