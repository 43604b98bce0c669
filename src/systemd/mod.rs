//! The edge to systemd: the only place that knows its bus, and the journal.
//!
//! Callers get blocking calls with deadlines, in our own words; nothing of the bus library leaves
//! this module. It reports and requests, and never decides: no retries, no policy.
//!
//! One runtime behind these calls, that of the bus library: a thread that asks drives it until it has its
//! answer, deadlines are its timers, and a [`Watch`] is a task on it. Between two calls a thread of the
//! library drives it. As root, questions and jobs go over the manager's own socket, without runtime or
//! thread (`direct`).

mod control;
mod direct;
mod error;
mod field;
mod glimpse;
mod job;
mod jobs;
mod journal;
mod proxy;
mod query;
mod reading;
mod state;
mod watch;

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zbus::connection::Builder;
use zbus::{Connection, Message};

use crate::ecosystem::Scope;
use crate::limits;

use direct::Direct;

pub use control::{JobInfo, KillWhom, UnitProcess};
pub use direct::Together;
pub use error::{Error, ErrorKind};
pub use field::Field;
pub use glimpse::Glimpse;
pub use job::{JobId, JobKind, JobMode, JobOutcome, JobResult};
pub use jobs::EndedJobs;
pub use journal::{Author, Journal, JournalEntry, Levels};
pub use state::{Exit, InstanceState, Listed, LoadState, QueuedJob, SocketState};
pub use watch::{PropertyChanges, Signal, Watch};

/// How long the manager may take to answer a question. It answers in milliseconds unless it is
/// reloading, which on a slow machine with many units takes seconds.
const ANSWER: Duration = crate::limits::ANSWER;

/// A daemon-reload also runs all generators, which have 90 s of their own.
const RELOAD: Duration = crate::limits::RELOAD;

/// A connection to one service manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    /// Made when it is needed, and replaced by [`Systemd::reconnect`].
    connection: Arc<Mutex<Option<Connection>>>,
    /// The manager's own socket, for whoever may use it.
    direct: Option<Arc<Direct>>,
    address: ManagerAddress,
    /// One batch of calls at a time: the bus limits the calls that a connection may have open,
    /// whichever thread they come from.
    turn: Arc<Mutex<()>>,
}

/// Where a manager is found.
#[derive(Debug, Clone)]
enum ManagerAddress {
    Scope(Scope),
    Bus(String),
    /// A stream of a test, which cannot be connected again.
    Stream,
}

impl Systemd {
    /// Connects to the manager of a scope.
    ///
    /// # Errors
    /// No systemd on this machine, or no bus to talk to it.
    pub fn connect(scope: Scope) -> Result<Systemd, Error> {
        if scope == Scope::System && !booted() {
            return Err(error::no_bus(scope, false, String::new()));
        }
        let mut systemd = Systemd::build(builder(scope), ManagerAddress::Scope(scope))
            .map_err(|e| error::no_bus(scope, booted(), e.to_string()))?;
        systemd.direct = Direct::of(scope).map(Arc::new);
        Ok(systemd)
    }

    /// As [`Systemd::connect`], for questions alone: where the manager answers without a bus, none is
    /// connected to before something is [watched](Systemd::watch).
    ///
    /// # Errors
    /// As [`Systemd::connect`].
    pub fn connect_to_ask(scope: Scope) -> Result<Systemd, Error> {
        match Direct::of(scope) {
            Some(direct) => Ok(Systemd {
                connection: Arc::default(),
                direct: Some(Arc::new(direct)),
                address: ManagerAddress::Scope(scope),
                turn: Arc::default(),
            }),
            None => Systemd::connect(scope),
        }
    }

    /// As long as this is held, questions that follow one another cost little: see [`Together`]. Whoever holds it
    /// waits for nothing but answers.
    #[must_use = "it ends when it is dropped"]
    pub fn together(&self) -> Together {
        Together::of(self.direct.as_ref())
    }

    /// Closes what [`Systemd::together`] keeps open, before somebody waits all the same; the next question opens it again.
    pub fn let_go(&self) {
        if let Some(direct) = &self.direct {
            direct.let_go();
        }
    }

    /// Connects to the bus, where that has been left until now: for what is about to change something, and is refused
    /// before its first change.
    ///
    /// # Errors
    /// There is no bus.
    pub fn reach_bus(&self) -> Result<(), Error> {
        let mut place = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if place.is_none()
            && let ManagerAddress::Scope(scope) = &self.address
        {
            let made = connected(builder(*scope));
            *place = Some(made.map_err(|e| error::no_bus(*scope, booted(), e.to_string()))?);
        }
        Ok(())
    }

    /// Connects to the bus of a private manager, such as `unix:path=/run/…/bus`.
    ///
    /// # Errors
    /// Nobody listens there.
    pub fn connect_to(address: &str) -> Result<Systemd, Error> {
        Systemd::build(Builder::address(address), ManagerAddress::Bus(address.to_owned()))
            .map_err(|e| error::no_bus(Scope::User, true, e.to_string()))
    }

    /// Speaks to whoever is at the other end of a stream, who must behave as a message bus with
    /// systemd on it.
    ///
    /// # Errors
    /// The peer does not greet as a bus does.
    pub fn over(stream: UnixStream) -> Result<Systemd, Error> {
        Systemd::build(Builder::unix_stream(stream), ManagerAddress::Stream)
            .map_err(|e| Error::from_bus("connect to systemd", &e))
    }

