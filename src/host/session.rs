//! Programs of others: in sessions of their own, since what can open the terminal of whoever calls can also type there, and
//! with a limit to their time.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// setsid(1), of util-linux and of BusyBox.
const SETSID: [&str; 2] = ["/usr/bin/setsid", "/bin/setsid"];

/// A command in a session of its own; where nothing makes one, in a process group of its own.
pub fn in_own_session(program: &Path) -> Command {
    match SETSID.iter().find(|path| Path::new(path).is_file()) {
        Some(setsid) => {
            // It leads the process group of its session, too.
            let mut command = Command::new(setsid);
            command.arg(program);
            command
        }
        None => {
            let mut command = Command::new(program);
            command.process_group(0);
            command
        }
    }
}

/// Whether a child ends before a moment. Where the kernel lets nobody watch it, as in a narrow sandbox, this says so at
/// once, and whoever waits for the child then waits without a limit.
pub fn ends_before(child: &Child, deadline: Instant) -> bool {
    let Ok(process) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) else { return true };
    let mut wanted = [PollFd::new(&process, PollFlags::IN)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut wanted, Some(&left)) {
            Ok(0) => return false,
            Err(Errno::INTR) => {}
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use super::*;
    use crate::host::{has_ended, is_gone};

    #[test]
    fn an_end_is_seen_and_a_limit_is_kept() {
        let mut short = in_own_session(Path::new("true")).spawn().unwrap();
        assert!(ends_before(&short, Instant::now() + Duration::from_secs(60)));
        assert!(short.wait().unwrap().success());
        let mut long = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(!ends_before(&long, Instant::now() + Duration::from_millis(10)));
        assert!(!has_ended(long.id()));
        long.kill().unwrap();
        assert!(ends_before(&long, Instant::now() + Duration::from_secs(60)));
        // Nobody has waited for it: its number is still taken.
        assert!(has_ended(long.id()) && !is_gone(long.id()));
        long.wait().unwrap();
        assert!(has_ended(long.id()));
    }
}
