//! A machine with systemd as PID 1, in systemd-nspawn over a throw-away layer.
//!
//! It is a namespace of its own (processes, mounts, network) that the kernel tears down as soon
//! as the test lets go of it, however the test ends. It never registers anywhere, and it never
//! changes the root that it boots from.

use std::{
    fs,
    os::linux::net::SocketAddrExt,
    os::unix::net::{SocketAddr, UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags},
};

use super::{logs, roots, roots::Root, skip};

/// A booted machine; dropping it ends it and everything in it.
#[derive(Debug)]
pub struct Machine {
    pub(super) name: String,
    pub(super) leader: u32,
    pub(super) console: PathBuf,
    cgroup: PathBuf,
    /// The machine ends when this closes, also when the whole test process is killed.
    alive: Option<ChildStdin>,
    keeper: Child,
}

const BOOT_DEADLINE: Duration = Duration::from_secs(60);
const PREFIX: &str = "clusterctl-boot";

impl Machine {
    /// Boots a machine, waits until systemd has started everything, and installs the clusterctl
    /// of this build as `/usr/bin/clusterctl`.
    ///
    /// # Panics
    /// With the console of the machine, when it is not up after a minute.
    pub fn boot(root: Root) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let lower = roots::prepare(root);
        remove_stale_cgroups();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}", std::process::id());
        let console = skip::target_dir()
            .join("boot-logs")
            .join(format!("{name}.console"));
        let ready = UnixDatagram::bind_addr(&abstract_address(&name)).unwrap();
        let mut machine = Self::start(name, &lower, console);
        machine.await_ready(&ready);
        machine.leader =
            leader_of(machine.keeper.id()).unwrap_or_else(|| machine.fail("has no PID 1"));
        let state = machine.run(["systemctl", "is-system-running", "--wait"]);
        if !["running", "degraded"].contains(&state.stdout.trim()) {
            machine.fail(&format!("did not come up: {state:?}"));
        }
        machine.copy(
            Path::new(env!("CARGO_BIN_EXE_clusterctl")),
            "/usr/bin/clusterctl",
        );
        machine
    }

    /// A path inside the machine, as this process reaches it.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader)).join(inside.trim_start_matches('/'))
    }

    fn start(name: String, lower: &Path, console: PathBuf) -> Self {
        let cgroup = make_cgroup(&name);
        fs::create_dir_all(console.parent().unwrap()).unwrap();
        let log = fs::File::create(&console).unwrap();
        // The script moves itself first, so that every process of the machine is in its cgroup.
        let enter = "echo $$ >\"$1/cgroup.procs\"; shift; exec \"$@\"";
        let mut keeper = Command::new("sh")
            .args(["-c", enter, "sh"])
            .arg(&cgroup)
            .args([
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .args(["sh", "-c", include_str!("boot.sh"), "boot.sh", &name])
            .arg(lower)
            .env("NOTIFY_SOCKET", format!("@{name}"))
            // Debian 12's nspawn mirrors the host's hierarchies, unless told what systemd wants.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .env("SYSTEMD_SECCOMP", "0")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let alive = keeper.stdin.take();
        Self {
            name,
            leader: 0,
            console,
            cgroup,
            alive,
            keeper,
        }
    }

    /// Waits for `READY=1`, which nspawn sends on behalf of the systemd inside.
    fn await_ready(&self, socket: &UnixDatagram) {
        let deadline = Instant::now() + BOOT_DEADLINE;
        let pid = Pid::from_raw(i32::try_from(self.keeper.id()).unwrap()).unwrap();
        let keeper = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.fail("did not come up in time");
            }
            let mut fds = [
                PollFd::new(socket, PollFlags::IN),
                PollFd::new(&keeper, PollFlags::IN),
            ];
            let timeout = Timespec {
                tv_sec: left.as_secs().try_into().unwrap(),
                tv_nsec: 1,
            };
            rustix::event::poll(&mut fds, Some(&timeout)).unwrap();
            if fds[1].revents().contains(PollFlags::IN) {
                self.fail("ended while it booted");
            }
            if fds[0].revents().contains(PollFlags::IN) {
                let mut buffer = [0; 4096];
                let length = socket.recv(&mut buffer).unwrap();
                let message = String::from_utf8_lossy(&buffer[..length]);
                if message.lines().any(|line| line == "READY=1") {
                    return;
                }
            }
        }
    }

    fn fail(&self, what: &str) -> ! {
        let console = fs::read_to_string(&self.console).unwrap_or_default();
        panic!("machine {} {what}; its console:\n{console}", self.name);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.leader != 0 {
            logs::save(self);
        }
        drop(self.alive.take());
        // Errors have nowhere to go from here, and the next machine sweeps what stays.
        let _ = self.keeper.wait();
        let _ = remove_cgroup(&self.cgroup);
        let _ = fs::remove_file(&self.console);
    }
}

fn abstract_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(name).unwrap()
}

/// keeper → boot.sh → systemd-nspawn → systemd
fn leader_of(keeper: u32) -> Option<u32> {
    let shell = *children(keeper).first()?;
    let nspawn = children(shell)
        .into_iter()
        .find(|pid| comm(*pid) == "systemd-nspawn")?;
    children(nspawn).first().copied()
}

fn comm(pid: u32) -> String {
    // The kernel keeps 15 bytes of a name, which "systemd-nspawn" fits into.
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn children(parent: u32) -> Vec<u32> {
    let wanted = format!("PPid:\t{parent}");
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/status"))
                .is_ok_and(|status| status.lines().any(|line| line == wanted))
        })
        .collect()
}

/// Where machines get their cgroups: nspawn gives the machine the place of its caller, so two
/// machines with the same caller would share theirs.
fn cgroup_base() -> &'static Path {
    let legacy = Path::new("/sys/fs/cgroup/systemd");
    if legacy.is_dir() {
        legacy
    } else {
        Path::new("/sys/fs/cgroup")
    }
}

fn make_cgroup(name: &str) -> PathBuf {
    let base = cgroup_base();
    if base.join("cgroup.controllers").exists() {
        // Without these the machine works, only its memory and CPU are not accounted.
        for controller in ["+cpu", "+memory", "+pids"] {
            let _ = fs::write(base.join("cgroup.subtree_control"), controller);
        }
    }
    let cgroup = base.join(name);
    fs::create_dir(&cgroup).unwrap_or_else(|error| {
        panic!("cannot create the cgroup {}: {error}", cgroup.display());
    });
    cgroup
}

fn remove_stale_cgroups() {
    for entry in fs::read_dir(cgroup_base()).unwrap().filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.trim_start_matches('-').split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = remove_cgroup(&entry.path());
        }
    }
}

/// Innermost first, as the kernel wants it.
fn remove_cgroup(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)?.filter_map(Result::ok) {
        if entry.file_type()?.is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    fs::remove_dir(dir)
}
