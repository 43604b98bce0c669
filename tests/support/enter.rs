//! Commands and files inside a machine.
//!
//! A command runs in all namespaces of the machine, so that it dies with the machine, and belongs to no
//! unit of the machine.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{fs::PermissionsExt, process::ExitStatusExt},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{child::Child, machine::Machine};

/// The exit code and the output of a command.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A cgroup beside those of systemd, which belongs to no unit.
pub(super) const COMMANDS_CGROUP: &str = "/sys/fs/cgroup/clusterctl-test";

/// How long a command may take; then it is killed, and the test fails.
const COMMAND_DEADLINE: &str = "120";

impl Machine {
    /// Prepares a command in the machine, for callers that set its streams or its environment.
    pub fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        // systemd's daemons refuse to serve a caller whose cgroup they cannot see.
        let place = self.path(COMMANDS_CGROUP);
        let enter = r#"echo $$ >"$0/cgroup.procs" && exec nsenter "$@""#;
        let mut command = Command::new("sh");
        command
            .args(["-c", enter])
            .arg(place)
            .arg(format!("--target={}", self.leader()))
            .args(["--all", "--", "setpriv", "--pdeathsig=KILL", "--"])
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("TERM", "dumb")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When the command has not ended after two minutes.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let deadline = ["timeout", "--kill-after=1", COMMAND_DEADLINE].map(OsStr::new);
        let args: Vec<A> = args.into_iter().collect();
        let args = deadline.into_iter().chain(args.iter().map(AsRef::as_ref));
        let output = Output::of(&mut self.command(args));
        assert!(
            ![124, 137].contains(&output.code),
            "took longer than {COMMAND_DEADLINE} s, or was killed: {output:?}"
        );
        output
    }

    /// Runs a command that must succeed, and gives its standard output without the last newline.
    ///
    /// # Panics
    /// With the whole output, when the command fails.
    pub fn ok<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        let args: Vec<A> = args.into_iter().collect();
        let output = self.run(args.iter().map(AsRef::as_ref));
        let shown: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        assert!(output.code == 0, "{shown:?} failed: {output:?}");
        output.stdout.trim_end_matches('\n').to_owned()
    }

    /// Runs a shell script to its end.
    pub fn sh(&self, script: &str) -> Output {
        self.run(["sh", "-c", script])
    }

    /// Runs a shell script that must succeed; see [`Machine::ok`].
    pub fn ok_sh(&self, script: &str) -> String {
        self.ok(["sh", "-ec", script])
    }

    /// Starts a command and lets it run.
    pub fn spawn<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        Child::of(&mut self.command(args))
    }

    /// Writes a file, with its directories, mode 0644.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let target = self.path(path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, text).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o644)).unwrap();
    }

    /// Reads a file.
    pub fn read(&self, path: &str) -> String {
        let target = self.path(path);
        fs::read_to_string(&target).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Whether a file, directory or symbolic link exists.
    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// Copies a file or a directory of this host into the machine.
    pub fn copy(&self, from: &Path, to: &str) {
        let target = self.path(to);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let mut command = Command::new("cp");
        command.args(["-a", "--no-preserve=ownership", "-T"]).arg(from).arg(&target);
        let output = Output::of(&mut command);
        assert!(output.code == 0, "cannot copy {}: {output:?}", from.display());
    }

    /// The machine's journal of one unit (patterns work), oldest first.
    pub fn journal(&self, unit: &str) -> String {
        self.ok(["journalctl", "--sync"]);
        self.ok(["journalctl", "--no-pager", "--quiet", "-o", "short-precise", "-u", unit])
    }

    /// One property of a unit, as `systemctl show` prints it.
    pub fn systemctl_show(&self, unit: &str, property: &str) -> String {
        self.ok(["systemctl", "show", "--value", "--property", property, unit])
    }

    /// Runs clusterctl to its end.
    pub fn clusterctl<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Output {
        let args: Vec<A> = args.into_iter().collect();
        self.run([OsStr::new("clusterctl")].into_iter().chain(args.iter().map(AsRef::as_ref)))
    }
}

impl Output {
    pub(super) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let status = output.status;
        Self {
            code: status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit code {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }
}

/// Looks again and again until a condition holds, for conditions that send no event.
///
/// # Panics
/// When the condition does not hold before the deadline.
pub fn wait_until(what: &str, deadline: Duration, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + deadline;
    while !happened() {
        assert!(Instant::now() < end, "waited {deadline:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
