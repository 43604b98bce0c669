//! Talks to a door. It knows paths, and neither apps nor units.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType,
};

use super::protocol::{Command, DoorState};
use crate::limits;

/// The door of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    path: PathBuf,
}

/// Why a door did not do what was asked of it.
#[derive(Debug)]
pub enum DoorError {
    /// There is no such socket.
    Missing,
    /// There is one, and no process that answers it.
    Deserted,
    /// It belongs to somebody else.
    Denied,
    /// It did not answer in time.
    Silent,
    /// It does not know the command.
    Unknown,
    /// It answered something else.
    Strange(String),
    /// The system refused.
    Io(io::Error),
}

impl fmt::Display for DoorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DoorError::Missing => f.write_str("there is no door"),
            DoorError::Deserted => f.write_str("nobody is behind the door"),
            DoorError::Denied => f.write_str("the door belongs to somebody else"),
            DoorError::Silent => f.write_str("the door did not answer in time"),
            DoorError::Unknown => f.write_str("the library in the process is of another version"),
            DoorError::Strange(answer) => {
                write!(f, "the door answered `{}`", answer.escape_debug())
            }
            DoorError::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for DoorError {}

impl From<io::Error> for DoorError {
    fn from(error: io::Error) -> DoorError {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => DoorError::Missing,
            ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset => DoorError::Deserted,
            ErrorKind::PermissionDenied => DoorError::Denied,
            ErrorKind::WouldBlock | ErrorKind::TimedOut => DoorError::Silent,
            _ => DoorError::Io(error),
        }
    }
}

impl Door {
    /// The door at this path.
    pub fn at(path: &Path) -> Door {
        Door { path: path.to_owned() }
    }

    /// Takes clients from now on.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn open(&self, timeout: Duration) -> Result<(), DoorError> {
        self.ask(Command::Open, None, timeout).map(drop)
    }

    /// Leaves clients to other instances from now on.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn close(&self, timeout: Duration) -> Result<(), DoorError> {
        self.ask(Command::Close, None, timeout).map(drop)
    }

    /// Asks the instance how it is.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn state(&self, timeout: Duration) -> Result<DoorState, DoorError> {
        let answer = self.ask(Command::State, None, timeout)?;
        DoorState::read(&answer).ok_or(DoorError::Strange(answer))
    }

    /// Hands the accepted end of a connection in, for the listener on this port.
    ///
    /// # Errors
    /// See [`DoorError`].
    pub fn hand_in(
        &self,
        accepted: &TcpStream,
        port: u16,
        timeout: Duration,
    ) -> Result<(), DoorError> {
        self.ask(Command::Connection(port), Some(accepted), timeout).map(drop)
    }

    fn ask(
        &self,
        command: Command,
        along: Option<&TcpStream>,
        timeout: Duration,
    ) -> Result<String, DoorError> {
        let deadline = Instant::now() + timeout;
        let socket = self.socket()?;
        socket.set_write_timeout(Some(timeout))?;
        send(&socket, &command.text(), along)?;
        let mut answer = [0; limits::DOOR_ANSWER];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DoorError::Silent);
            }
            socket.set_read_timeout(Some(left))?;
            match socket.recv(&mut answer) {
                Ok(length) => {
                    let answer = String::from_utf8_lossy(&answer[..length]).trim().to_owned();
                    return judged(command, answer);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A socket with an address of its own, for the answer. Being connected, it takes datagrams of the door
    /// alone, so that nobody else can answer.
    fn socket(&self) -> Result<UnixDatagram, DoorError> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)
            .map_err(io::Error::from)?;
        // Without a name, the kernel chooses one that is free.
        rustix::net::bind(&socket, &SocketAddrUnix::new_unnamed()).map_err(io::Error::from)?;
        let socket = UnixDatagram::from(socket);
        self.connect(&socket)?;
        Ok(socket)
    }

    /// Connects to the socket that is at the path itself. The app's user owns the folder, and could lead root to a
    /// socket of somebody else by a link.
    fn connect(&self, socket: &UnixDatagram) -> Result<(), DoorError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = rustix::fs::open(&self.path, flags, Mode::empty()).map_err(io::Error::from)?;
        let kind = rustix::fs::fstat(&place).map_err(io::Error::from)?.st_mode;
        if FileType::from_raw_mode(kind) != FileType::Socket {
            return Err(DoorError::Missing);
        }
        match socket.connect(format!("/proc/self/fd/{}", place.as_raw_fd())) {
            // A sandbox without /proc.
            Err(error) if error.kind() == ErrorKind::NotFound => socket.connect(&self.path)?,
            result => result?,
        }
        Ok(())
    }
}

/// Sends a datagram, and a socket along with it.
fn send(socket: &UnixDatagram, text: &str, along: Option<&TcpStream>) -> io::Result<()> {
    let text = [IoSlice::new(text.as_bytes())];
    let fds = along.map(|stream| [stream.as_fd()]);
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if let Some(fds) = &fds {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    rustix::net::sendmsg(socket, &text, &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn judged(command: Command, answer: String) -> Result<String, DoorError> {
    match answer.split_ascii_whitespace().next() {
        Some(word) if word == command.done() => Ok(answer),
        Some("unknown") => Err(DoorError::Unknown),
        _ => Err(DoorError::Strange(answer)),
    }
}
