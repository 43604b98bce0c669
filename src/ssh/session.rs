//! One command on another machine: the lines that it prints, and how it ended. It never judges what they say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::limits;

/// A command that was started.
#[derive(Debug)]
pub struct Session {
    child: Child,
    lines: Receiver<String>,
    said: File,
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
    pub said: String,
}

/// Lines that wait for whoever reads them; the host waits when there are more.
const AHEAD: usize = 256;

impl Session {
    pub(super) fn of(mut child: Child, input: Option<Vec<u8>>, said: File) -> io::Result<Session> {
        if let (Some(bytes), Some(mut stdin)) = (input, child.stdin.take()) {
            thread::spawn(move || {
                // A command there that does not read it says itself why.
                let _ = stdin.write_all(&bytes);
            });
        }
        let Some(out) = child.stdout.take() else {
            return Err(io::Error::other("ssh has no standard output"));
        };
        let (sender, lines) = sync_channel(AHEAD);
        thread::spawn(move || read(out, &sender));
        Ok(Session { child, lines, said })
    }

    /// The next line; waits for it so long, or until there is one.
    pub fn line(&mut self, within: Option<Duration>) -> Heard {
        let Some(within) = within else {
            return self.lines.recv().map_or(Heard::End, Heard::Line);
        };
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
        Ended { code, said: end_of(&mut self.said).unwrap_or_default() }
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

/// The end of what was written to a file.
fn end_of(file: &mut File) -> io::Result<String> {
    let length = file.seek(io::SeekFrom::End(0))?;
    file.seek(io::SeekFrom::Start(length.saturating_sub(limits::HOST_SAID)))?;
    let mut bytes = Vec::new();
    file.take(limits::HOST_SAID).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
