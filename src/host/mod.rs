//! Facts about this machine, asked once and remembered. An edge: it reads, and changes nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs;
use std::hash::Hash;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::disk::{self, Layout};
use crate::ecosystem::{
    AddressHolder, AppName, Host, ListenAddress, Ownership, PathKind, Scope, User,
};

mod changes;
mod conduct;
pub mod connections;
mod cpus;
mod held;
mod holder;
mod interpreter;
mod journal_sync;
mod journald;
mod kernel;
mod known;
mod private;
mod process;
mod queues;
mod session;
mod sight;
mod socket_file;
mod sockets;
pub mod text;
mod trust;
mod users;

pub use changes::{FolderChanges, Ignored};
pub use conduct::conduct;
pub use cpus::usable as usable_cpus;
pub use held::in_use;
pub use interpreter::{interpreter, is_in_path, searched};
pub use journal_sync::sync_journal;
pub use journald::journal;
pub use kernel::{cgroup_controllers, cgroup_mode, kernel_setting, lingers};
use known::KnownAnswers;
pub use private::{PrivateSocket, private_socket};
pub use process::{
    CgroupUsage, Usage, accepts, all_processes, cgroup_of, cgroup_usage, family, has_ended,
    is_gone, is_uprooted, processes, resident, usage, variable_of, variables,
};
pub use queues::{Queue, queues};
pub use session::{ends_before, in_own_session};
pub use sight::look;
pub use socket_file::is_lost;
pub use sockets::{descriptor, dropped_clients, sockets_of};
pub use users::{has_group, own_user, user};

/// Every address that is listened on in the network namespace of this process, sorted.
pub fn listening() -> Vec<ListenAddress> {
    sockets::Table::read().addresses()
}

/// What a process and those that it started listen on, sorted.
pub fn listening_of(pid: u32) -> Vec<ListenAddress> {
    let all = process::family(pid);
    let held = all.into_iter().filter_map(sockets_of).flatten().collect();
    sockets::Table::read().of(&held)
}

/// What a process itself listens on, sorted.
pub fn held_by(pid: u32) -> Vec<ListenAddress> {
    sockets::Table::read().of(&sockets_of(pid).unwrap_or_default())
}

/// Inodes of the sockets that listen on an address in the network namespace of this process.
pub fn listening_inodes(address: &ListenAddress) -> Vec<u64> {
    sockets::Table::read().inodes(address)
}

/// The instance of an app of ours that listens by itself on what conflicts with an address.
pub fn listening_instance(layout: &Layout, address: &ListenAddress) -> Option<(AppName, u32)> {
    holder::owner(layout, &sockets::Table::read(), address)?.instance
}

/// Who listens on a TCP port, and which instance of an app of ours that is, if it is one.
pub fn holder_of_port(
    layout: &Layout,
    port: u16,
) -> Option<(AddressHolder, Option<(AppName, u32)>)> {
    let table = sockets::Table::read();
    let owner = holder::owner(layout, &table, &table.on_port(port)?)?;
    Some((owner.holder, owner.instance))
}

/// The machine that this process runs on.
#[derive(Debug)]
pub struct Machine {
    layout: Layout,
    /// Whether a file is put in force, or only checked.
    applies: bool,
    /// Whether apps that are gone from the file are removed.
    prunes: bool,
    /// Whether apps of other files become those of the file.
    moves: bool,
    /// Whether whoever listens on the ports of the file lets go of them.
    takes_over: bool,
    search_path: Vec<PathBuf>,
    seen: RefCell<KnownAnswers>,
}

impl Machine {
    /// An answer, which is looked for once.
    fn known<Q, A>(
        &self,
        kind: impl Fn(&mut KnownAnswers) -> &mut HashMap<Q::Owned, A>,
        question: &Q,
        find: impl FnOnce(&Q::Owned) -> A,
    ) -> A
    where
        Q: ToOwned + Hash + Eq + ?Sized,
        Q::Owned: Hash + Eq,
        A: Clone,
    {
        if let Some(answer) = kind(&mut self.seen.borrow_mut()).get(question) {
            return answer.clone();
        }
        let question = question.to_owned();
        let answer = find(&question);
        kind(&mut self.seen.borrow_mut()).insert(question, answer.clone());
        answer
    }

    /// `path` is the `PATH` in which programs are searched.
    pub fn new(layout: Layout, path: Option<&str>) -> Machine {
        let default = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let absolute = |dir: &PathBuf| dir.is_absolute();
        let search_path =
            path.unwrap_or(default).split(':').map(PathBuf::from).filter(absolute).collect();
        Machine {
            layout,
            applies: true,
            prunes: false,
            moves: false,
            takes_over: false,
            search_path,
            seen: RefCell::default(),
        }
    }

    /// For a look at a file that does not put it in force.
    #[must_use]
    pub fn only_checks(self) -> Machine {
        Machine { applies: false, ..self }
    }

    /// For a file whose apps take over the ports of somebody else.
    #[must_use]
    pub fn taking_over(self) -> Machine {
        Machine { takes_over: true, ..self }
    }

    /// For a file with which the apps go that are not in it any more, if `prunes`.
    #[must_use]
    pub fn pruning(self, prunes: bool) -> Machine {
        Machine { prunes, ..self }
    }

    /// For a file that takes its apps from other files, if `moves`.
    #[must_use]
    pub fn moving(self, moves: bool) -> Machine {
        Machine { moves, ..self }
    }
}

impl Host for Machine {
    fn scope(&self) -> Scope {
        self.layout.scope
    }

    fn cpus(&self) -> u32 {
        usable_cpus()
    }

    fn unprivileged_port_start(&self) -> u16 {
        let root = rustix::process::geteuid().is_root();
        if self.layout.scope == Scope::System || root {
            return 0;
        }
        let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
    }

