//! One run of the program under test, and what it must leave as it was.

use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Only there to find processes again: everything started below inherits it.
const MARK: &str = "CLUSTERCTL_TEST_MARK";

pub struct Session {
    child: Child,
    port: u16,
    mark: String,
    output: tempfile::NamedTempFile,
    before: BTreeSet<String>,
}

pub struct End {
    pub status: ExitStatus,
    pub output: String,
}

impl Session {
    /// Starts two instances, and waits until both say that they serve.
    pub fn start() -> Self {
        let before = surroundings();
        let port = crate::ports::unused();
        let mark = format!("{}-{port}", std::process::id());
        let output = tempfile::NamedTempFile::new().unwrap();
        let app = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dev/app.py");
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["outer".as_ref(), port.to_string().as_ref(), app.as_os_str()])
            .env(MARK, &mark)
            .stdout(output.reopen().unwrap())
            .stderr(output.reopen().unwrap())
            .spawn()
            .unwrap();
        let session = Self { child, port, mark, output, before };
        session.until("two instances serve", || session.output().matches("| serving").count() == 2);
        session
    }

    /// What has been printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(self.output.path()).unwrap()
    }

    /// The body of the answer; `None` when the connection ends without one.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split_once("\r\n\r\n")?.1.to_owned())
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Signals the outer process, and checks that nothing is left of all it made.
    pub fn end_by(mut self, signal: Signal) -> End {
        assert!(self.processes().len() >= 5, "the mark finds the processes");
        self.signal(signal);
        let status = self.child.wait().unwrap();
        if signal == Signal::KILL {
            self.until("the last process is gone", || self.processes().is_empty());
        }
        assert_eq!(self.processes(), BTreeSet::new());
        assert_eq!(surroundings(), self.before);
        TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        End { status, output: self.output() }
    }

    /// Waits for a situation that comes by itself.
    pub fn until(&self, what: &str, mut there: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !there() {
            assert!(Instant::now() < deadline, "waited for: {what}\n{}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn processes(&self) -> BTreeSet<String> {
        let mark = format!("{MARK}={}", self.mark);
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter(|entry| {
                let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|pair| pair == mark.as_bytes())
            })
            .map(|entry| {
                let command = fs::read_to_string(entry.path().join("cmdline"));
                format!("{} {}", entry.path().display(), command.unwrap_or_default())
            })
            .collect()
    }
}

/// Mounts, files and cgroups that the program could leave behind.
fn surroundings() -> BTreeSet<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounts = mounts.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned());
    let mounts =
        mounts.filter(|point| ["/run", "/proc", "/sys"].iter().any(|dir| point.starts_with(dir)));
    let ours = ["clusterctl-dev", "systemd", "dbus"];
    let files =
        ["/run", "/run/systemd", "/run/user", "/tmp", "/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let files = files.into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
    let files = files.map(|entry| entry.path().display().to_string());
    mounts.chain(files.filter(|path| ours.iter().any(|part| path.contains(part)))).collect()
}
