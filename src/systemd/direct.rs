//! The manager's own socket, `/run/systemd/private`, over which root asks without a bus in between.
//!
//! A question takes half as long as over the bus. More important: a job that is submitted over the bus
//! costs the manager a match rule there until it ends, the bus closes the connection of who has too
//! many (512 with dbus-daemon), and without its connection no client of the machine hears of it any more.
//! A job that is submitted here costs none.
//!
//! Signals are heard on the bus alone, where they can be chosen. Here the manager tells each client of
//! everything that changes, whether somebody reads it or not, and keeps in its memory what is not read: so a
//! connection lives for one batch of calls. A new one costs the manager a millisecond, though, which is more than
//! most questions: [`Together`] keeps one for questions that follow one another, and whoever holds it does
//! not wait for anything meanwhile. What changes something has a connection of its own always, since a connection that
//! breaks would leave open whether it was done; a question is asked anew.
//!
//! Never used where it cannot be reached; whoever may not connect here asks on the bus.

use std::io::{self, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use zbus::Message;
use zbus::connection::socket::ReadHalf;
use zbus::export::async_trait::async_trait;

use super::proxy::CallBatch;
use crate::ecosystem::Scope;

/// Where the manager of the system listens.
const PATH: &str = "/run/systemd/private";

/// Bytes of a message of D-Bus at most.
const LONGEST: usize = 128 << 20;

/// The part of a message that every message has.
const FIXED: usize = 16;

/// The manager signs with its name on the bus, which a peer without a bus has not, and which is no name
/// of a peer: a header with it is refused by the library. A colon makes it one.
const SENDER: &[u8] = b"\x07\x01s\0\x18\0\0\0org.freedesktop.systemd1\0";
const NAME: usize = 8;

/// Replies to calls, in their order; `None` when the deadline came first.
type Replies = Option<zbus::Result<Vec<zbus::Result<Message>>>>;

/// Connections to the manager's own socket.
#[derive(Debug, Default)]
pub(super) struct Direct {
    kept: Mutex<Kept>,
}

/// What [`Together`] keeps.
#[derive(Debug, Default)]
struct Kept {
    holders: usize,
    idle: Vec<PrivateConnection>,
}

/// As long as it is held, questions that follow one another share a connection.
#[derive(Debug)]
pub struct Together(Option<Arc<Direct>>);

impl Together {
    pub(super) fn of(direct: Option<&Arc<Direct>>) -> Together {
        let direct = direct.cloned();
        if let Some(direct) = &direct {
            direct.kept().holders += 1;
        }
        Together(direct)
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        if let Some(direct) = &self.0 {
            let mut kept = direct.kept();
            kept.holders -= 1;
            if kept.holders == 0 {
                kept.idle.clear();
            }
        }
    }
}

impl Direct {
    /// The socket of a scope's manager, if this process may connect to it.
    pub(super) fn of(scope: Scope) -> Option<Direct> {
        // The bus of a user has no such limits.
        let may = scope == Scope::System && rustix::process::geteuid().is_root();
        (may && Path::new(PATH).exists()).then(Direct::default)
    }

    /// Sends all calls and reads their replies, as [`super::proxy::exchange`] does on the bus. `None` when the manager
    /// takes no connections at this moment: it does not while it is started anew.
    pub(super) fn exchange(&self, calls: &[Message], deadline: Instant) -> Option<Replies> {
        let asks = calls.iter().all(is_question);
        let idle = if asks { self.kept().idle.pop() } else { None };
        if let Some(mut connection) = idle {
            match connection.exchange(calls, deadline) {
                // It broke, as it does when the manager is started anew.
                Some(Err(_)) => {}
                replies => {
                    self.keep(connection, &replies);
                    return Some(replies);
                }
            }
        }
        let stream = UnixStream::connect(PATH).ok()?;
        let mut connection = match PrivateConnection::greet(stream, deadline) {
            Ok(connection) => connection,
            Err(error) => return Some(in_time(Err(error))),
        };
        let replies = connection.exchange(calls, deadline);
        if asks {
            self.keep(connection, &replies);
        }
        Some(replies)
    }

    /// Keeps a connection on which nothing is under way, where somebody asks for more.
    fn keep(&self, connection: PrivateConnection, replies: &Replies) {
        let mut kept = self.kept();
        if kept.holders > 0 && matches!(replies, Some(Ok(_))) {
            kept.idle.push(connection);
        }
    }

    /// Closes the connections on which nothing is under way.
    pub(super) fn let_go(&self) {
        self.kept().idle.clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a call changes nothing, so that it may be sent twice.
fn is_question(call: &Message) -> bool {
    let header = call.header();
    let member = header.member().map(|member| member.as_str());
    member.is_some_and(|member| member.starts_with("Get") || member.starts_with("List"))
}

/// A deadline that came first is no error of the connection.
fn in_time(result: zbus::Result<Vec<zbus::Result<Message>>>) -> Replies {
    match result {
        Err(zbus::Error::InputOutput(error)) if error.kind() == io::ErrorKind::TimedOut => None,
        result => Some(result),
    }
}

/// One connection to the manager.
#[derive(Debug)]
struct PrivateConnection {
    writer: UnixStream,
    reader: ReplyReader,
}

impl PrivateConnection {
    fn greet(mut writer: UnixStream, deadline: Instant) -> zbus::Result<PrivateConnection> {
        let mut reader = ReplyReader::new(writer.try_clone()?, deadline);
        // Root in ASCII, in hexadecimal; who we are the manager knows from the kernel. What would come
        // together with this it would leave lying until something else comes.
        writer.write_all(b"\0AUTH EXTERNAL 30\r\nBEGIN\r\n")?;
        reader.greeting()?;
        Ok(PrivateConnection { writer, reader })
    }

    fn exchange(&mut self, calls: &[Message], deadline: Instant) -> Replies {
        self.reader.deadline = deadline;
        in_time(self.send_and_read(calls))
    }

    fn send_and_read(&mut self, calls: &[Message]) -> zbus::Result<Vec<zbus::Result<Message>>> {
        let mut batch = CallBatch::of(calls);
        while !batch.is_over() {
            let due = batch.due().iter();
            let bytes: Vec<u8> = due.flat_map(|call| call.data().iter()).copied().collect();
            self.writer.write_all(&bytes)?;
            batch.take(self.reader.message()?);
        }
        Ok(batch.replies())
    }
}

/// Messages of the manager, as the library reads them.
#[derive(Debug)]
struct ReplyReader {
    stream: BufReader<UnixStream>,
    deadline: Instant,
    /// The message that is being handed over, and how much of it has been.
    bytes: Vec<u8>,
    handed: usize,
}

impl ReplyReader {
    fn new(stream: UnixStream, deadline: Instant) -> ReplyReader {
        let stream = BufReader::with_capacity(1 << 16, stream);
        ReplyReader { stream, deadline, bytes: Vec::new(), handed: 0 }
    }

    /// The next message.
    fn message(&mut self) -> zbus::Result<Message> {
        let (mut bytes, mut descriptors) = (Vec::new(), Vec::new());
        let read = self.receive_message(0, &mut bytes, &mut descriptors);
        match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(message) => message,
            // Our reads block in the kernel, so that the future of the library is never pending.
            Poll::Pending => Err(io::Error::from(io::ErrorKind::WouldBlock).into()),
        }
    }

    /// Reads the manager's `OK`.
    fn greeting(&mut self) -> io::Result<()> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.fill(&mut byte)?;
            line.extend(byte);
        }
        let welcome = line.starts_with(b"OK ");
        if welcome { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn fill(&mut self, to: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < to.len() {
            if self.stream.buffer().is_empty() {
                let left = self.deadline.saturating_duration_since(Instant::now());
                // A timeout of zero would mean none.
                let left = left.max(Duration::from_micros(1));
                self.stream.get_ref().set_read_timeout(Some(left))?;
            }
            match self.stream.read(&mut to[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads one whole message, with a sender that the library takes.
    fn next(&mut self) -> io::Result<()> {
        self.bytes.resize(FIXED, 0);
        self.handed = 0;
        let mut fixed = [0; FIXED];
        self.fill(&mut fixed)?;
        self.bytes.copy_from_slice(&fixed);
        let fields = FIXED + number(&fixed, 12);
        let whole = fields.next_multiple_of(8) + number(&fixed, 4);
        if whole > LONGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.bytes.resize(whole, 0);
        let mut rest = std::mem::take(&mut self.bytes);
        let read = self.fill(&mut rest[FIXED..]);
        self.bytes = rest;
        read?;
        let header = &mut self.bytes[FIXED..fields];
        if let Some(at) = header.windows(SENDER.len()).position(|window| window == SENDER) {
            header[at + NAME] = b':';
        }
        Ok(())
    }
}

#[async_trait]
impl ReadHalf for ReplyReader {
    async fn recvmsg(&mut self, to: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.handed == self.bytes.len() {
            self.next()?;
        }
        let left = &self.bytes[self.handed..];
        let length = left.len().min(to.len());
        to[..length].copy_from_slice(&left[..length]);
        self.handed += length;
        Ok((length, Vec::new()))
    }
}

/// A number of a header; machines that write the other end first have no handover either.
fn number(bytes: &[u8; FIXED], at: usize) -> usize {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word) as usize
}
