//! A program that was started: what it says, the signals it gets, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin};
use std::sync::mpsc;
use std::time::Duration;

use super::PATIENCE;

/// A started program; killed when dropped, with its children.
pub struct Program {
    child: Child,
    pub input: ChildStdin,
    output: mpsc::Receiver<String>,
    errors: mpsc::Receiver<String>,
}

impl Program {
    pub(super) fn new(mut child: Child) -> Program {
        let output = lines(child.stdout.take().unwrap());
        let errors = lines(child.stderr.take().unwrap());
        Program { input: child.stdin.take().unwrap(), child, output, errors }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line on standard output.
    pub fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("the program says something")
    }

    /// The next line on standard error.
    pub fn error_line(&self) -> String {
        self.errors.recv_timeout(PATIENCE).expect("the program complains")
    }

    /// All that is left of standard output, once the program has closed it.
    pub fn rest(&self) -> String {
        self.rest_within(PATIENCE)
    }

    /// The same of a program that may be silent for so long.
    pub fn rest_within(&self, silence: Duration) -> String {
        let mut all = String::new();
        while let Ok(line) = self.output.recv_timeout(silence) {
            all += &line;
            all.push('\n');
        }
        all
    }

    /// All that was written to standard error, once the program has closed it.
    pub fn errors(&self) -> String {
        let mut all = String::new();
        while let Ok(line) = self.errors.recv_timeout(PATIENCE) {
            all += &line;
            all.push('\n');
        }
        all
    }

    /// Checks `name=value` lines in their order.
    #[track_caller]
    pub fn reports(&self, expected: &[&str]) {
        let got: Vec<String> = expected.iter().map(|_| self.line()).collect();
        assert_eq!(got, expected, "what the program reports");
    }

    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits until it is stopped by a signal.
    pub fn has_stopped(&self) {
        use rustix::process::{WaitOptions, waitpid};
        let pid = rustix::process::Pid::from_child(&self.child);
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Waits for the end: the exit status, or minus the signal.
    #[track_caller]
    pub fn end(&mut self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        let pid = rustix::process::Pid::from_child(&self.child);
        let process =
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
        let mut ended = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
        let ready = loop {
            match rustix::event::poll(&mut ended, Some(&PATIENCE.try_into().unwrap())) {
                Err(rustix::io::Errno::INTR) => {}
                result => break result.unwrap(),
            }
        };
        assert!(ready > 0, "the program does not end");
        let status = self.child.wait().unwrap();
        status.code().unwrap_or_else(|| -status.signal().unwrap_or(0))
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

/// Ends what a process has started, and what that has started.
pub fn end_children(pid: u32) {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    for child in children.unwrap_or_default().split_whitespace() {
        let child: u32 = child.parse().unwrap();
        end_children(child);
        let child = rustix::process::Pid::from_raw(i32::try_from(child).unwrap()).unwrap();
        let _ = rustix::process::kill_process(child, rustix::process::Signal::KILL);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        end_children(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
    receiver
}
