//! What the machine knows, as an argument: keeps everything that needs such facts pure.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{Address, AppName};

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
pub enum Kind {
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

/// Facts about the machine. Implemented once for the real one and once for tests.
pub trait Host: fmt::Debug {
    /// Which manager the units are for.
    fn scope(&self) -> Scope;
    /// CPUs that this process may use: affinity and cgroup quota count. At least 1.
    fn cpus(&self) -> u32;
    /// Lowest port that an unprivileged manager may bind (`net.ipv4.ip_unprivileged_port_start`).
    fn unprivileged_port_start(&self) -> u16;
    /// What a path is, links followed.
    fn kind(&self, path: &Path) -> Kind;
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
    /// Who holds an address, if anybody but the app's own socket unit does: a sentence fragment
    /// such as "`nginx` (pid 812)".
    fn holder(&self, app: &AppName, address: &Address) -> Option<String>;
}
