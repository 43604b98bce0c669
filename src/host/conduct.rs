//! What a process does at this moment: its open files, sockets, memory, namespaces and capabilities,
//! as /proc tells.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use crate::plan::audit::Conduct;

/// Devices that `PrivateDevices=` leaves, systemd.exec(5).
const PSEUDO: [&str; 9] =
    ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "log"];
/// What `RestrictAddressFamilies=` of strict leaves, by the tables of the kernel.
const TABLES: [&str; 11] = [
    "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "unix", "netlink", "icmp", "icmp6", "raw",
];
/// Kinds of namespaces that a program may make.
const NAMESPACES: [&str; 7] = ["user", "pid_for_children", "net", "mnt", "ipc", "uts", "cgroup"];

/// Looks at a process; `main` is the first one of its instance. `None` when it may not be looked at,
/// or is gone.
pub fn conduct(pid: u32, main: u32) -> Option<Conduct> {
    let mut conduct = Conduct { capabilities: capabilities(pid)?, ..Conduct::default() };
    let tables = Tables::read(pid);
    for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        note_descriptor(&mut conduct, pid, &entry.path(), &target, &tables);
    }
    note_memory(&mut conduct, &fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default());
    for kind in NAMESPACES {
        let of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
        if pid != main && of(pid).is_some() && of(pid) != of(main) {
            conduct.namespaces.insert(kind.trim_end_matches("_for_children").to_owned());
        }
    }
    Some(conduct)
}

fn capabilities(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

fn note_descriptor(conduct: &mut Conduct, pid: u32, link: &Path, target: &Path, tables: &Tables) {
    let text = target.to_string_lossy();
    if let Some(inode) = text.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']')) {
        return note_socket(conduct, link, inode, tables);
    }
    if !target.is_absolute() || text.ends_with(" (deleted)") {
        return;
    }
    let Ok(meta) = fs::metadata(link) else { return };
    let kind = meta.file_type();
    if kind.is_char_device() || kind.is_block_device() {
        let name = target.strip_prefix("/dev").unwrap_or(target);
        let pseudo = PSEUDO.iter().any(|one| name == Path::new(one)) || name.starts_with("pts");
        if !pseudo {
            conduct.devices.insert(target.to_owned());
        }
    } else if kind.is_file() && is_open_to_write(pid, link.file_name()) {
        conduct.written.insert(target.to_owned());
    }
}

fn is_open_to_write(pid: u32, fd: Option<&OsStr>) -> bool {
    let Some(fd) = fd else { return false };
    let path = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(fd);
    let info = fs::read_to_string(path).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    // O_WRONLY or O_RDWR, in octal digits.
    flags.and_then(|flags| flags.trim().chars().last()).is_some_and(|low| "12567".contains(low))
}

fn note_socket(conduct: &mut Conduct, link: &Path, inode: &str, tables: &Tables) {
    if let Some(path) = tables.paths.get(inode) {
        conduct.sockets.extend(path.clone());
        return;
    }
    let mut name = [0u8; 32];
    let length = rustix::fs::getxattr(link, c"system.sockprotoname", &mut name[..]).unwrap_or(0);
    let name = String::from_utf8_lossy(name.get(..length).unwrap_or_default());
    let name = name.trim_end_matches('\0');
    let usual = ["TCP", "UDP", "RAW", "PING", "UNIX", "NETLINK", "MPTCP", "SCTP"];
    if name.is_empty() || usual.iter().any(|one| name.starts_with(one)) {
        return;
    }
    let family = match name {
        "PACKET" => "AF_PACKET".to_owned(),
        "ALG" => "AF_ALG".to_owned(),
        "AF_VSOCK" | "VSOCK" => "AF_VSOCK".to_owned(),
        other => other.to_owned(),
    };
    conduct.families.insert(family);
}

fn note_memory(conduct: &mut Conduct, maps: &str) {
    for line in maps.lines() {
        let mut words = line.splitn(6, ' ');
        let (Some(_), Some(rights)) = (words.next(), words.next()) else { continue };
        let name = words.nth(3).unwrap_or_default().trim_start();
        if rights.contains('x')
            && (name.is_empty() || rights.contains('w') || name.starts_with("[anon"))
        {
            conduct.compiles = true;
        }
        let shared = rights.starts_with("rw") && rights.ends_with('s');
        if shared && name.starts_with('/') && !name.ends_with(" (deleted)") {
            let path = PathBuf::from(name);
            if !path.starts_with("/dev") {
                conduct.written.insert(path);
            }
        }
    }
}

/// Sockets of the network namespace of a process, by their inodes, with paths of those that have one.
struct Tables {
    paths: BTreeMap<String, Option<PathBuf>>,
}

impl Tables {
    fn read(pid: u32) -> Tables {
        let mut paths = BTreeMap::new();
        for table in TABLES {
            let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
            for line in text.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let place = match table {
                    "unix" => 6,
                    _ => 9,
                };
                let Some(inode) = words.get(place) else { continue };
                let path = (table == "unix").then(|| words.get(7)).flatten();
                let path = path.filter(|path| path.starts_with('/')).map(PathBuf::from);
                paths.insert((*inode).to_owned(), path);
            }
        }
        Tables { paths }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn this_process_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = fs::File::create(dir.path().join("written")).unwrap();
        let read = fs::File::open(dir.path().join("written")).unwrap();
        let path = dir.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let pid = std::process::id();
        let seen = conduct(pid, pid).unwrap();
        assert!(seen.written.contains(&dir.path().join("written")), "{seen:?}");
        assert!(seen.sockets.contains(&path), "{seen:?}");
        assert!(seen.families.is_empty() && seen.namespaces.is_empty(), "{seen:?}");
        drop((file, listener));
        assert!(!conduct(pid, pid).unwrap().written.contains(&dir.path().join("written")));
        drop(read);
    }

    #[test]
    fn memory_that_is_written_and_executed_is_seen() {
        let library =
            "7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/libc.so.6\n7f01-7f02 r-xp 0 00:00 0 [vdso]";
        let mut conduct = Conduct::default();
        note_memory(&mut conduct, library);
        assert!(!conduct.compiles && conduct.written.is_empty());
        note_memory(&mut conduct, "7f00-7f01 rw-s 00000000 08:01 1                 /srv/a b/map");
        assert!(conduct.written.contains(Path::new("/srv/a b/map")));
        note_memory(&mut conduct, "7f00-7f01 r-xp 00000000 00:00 0 ");
        assert!(conduct.compiles);
    }
}
