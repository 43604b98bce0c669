//! A machine with systemd as PID 1, in systemd-nspawn over a temporary overlay.
//!
//! A machine has namespaces of its own (processes, mounts, network), which the kernel removes as soon
//! as the test drops the machine, however the test ends. A machine is not registered with machined, and
//! never changes the root that it boots from.

use std::{
    fs,
    os::fd::OwnedFd,
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

use super::{
    cgroup::{self, PREFIX, Place},
    enter::COMMANDS_CGROUP,
    logs, roots,
    roots::Root,
    skip,
};

/// A booted machine; dropping it ends it and everything in it.
#[derive(Debug)]
pub struct Machine {
    pub(super) name: String,
    leader: AtomicU32,
    pub(super) console: PathBuf,
    place: Place,
    /// The machine ends when this pipe closes, also when the whole test process is killed.
    alive: Option<ChildStdin>,
    keeper: Child,
}

/// systemd-nspawn's filter of system calls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    On,
    Off,
}

const BOOT_DEADLINE: Duration = Duration::from_secs(60);

impl Machine {
    /// Boots a machine, waits until systemd has started everything, and installs the clusterctl
    /// of this build as `/usr/bin/clusterctl`.
    ///
    /// # Panics
    /// With the console of the machine, when systemd has not started everything after a minute.
    pub fn boot(root: Root) -> Self {
        Self::of(&roots::prepare(root), "", Filter::Off).with_clusterctl()
    }

    /// Boots a machine as [`Machine::boot`] does, with nspawn's own filter of system calls for every process that the
    /// machine's systemd starts, as in containers of users. Commands of the test enter the machine from outside and are
    /// not filtered; those that `systemd-run` starts are.
    ///
    /// # Panics
    /// As [`Machine::boot`].
    pub fn boot_filtered(root: Root) -> Self {
        Self::of(&roots::prepare(root), "", Filter::On).with_clusterctl()
    }

    fn with_clusterctl(self) -> Self {
        self.copy(Path::new(env!("CARGO_BIN_EXE_clusterctl")), "/usr/bin/clusterctl");
        self
    }

    /// Boots a directory exactly as it is, and waits until systemd has started everything.
    ///
    /// # Panics
    /// As [`Machine::boot`].
    pub fn boot_as_it_is(dir: &Path) -> Self {
        Self::of(dir, "as it is", Filter::Off)
    }

