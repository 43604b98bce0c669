//! The process that the user started: it unshares, starts the inner one and forwards signals.
//!
//! It has one thread, as the kernel wants it of a process that unshares its process ids, and it
//! mounts nothing, so that nothing of its own can be left behind.

use super::{Error, cgroup, lifeline, manager, namespace};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Terminals, `timeout` and package runners may send one request twice, to the process and to
/// its group.
const ECHO: Duration = Duration::from_millis(200);

/// Starts this program again, with `arguments`, as process 1 of a new namespace, and waits for
/// it. The first SIGINT, SIGTERM or SIGHUP asks it to drain, a second one kills everything.
/// Returns its exit status (0 to 255; 130 when it was killed).
///
/// Must be called before the program has made a second thread. The inner process takes the
/// requests from [`super::Lifeline`].
///
/// # Errors
/// Something is not installed, not allowed, or the process cannot be started.
pub fn enter<I>(arguments: I) -> Result<u8, Error>
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    manager::check_installed()?;
    let (signals, children) = watch().map_err(Error::step("listening to signals"))?;
    let cgroup = cgroup::make();
    if cgroup.is_none() && !rustix::process::getuid().is_root() {
        return Err(Error::NoCgroup);
    }
    let run = || -> Result<u8, Error> {
        namespace::isolate()?;
        let failed = || Error::step("starting the inner process");
        let (ours, theirs) = UnixStream::pair().map_err(failed())?;
        let program = std::env::current_exe().map_err(failed())?;
        let mut command = Command::new(program);
        // A process group of its own: Ctrl-C reaches this process only, which asks politely.
        command.args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).process_group(0);
        match &cgroup {
            Some(dir) => command.env(manager::CGROUP, dir),
            None => command.env_remove(manager::CGROUP),
        };
        let child = command.spawn().map_err(failed())?;
        drop(command);
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT);
        follow(pid, &ours, signals, children).map_err(Error::step("waiting"))
    };
    let result = run();
    if let Some(dir) = &cgroup {
        cgroup::remove(dir);
    }
    result
}

/// Two sockets: one becomes readable at a request to end, the other at the end of a child.
fn watch() -> io::Result<(UnixStream, UnixStream)> {
    let (signals, on_signal) = UnixStream::pair()?;
    let (children, on_child) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::low_level::pipe::register(signal, on_signal.try_clone()?)?;
    }
    signal_hook::low_level::pipe::register(SIGCHLD, on_child)?;
    children.set_nonblocking(true)?;
    Ok((signals, children))
}

fn follow(
    inner: Pid,
    lifeline: &UnixStream,
    mut signals: UnixStream,
    mut children: UnixStream,
) -> io::Result<u8> {
    let mut asked: Option<Instant> = None;
    loop {
        let mut fds = [signals.as_fd(), children.as_fd()]
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Err(rustix::io::Errno::INTR) => continue,
            result => result?,
        };
        let [signal, child] = fds.map(|fd| !fd.revents().is_empty());
        if child {
            // The bytes mean nothing: that something was written is the message.
            let _ = children.read(&mut [0; 64]);
            if let Some(status) = reap(inner) {
                return Ok(code(status));
            }
        }
        if signal {
            signals.read_exact(&mut [0])?;
            match asked {
                Some(first) if first.elapsed() > ECHO => kill_process(inner, Signal::KILL)?,
                Some(_) => {}
                None => lifeline::ask(lifeline),
            }
            asked.get_or_insert_with(Instant::now);
        }
    }
}

/// Takes in all that ended, orphans too, which come here where this is a container's process 1.
/// Says how the inner process ended, if it has.
fn reap(inner: Pid) -> Option<WaitStatus> {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == inner {
            return Some(status);
        }
    }
    None
}

fn code(status: WaitStatus) -> u8 {
    status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(130)
}
