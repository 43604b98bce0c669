//! Stands in for the journal: takes what services print, line by line, as it comes.
//!
//! It speaks the two protocols of systemd-journald: streams on `stdout` (seven header lines, then
//! the text) and records on `socket`. It stores nothing, so no line can outlive the manager, and
//! it needs neither a machine id nor cgroups. What a process wrote before it crashed is in the
//! socket and is read to the end.
//!
//! `clusterctl dev` brings a stand-in for journald: it takes the same sockets and prints; nothing
//! is stored.

mod record;
mod stream;

use super::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::SystemTime;
use stream::OutputStream;

/// One line of output.
#[derive(Clone, Debug)]
pub struct OutputLine {
    /// When it was read, which is when it was written but for the scheduler.
    pub at: SystemTime,
    /// The unit whose process wrote it, or the program's name where the unit is not known.
    pub unit: String,
    /// The process that opened the stream, in the numbers of the private namespace.
    pub pid: i32,
    /// As in syslog: 0 (emergency) to 7 (debug).
    pub priority: u8,
    /// The text without the line feed; what is not UTF-8 is replaced.
    pub text: String,
}

/// The running receiver.
#[derive(Debug)]
pub(super) struct JournalStandIn {
    stop: UnixStream,
    thread: JoinHandle<()>,
}

impl JournalStandIn {
    /// Listens in `dir` and sends every line to `lines`, until [`JournalStandIn::finish`].
    ///
    /// # Errors
    /// The sockets cannot be made.
    pub(super) fn listen(dir: &Path, lines: Sender<OutputLine>) -> Result<Self, Error> {
        let open = || -> io::Result<(UnixStream, Receiver)> {
            let (stop, stopped) = UnixStream::pair()?;
            let streams = UnixListener::bind(dir.join("stdout"))?;
            let records = UnixDatagram::bind(dir.join("socket"))?;
            // Any user whom an app runs as may write.
            for name in ["stdout", "socket"] {
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
                std::fs::set_permissions(dir.join(name), mode)?;
            }
            streams.set_nonblocking(true)?;
            records.set_nonblocking(true)?;
            let open = Vec::new();
            Ok((stop, Receiver { stopped, streams, records, open, lines }))
        };
        let (stop, receiver) = open().map_err(Error::step("opening the private journal"))?;
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || receiver.run())
            .map_err(Error::step("starting the private journal"))?;
        Ok(Self { stop, thread })
    }

    /// Reads what has been written, to the last byte, and ends.
    pub(super) fn finish(self) {
        drop(self.stop);
        // A receiver that panicked has nothing more to give.
        let _ = self.thread.join();
    }
}

struct Receiver {
    stopped: UnixStream,
    streams: UnixListener,
    records: UnixDatagram,
    open: Vec<OutputStream>,
    lines: Sender<OutputLine>,
}

impl Receiver {
    fn run(mut self) {
        let mut finishing = false;
        while let Some(ready) = self.ready(finishing) {
            if finishing && !ready.iter().skip(1).any(|ready| *ready) {
                break;
            }
            finishing |= ready[0];
            if ready[2] {
                record::read(&self.records, &self.lines);
            }
            let mut flags = ready[3..].iter();
            let lines = &self.lines;
            self.open.retain_mut(|stream| flags.next() != Some(&true) || stream.read(lines));
            if ready[1] {
                self.accept();
            }
        }
        for stream in &mut self.open {
            stream.flush(&self.lines);
        }
    }

    /// Which of (end request, new streams, records, each stream) can be read. The end request is
    /// not looked at again once it came, and then nothing is waited for.
    fn ready(&self, finishing: bool) -> Option<Vec<bool>> {
        let fixed = [self.stopped.as_fd(), self.streams.as_fd(), self.records.as_fd()];
        let streams = self.open.iter().map(|stream| stream.socket.as_fd());
        let mut fds: Vec<PollFd<'_>> = fixed
            .into_iter()
            .chain(streams)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            match poll(&mut fds, finishing.then_some(&now)) {
                Ok(_) => return Some(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    fn accept(&mut self) {
        while let Ok((socket, _)) = self.streams.accept() {
            if socket.set_nonblocking(true).is_ok() {
                self.open.push(OutputStream::new(socket));
            }
        }
    }
}

/// The unit of a process, read from its cgroup; `None` without cgroups.
fn unit_of(pid: i32) -> Option<String> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let unit = group.rsplit('/').find(|part| part.ends_with(".service"))?;
    Some(unit.to_owned())
}
