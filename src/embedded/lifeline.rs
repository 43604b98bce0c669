//! The socket between the outer and the inner process: stop requests go in, and its end tells the
//! inner one that the outer is gone, even after SIGKILL. It carries nothing else.

use super::Error;
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// What the outer process wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifelineRequest {
    /// Drain and end. Also the answer to the death of the outer process.
    Stop,
    /// End now: it was asked twice.
    Kill,
}

/// The inner end.
#[derive(Debug)]
pub struct Lifeline {
    socket: UnixStream,
    asked: bool,
}

impl Lifeline {
    /// Takes over the standard input, where [`super::enter`] put the socket, and leaves
    /// `/dev/null` there.
    ///
    /// # Errors
    /// No descriptor is free, or `/dev/null` is missing.
    pub fn take() -> Result<Self, Error> {
        let take = || -> io::Result<OwnedFd> {
            let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
            let null = std::fs::File::open("/dev/null")?;
            rustix::stdio::dup2_stdin(null)?;
            // A death signal that an outer program (setpriv, a container runtime) has set would cut draining short.
            set_parent_process_death_signal(None::<Signal>)?;
            Ok(socket)
        };
        let socket = take().map_err(Error::step("taking the standard input"))?;
        Ok(Self { socket: socket.into(), asked: false })
    }

    /// Waits for the next request. After [`LifelineRequest::Kill`] there is none.
    pub fn wait(&mut self) -> LifelineRequest {
        loop {
            match self.socket.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) if self.asked => loop {
                    std::thread::park();
                },
                _ if self.asked => return LifelineRequest::Kill,
                _ => {
                    self.asked = true;
                    return LifelineRequest::Stop;
                }
            }
        }
    }
}

/// The outer end asks once more. An inner process that has ended needs no request.
pub(super) fn ask(mut outer: &UnixStream) {
    let _ = outer.write_all(b"!");
}
