//! Starts and stops the private manager. It never decides which apps run: it only gives the
//! place for their units, and the address to talk to.

use super::journal::{JournalStandIn, OutputLine};
use super::{Error, bus, cgroup, mounts, namespace, process, units};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};
use std::{fs, io};

/// Where [`super::enter`] tells the inner process about its cgroup.
pub(super) const CGROUP: &str = "CLUSTERCTL_DEV_CGROUP";

const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// How to start the manager.
#[derive(Debug)]
pub struct ManagerOptions {
    /// Takes every line that services and the manager print.
    pub lines: Sender<OutputLine>,
    /// How long the manager may take to become ready.
    pub ready: Duration,
}

/// The running private manager, and everything that runs below it.
#[derive(Debug)]
pub struct Manager {
    child: Child,
    pidfd: OwnedFd,
    journal: Option<JournalStandIn>,
    group: (OwnedFd, PathBuf),
}

/// What a private manager needs.
///
/// # Errors
/// [`Error::Missing`] with the package that has it.
pub(super) fn check_installed() -> Result<&'static str, Error> {
    if !Path::new(bus::DAEMON).exists() {
        return Err(Error::Missing { program: bus::DAEMON, package: "dbus-daemon" });
    }
    let program = PROGRAMS.into_iter().find(|program| Path::new(program).exists());
    program.ok_or(Error::Missing { program: PROGRAMS[0], package: "systemd" })
}

impl Manager {
    /// Makes the private file system, starts bus and manager, and returns when the manager says
    /// that it is ready. To be called once, by the process that [`super::enter`] started, before
    /// it has made a second thread.
    ///
    /// # Errors
    /// Whatever is missing or not allowed; nothing is left running then.
    pub fn start(options: ManagerOptions) -> Result<Self, Error> {
        let program = check_installed()?;
        let group = prepare()?;
        let runtime = Path::new(mounts::RUNTIME);
        let unit_dir = runtime.join("systemd/user");
        fs::create_dir_all(&unit_dir).map_err(Error::step("making the unit directory"))?;
        units::write(&unit_dir)?;
        bus::write(runtime, &unit_dir)?;
        let notify = runtime.join("ready");
        let ready = UnixDatagram::bind(&notify).map_err(Error::step("opening the ready socket"))?;
        let journal = JournalStandIn::listen(Path::new(mounts::JOURNAL), options.lines)?;
        let child = spawn(program, runtime, &unit_dir, &notify)
            .map_err(Error::step(format!("starting {program}")))?;
        let pidfd = pid_fd(&child).map_err(Error::step("watching systemd"))?;
        let mut manager = Self { child, pidfd, journal: Some(journal), group };
        manager.wait_ready(&ready, options.ready)?;
        Ok(manager)
    }

    /// The directory that units are written to; the manager looks nowhere else.
    #[must_use]
    pub fn unit_dir(&self) -> PathBuf {
        Path::new(mounts::RUNTIME).join("systemd/user")
    }

    /// The manager's process, in the numbers of the private namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The D-Bus address of the private bus. A call to the manager that comes before it has
    /// joined the bus waits for it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix:path={}/bus", mounts::RUNTIME)
    }

    /// What `systemctl --user` needs in its environment to talk to this manager.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(Path::new(mounts::RUNTIME), &self.unit_dir())
    }

    /// Stops all apps, each with the time its unit gives it, and ends the manager; what is still
    /// there after `limit` is killed. Every line that was printed has been sent when it returns.
    pub fn stop(mut self, limit: Duration) {
        // SIGTERM makes a user manager start exit.target. One that has ended needs no signal.
        let _ = pidfd_send_signal(&self.pidfd, Signal::TERM);
        self.wait_end(limit);
        self.tear_down();
    }

    fn wait_ready(&mut self, ready: &UnixDatagram, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        let mut message = [0; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let readable = wait([ready.as_fd(), self.pidfd.as_fd()], left)
                .map_err(Error::step("waiting for systemd"))?;
            if readable[0] {
                let size = ready.recv(&mut message).unwrap_or(0);
                if message[..size].split(|byte| *byte == b'\n').any(|line| line == b"READY=1") {
                    return Ok(());
                }
            } else if readable[1] {
                let status = self.child.wait().map_err(Error::step("waiting for systemd"))?;
                return Err(Error::NotReady(format!("it ended with {status}")));
            } else if left.is_zero() {
                return Err(Error::NotReady(format!("nothing heard for {} s", limit.as_secs())));
            }
        }
    }

    fn wait_end(&self, limit: Duration) {
        // Whatever goes wrong with waiting, killing comes next.
        let _ = wait([self.pidfd.as_fd()], limit);
    }

    /// Kills what is left and takes in its last lines. Harmless when done twice.
    fn tear_down(&mut self) {
        // Fails only for a manager that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        process::kill_others();
        if let Some(journal) = self.journal.take() {
            journal.finish();
        }
        let (parent, group) = &self.group;
        let parent = PathBuf::from(format!("/proc/self/fd/{}", parent.as_raw_fd()));
        // The outer process removes the cgroup too; this is for the case that it was killed.
        if cgroup::join(&parent).is_ok() {
            cgroup::remove(&parent.join(group));
        }
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.tear_down();
    }
}

