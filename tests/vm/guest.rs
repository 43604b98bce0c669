//! A computer with a disk, in qemu without any help of the processor: it is switched on, takes
//! commands, and loses its power. Its disk lives as long as this value.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use crate::{image, support, support::Root};

/// The computer; dropping it ends it.
#[derive(Debug)]
pub struct Guest {
    disk: PathBuf,
    console: PathBuf,
    kernel: PathBuf,
    /// Further words of the kernel's command line.
    words: &'static str,
    on: Option<On>,
}

/// While it is switched on.
#[derive(Debug)]
struct On {
    qemu: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    number: u64,
}

/// What a script did: its exit code and everything it printed.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub text: String,
}

/// Emulated, and perhaps beside other work: a boot takes ten seconds on a machine of its own.
const DEADLINE: Duration = Duration::from_secs(240);

const KERNEL_LINE: &str = "root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off panic=-1 \
    systemd.show_status=no";

impl Guest {
    /// A computer that is off, with these files on its disk; none where it cannot run, which is
    /// recorded.
    pub fn new(files: &[(&str, &str)]) -> Option<Self> {
        Self::of(Root::Virtual, "", files)
    }

    /// The same with SELinux and Debian's policy, as the kernel's `enforcing=` says.
    pub fn hardened(files: &[(&str, &str)]) -> Option<Self> {
        Self::of(Root::Hardened, "security=selinux selinux=1", files)
    }

    fn of(root: Root, words: &'static str, files: &[(&str, &str)]) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if let Err(reason) = support::requirements::emulated() {
            support::skip::record(&reason);
            return None;
        }
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = support::skip::target_dir().join("vm");
        fs::create_dir_all(&dir).unwrap();
        sweep(&dir);
        let disk = dir.join(format!("{}-{number}.disk", std::process::id()));
        image::make(root, &disk, files);
        let console = disk.with_extension("console");
        Some(Self { disk, console, kernel: image::kernel(root), words, on: None })
    }

    /// Switches it on and waits until everything is started.
    ///
    /// # Panics
    /// With its console, when it does not come up.
    pub fn boot(&mut self, cpus: u32) {
        assert!(self.on.is_none(), "it is on already");
        while !self.comes_up(cpus) {
            // Now and then qemu misses, with a thread for each CPU, that the kernel has replaced an
            // instruction. That kernel ends at once, before it has started anything.
            assert!(self.console().contains("Oops: int3"), "is off:\n{}", self.console());
        }
        let state = self.run("systemctl is-system-running --wait").text;
        assert_eq!(state.trim(), "running", "{}", self.run("systemctl --failed").text);
    }

    fn comes_up(&mut self, cpus: u32) -> bool {
        let mut qemu = self.command(cpus).spawn().unwrap();
        let stdin = qemu.stdin.take().unwrap();
        let stdout = BufReader::new(qemu.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = stdout.split(b'\n').map_while(Result::ok);
            lines.try_for_each(|line| sender.send(String::from_utf8_lossy(&line).into_owned()))
        });
        let on = self.on.insert(On { qemu, stdin, lines, number: 0 });
        let up = loop {
            match on.lines.recv_timeout(DEADLINE) {
                Ok(line) if line.ends_with("up") => break true,
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => break false,
                Err(RecvTimeoutError::Timeout) => panic!("is not up:\n{}", self.console()),
            }
        };
        if !up {
            self.power_cut();
        }
        up
    }

    fn command(&self, cpus: u32) -> Command {
        // QEMU ends with the thread that started it, however that thread ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig=KILL", "qemu-system-x86_64", "-machine", "q35,usb=off"]);
        command.args(["-accel", "tcg,thread=multi", "-cpu", "qemu64", "-m", "768"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-smp", &cpus.to_string(), "-append"]);
        command.arg(format!("{KERNEL_LINE} {}", self.words)).arg("-kernel");
        command.arg(&self.kernel);
        command.args(["-device", "nvme,drive=disk,serial=disk", "-drive"]);
        command.arg(format!("file={},if=none,id=disk,format=raw", self.disk.display()));
        command.args(["-serial", &format!("file:{}", self.console.display())]);
        command.args(["-chardev", "stdio,id=agent,signal=off", "-serial", "chardev:agent"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        command
    }

    /// Runs a shell script to its end.
    ///
    /// # Panics
    /// When it gives no answer in time.
    pub fn run(&mut self, script: &str) -> Output {
        self.begin(script);
        let number = self.on.as_ref().unwrap().number.to_string();
        loop {
            let line = self.line();
            let mut words = line.split(' ');
            if words.next() == Some(&number) {
                let code = words.next().unwrap().parse().unwrap();
                return Output { code, text: unhex(words.next().unwrap_or_default()) };
            }
        }
    }

    /// Runs a shell script that must succeed.
    ///
    /// # Panics
    /// With what it said, when it fails.
    pub fn ok(&mut self, script: &str) -> String {
        let output = self.run(script);
        assert_eq!(output.code, 0, "{script}\n{}\n{}", output.text, self.run(WHY).text);
        output.text.trim_end().to_owned()
    }

    /// Starts a shell script, of which nobody waits for the end.
    pub fn begin(&mut self, script: &str) {
        let on = self.on.as_mut().unwrap();
        on.number += 1;
        let script: String = script.bytes().map(|byte| format!("\\0{byte:03o}")).collect();
        let line = format!("{} {script}\n", on.number);
        on.stdin.write_all(line.as_bytes()).unwrap();
    }

    /// Shuts it down.
    ///
    /// # Panics
    /// With its console, when it is not off in time.
    pub fn power_off(&mut self) {
        self.begin("systemctl poweroff");
        let deadline = Instant::now() + DEADLINE;
        // The guest's last lines, then the end of its output.
        while self.on.as_ref().unwrap().lines.recv_timeout(DEADLINE).is_ok() {
            assert!(Instant::now() < deadline, "is not off:\n{}", self.console());
        }
        let status = self.on.take().unwrap().qemu.wait().unwrap();
        assert!(status.success(), "{status}:\n{}", self.console());
    }

    /// Takes its power away. What it had not written to its disk is lost.
    pub fn power_cut(&mut self) {
        let mut on = self.on.take().unwrap();
        on.qemu.kill().unwrap();
        on.qemu.wait().unwrap();
    }

    fn line(&mut self) -> String {
        let line = self.on.as_ref().unwrap().lines.recv_timeout(DEADLINE);
        line.unwrap_or_else(|_| panic!("gives no answer; its console:\n{}", self.console()))
    }

    fn console(&self) -> String {
        fs::read(&self.console)
            .map_or_else(|_| String::new(), |text| String::from_utf8_lossy(&text).into_owned())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if let Some(mut on) = self.on.take() {
            let _ = on.qemu.kill();
            let _ = on.qemu.wait();
        }
        if !std::thread::panicking() {
            let _ = fs::remove_file(&self.console);
        }
        let _ = fs::remove_file(&self.disk);
    }
}

fn unhex(digits: &str) -> String {
    let bytes = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap());
    String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
}

/// Prints the state of the machine after a failed script.
const WHY: &str = "systemctl --no-pager list-units --all 'shop*' || true
    journalctl --no-pager --boot --lines=60 || true";

/// Removes the files of tests that were killed.
fn sweep(dir: &std::path::Path) {
    for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.split('-').next());
        if pid.is_some_and(|pid| fs::metadata(format!("/proc/{pid}")).is_err()) {
            let _ = fs::remove_file(entry.path());
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
