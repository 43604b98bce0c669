//! The lines for the shell here, before a host's app is taken away and after it is back: a balancer learns of it.

use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{host, limits};

/// What runs here around the work on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Before; a host for which it fails is not touched.
    pub before: Option<String>,
    /// After it went well.
    pub after: Option<String>,
    /// The folder in which they run.
    pub folder: PathBuf,
}

/// Bytes at the end of what a line wrote that are shown.
const SAID: i64 = 2000;

impl Hooks {
    /// Runs a line for a host.
    ///
    /// # Errors
    /// It failed; the text says how, with the last of what it wrote.
    pub(super) fn run(&self, line: &str, host: &str) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("cannot be started: {error}");
        let mut said = tempfile::tempfile().map_err(failed)?;
        let both = said.try_clone().and_then(|out| Ok((out, said.try_clone()?))).map_err(failed)?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).env("HOST", host).current_dir(&self.folder);
        // Ctrl-C lets the host under way finish, and so its hook.
        shell.stdin(Stdio::null()).stdout(both.0).stderr(both.1).process_group(0);
        let mut child = shell.spawn().map_err(failed)?;
        let in_time = host::ends_before(&child, Instant::now() + limits::HOOK);
        if !in_time {
            // With everything that the line has started, which is its process group.
            let group = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let why = match child.wait().map_err(failed)? {
            _ if !in_time => format!("no end after {} min", limits::HOOK.as_secs() / 60),
            status if status.success() => return Ok(()),
            status => status.to_string(),
        };
        let mut text = String::new();
        let length = said.stream_position().unwrap_or_default();
        let back = SAID.min(i64::try_from(length).unwrap_or(SAID));
        if said.seek(std::io::SeekFrom::End(-back)).is_ok() {
            let mut bytes = Vec::new();
            let _ = said.read_to_end(&mut bytes);
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        Err(last.map_or_else(|| why.clone(), |last| format!("{why}: {last}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_knows_the_host_and_says_why_it_failed() {
        let root = tempfile::tempdir().unwrap();
        let hooks = Hooks { folder: root.path().to_owned(), ..Hooks::default() };
        hooks.run("printf '%s' \"$HOST\" > seen", "web 1").unwrap();
        assert_eq!(std::fs::read_to_string(root.path().join("seen")).unwrap(), "web 1");
        let why = hooks.run("echo one; echo two >&2; exit 3", "web1").unwrap_err();
        assert_eq!(why, "exit status: 3: two");
        assert_eq!(hooks.run("exit 4", "web1").unwrap_err(), "exit status: 4");
    }
}
