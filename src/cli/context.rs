//! What the process gives: environment, directories, signals and the manager. It never reads an
//! ecosystem file, and writes nothing to the terminal.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Global;
use crate::disk::Layout;
use crate::ecosystem::Scope;
use crate::error::Error;
use crate::host::Machine;
use crate::ops;
use crate::plan;
use crate::systemd::Systemd;

/// The directories of a scope.
///
/// # Errors
/// A user without a home directory.
pub fn layout(scope: Scope) -> Result<Layout, Error> {
    if scope == Scope::System {
        return Ok(Layout::system());
    }
    let dir =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    // cron, CI and `sudo -u` do not set it; the bus is found without it as well.
    let runtime = dir("XDG_RUNTIME_DIR").or_else(own_runtime);
    if runtime.as_deref() == Some(Path::new(crate::embedded::RUNTIME)) {
        return Ok(private_layout());
    }
    let home = dir("HOME");
    let below = |xdg: &str, rest: &str| dir(xdg).or_else(|| Some(home.as_ref()?.join(rest)));
    match (below("XDG_CONFIG_HOME", ".config"), below("XDG_DATA_HOME", ".local/share")) {
        (Some(config), Some(data)) => Ok(Layout::user(&config, &data, runtime.as_deref())),
        _ => Err(Error::Usage("HOME is not set to an absolute path".to_owned())),
    }
}

/// Where the files of the private manager of `clusterctl dev` live, in its own mount namespace.
pub fn private_layout() -> Layout {
    Layout::private(Path::new(crate::embedded::RUNTIME))
}

/// The login name of who asks, which the history keeps.
pub fn user() -> String {
    std::env::var("SUDO_USER").unwrap_or_else(|_| crate::host::own_user())
}

/// Where logind and the user's manager put the runtime directory of the calling user.
fn own_runtime() -> Option<PathBuf> {
    let user = rustix::process::geteuid();
    let dir = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    dir.metadata().is_ok_and(|meta| meta.uid() == user.as_raw()).then_some(dir)
}

/// Everything that verbs work with.
///
/// # Errors
/// No manager to talk to.
pub fn connect(global: &Global) -> Result<ops::Context, Error> {
    // A directory that others may write would let them replace what units run; one that nobody
    // may enter would hide it from apps of other users.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let layout = layout(global.scope())?;
    let systemd = Systemd::connect(global.scope())?;
    Ok(ops::Context::new(layout, systemd, own_program())?)
}

/// The first Ctrl-C asks rollouts to stop between two instances, the second ends this process and
/// leaves them to systemd. A lost terminal changes nothing.
///
/// # Errors
/// The kernel refuses.
pub fn interruptible(ctl: ops::Context) -> Result<ops::Context, Error> {
    let flag = &ctl.interrupt;
    let ended = i32::from(crate::error::exit::INTERRUPTED);
    signal_hook::flag::register_conditional_shutdown(SIGINT, ended, Arc::clone(flag))?;
    signal_hook::flag::register(SIGINT, Arc::clone(flag))?;
    // There is no safe way to ignore a signal; a flag that nobody reads does the same.
    signal_hook::flag::register(SIGHUP, Arc::default())?;
    Ok(ctl)
}

/// The same for the process that a reload job runs: SIGTERM comes from the manager, when somebody
/// stops or restarts the app meanwhile.
///
/// # Errors
/// The kernel refuses.
pub fn endable(ctl: ops::Context) -> Result<ops::Context, Error> {
    signal_hook::flag::register(SIGTERM, Arc::clone(&ctl.end))?;
    interruptible(ctl)
}

/// The program that units call for a rolling reload.
pub fn own_program() -> PathBuf {
    // A file that was replaced or lies outside of a chroot has a path that leads nowhere.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|d| d.join("clusterctl")).find(|p| p.is_file());
    own.or_else(found).unwrap_or_else(|| "/usr/bin/clusterctl".into())
}

/// The machine's facts for a scope.
pub fn machine(layout: &Layout) -> Machine {
    Machine::new(layout.clone(), std::env::var("PATH").ok().as_deref())
}

/// The command line of this process for the manager of the calling user.
pub fn with_user() -> String {
    let words = std::env::args().skip(1).map(|word| plan::shell_word(&word));
    format!("clusterctl --user {}", words.collect::<Vec<_>>().join(" "))
}

/// Apps of the calling user's own manager, when the system's was asked.
pub fn own_apps(ctl: &ops::Context) -> Vec<String> {
    if ctl.layout.scope == Scope::User {
        return Vec::new();
    }
    let found = layout(Scope::User).ok().and_then(|layout| crate::disk::scan(&layout).ok());
    found.unwrap_or_default().keys().map(ToString::to_string).collect()
}