    fn build(builder: Builder<'_>, address: ManagerAddress) -> zbus::Result<Systemd> {
        let connection = connected(builder)?;
        let connection = Arc::new(Mutex::new(Some(connection)));
        Ok(Systemd { connection, direct: None, address, turn: Arc::default() })
    }

    /// Connects again after the connection broke, once; everybody who holds this manager speaks over
    /// the new connection from then on. A [`Watch`] stays with the old one.
    ///
    /// # Errors
    /// There is no bus, or the manager is not on it yet.
    pub fn reconnect(&self) -> Result<(), Error> {
        let new = self.new_connection()?;
        *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        // Whether the manager is on the bus, only the bus can tell.
        let doing = "connect to systemd";
        let call = version().map_err(|e| Error::from_bus(doing, &e))?;
        let mut replies = self.on_bus(doing, &[call], Instant::now() + ANSWER)?;
        let reply = replies.pop().unwrap_or(Err(zbus::Error::InvalidReply));
        reply.map(drop).map_err(|e| Error::from_bus(doing, &e))
    }

    /// The connection to the bus.
    ///
    /// # Errors
    /// There is none yet, and no bus.
    fn connection(&self) -> Result<Connection, Error> {
        let mut place = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        match &*place {
            Some(connection) => Ok(connection.clone()),
            None => Ok(place.insert(self.new_connection()?).clone()),
        }
    }

    fn new_connection(&self) -> Result<Connection, Error> {
        let builder = match &self.address {
            ManagerAddress::Scope(scope) => builder(*scope),
            ManagerAddress::Bus(address) => Builder::address(address.as_str()),
            ManagerAddress::Stream => return Err(Error::disconnected("connect to systemd")),
        };
        connected(builder).map_err(|e| Error::from_bus("connect to systemd", &e))
    }

    /// The major version of the running manager: 252 of `252.39-1~deb12u2`.
    ///
    /// # Errors
    /// The manager does not answer, or with something that starts with no number.
    pub fn version(&self) -> Result<u32, Error> {
        let doing = "ask for the version of systemd";
        let reply = self.ask(doing, version())?;
        let text = query::text(&reply).map_err(|e| Error::from_bus(doing, &e))?;
        leading_number(&text).ok_or_else(|| Error::new(ErrorKind::Other, doing, text))
    }

    /// Makes the manager read all unit files again; returns when it has.
    ///
    /// # Errors
    /// Not permitted, too often in a short time, or no answer within 150 s.
    pub fn daemon_reload(&self) -> Result<(), Error> {
        let call = proxy::manager("Reload", &());
        self.ask_within("reload the unit files", call, RELOAD).map(drop)
    }

    /// One call, one reply.
    fn ask(&self, doing: &str, call: zbus::Result<Message>) -> Result<Message, Error> {
        self.ask_within(doing, call, ANSWER)
    }

    fn ask_within(
        &self,
        doing: &str,
        call: zbus::Result<Message>,
        patience: Duration,
    ) -> Result<Message, Error> {
        let mut replies = self.ask_all(doing, vec![call], patience)?;
        match replies.pop() {
            Some(reply) => reply.map_err(|e| Error::from_bus(doing, &e)),
            None => Err(Error::new(ErrorKind::Other, doing, "no reply")),
        }
    }

    /// Many calls, sent together; one result for each, in their order. `patience` is for as many calls as
    /// are under way at once: a manager that starts hundreds of processes meanwhile answers slowly.
    fn ask_all(
        &self,
        doing: &str,
        calls: Vec<zbus::Result<Message>>,
        patience: Duration,
    ) -> Result<Vec<zbus::Result<Message>>, Error> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let rounds = u32::try_from(calls.len().div_ceil(limits::CALLS)).unwrap_or(u32::MAX).max(1);
        let deadline = Instant::now() + patience.saturating_mul(rounds);
        let failed = |e: zbus::Error| Error::from_bus(doing, &e);
        let calls = calls.into_iter().collect::<zbus::Result<Vec<_>>>().map_err(failed)?;
        match self.direct.as_ref().and_then(|direct| direct.exchange(&calls, deadline)) {
            Some(replies) => replies.ok_or_else(|| Error::timeout(doing))?.map_err(failed),
            None => self.on_bus(doing, &calls, deadline),
        }
    }

    /// As [`Systemd::ask_all`], over the bus: for what the manager's own socket does not answer.
    fn on_bus(
        &self,
        doing: &str,
        calls: &[Message],
        deadline: Instant,
    ) -> Result<Vec<zbus::Result<Message>>, Error> {
        let connection = self.connection()?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        proxy::exchange(&connection, calls, deadline)
            .ok_or_else(|| Error::timeout(doing))?
            .map_err(|e| Error::from_bus(doing, &e))
    }
}

/// Asks for the version of the manager.
fn version() -> zbus::Result<Message> {
    proxy::of_manager("Version")
}

fn builder(scope: Scope) -> Builder<'static> {
    match scope {
        Scope::System => Builder::system(),
        Scope::User => Builder::session(),
    }
}

fn connected(builder: Builder<'_>) -> zbus::Result<Connection> {
    zbus::block_on(builder.method_timeout(ANSWER).build())
}

/// Whether systemd is this machine's init, as sd_booted(3) asks.
pub use libsystemd::daemon::booted;

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_distributions_write_them() {
        assert_eq!(leading_number("252.39-1~deb12u2"), Some(252));
        assert_eq!(leading_number("257"), Some(257));
        assert_eq!(leading_number("262~rc1"), Some(262));
        assert_eq!(leading_number("v255"), None);
    }
}
