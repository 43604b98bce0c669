//! What the machine knows, as an argument: keeps everything that needs such facts pure.

use std::fmt;
use std::path::{Path, PathBuf};

use super::address::ListenAddress;
use super::name::AppName;

/// Which service manager.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The system manager, PID 1.
    System,
    /// The user's own manager.
    User,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Nothing is there.
    Missing,
    /// A file that may be executed.
    Executable,
    /// Another file.
    File,
    /// A directory.
    Directory,
    /// Something else, or not readable for us.
    Other,
}

/// Whose a unit name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// No unit of that name exists.
    Free,
    /// clusterctl wrote it.
    Ours,
    /// Somebody else's; where it was found.
    Foreign(PathBuf),
}

/// A user of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Home directory.
    pub home: PathBuf,
}

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressHolder {
    /// A sentence fragment such as "`nginx` (pid 812)".
    pub who: String,
    /// What to do about it.
    pub help: String,
    /// The app of ours whose listener it is, if it is one.
    pub listener_of: Option<AppName>,
}

/// Programs by their names, first in the folders that an app's own `PATH` names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Search<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The app's `PATH`, if it has one.
    pub path: Option<&'a str>,
}

impl Search<'_> {
    /// Absolute path of a program.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = self.path.into_iter().flat_map(|path| path.split(':'));
        let absolute = folders.map(Path::new).filter(|folder| folder.is_absolute());
        let mut own = absolute.map(|folder| folder.join(name));
        own.find(|path| self.host.kind(path) == PathKind::Executable)
            .or_else(|| self.host.program(name))
    }
}

impl<'a> std::ops::Deref for Search<'a> {
    type Target = dyn Host + 'a;

    fn deref(&self) -> &Self::Target {
        self.host
    }
}

/// Facts about the machine. Implemented once for the real one and once for tests.
pub trait Host: fmt::Debug {
    /// Which manager the units are for.
    fn scope(&self) -> Scope;
    /// CPUs that this process may use: affinity and cgroup quota count. At least 1.
    fn cpus(&self) -> u32;
    /// Lowest port that an unprivileged manager may bind (`net.ipv4.ip_unprivileged_port_start`).
    fn unprivileged_port_start(&self) -> u16;
    /// What a path is, links followed.
    fn kind(&self, path: &Path) -> PathKind;
    /// First bytes of a file, at most `max`; `None` when it cannot be read.
    fn head(&self, path: &Path, max: usize) -> Option<Vec<u8>>;
    /// `length` bytes of a file from `offset` on, fewer at its end; `None` when it cannot be read.
    fn part(&self, path: &Path, offset: usize, length: usize) -> Option<Vec<u8>> {
        let head = self.head(path, offset.checked_add(length)?)?;
        head.get(offset..).map(<[u8]>::to_vec)
    }
    /// Whether starting the file changes its user, group or capabilities (setuid, setgid, file
    /// capabilities), so that the kernel keeps libraries and tracers out of it.
    fn gains_privileges(&self, path: &Path) -> bool {
        let _ = path;
        false
    }
    /// The first folder on the way to `path` in which somebody other than root may put a link, and
    /// a word for who: "`ada`", "everybody".
    fn changeable_by(&self, path: &Path) -> Option<(PathBuf, String)>;
    /// Who other than root may change the content of a file, in the same words.
    fn writable_by(&self, path: &Path) -> Option<String>;
    /// Whether a user, in a group of theirs or another one, may read a file, as far as modes tell;
    /// without a user, whether everybody may.
    fn may_read(&self, path: &Path, user: Option<&str>, group: Option<&str>) -> bool;
    /// Absolute path of a program by its name, found as a shell would find it.
    fn program(&self, name: &str) -> Option<PathBuf>;
    /// A user by name or number.
    fn user(&self, name: &str) -> Option<User>;
    /// Whether a group of that name or number exists.
    fn group_exists(&self, name: &str) -> bool;
    /// Whose the unit `name` (with suffix) is.
    fn unit(&self, name: &str) -> Ownership;
    /// Who holds an address, if anybody but the app's own socket unit or instances does.
    fn holder(&self, app: &AppName, address: &ListenAddress) -> Option<AddressHolder>;
    /// Whether the file is about to be put in force. Otherwise it is only checked, and what runs on
    /// the machine at this moment makes nothing wrong with it.
    fn applies(&self) -> bool {
        true
    }
    /// The ecosystem file that an app of this name comes from, if it is there and another one than
    /// `source`, the file that is read (`None` for standard input).
    fn other_source(&self, app: &AppName, source: Option<&Path>) -> Option<PathBuf> {
        let _ = (app, source);
        None
    }
    /// Whether there is an app of this name that comes from the file `source`.
    fn comes_from(&self, app: &AppName, source: Option<&Path>) -> bool {
        let _ = (app, source);
        false
    }
    /// Whether apps that come from the file and are not in it any more are removed when it is put
    /// in force.
    fn prunes(&self) -> bool {
        false
    }
    /// Names of what is in a folder; none when it cannot be read.
    fn names(&self, folder: &Path) -> Vec<String> {
        let _ = folder;
        Vec::new()
    }
    /// Where a path leads through symbolic links, if there is any on the way.
    fn leads_to(&self, path: &Path) -> Option<PathBuf> {
        let _ = path;
        None
    }
}
