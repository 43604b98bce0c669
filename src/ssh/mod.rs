//! Commands on other machines by OpenSSH: the program `ssh`, so that `~/.ssh/config`, agents and known hosts count
//! as they always do. It knows neither apps nor what is said; it asks for no password and decides nothing.
//!
//! A connection is kept for a minute, in a folder of the caller alone, since a new one takes three times as long.
//! One over which nothing comes back ends by itself: see `limits::SSH_CONNECT` and `limits::SSH_ALIVE`.

mod said;
mod session;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use said::Tail;
pub use session::{Ended, Heard, Session};

use crate::limits;

/// The way to other machines.
#[derive(Clone, Debug)]
pub struct Ssh {
    /// The folder of the connections that are kept; `None` keeps none.
    sockets: Option<PathBuf>,
}

/// What a command there reads from its standard input.
#[derive(Debug)]
pub enum Input {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file of this machine from where it stands, read by ssh itself: however large it is, nobody holds all of it.
    File(File),
}

/// Who else is meant by Ctrl-C on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// The command there ends with this program.
    EndsIt,
    /// The command there goes on until it has ended by itself.
    LeavesIt,
}

impl Ssh {
    /// Prepares the folder in which connections are kept. Where there is no safe place for it, each command gets a
    /// connection of its own.
    pub fn new() -> Ssh {
        let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let uid = rustix::process::geteuid();
        let usual = || match uid.is_root() {
            true => PathBuf::from("/run"),
            false => PathBuf::from(format!("/run/user/{}", uid.as_raw())),
        };
        let base = own.filter(|path| path.is_absolute()).unwrap_or_else(usual);
        let folder = base.join("clusterctl-ssh");
        Ssh { sockets: is_private(&folder, uid.as_raw()).then_some(folder) }
    }

    /// Starts a command there. `command` is a line for the host's shell; see `fleet::command`.
    ///
    /// # Errors
    /// There is no program `ssh`, or the kernel refuses to start it.
    pub fn start(
        &self,
        host: &str,
        command: &str,
        input: Input,
        interrupt: Interrupt,
    ) -> io::Result<Session> {
        let mut ssh = Command::new("ssh");
        ssh.args(self.options()).args(["--", host, command]);
        ssh.stdout(Stdio::piped()).stderr(Stdio::piped());
        if interrupt == Interrupt::LeavesIt {
            ssh.process_group(0);
        }
        let bytes = match input {
            Input::Nothing => {
                ssh.stdin(Stdio::null());
                None
            }
            Input::File(file) => {
                ssh.stdin(file);
                None
            }
            Input::Bytes(bytes) => {
                ssh.stdin(Stdio::piped());
                Some(bytes)
            }
        };
        Session::of(ssh.spawn()?, bytes)
    }

    fn options(&self) -> Vec<OsString> {
        let (alive, count) = limits::SSH_ALIVE;
        let mut options = vec![
            "BatchMode=yes".to_owned(),
            format!("ConnectTimeout={}", limits::SSH_CONNECT.as_secs()),
            format!("ServerAliveInterval={}", alive.as_secs()),
            format!("ServerAliveCountMax={count}"),
        ];
        match &self.sockets {
            None => options.push("ControlPath=none".to_owned()),
            Some(folder) => {
                // The name is a hash of host, port and user, so that it is short enough for a socket.
                let path = folder.join("%C").display().to_string();
                options.push("ControlMaster=auto".to_owned());
                options.push(format!("ControlPath={path}"));
                options.push(format!("ControlPersist={}", limits::SSH_KEPT.as_secs()));
            }
        }
        // No terminal, no agent, no display: a host gets what it needs, and no more.
        let words = ["-T", "-a", "-x"].map(OsString::from).into_iter();
        words.chain(options.into_iter().flat_map(|one| ["-o".into(), one.into()])).collect()
    }
}

impl Default for Ssh {
    fn default() -> Ssh {
        Ssh::new()
    }
}

/// Makes a folder, and says whether nobody else may enter it.
fn is_private(folder: &Path, uid: u32) -> bool {
    // One that is there already is looked at like a new one.
    let _ = std::fs::DirBuilder::new().mode(0o700).create(folder);
    // `%` has a meaning for ssh, and a blank ends its option.
    let plain = folder.to_str().is_some_and(|path| !path.contains(['%', ' ', '"', '\\', '$', '~']));
    let made = folder.symlink_metadata();
    plain && made.is_ok_and(|meta| meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn options(ssh: &Ssh) -> String {
        let words = ssh.options().into_iter().map(|word| word.into_string().unwrap());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn dead_links_end_and_nobody_is_asked() {
        let line = options(&Ssh { sockets: None });
        assert_eq!(
            line,
            "-T -a -x -o BatchMode=yes -o ConnectTimeout=5 -o ServerAliveInterval=3 \
             -o ServerAliveCountMax=2 -o ControlPath=none"
        );
        let kept = options(&Ssh { sockets: Some("/run/user/1/clusterctl-ssh".into()) });
        let end = " -o ControlMaster=auto -o ControlPath=/run/user/1/clusterctl-ssh/%C -o ControlPersist=60";
        assert!(kept.ends_with(end), "{kept}");
    }

    #[test]
    fn connections_are_kept_in_a_folder_of_the_caller_alone() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let folder = root.path().join("ssh");
        assert!(is_private(&folder, uid) && is_private(&folder, uid));
        assert!(!is_private(&folder, uid + 1));
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
        assert!(!is_private(&folder, uid));
        assert!(!is_private(&root.path().join("none/ssh"), uid));
        assert!(!is_private(&root.path().join("50%"), uid));
    }
}
