//! One program, run once in a network of its own, to see what it listens on.
//!
//! ```text
//! clusterctl start, detect
//!   └─ watch(): new user, network and process-id namespaces; reads their tables of sockets
//!        └─ init(): process 1, own /proc; takes in orphans, asks the program to end
//!             └─ the program
//! ```
//!
//! It never injects anything into the program, and never stores anything. Each process ends when
//! the one above it is gone, and the kernel kills what is left with process 1.
//!
//! Discovery looks from outside. `start app.js` and `detect` run the program once in fresh user,
//! network and process-id namespaces and read the kernel's tables of sockets there, instead of
//! loading the preload library in a watch mode: everything that listens in that network is the
//! program's, static or dynamic, in any language, through any wrapper. It counts when nothing has
//! changed for 300 ms. Ports that the kernel chose are told by the range, which is narrowed in
//! there. What it costs: the program really runs once, as the caller and with the caller's
//! variables, and writes its files; nothing is reachable by network, so that one that needs its
//! database first ends early, is shown with its last lines, and is started with `--listen`. An
//! IPv6-only wildcard cannot be told from a dual-stack one and counts as dual-stack. One that runs
//! on without listening is a worker, as PM2 users expect; one that ends is refused.

use super::{Error, mounts, namespace};
use crate::ecosystem::ListenAddress;
use crate::{host, limits};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SendFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, wait};
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// How long nothing may change before it counts as all there is.
const SETTLED: Duration = Duration::from_millis(300);

/// Between two looks; sockets send no event when they start to listen.
const LOOK: Duration = Duration::from_millis(50);

/// Ports that the kernel hands out in there, few, so that hardly any real port looks like one.
const EPHEMERAL: &str = "65024 65151";

/// What a trial run showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrialSight {
    /// Addresses that it listened on, sorted; ports that the kernel chose are left out.
    pub addresses: Vec<ListenAddress>,
    /// Whether it waits in `accept()`, instead of for several sockets at once.
    pub accepts: bool,
    /// Why the look ended.
    pub end: TrialEnd,
}

/// Why the look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialEnd {
    /// It listens, and nothing changed any more.
    Settled,
    /// It ran on until the limit.
    Limit,
    /// It ended by itself, with this code (128 and the number of a signal).
    Exit(i32),
}

