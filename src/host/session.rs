//! Programs of others in sessions of their own: what can open the terminal of whoever calls can also type there.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

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