/// Namespaces, mounts and the cgroup of this process. Returns the parent directory of the
/// cgroup, still reachable from here, and the cgroup's name in it.
fn prepare() -> Result<(OwnedFd, PathBuf), Error> {
    namespace::leave_mounts()?;
    mounts::close()?;
    let dir = match std::env::var_os(CGROUP) {
        Some(dir) => dir.into(),
        // Containers see their cgroup read-only; root may mount it once more.
        None => {
            mounts::cgroups()?;
            cgroup::make().ok_or(Error::NoCgroup)?
        }
    };
    let group = enter_cgroup(&dir).map_err(Error::step("entering the cgroup"))?;
    namespace::leave_cgroups()?;
    mounts::cgroups()?;
    mounts::run()?;
    cgroup::join(Path::new("/sys/fs/cgroup/init.scope"))
        .map_err(Error::step("entering init.scope"))?;
    namespace::drop_admin()?;
    Ok(group)
}

fn enter_cgroup(dir: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let parent = dir.parent().unwrap_or(Path::new("/"));
    let parent: OwnedFd = fs::File::open(parent)?.into();
    cgroup::join(dir)?;
    Ok((parent, dir.file_name().map(PathBuf::from).unwrap_or_default()))
}

fn environment(runtime: &Path, unit_dir: &Path) -> Vec<(&'static str, String)> {
    let runtime = runtime.display();
    vec![
        ("XDG_RUNTIME_DIR", runtime.to_string()),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={runtime}/bus")),
        ("SYSTEMD_UNIT_PATH", unit_dir.display().to_string()),
    ]
}

fn spawn(program: &str, runtime: &Path, unit_dir: &Path, notify: &Path) -> io::Result<Child> {
    let nowhere = runtime.join("none");
    let mut command = Command::new(program);
    command.arg("--user").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    for (name, _) in std::env::vars_os() {
        // A manager further up must not shine through.
        let foreign = ["SYSTEMD_", "LISTEN_", "WATCHDOG_"];
        let named = ["INVOCATION_ID", "JOURNAL_STREAM", "MANAGERPID", "MAINPID", CGROUP];
        let text = name.to_string_lossy();
        if foreign.iter().any(|prefix| text.starts_with(prefix)) || named.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
        .envs(environment(runtime, unit_dir))
        .env("SYSTEMD_GENERATOR_PATH", &nowhere)
        .env("SYSTEMD_ENVIRONMENT_GENERATOR_PATH", &nowhere)
        .env("SYSTEMD_LOG_TARGET", "journal")
        .env("NOTIFY_SOCKET", notify)
        .spawn()
}

fn pid_fd(child: &Child) -> io::Result<OwnedFd> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or(io::ErrorKind::InvalidData)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Waits until one of `fds` can be read, or `limit` is over; says which can.
fn wait<const N: usize>(
    fds: [std::os::fd::BorrowedFd<'_>; N],
    limit: Duration,
) -> io::Result<[bool; N]> {
    let deadline = Instant::now() + limit;
    let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut fds, Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(fds.map(|fd| !fd.revents().is_empty())),
        }
    }
}
