//! A pretended machine whose facts are tables, for tests of code that asks a [`Host`].

#![allow(dead_code)] // Each test program uses a part of this module.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clusterctl::ecosystem::{
    AddressHolder, AppName, Host, ListenAddress, Ownership, PathKind, Scope, User,
};

/// A machine whose answers are the values of its fields.
#[derive(Clone, Debug)]
pub struct FakeHost {
    pub scope: Scope,
    pub cpus: u32,
    pub unprivileged_port_start: u16,
    /// Paths with their kinds; the parents of each path count as folders.
    pub paths: BTreeMap<PathBuf, PathKind>,
    /// First bytes of files.
    pub heads: BTreeMap<PathBuf, Vec<u8>>,
    /// Folders of `PATH`.
    pub path: Vec<PathBuf>,
    pub users: Vec<User>,
    pub groups: BTreeSet<String>,
    /// Units that exist, with whose they are.
    pub units: BTreeMap<String, Ownership>,
    /// Who listens on an address; addresses are written as in messages, such as `[::]:80`.
    pub holders: BTreeMap<String, String>,
    /// Apps that are there, with the files that they come from.
    pub sources: BTreeMap<String, PathBuf>,
    /// Programs that gain privileges.
    pub elevated: BTreeSet<PathBuf>,
    /// Folders that a user other than root may change, with the user's name.
    pub changeable: BTreeMap<PathBuf, String>,
    /// Files that everybody may read.
    pub open: BTreeSet<PathBuf>,
    /// Files that no user but root may read.
    pub closed: BTreeSet<PathBuf>,
}

impl FakeHost {
    /// A system with four CPUs, the usual programs, the user `api` and an app in `/srv/app`.
    pub fn new() -> FakeHost {
        let mut host = FakeHost {
            scope: Scope::System,
            cpus: 4,
            unprivileged_port_start: 1024,
            paths: BTreeMap::new(),
            heads: BTreeMap::new(),
            path: vec!["/usr/bin".into()],
            users: ["root", "api"].map(user).into(),
            groups: ["root", "api", "www-data"].map(String::from).into(),
            units: BTreeMap::new(),
            holders: BTreeMap::new(),
            sources: BTreeMap::new(),
            elevated: BTreeSet::new(),
            changeable: [
                ("/home/api".into(), "`api`".to_owned()),
                ("/etc/of-api.env".into(), "`api`".to_owned()),
                ("/tmp".into(), "everybody".to_owned()),
            ]
            .into(),
            open: ["/etc/open.env".into()].into(),
            closed: ["/etc/closed.env".into()].into(),
        };
        for name in ["clusterctl", "node", "python3", "ruby", "sh", "bash", "env"] {
            host.program_with(&format!("/usr/bin/{name}"), &dynamic_elf());
        }
        host.program_with("/bin/sh", &dynamic_elf());
        host.program_with("/usr/bin/npm", b"#!/usr/bin/env node\n");
        host.program_with("/usr/bin/gunicorn", b"#!/usr/bin/python3\n");
        host.program_with("/srv/app/server", &static_elf());
        for name in ["server.js", "worker.js", "app.mjs", "worker.py", "src/main.js", ".env"] {
            host.file(&format!("/srv/app/{name}"));
        }
        let text = "\u{feff}A=1\nexport DB=x\nPORT=3000 # web\nLINES=\"a\\nb\"\nGOOD='x # y'\n";
        host.file("/etc/dotenv.env").heads.insert("/etc/dotenv.env".into(), text.into());
        host.program_with("/opt/bun/bin/bun", &dynamic_elf());
        host.program_with("/srv/app/cli", b"#!/usr/bin/env bun\n");
        host.heads.insert("/srv/app/app.mjs".into(), b"http.createServer(f).listen(4100)".into());
        host.folder("/var/log").folder("/tmp").folder("/run");
        host.folder("/var/lib/api").folder("/srv/app/uploads").file("/etc/keys/db");
        for name in ["/home/api/.env", "/etc/of-api.env", "/etc/open.env", "/etc/closed.env"] {
            host.file(name);
        }
        host.file("/etc/api.env").file("/tmp/.env").file("/etc/ours.env");
        let ours = b"A=1\n NODE_OPTIONS = --max-old-space-size=100\n#LD_PRELOAD=x\nLISTEN_PID=1\n";
        host.heads.insert("/etc/ours.env".into(), ours.to_vec());
        host
    }

    pub fn folder(&mut self, path: &str) -> &mut FakeHost {
        for folder in Path::new(path).ancestors() {
            self.paths.insert(folder.to_path_buf(), PathKind::Directory);
        }
        self
    }

