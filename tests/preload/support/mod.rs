//! A stand-in for systemd: it holds listeners, starts programs under the
//! handover, and hears what they notify. Never used outside these tests.

mod client;
pub mod door;
mod program;

use std::fs::Permissions;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::net::{AddressFamily, SocketFlags, SocketType};

#[path = "../../support/made.rs"]
pub mod made;
#[path = "../../support/ports.rs"]
pub mod ports;
#[path = "../../support/skip.rs"]
pub mod skip;

#[allow(unused_imports, reason = "the tracer's tests use a part of them")]
pub use client::{
    ask, ask_with, being_served, check_shared, connect, ends_after_answer, http, read_all,
};
#[allow(unused_imports, reason = "the tracer's tests use a part of them")]
pub use program::{Program, end_children};
pub use skip::has;

/// The library under test.
pub const LIBRARY: &str = concat!(env!("OUT_DIR"), "/libclusterctl_preload.so");

/// Long enough for a loaded machine; a test that waits this long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Descriptors are made inheritable for one program at a time.
static SPAWNING: Mutex<()> = Mutex::new(());

pub struct Systemd {
    listeners: Vec<OwnedFd>,
    notify: UnixDatagram,
    pub directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

impl Systemd {
    pub fn new() -> Systemd {
        let directory = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        // Programs that drop privileges notify as well, as with systemd's own socket.
        for (name, mode) in [(".", 0o755), ("notify", 0o777)] {
            let path = directory.path().join(name);
            std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        notify.set_read_timeout(Some(PATIENCE)).unwrap();
        Systemd { listeners: Vec::new(), notify, directory, settings: Vec::new() }
    }

    /// One TCP listener on a free port of this address.
    pub fn tcp(address: &str) -> (Systemd, u16) {
        let mut systemd = Systemd::new();
        let port = systemd.add_tcp(address);
        (systemd, port)
    }

    pub fn add_tcp(&mut self, address: &str) -> u16 {
        let listener = std::net::TcpListener::bind((address, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        // The backlog that the unit configures.
        rustix::net::listen(&listener, 777).unwrap();
        self.add(OwnedFd::from(listener));
        port
    }

    /// A TCP listener of IPv6 alone on a port that one of IPv4 has.
    pub fn add_only_v6(&mut self, port: u16) {
        let kind = (AddressFamily::INET6, SocketType::STREAM);
        let fd = rustix::net::socket_with(kind.0, kind.1, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::sockopt::set_ipv6_v6only(&fd, true).unwrap();
        let name = std::net::SocketAddr::from(([0_u16; 8], port));
        rustix::net::bind(&fd, &name).unwrap();
        rustix::net::listen(&fd, 777).unwrap();
        self.add(fd);
    }

    pub fn add_udp(&mut self, address: &str) -> u16 {
        let socket = std::net::UdpSocket::bind((address, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        self.add(OwnedFd::from(socket));
        port
    }

    pub fn add_unix(&mut self, kind: SocketType) -> PathBuf {
        let path = self.directory.path().join("socket");
        let name = rustix::net::SocketAddrUnix::new(&path).unwrap();
        let fd = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None);
        let fd = fd.unwrap();
        rustix::net::bind(&fd, &name).unwrap();
        if kind == SocketType::STREAM {
            rustix::net::listen(&fd, 777).unwrap();
        }
        self.add(fd);
        path
    }

    fn add(&mut self, fd: OwnedFd) {
        rustix::io::ioctl_fionbio(&fd, true).unwrap();
        // Above what a shell or a program uses, below nothing that matters.
        self.listeners.push(fcntl_dupfd_cloexec(&fd, 200).unwrap());
    }

    /// A variable of the unit.
    pub fn set(&mut self, name: &str, value: &str) -> &mut Systemd {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts an instance. The listeners are its descriptors 3, 4 and so on.
    pub fn start(&self, program: &[&str]) -> Program {
        let mut script = String::new();
        for (at, fd) in self.listeners.iter().enumerate() {
            script += &format!("exec {}<&{} {1}<&-; ", at + 3, fd.as_raw_fd());
        }
        let mut command = Command::new("bash");
        command.args(["-c", &(script + r#"exec env "$@""#), "bash"]);
        let own = self.settings.iter().filter(|(name, _)| name == "LD_PRELOAD");
        let libraries: Vec<&str> =
            own.map(|(_, value)| value.as_str()).chain(std::iter::once(LIBRARY)).collect();
        command.arg(format!("LD_PRELOAD={}", libraries.join(":")));
        command
            .env("LISTEN_FDS", self.listeners.len().to_string())
            .env("LISTEN_FDNAMES", "http:admin")
            // The number of another process: the process that binds is often a grandchild.
            .env("LISTEN_PID", "1")
            .env("NOTIFY_SOCKET", self.directory.path().join("notify"))
            .env("CLUSTERCTL_KILL_TIMEOUT_MS", "8000");
        let others = self.settings.iter().filter(|(name, _)| name != "LD_PRELOAD");
        command.envs(others.map(|(name, value)| (name, value)));
        command.args(program).current_dir(self.directory.path());
        self.spawn(command)
    }

    fn spawn(&self, mut command: Command) -> Program {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let _one_at_a_time = SPAWNING.lock().unwrap();
        for fd in &self.listeners {
            fcntl_setfd(fd, FdFlags::empty()).unwrap();
        }
        let child = command.spawn().unwrap();
        for fd in &self.listeners {
            fcntl_setfd(fd, FdFlags::CLOEXEC).unwrap();
        }
        Program::new(child)
    }

    /// Waits for the next notification.
    pub fn notified(&self) -> String {
        let mut buffer = [0; 4096];
        let size = loop {
            match self.notify.recv(&mut buffer) {
                // A receive with a timeout is never restarted, signal(7).
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                result => break result.expect("the program notifies"),
            }
        };
        String::from_utf8_lossy(&buffer[..size]).into_owned()
    }

    /// Whether a notification is there already.
    pub fn has_notification(&self) -> bool {
        self.notify.set_nonblocking(true).unwrap();
        let there = self.notify.recv(&mut [0; 4096]).is_ok();
        self.notify.set_nonblocking(false).unwrap();
        there
    }

    /// Makes the listeners blocking, as for an app with `non_blocking = false`.
    pub fn blocking(&self) {
        for fd in &self.listeners {
            rustix::io::ioctl_fionbio(fd, false).unwrap();
        }
    }

    /// Whether the shared flag is as the unit demands.
    pub fn is_nonblocking(&self) -> bool {
        self.listeners
            .iter()
            .all(|fd| rustix::fs::fcntl_getfl(fd).unwrap().contains(rustix::fs::OFlags::NONBLOCK))
    }
}

/// The C servers of `programs/server.c`, compiled once.
pub fn server() -> &'static str {
    static SERVER: OnceLock<String> = OnceLock::new();
    SERVER.get_or_init(|| compile("cc", "server.c", "server", &["-pthread"]))
}

/// Compiles a C program of `programs`.
pub fn compile(compiler: &str, source: &str, name: &str, options: &[&str]) -> String {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/preload/programs");
    let source = programs.join(source);
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let status = Command::new(compiler)
        .args(["-O1", "-Wall", "-Wextra", "-o"])
        .arg(&output)
        .arg(source)
        .args(options)
        .status()
        .unwrap();
    assert!(status.success(), "{compiler} compiles {name}");
    output.to_str().unwrap().to_owned()
}
