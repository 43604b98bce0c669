//! A command in a machine that runs while the test goes on.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    process::{self, Command, Stdio},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::machine::children;

/// A running command; dropping it kills it.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

const DEADLINE: Duration = Duration::from_secs(60);

impl Child {
    pub(super) fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let (sender, lines) = channel();
        forward(process.stdout.take().unwrap(), sender.clone());
        forward(process.stderr.take().unwrap(), sender);
        Self { process, lines, seen: Vec::new() }
    }

    /// Waits for a line of standard output or standard error that contains the text, and gives the line.
    ///
    /// # Panics
    /// With all lines so far, when the output ends or a minute passes before such a line comes.
    pub fn line_with(&mut self, text: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {text:?}, but:\n{}", self.seen.join("\n"));
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Writes to the command's standard input.
    pub fn type_in(&mut self, text: &str) {
        self.process.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Sends a signal to the command itself.
    pub fn signal(&self, signal: Signal) {
        let inside = children(self.process.id()).first().copied().unwrap();
        let pid = Pid::from_raw(i32::try_from(inside).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Whether the command has not ended yet.
    pub fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Closes the standard input, waits for the end, and gives the exit code (128 and the number
    /// of the signal that ended it) and all lines of both outputs.
    ///
    /// # Panics
    /// With all lines so far, when the command has not ended after a minute.
    pub fn wait(&mut self) -> (i32, Vec<String>) {
        drop(self.process.stdin.take());
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(_) => panic!("still running after {DEADLINE:?}:\n{}", self.seen.join("\n")),
            }
        }
        let status = self.process.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The process in the machine dies too: SIGKILL is its parent-death signal.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn forward(stream: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { return };
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}
