//! One command on another machine: the lines that it prints, and how it ended. It never judges what they say.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::said::{Said, Tail};
use crate::limits;

/// A command that was started.
#[derive(Debug)]
pub struct Session {
    child: Child,
    lines: Receiver<String>,
    said: Said,
}

/// What came of waiting for a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A line, without its end.
    Line(String),
    /// Nothing in that time.
    Silence,
    /// There is no further one.
    End,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code, ssh's own 255 among them; `None` after a signal.
    pub code: Option<i32>,
    /// What ssh and the command there wrote to standard error, the end of it.
    pub said: Tail,
}

/// Lines that wait for whoever reads them; the host waits when there are more.
const AHEAD: usize = 256;

impl Session {
    pub(super) fn of(mut child: Child, input: Option<Vec<u8>>) -> io::Result<Session> {
        if let (Some(bytes), Some(mut stdin)) = (input, child.stdin.take()) {
            thread::spawn(move || {
                // A command there that does not read it says itself why.
                let _ = stdin.write_all(&bytes);
            });
        }
        let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(io::Error::other("ssh has no standard output"));
        };
        let said = Said::of(err)?;
        let (sender, lines) = sync_channel(AHEAD);
        thread::spawn(move || read(out, &sender));
        Ok(Session { child, lines, said })
    }

    /// The next line; waits for it so long.
    pub fn line(&mut self, within: Duration) -> Heard {
        match self.lines.recv_timeout(within) {
            Ok(line) => Heard::Line(line),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Ends ssh. What was started there may go on.
    pub fn hang_up(&mut self) {
        // It may have ended by itself just now.
        let _ = self.child.kill();
    }

    /// Waits until ssh has ended. Whoever has no interest in further lines hangs up before.
    pub fn ended(mut self) -> Ended {
        // A full queue of lines that nobody takes would hold ssh up.
        drop(self.lines);
        let code = self.child.wait().ok().and_then(|status| status.code());
        Ended { code, said: self.said.end() }
    }
}

/// The lines of standard output, each up to a limit, beyond which the rest is a line of its own.
fn read(out: impl Read, sender: &SyncSender<String>) {
    let mut out = BufReader::new(out);
    loop {
        let mut line = Vec::new();
        let most = limits::HOST_LINE;
        match out.by_ref().take(most).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while line.last().is_some_and(|byte| *byte == b'\n' || *byte == b'\r') {
            line.pop();
        }
        if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
            return;
        }
    }
}