    fn of(lower: &Path, as_it_is: &str, filter: Filter) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}", std::process::id());
        let console = skip::target_dir().join("boot-logs").join(format!("{name}.console"));
        let ready = notify_socket(&name);
        let machine = Self::start(name, (lower, as_it_is), filter, console);
        machine.await_up(&ready);
        machine
    }

    /// Shuts the machine down and boots it again, with everything on its disk as it was.
    /// Commands that run in it end.
    ///
    /// # Panics
    /// With the console of the machine, when systemd has not started everything again after a minute.
    pub fn reboot(&self) {
        self.restart(&["systemctl", "reboot"]);
    }

    /// Boots the machine again without a shutdown, as after a power cut.
    ///
    /// # Panics
    /// As [`Machine::reboot`].
    pub fn power_cut(&self) {
        self.restart(&["systemctl", "reboot", "--force", "--force"]);
    }

    fn restart(&self, command: &[&str]) {
        let before = pidfd(self.leader());
        // The command may die without an answer: only the end of the machine counts.
        let _ = self.command(command).output().unwrap();
        self.await_end(&before);
        self.await_up(&notify_socket(&self.name));
    }

    fn await_end(&self, leader: &OwnedFd) {
        let mut fds = [PollFd::new(leader, PollFlags::IN)];
        let timeout = Timespec { tv_sec: BOOT_DEADLINE.as_secs().try_into().unwrap(), tv_nsec: 0 };
        if rustix::event::poll(&mut fds, Some(&timeout)).unwrap() == 0 {
            self.fail("does not shut down");
        }
    }

    /// Sends the machine's PID 1 a signal by its number, and waits until the machine has ended.
    ///
    /// # Panics
    /// With the console of the machine, when it has not ended in time.
    pub fn end_by(&self, signal: i32) {
        let before = pidfd(self.leader());
        let sent =
            Command::new("kill").args([&format!("-{signal}"), &self.leader().to_string()]).status();
        assert!(sent.unwrap().success());
        self.await_end(&before);
    }

    /// The process id that the machine's PID 1 has on this host.
    pub fn leader(&self) -> u32 {
        self.leader.load(Ordering::Relaxed)
    }

    /// The path by which this process reaches a path of the machine.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader())).join(inside.trim_start_matches('/'))
    }

    fn start(
        name: String,
        (lower, as_it_is): (&Path, &str),
        filter: Filter,
        console: PathBuf,
    ) -> Self {
        let place = Place::create(&name);
        fs::create_dir_all(console.parent().unwrap()).unwrap();
        sweep_consoles(console.parent().unwrap());
        let log = fs::File::create(&console).unwrap();
        // The shell moves itself into the cgroups first, so that every process of the machine is in them.
        let enter = r#"while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@""#;
        let mut keeper = Command::new("sh")
            .args(["-ec", enter, "sh"])
            .args(place.procs())
            .arg("--")
            .args(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"])
            .args(["sh", "-c", include_str!("boot.sh"), "boot.sh", &name])
            .arg(lower)
            .arg(as_it_is)
            .env("NOTIFY_SOCKET", format!("@{name}"))
            // Debian 12's nspawn mirrors the host's cgroup hierarchies unless this variable names a layout.
            .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
            .env("SYSTEMD_SECCOMP", if filter == Filter::On { "1" } else { "0" })
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let alive = keeper.stdin.take();
        Self { name, leader: AtomicU32::new(0), console, place, alive, keeper }
    }

    fn await_up(&self, ready: &UnixDatagram) {
        self.await_ready(ready);
        let leader = leader_of(self.keeper.id()).unwrap_or_else(|| self.fail("has no PID 1"));
        self.leader.store(leader, Ordering::Relaxed);
        let _ = fs::create_dir(self.path(COMMANDS_CGROUP));
        let state = self.run(["systemctl", "is-system-running", "--wait"]);
        if !["running", "degraded"].contains(&state.stdout.trim()) {
            self.fail(&format!("did not come up: {state:?}"));
        }
    }

    /// Waits for `READY=1`, which nspawn sends when the machine's systemd is ready.
    fn await_ready(&self, socket: &UnixDatagram) {
        let deadline = Instant::now() + BOOT_DEADLINE;
        let keeper = pidfd(self.keeper.id());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.fail("did not come up in time");
            }
            let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(&keeper, PollFlags::IN)];
            let timeout = Timespec { tv_sec: left.as_secs().try_into().unwrap(), tv_nsec: 1 };
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
        if std::thread::panicking() && self.leader() != 0 {
            logs::save(self);
        }
        drop(self.alive.take());
        // Drop cannot report errors, and the next machine removes what stays.
        let _ = self.keeper.wait();
        let _ = fs::remove_file(&self.console);
    }
}

/// The socket exists only while the machine boots: later messages of nspawn are not read.
fn notify_socket(name: &str) -> UnixDatagram {
    UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).unwrap()).unwrap()
}

fn pidfd(pid: u32) -> OwnedFd {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap()
}

fn sweep_consoles(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
        if cgroup::of_killed_test(&entry.file_name()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// keeper → boot.sh → its loop → systemd-nspawn → systemd
fn leader_of(keeper: u32) -> Option<u32> {
    let shells = children(keeper).into_iter().flat_map(children);
    let nspawn = shells.flat_map(children).find(|pid| comm(*pid) == "systemd-nspawn")?;
    children(nspawn).first().copied()
}

fn comm(pid: u32) -> String {
    // The kernel keeps the first 15 bytes of a process name; "systemd-nspawn" has 14.
    fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

pub(super) fn children(parent: u32) -> Vec<u32> {
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
