//! One non-blocking connection and the request on it.

use std::{os::fd::OwnedFd, time::Instant};

use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect,
        recv, send, socket_with, sockopt::socket_error,
    },
};

use super::{
    Target,
    http::{self, Answer, Parsed},
    report::{Cause, Kind},
};

/// A connection; at most one request at a time.
#[derive(Debug)]
pub struct Connection {
    pub socket: OwnedFd,
    pub kind: Kind,
    pub state: State,
    pub request: Option<Request>,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The queue of the Unix socket was full: the connection has to be tried again.
    Blocked,
    Connecting,
    Sending,
    Awaiting,
    Idle {
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub number: u64,
    /// When the request was due by the rate.
    pub due: Instant,
}

/// How far a request is.
#[derive(Debug)]
pub enum Progress {
    Pending,
    Answered(Answer),
    Failed(Cause, String),
}

impl Connection {
    /// Begins to connect, with a request to send as soon as that is done.
    pub fn open(
        target: &Target,
        kind: Kind,
        request: Request,
        bytes: Vec<u8>,
    ) -> Result<Self, (Cause, String)> {
        let (family, style) = match target {
            Target::Tcp(address) if address.is_ipv4() => (AddressFamily::INET, SocketType::STREAM),
            Target::Tcp(_) => (AddressFamily::INET6, SocketType::STREAM),
            Target::Unix(_) => (AddressFamily::UNIX, SocketType::STREAM),
            Target::Udp(address) if address.is_ipv4() => (AddressFamily::INET, SocketType::DGRAM),
            Target::Udp(_) => (AddressFamily::INET6, SocketType::DGRAM),
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket =
            socket_with(family, style, flags, None).map_err(|errno| failure(errno, "socket"))?;
        let (request, state) = (Some(request), State::Connecting);
        let mut connection =
            Self { socket, kind, state, request, unsent: bytes, received: Vec::new() };
        connection.connect(target)?;
        Ok(connection)
    }

    /// Connects, or learns that the connection has to be tried again.
    pub fn connect(&mut self, target: &Target) -> Result<(), (Cause, String)> {
        let result = match target {
            Target::Tcp(address) | Target::Udp(address) => connect(&self.socket, address),
            Target::Unix(path) => SocketAddrUnix::new(path.as_path())
                .and_then(|address| connect(&self.socket, &address)),
        };
        self.state = match result {
            Ok(()) | Err(Errno::INPROGRESS) => State::Connecting,
            Err(Errno::AGAIN) => State::Blocked,
            Err(errno) => return Err(failure(errno, "connect")),
        };
        Ok(())
    }

    /// Takes one more request, if the server has not closed in the meantime.
    pub fn reuse(&mut self, request: Request, bytes: Vec<u8>) -> bool {
        let mut byte = [0; 1];
        let alive =
            recv(&self.socket, &mut byte, RecvFlags::PEEK).is_err_and(|e| e == Errno::AGAIN);
        if alive {
            self.request = Some(request);
            self.unsent = bytes;
            self.received.clear();
            self.state = State::Sending;
        }
        alive
    }

    /// Goes on as far as possible without waiting.
    pub fn advance(&mut self) -> Progress {
        if self.state == State::Connecting {
            match socket_error(&self.socket) {
                Ok(Ok(())) => self.state = State::Sending,
                Ok(Err(errno)) | Err(errno) => return failed(errno, "connect"),
            }
        }
        if self.state == State::Sending {
            match self.send() {
                Ok(true) => self.state = State::Awaiting,
                Ok(false) => return Progress::Pending,
                Err(errno) => return failed(errno, "send"),
            }
        }
        if self.state == State::Awaiting { self.receive() } else { Progress::Pending }
    }

    fn send(&mut self) -> Result<bool, Errno> {
        while !self.unsent.is_empty() {
            match send(&self.socket, &self.unsent, SendFlags::NOSIGNAL) {
                Ok(length) => drop(self.unsent.drain(..length)),
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
        Ok(true)
    }

    fn receive(&mut self) -> Progress {
        let mut buffer = [0; 16 * 1024];
        loop {
            let ended = match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) if self.kind != Kind::Datagram => true,
                Ok((length, _)) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    false
                }
                Err(Errno::AGAIN) => return Progress::Pending,
                Err(errno) => return failed(errno, "receive"),
            };
            match self.parse(ended) {
                Parsed::Whole(answer) => return Progress::Answered(answer),
                Parsed::Malformed(what) => return Progress::Failed(Cause::Malformed, what),
                Parsed::Partial if !ended => {}
                Parsed::Partial => {
                    let empty = self.received.is_empty();
                    let cause = if empty { Cause::Closed } else { Cause::Truncated };
                    let got = String::from_utf8_lossy(&self.received).into_owned();
                    return Progress::Failed(cause, got);
                }
            }
        }
    }

    fn parse(&self, ended: bool) -> Parsed {
        if self.kind != Kind::Datagram {
            return http::parse(&self.received, ended);
        }
        // A datagram arrives whole or not at all. It gets a status so that it is judged like an HTTP answer.
        let (close, head, body) = (true, String::new(), self.received.clone());
        Parsed::Whole(Answer { status: 200, close, head, body })
    }
}

fn failed(errno: Errno, during: &str) -> Progress {
    let (cause, example) = failure(errno, during);
    Progress::Failed(cause, example)
}

fn failure(errno: Errno, during: &str) -> (Cause, String) {
    let cause = match errno {
        Errno::CONNREFUSED | Errno::NOENT => Cause::Refused,
        Errno::CONNRESET | Errno::PIPE => Cause::Reset,
        _ => Cause::Local,
    };
    (cause, format!("{during}: {errno}"))
}