    fn kind(&self, path: &Path) -> PathKind {
        self.known(|known| &mut known.kinds, path, |path| kind(path))
    }

    fn head(&self, path: &Path, max: usize) -> Option<Vec<u8>> {
        self.known(|known| &mut known.heads, path, |path| head(path, max))
    }

    fn part(&self, path: &Path, offset: usize, length: usize) -> Option<Vec<u8>> {
        let asked = (path.to_owned(), offset, length);
        self.known(|known| &mut known.parts, &asked, |_| part(path, offset, length))
    }

    fn gains_privileges(&self, path: &Path) -> bool {
        self.known(|known| &mut known.gaining, path, |path| gains_privileges(path))
    }

    fn changeable_by(&self, path: &Path) -> Option<(PathBuf, String)> {
        changeable_by(path)
    }

    fn writable_by(&self, path: &Path) -> Option<String> {
        trust::writable_by(path, |uid| self.user(&uid.to_string()).map(|user| user.name))
    }

    fn may_read(&self, path: &Path, user: Option<&str>, group: Option<&str>) -> bool {
        let user = user.and_then(|user| self.user(user));
        let groups = user.as_ref().map(|user| users::groups_of(user, group)).unwrap_or_default();
        trust::may_read(path, user.map(|user| user.uid), &groups)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        self.known(
            |known| &mut known.programs,
            name,
            |name| {
                let mut candidates = self.search_path.iter().map(|dir| dir.join(name));
                candidates.find(|path| kind(path) == PathKind::Executable)
            },
        )
    }

    fn user(&self, name: &str) -> Option<User> {
        user(name)
    }

    fn group_exists(&self, name: &str) -> bool {
        has_group(name)
    }

    fn unit(&self, name: &str) -> Ownership {
        match self.seen.borrow_mut().unit_names(&self.layout) {
            Some(names) => names.ownership(&self.layout, name),
            None => disk::ownership(&self.layout, name),
        }
    }

    fn holder(&self, app: &AppName, address: &ListenAddress) -> Option<AddressHolder> {
        if self.takes_over {
            return None;
        }
        let mut seen = self.seen.borrow_mut();
        let table = seen.holders.get_or_insert_with(sockets::Table::read);
        table.conflicting(address)?;
        if disk::owns_address(&self.layout, app, address) {
            return None;
        }
        let owner = holder::owner(&self.layout, table, address)?;
        // An instance of the app itself lets go when it is replaced. A listener of the app whose file
        // somebody has removed stays open, and has its file back with this apply.
        let own = owner.instance.is_some_and(|(other, _)| other == *app);
        let removed = owner.is_without_file && disk::relies_on(&self.layout, app, address);
        (!own && !removed).then_some(owner.holder)
    }

    fn other_source(&self, app: &AppName, source: Option<&Path>) -> Option<PathBuf> {
        let known = disk::source(&self.layout, app).filter(|_| !self.moves)?;
        let same = source.is_some_and(|source| source == known || is_same_file(source, &known));
        (!same && known.is_file()).then_some(known)
    }

    fn comes_from(&self, app: &AppName, source: Option<&Path>) -> bool {
        source.is_some() && disk::source(&self.layout, app).as_deref() == source
    }

    fn prunes(&self) -> bool {
        self.prunes
    }

    fn names(&self, folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    fn applies(&self) -> bool {
        self.applies
    }

    fn leads_to(&self, path: &Path) -> Option<PathBuf> {
        let real = |path: &PathBuf| fs::canonicalize(path).ok().filter(|real| real != path);
        self.known(|known| &mut known.leading, path, real)
    }
}

/// The first folder on the way to a path that somebody other than root may change, and who.
pub fn changeable_by(path: &Path) -> Option<(PathBuf, String)> {
    trust::changeable_by(path, |uid| user(&uid.to_string()).map(|user| user.name))
}

/// The user who owns a file, or the link by which it is named, if that is not root. One without a name has a
/// number for it.
pub fn owner_of(path: &Path) -> Option<User> {
    trust::owner_of(path).map(|(uid, gid)| users::of_numbers(uid, gid))
}

/// Whether two paths lead to one file, through links as well.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    id(one).is_some() && id(one) == id(other)
}

fn kind(path: &Path) -> PathKind {
    let Ok(meta) = fs::metadata(path) else { return PathKind::Missing };
    if meta.is_dir() {
        PathKind::Directory
    } else if !meta.is_file() {
        PathKind::Other
    } else if meta.permissions().mode() & 0o111 != 0 {
        PathKind::Executable
    } else {
        PathKind::File
    }
}

fn gains_privileges(path: &Path) -> bool {
    let set_id = |meta: fs::Metadata| meta.permissions().mode() & 0o6000 != 0;
    // The size alone is asked for: file capabilities exist or not.
    let capabilities = rustix::fs::getxattr_query(path, c"security.capability");
    fs::metadata(path).is_ok_and(set_id) || capabilities.is_ok_and(|size| size > 0)
}

fn head(path: &Path, max: usize) -> Option<Vec<u8>> {
    part(path, 0, max)
}

fn part(path: &Path, offset: usize, length: usize) -> Option<Vec<u8>> {
    let mut file = text::open(path).ok()?;
    file.seek(SeekFrom::Start(offset as u64)).ok()?;
    let mut bytes = Vec::new();
    file.take(length as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_fifo_in_the_place_of_a_program_holds_up_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("server.js");
        let mode = rustix::fs::Mode::RUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
        assert_eq!(head(&fifo, 4), None);
        fs::write(dir.path().join("a"), "#!/bin/sh").unwrap();
        assert_eq!(head(&dir.path().join("a"), 4).as_deref(), Some(&b"#!/b"[..]));
    }
}
