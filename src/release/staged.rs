//! The machine as it will be when a release is unpacked: what a dry run resolves its file by. It asks the archive for
//! what is below the folder of the release, and the machine for everything else.

use std::path::{Path, PathBuf};

use super::archive::Archive;
use super::tree::Member;
use crate::ecosystem::{
    AddressHolder, AppName, Host, ListenAddress, Ownership, PathKind, Scope, User,
};

/// A machine with a release that is not there yet.
#[derive(Debug)]
pub struct Staged<'a> {
    /// The machine.
    pub machine: &'a dyn Host,
    /// What the release will hold.
    pub archive: &'a Archive,
    /// Where it will be.
    pub folder: &'a Path,
    /// Who will own it, if that is not whoever deploys.
    pub owner: Option<String>,
    /// What releases share: the path in the release, and what it will lead to.
    pub shared: Vec<(PathBuf, PathBuf)>,
}

/// Where a path leads.
enum Place {
    /// Into the release.
    Inside(PathBuf),
    /// Elsewhere.
    Outside(PathBuf),
}

impl Staged<'_> {
    fn place(&self, path: &Path) -> Place {
        let Ok(inside) = path.strip_prefix(self.folder) else {
            return Place::Outside(path.to_owned());
        };
        let shared = self.shared.iter().find_map(|(place, to)| {
            let rest = inside.strip_prefix(place).ok()?;
            Some(if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) })
        });
        shared.map_or_else(|| Place::Inside(inside.to_owned()), Place::Outside)
    }

    fn owner(&self) -> Option<String> {
        self.owner.as_ref().map(|name| format!("`{name}`"))
    }
}

impl Host for Staged<'_> {
    fn scope(&self) -> Scope {
        self.machine.scope()
    }

    fn cpus(&self) -> u32 {
        self.machine.cpus()
    }

    fn unprivileged_port_start(&self) -> u16 {
        self.machine.unprivileged_port_start()
    }

    fn kind(&self, path: &Path) -> PathKind {
        match self.place(path) {
            Place::Outside(path) => self.machine.kind(&path),
            Place::Inside(path) => match self.archive.tree().get(&path) {
                Some(Member::Folder) => PathKind::Directory,
                Some(Member::File { mode, .. }) if mode & 0o111 != 0 => PathKind::Executable,
                Some(Member::File { .. }) => PathKind::File,
                _ => PathKind::Missing,
            },
        }
    }

    fn head(&self, path: &Path, max: usize) -> Option<Vec<u8>> {
        self.part(path, 0, max)
    }

    fn part(&self, path: &Path, offset: usize, length: usize) -> Option<Vec<u8>> {
        match self.place(path) {
            Place::Outside(path) => self.machine.part(&path, offset, length),
            Place::Inside(path) => self.archive.part(&path, offset as u64, length),
        }
    }

    fn gains_privileges(&self, path: &Path) -> bool {
        // A release keeps no such modes.
        matches!(self.place(path), Place::Outside(path) if self.machine.gains_privileges(&path))
    }

    fn changeable_by(&self, path: &Path) -> Option<(PathBuf, String)> {
        match self.place(path) {
            Place::Outside(path) => self.machine.changeable_by(&path),
            Place::Inside(_) => Some((self.folder.to_owned(), self.owner()?)),
        }
    }

    fn writable_by(&self, path: &Path) -> Option<String> {
        match self.place(path) {
            Place::Outside(path) => self.machine.writable_by(&path),
            Place::Inside(_) => self.owner(),
        }
    }

    fn may_read(&self, path: &Path, user: Option<&str>, group: Option<&str>) -> bool {
        match self.place(path) {
            Place::Outside(path) => self.machine.may_read(&path, user, group),
            Place::Inside(path) => match self.archive.tree().get(&path) {
                Some(Member::File { mode, .. }) => {
                    mode & 0o004 != 0 || user == self.owner.as_deref()
                }
                _ => true,
            },
        }
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.machine.program(name)
    }

    fn user(&self, name: &str) -> Option<User> {
        self.machine.user(name)
    }

    fn group_exists(&self, name: &str) -> bool {
        self.machine.group_exists(name)
    }

    fn unit(&self, name: &str) -> Ownership {
        self.machine.unit(name)
    }

    fn holder(&self, app: &AppName, address: &ListenAddress) -> Option<AddressHolder> {
        self.machine.holder(app, address)
    }

    fn applies(&self) -> bool {
        self.machine.applies()
    }

    fn other_source(&self, app: &AppName, source: Option<&Path>) -> Option<PathBuf> {
        self.machine.other_source(app, source)
    }

    fn comes_from(&self, app: &AppName, source: Option<&Path>) -> bool {
        self.machine.comes_from(app, source)
    }

    fn prunes(&self) -> bool {
        self.machine.prunes()
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let Place::Inside(inside) = self.place(folder) else { return self.machine.names(folder) };
        let all = self.archive.tree().members().map(|(path, _)| path);
        let own = all.filter(|path| path.parent() == Some(&inside));
        own.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    fn leads_to(&self, path: &Path) -> Option<PathBuf> {
        match self.place(path) {
            Place::Outside(path) => self.machine.leads_to(&path),
            Place::Inside(_) => None,
        }
    }
}
