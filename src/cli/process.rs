//! The surroundings of this process: environment, directories, signals and the manager. It never
//! reads an ecosystem file, and writes nothing to the terminal.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Ui;
use super::world::{Purpose, Surroundings, World};
use crate::disk::Layout;
use crate::ecosystem::{Host, Scope};
use crate::error::Error;
use crate::host::Machine;
use crate::ops;
use crate::plan::doctor::MachineFacts;
use crate::systemd::{self, Systemd};

/// The terminal and the machine of this process.
pub(super) fn world() -> World {
    World { ui: Ui::of_process(), surroundings: Box::<Process>::default() }
}

/// This process, on this machine.
#[derive(Debug, Default)]
struct Process {
    /// Asked for once, so that what is read by way of it is read once.
    layout: [OnceCell<Layout>; 2],
}

impl Surroundings for Process {
    fn arguments(&self) -> Vec<OsString> {
        std::env::args_os().skip(1).collect()
    }

    fn default_scope(&self) -> Scope {
        // A command that runs under `clusterctl dev` talks to the private manager.
        let runtime = std::env::var_os("XDG_RUNTIME_DIR");
        let private = runtime.is_some_and(|dir| dir == crate::embedded::RUNTIME);
        if private { Scope::User } else { Scope::System }
    }

    fn layout(&self, scope: Scope) -> Result<Layout, Error> {
        let place = &self.layout[usize::from(scope == Scope::User)];
        if let Some(known) = place.get() {
            return Ok(known.clone());
        }
        let layout = if scope == Scope::System { Layout::system() } else { user_layout()? };
        Ok(place.get_or_init(|| layout).clone())
    }

    fn systemd(&self, scope: Scope) -> Result<Systemd, systemd::Error> {
        Systemd::connect(scope)
    }

    fn systemd_to_ask(&self, scope: Scope) -> Result<Systemd, systemd::Error> {
        Systemd::connect_to_ask(scope)
    }

    fn host(&self, layout: &Layout, purpose: Purpose) -> Box<dyn Host> {
        let machine = Machine::new(layout.clone(), std::env::var("PATH").ok().as_deref());
        Box::new(match purpose {
            Purpose::Check => machine.only_checks(),
            Purpose::TakeOver => machine.taking_over(),
            Purpose::Apply { prunes, moves } => machine.pruning(prunes).moving(moves),
        })
    }

    fn machine_facts(&self, scope: Scope) -> MachineFacts {
        ops::machine_facts(scope)
    }

    fn folder(&self) -> std::io::Result<PathBuf> {
        std::env::current_dir()
    }

    fn named_folder(&self) -> Option<PathBuf> {
        std::env::var_os("PWD").map(PathBuf::from)
    }

    fn standard_input(&self) -> std::io::Result<String> {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        Ok(text)
    }

    fn input(&self) -> Box<dyn Read> {
        Box::new(std::io::stdin())
    }

    fn request(&self, most: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut input = std::io::stdin().lock();
        let mut piece = [0; 1024];
        // The client waits for the answer, and does not end its side before.
        while bytes.len() < most && !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
            match input.read(&mut piece)? {
                0 => break,
                length => bytes.extend_from_slice(piece.get(..length).unwrap_or_default()),
            }
        }
        Ok(bytes)
    }

    fn program(&self) -> PathBuf {
        own_program()
    }

    fn user(&self) -> String {
        std::env::var("SUDO_USER").unwrap_or_else(|_| crate::host::own_user())
    }

    fn is_root(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn catch_interrupts(&self, ctl: &ops::Context) -> std::io::Result<()> {
        self.note_interrupts(&ctl.interrupt)
    }

    fn note_interrupts(&self, flag: &Arc<AtomicBool>) -> std::io::Result<()> {
        let ended = i32::from(crate::error::exit::INTERRUPTED);
        signal_hook::flag::register_conditional_shutdown(SIGINT, ended, Arc::clone(flag))?;
        signal_hook::flag::register(SIGINT, Arc::clone(flag))?;
        // There is no safe way to ignore a signal; a flag that nobody reads does the same.
        signal_hook::flag::register(SIGHUP, Arc::default())?;
        Ok(())
    }

    fn catch_end(&self, ctl: &ops::Context) -> std::io::Result<()> {
        signal_hook::flag::register(SIGTERM, Arc::clone(&ctl.end))?;
        Ok(())
    }
}

fn user_layout() -> Result<Layout, Error> {
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
pub(super) fn private_layout() -> Layout {
    Layout::private(Path::new(crate::embedded::RUNTIME))
}

/// Where logind and the user's manager put the runtime directory of the calling user.
fn own_runtime() -> Option<PathBuf> {
    let user = rustix::process::geteuid();
    let dir = PathBuf::from(format!("/run/user/{}", user.as_raw()));
    dir.metadata().is_ok_and(|meta| meta.uid() == user.as_raw()).then_some(dir)
}

/// The file of this program.
pub(super) fn own_program() -> PathBuf {
    // A file that was replaced or lies outside of a chroot has a path that leads nowhere.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || std::env::split_paths(&path).map(|d| d.join("clusterctl")).find(|p| p.is_file());
    own.or_else(found).unwrap_or_else(|| "/usr/bin/clusterctl".into())
}