    pub fn file(&mut self, path: &str) -> &mut FakeHost {
        let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
        self.folder(&folder.to_string_lossy());
        self.paths.insert(path.into(), PathKind::File);
        self
    }

    pub fn program_with(&mut self, path: &str, head: &[u8]) -> &mut FakeHost {
        self.file(path);
        self.paths.insert(path.into(), PathKind::Executable);
        self.heads.insert(path.into(), head.to_vec());
        self
    }
}

fn user(name: &str) -> User {
    let id = if name == "root" { 0 } else { 1000 };
    User { name: name.to_owned(), uid: id, gid: id, home: format!("/home/{name}").into() }
}

/// A dynamically linked program of this machine.
pub fn dynamic_elf() -> Vec<u8> {
    elf(3, b"/lib64/ld-linux-x86-64.so.2\0")
}

/// A statically linked program of this machine.
pub fn static_elf() -> Vec<u8> {
    elf(1, b"")
}

/// A program that Go linked dynamically: a second program header, the note, points at its end.
pub fn go_elf() -> Vec<u8> {
    let note = b"\x04\0\0\0\x04\0\0\0\x04\0\0\0Go\0\0abcd";
    // The content of the first header makes room for the second.
    let mut bytes = elf(3, &[0; 56]);
    bytes[56] = 2;
    bytes[120] = 4;
    bytes[128] = 176;
    bytes[152] = u8::try_from(note.len()).unwrap_or(u8::MAX);
    bytes.extend(note);
    bytes
}

/// A 64-bit header with one program header of the kind, and its content.
fn elf(kind: u32, content: &[u8]) -> Vec<u8> {
    let machine = clusterctl::ecosystem::elf::native_machine().unwrap_or(62);
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(120, 0);
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = 1;
    bytes[64..68].copy_from_slice(&kind.to_le_bytes());
    bytes[72] = 120;
    bytes[96] = u8::try_from(content.len()).unwrap_or(u8::MAX);
    bytes.extend(content);
    bytes
}

impl Host for FakeHost {
    fn other_source(&self, app: &AppName, source: Option<&Path>) -> Option<PathBuf> {
        self.sources.get(app.as_str()).filter(|known| source != Some(known)).cloned()
    }

    fn scope(&self) -> Scope {
        self.scope
    }

    fn cpus(&self) -> u32 {
        self.cpus
    }

    fn unprivileged_port_start(&self) -> u16 {
        self.unprivileged_port_start
    }

    fn kind(&self, path: &Path) -> PathKind {
        self.paths.get(path).copied().unwrap_or(PathKind::Missing)
    }

    fn head(&self, path: &Path, max: usize) -> Option<Vec<u8>> {
        self.heads.get(path).map(|head| head[..head.len().min(max)].to_vec())
    }

    fn gains_privileges(&self, path: &Path) -> bool {
        self.elevated.contains(path)
    }

    fn changeable_by(&self, path: &Path) -> Option<(PathBuf, String)> {
        let folder = path.parent()?;
        let found = self.changeable.iter().find(|(other, _)| folder.starts_with(other));
        found.map(|(folder, who)| (folder.clone(), who.clone()))
    }

    fn writable_by(&self, path: &Path) -> Option<String> {
        self.changeable.get(path).cloned()
    }

    fn may_read(&self, path: &Path, user: Option<&str>, _group: Option<&str>) -> bool {
        self.open.contains(path) || user.is_some() && !self.closed.contains(path)
    }

    fn program(&self, name: &str) -> Option<PathBuf> {
        let paths = self.path.iter().map(|folder| folder.join(name));
        paths.into_iter().find(|path| self.kind(path) == PathKind::Executable)
    }

    fn user(&self, name: &str) -> Option<User> {
        let matches = |user: &&User| user.name == name || user.uid.to_string() == name;
        self.users.iter().find(matches).cloned()
    }

    fn group_exists(&self, name: &str) -> bool {
        self.groups.contains(name) || self.users.iter().any(|user| user.gid.to_string() == name)
    }

    fn unit(&self, name: &str) -> Ownership {
        self.units.get(name).cloned().unwrap_or(Ownership::Free)
    }

    fn holder(&self, _app: &AppName, address: &ListenAddress) -> Option<AddressHolder> {
        let help = "stop that program, or choose another address".to_owned();
        self.holders.get(&address.to_string()).map(|who| AddressHolder {
            who: who.clone(),
            help,
            listener_of: None,
        })
    }
}