/// Runs `init` (this program's arguments for [`init`]) in new namespaces, sees what listens there
/// within `limit`, and ends all of it. Returns early when standard input is closed.
///
/// Must be called before the program has made a second thread, and leaves this process in the
/// namespaces.
///
/// # Errors
/// The kernel's or the container's refusal.
pub fn watch(init: &[OsString], limit: Duration) -> Result<TrialSight, Error> {
    let folder = std::env::current_dir().map_err(Error::step("looking for the folder"))?;
    namespace::isolate_network()?;
    loopback_up().map_err(Error::step("starting the private network"))?;
    // Where these files are read-only, ports below 1024 are refused to users, and that is all.
    let _ = fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    let _ = fs::write("/proc/sys/net/ipv4/ip_local_port_range", EPHEMERAL);
    let failed = || Error::step("starting the inner process");
    let program = std::env::current_exe().map_err(failed())?;
    let mut child =
        Command::new(program).args(init).stdin(Stdio::piped()).spawn().map_err(failed())?;
    let sight = look(&mut child, limit, &folder);
    let paths = sight.as_ref().map(|sight| sockets(&sight.addresses)).unwrap_or_default();
    drop(child.stdin.take());
    child.wait().map_err(Error::step("waiting"))?;
    for (path, inode) in paths {
        if inode_of(&path) == Some(inode) {
            // Somebody else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
    sight.map_err(Error::step("looking at the program"))
}

fn look(child: &mut Child, limit: Duration, folder: &Path) -> io::Result<TrialSight> {
    let begun = Instant::now();
    let range = ephemeral();
    let mut addresses = Vec::new();
    let mut since = begun;
    loop {
        let ended = child.try_wait()?;
        let now = host::listening().into_iter().filter(|address| is_chosen(address, range));
        let now: Vec<ListenAddress> = now.map(|address| absolute(address, folder)).collect();
        if let Some(status) = ended {
            return Ok(TrialSight { addresses, accepts: false, end: TrialEnd::Exit(code(status)) });
        }
        if now != addresses {
            (addresses, since) = (now, Instant::now());
        } else if !addresses.is_empty() && since.elapsed() >= SETTLED {
            let accepts = host::accepts(child.id());
            return Ok(TrialSight { addresses, accepts, end: TrialEnd::Settled });
        }
        if begun.elapsed() >= limit || is_abandoned()? {
            return Ok(TrialSight { addresses, accepts: false, end: TrialEnd::Limit });
        }
    }
}

/// Sleeps until the next look, or until nobody wants it any more.
fn is_abandoned() -> io::Result<bool> {
    let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(LOOK.subsec_nanos()) };
    let stdin = io::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut fds, Some(&pause)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The range of ports that the kernel chooses from, first and last.
fn ephemeral() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().filter_map(|number| number.parse().ok());
    (numbers.next().unwrap_or(32768), numbers.next().unwrap_or(60999))
}

/// Whether the program chose the address, and not the kernel for it.
fn is_chosen(address: &ListenAddress, (first, last): (u16, u16)) -> bool {
    match address {
        ListenAddress::Inet { socket, .. } => !(first..=last).contains(&socket.port()),
        // unix(7), autobind: five hexadecimal digits.
        ListenAddress::Abstract { name, .. } => {
            !(name.len() == 5 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
        }
        ListenAddress::Unix { .. } => true,
    }
}

/// A Unix socket is listed as it was bound, and that may be relative to the folder.
fn absolute(address: ListenAddress, folder: &Path) -> ListenAddress {
    match address {
        ListenAddress::Unix { protocol, path } => {
            ListenAddress::Unix { protocol, path: folder.join(path) }
        }
        other => other,
    }
}

fn sockets(addresses: &[ListenAddress]) -> Vec<(PathBuf, (u64, u64))> {
    let paths = addresses.iter().filter_map(ListenAddress::path);
    paths.filter_map(|path| Some((path.to_owned(), inode_of(path)?))).collect()
}

/// Device and inode of a socket.
fn inode_of(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let meta = fs::symlink_metadata(path).ok()?;
    meta.file_type().is_socket().then(|| (meta.dev(), meta.ino()))
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Sets `IFF_UP` on the first interface of a namespace, which is `lo` (rtnetlink(7)).
fn loopback_up() -> io::Result<()> {
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST: u16 = 1;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32u32.to_ne_bytes()); // struct nlmsghdr: length, type, flags, sequence, port
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([0; 4]); // struct ifinfomsg: family, type, index, flags, mask of changes
    message.extend(1i32.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes());
    // Protocol 0 is NETLINK_ROUTE.
    let route = rustix::net::socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    rustix::net::send(route.as_fd(), &message, SendFlags::empty())?;
    Ok(())
}

/// Process 1 of the namespace: runs the program until it has ended, or asks it to end as soon as
/// standard input is closed. What the program prints goes to standard error. Returns the exit code.
///
/// # Errors
/// The program cannot be started.
pub fn init(program: &OsString, args: &[OsString]) -> Result<u8, Error> {
    if namespace::leave_mounts().is_ok() {
        // Refused in some containers: there the program sees the processes of the outside.
        let _ = mounts::close();
    }
    namespace::drop_admin()?;
    let name = program.to_string_lossy().into_owned();
    let failed = || Error::step(format!("starting {name}"));
    let output = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).process_group(0);
    command.stdout(output().map_err(failed())?).stderr(output().map_err(failed())?);
    for name in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        command.env_remove(name);
    }
    let child = command.spawn().map_err(failed())?;
    let main = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap_or(Pid::INIT);
    thread::spawn(move || {
        let _ = io::stdin().read(&mut [0]);
        // It may have ended, which is what is wanted.
        let _ = kill_process_group(main, Signal::TERM);
        // A deadline, not a wait for something: when the last child has ended before it, this process does.
        thread::sleep(limits::TRIAL_ENDS);
        std::process::exit(1);
    });
    let mut code = 0;
    // A program that goes into the background leaves children behind, which are waited for too.
    while let Ok(Some((pid, status))) = wait(WaitOptions::empty()) {
        if pid == main {
            let signal = || status.terminating_signal().map(|signal| 128 + signal);
            code = status.exit_status().or_else(signal).unwrap_or(1);
        }
    }
    Ok(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ecosystem::Protocol;

    fn tcp(socket: &str) -> ListenAddress {
        ListenAddress::inet(Protocol::Stream, socket.parse().unwrap())
    }

    #[test]
    fn what_the_kernel_chose_is_left_out() {
        let range = (65024, 65151);
        assert!(is_chosen(&tcp("[::]:50051"), range));
        assert!(!is_chosen(&tcp("127.0.0.1:65030"), range));
        let name = |name: &str| ListenAddress::Abstract {
            protocol: Protocol::Datagram,
            name: name.into(),
        };
        assert!(!is_chosen(&name("0004f"), range));
        assert!(is_chosen(&name("shop"), range));
    }

    #[test]
    fn a_relative_path_is_one_of_the_folder() {
        let path =
            |path: &str| ListenAddress::Unix { protocol: Protocol::Stream, path: path.into() };
        assert_eq!(absolute(path("a.sock"), Path::new("/srv")), path("/srv/a.sock"));
        assert_eq!(absolute(path("/run/a.sock"), Path::new("/srv")), path("/run/a.sock"));
    }
}
