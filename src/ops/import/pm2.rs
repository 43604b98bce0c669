//! A PM2 that runs: where its daemon is, what it runs, and commands for it with the rights of whoever started it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;

use super::evaluate::{Caller, caller, run};
use crate::host;
use crate::host::text;
use crate::import::{self, Drafts, Pm2Process, Refusal};

/// PM2's daemon.
#[derive(Clone, Debug)]
pub struct RunningPm2 {
    /// Its folder, `~/.pm2`.
    pub home: PathBuf,
    /// Its process.
    pub daemon: u32,
    /// Who started it.
    caller: Caller,
    /// The node that runs it.
    node: PathBuf,
    /// PM2's command line.
    program: PathBuf,
}

/// Folders of PM2's that may be meant.
fn homes(caller: &Caller) -> Vec<PathBuf> {
    let named = std::env::var_os("PM2_HOME").map(PathBuf::from);
    let own = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pm2"));
    let mut all: Vec<PathBuf> =
        named.into_iter().chain([caller.home.join(".pm2")]).chain(own).collect();
    all.dedup();
    all
}

/// What `pm2 save` has written, where it lies.
pub fn dump_file() -> Option<PathBuf> {
    homes(&caller()).into_iter().map(|home| home.join("dump.pm2")).find(|path| path.is_file())
}

/// The daemon that runs for whoever calls.
pub fn running() -> Option<RunningPm2> {
    let caller = caller();
    homes(&caller).into_iter().find_map(|home| in_home(&home))
}

fn in_home(home: &Path) -> Option<RunningPm2> {
    const NUMBER: u64 = 32;
    let pid: u32 = text::read(&home.join("pm2.pid"), NUMBER).ok()?.trim().parse().ok()?;
    let title = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let is_daemon = String::from_utf8_lossy(&title).contains("God Daemon");
    let owner = std::fs::metadata(format!("/proc/{pid}")).ok().filter(|_| is_daemon)?.uid();
    let node = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    // The file may name any process, and any process may call itself a daemon of PM2's.
    let of_home = std::fs::metadata(home).ok()?.uid();
    if owner != of_home {
        return None;
    }
    let own = rustix::process::geteuid().as_raw();
    // A number without a name is somebody all the same.
    let other = if owner == own { None } else { Some(host::user(&owner.to_string())?) };
    let program = program(&node)?;
    let user_home = home.parent().unwrap_or(home).to_owned();
    Some(RunningPm2 {
        home: home.to_owned(),
        daemon: pid,
        caller: Caller { other, home: user_home },
        node,
        program,
    })
}

/// PM2's command line: in PATH, or beside the node that runs the daemon.
fn program(node: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = node.parent().map(|folder| folder.join("pm2"));
    let all = std::env::split_paths(&path).map(|folder| folder.join("pm2")).chain(beside);
    let found = all.into_iter().find(|path| path.is_file())?;
    std::fs::canonicalize(found).ok()
}

impl RunningPm2 {
    /// Who has started it, if that is not root.
    pub fn user(&self) -> Option<String> {
        let owner = std::fs::metadata(format!("/proc/{}", self.daemon)).ok()?.uid();
        host::user(&owner.to_string()).filter(|user| user.uid != 0).map(|user| user.name)
    }

    /// A command for this daemon.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.caller.command(&self.node);
        command.arg(&self.program).args(words);
        command.env("PM2_HOME", &self.home).env("HOME", &self.caller.home).current_dir("/");
        // What it prints to say that it is there does not belong to the answer.
        command.env("PM2_DISCRETE_MODE", "true").env_remove("PM2_PROGRAMMATIC");
        command
    }

    /// Runs a command of PM2's, such as `stop 3`.
    ///
    /// # Errors
    /// It fails; its last line says why.
    pub fn run(&self, words: &[&str]) -> Result<String, Refusal> {
        let (out, err, ended_well) = run(self.command(words))?;
        if ended_well {
            return Ok(out);
        }
        let last = err.lines().chain(out.lines()).rfind(|line| !line.trim().is_empty());
        let why = format!("pm2 {} fails: {}", words.join(" "), last.unwrap_or_default().trim());
        Err(Refusal { why, instead: format!("try it by hand: pm2 {}", words.join(" ")) })
    }

    /// What it runs, as `pm2 jlist` tells it.
    ///
    /// # Errors
    /// PM2 does not answer.
    pub fn list(&self) -> Result<Json, Refusal> {
        let out = self.run(&["jlist"])?;
        let start = out.lines().find(|line| line.starts_with('['));
        import::json(start.unwrap_or(&out))
    }

    /// The apps that it runs.
    ///
    /// # Errors
    /// PM2 does not answer, or has none.
    pub fn drafts(&self) -> Result<(Drafts, Vec<Pm2Process>), Refusal> {
        let list = self.list()?;
        Ok((import::processes(&list, &self.shell())?, import::process_list(&list)))
    }

    /// Variables of the daemon: those of the shell that has started it.
    fn shell(&self) -> BTreeMap<String, String> {
        let block = std::fs::read(format!("/proc/{}/environ", self.daemon)).unwrap_or_default();
        let text = String::from_utf8_lossy(&block).into_owned();
        text.split('\0')
            .filter_map(|entry| entry.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Values of `listen` for what the processes of an app hold. The daemon holds the listeners of apps in
    /// cluster mode: which of them belongs to which app nobody can tell, unless there is one of each.
    pub fn listens(&self, processes: &[Pm2Process], app: &str) -> Vec<String> {
        let own = processes.iter().filter(|process| process.name == app);
        let pids: Vec<u32> = own.clone().filter_map(|process| process.pid).collect();
        let mut addresses: Vec<_> = pids.iter().flat_map(|pid| host::listening_of(*pid)).collect();
        let clusters: std::collections::BTreeSet<&str> =
            processes.iter().filter(|p| p.cluster).map(|p| p.name.as_str()).collect();
        if addresses.is_empty() && clusters.len() == 1 && clusters.contains(app) {
            addresses = host::held_by(self.daemon);
        }
        addresses.sort();
        addresses.dedup();
        addresses.retain(|address| !crate::ecosystem::is_private(address) && !self.is_own(address));
        crate::ecosystem::without_covered(&addresses)
    }

    /// Sockets by which PM2 itself is reached.
    fn is_own(&self, address: &crate::ecosystem::ListenAddress) -> bool {
        address.path().is_some_and(|path| path.starts_with(&self.home))
    }
}
