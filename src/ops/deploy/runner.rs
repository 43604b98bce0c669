//! Runs what a deployment runs (the unpacking, hooks) with the rights of who owns the release: in a scope of its own,
//! so that nothing of it outlives the deployment, and in a session of its own, since what can open the terminal of
//! whoever deploys can also type there.

use std::fs::File;
use std::io::{self, PipeReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::inherited;
use crate::ecosystem::{Scope, User, fnv1a};
use crate::ops::Context;
use crate::release::{Error, Store};
use crate::{host, limits};

/// Where programs are: the same for every deployment, whoever starts it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Variables of the caller that programs get: language and ways to the network.
const KEPT: [&str; 9] = [
    "LANG",
    "LC_ALL",
    "TZ",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
];

/// Those besides that a user's own manager needs and that are that user's anyway.
const OWN: [&str; 7] =
    ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"];

/// How often it is asked whether Ctrl-C was pressed while a program says nothing.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Runs programs for one store.
#[derive(Debug)]
pub(super) struct Runner<'a> {
    context: &'a Context,
    store: &'a Store,
    owner: Option<&'a User>,
    count: u32,
}

/// What is run.
#[derive(Debug)]
pub(super) struct Work<'a> {
    /// Program and arguments.
    pub words: Vec<String>,
    /// The folder in which it runs.
    pub folder: &'a Path,
    /// Variables besides the usual ones.
    pub variables: Vec<(&'static str, String)>,
    /// What it reads.
    pub input: Option<File>,
}

impl<'a> Runner<'a> {
    pub(super) fn new(context: &'a Context, store: &'a Store, owner: Option<&'a User>) -> Self {
        Runner { context, store, owner, count: 0 }
    }

    /// Units of this store alone have this name.
    fn unit(&self, which: &str) -> String {
        let base = fnv1a(self.store.base().as_os_str().as_encoded_bytes());
        format!("clusterctl-deploy-{base:016x}-{which}.scope")
    }

    /// Ends what a killed deployment has left running. The caller holds the lock of the store.
    pub(super) fn end_leftovers(&self) {
        // Fails where there is nothing, as usual.
        let _ = self.systemctl(&["stop", &self.unit("*")]).status();
    }

    fn systemctl(&self, words: &[&str]) -> Command {
        let mut command = Command::new("systemctl");
        command.args(self.of_user()).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn of_user(&self) -> Option<&'static str> {
        (self.context.layout.scope == Scope::User).then_some("--user")
    }

    /// Runs something to its end; `said` hears each line that it says.
    pub(super) fn run(
        &mut self,
        work: Work<'_>,
        said: &mut dyn FnMut(String),
    ) -> Result<ExitStatus, Error> {
        self.count += 1;
        let unit = self.unit(&format!("{}-{}", std::process::id(), self.count));
        let failed = |doing: &'static str| {
            move |error: io::Error| {
                Error::failed(format!("cannot {doing}: {error}"), "is systemd-run installed?")
            }
        };
        let (reader, writer) = io::pipe().map_err(failed("make a pipe"))?;
        let mut command = self.command(&unit, &work)?;
        command.stdout(writer.try_clone().map_err(failed("make a pipe"))?).stderr(writer);
        command.stdin(work.input.map_or_else(Stdio::null, Stdio::from));
        let child = command.spawn().map_err(failed("start systemd-run"))?;
        // It holds the pipe open, which would have no end.
        drop(command);
        let ended = self.follow(child, reader, said);
        // Whatever it has left in the background has no more business in the release.
        let _ = self.systemctl(&["stop", &unit]).status();
        ended
    }

    fn command(&self, unit: &str, work: &Work<'_>) -> Result<Command, Error> {
        let mut command = host::in_own_session(Path::new("systemd-run"));
        command.args(self.of_user()).args(["--scope", "--quiet", "--collect"]);
        // Who does not end when asked to is killed: nobody waits for that with a terminal in hand.
        command.args([&format!("--unit={unit}"), "--property=TimeoutStopSec=5s"]);
        command.args(self.owner.map(|user| format!("--uid={}", user.uid)));
        command.arg("--");
        // systemd-run sets the home of the user that it is told, whatever it was.
        if let Some((_, home)) = work.variables.iter().find(|(name, _)| *name == "HOME") {
            command.arg("/usr/bin/env").arg(format!("HOME={home}"));
        }
        command.args(&work.words);
        let mut command = inherited::without(command)?;
        command.current_dir(work.folder).env_clear().env("PATH", PATH);
        let own = self.context.layout.scope == Scope::User;
        let kept = KEPT.iter().chain(OWN.iter().filter(|_| own));
        command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
        if !own && self.owner.is_none() {
            command.env("HOME", "/root").env("USER", "root").env("LOGNAME", "root");
        }
        command.envs(work.variables.iter().cloned());
        Ok(command)
    }

    /// Passes on what a program says until it ends, its time is over, or Ctrl-C is pressed.
    fn follow(
        &self,
        mut child: Child,
        reader: PipeReader,
        said: &mut dyn FnMut(String),
    ) -> Result<ExitStatus, Error> {
        let failed = |error: io::Error| Error::failed(format!("cannot wait: {error}"), "try again");
        let deadline = Instant::now() + limits::DEPLOY_HOOK;
        let mut lines = Lines { reader, rest: Vec::new() };
        loop {
            let open = lines.pass(&LOOK, said).map_err(failed)?;
            if self.context.is_interrupted() {
                return Err(Error::Interrupted);
            }
            if Instant::now() > deadline {
                let hours = limits::DEPLOY_HOOK.as_secs() / 3600;
                let why = format!("it did not end within {hours} h, and was ended");
                return Err(Error::failed(why, "see what it waits for"));
            }
            let ended = match open {
                true => child.try_wait().map_err(failed)?,
                false => Some(child.wait().map_err(failed)?),
            };
            let Some(status) = ended else { continue };
            // What it has left in the background may hold the pipe open: what is there is all.
            while open && lines.pass(&Timespec::default(), said).map_err(failed)? && lines.more() {}
            lines.end(said);
            return Ok(status);
        }
    }
}

/// Lines of what is read from a pipe.
struct Lines {
    reader: PipeReader,
    rest: Vec<u8>,
}

impl Lines {
    /// Whether something is there to be read at once.
    fn more(&self) -> bool {
        let mut fds = [PollFd::new(&self.reader, PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Passes on what comes within a time; `false` at the end.
    fn pass(&mut self, limit: &Timespec, said: &mut dyn FnMut(String)) -> io::Result<bool> {
        let mut fds = [PollFd::new(&self.reader, PollFlags::IN)];
        match poll(&mut fds, Some(limit)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(true),
            ready => ready?,
        };
        let mut buffer = [0; 4096];
        let read = self.reader.read(&mut buffer)?;
        self.rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            tell(&line, said);
        }
        // A progress bar without an end is passed on in parts.
        if self.rest.len() > limits::HOOK_LINE {
            self.end(said);
        }
        Ok(read > 0)
    }

    fn end(&mut self, said: &mut dyn FnMut(String)) {
        let rest = std::mem::take(&mut self.rest);
        if !rest.is_empty() {
            tell(&rest, said);
        }
    }
}

/// Of a line that a program has drawn several times, the last one counts.
fn tell(line: &[u8], said: &mut dyn FnMut(String)) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    said(text.rsplit('\r').next().unwrap_or_default().to_owned());
}
