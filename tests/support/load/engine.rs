//! The loop of the load client: one thread, one epoll set, requests by the clock.

use std::{
    collections::{HashMap, VecDeque},
    os::fd::{BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, EventData, EventFlags},
    },
};

use super::{
    Load, Target,
    connection::{Connection, Progress, Request, State},
    http::Answer,
    report::{Cause, Kind, Report, Tally},
};

/// The client's own stop signal among the tokens of connections.
const STOP: u64 = 0;
/// Pause before a connection is tried again that the full queue of a Unix socket turned away.
const RETRY: Duration = Duration::from_millis(2);

/// The state of one load: its requests and connections.
#[derive(Debug)]
pub struct Engine<'l> {
    load: &'l Load,
    epoll: OwnedFd,
    start: Instant,
    connections: HashMap<u64, Connection>,
    /// Idle connections; the one that was used last stands at the end.
    idle: Vec<u64>,
    blocked: Vec<u64>,
    /// Requests under way by their due times, which is the order in which they count as hung.
    deadlines: VecDeque<(Instant, u64, u64)>,
    lanes: Vec<Lane>,
    tallies: HashMap<Kind, Tally>,
    last_token: u64,
    requests: u64,
    in_flight: u64,
    stopping: bool,
}

#[derive(Debug)]
struct Lane {
    kind: Kind,
    next: Instant,
    interval: Duration,
}

impl<'l> Engine<'l> {
    /// Prepares a load that also ends when `stop` has something to read or closes.
    pub fn new(load: &'l Load, stop: BorrowedFd<'_>) -> Self {
        let start = Instant::now();
        let lane = |(kind, rate): &(Kind, f64)| Lane {
            kind: *kind,
            next: start,
            interval: Duration::from_secs_f64(1.0 / rate),
        };
        let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
        epoll::add(&epoll, stop, EventData::new_u64(STOP), EventFlags::IN).unwrap();
        Self {
            load,
            epoll,
            start,
            connections: HashMap::new(),
            idle: Vec::new(),
            blocked: Vec::new(),
            deadlines: VecDeque::new(),
            lanes: load.rates.iter().map(lane).collect(),
            tallies: HashMap::new(),
            last_token: STOP,
            requests: 0,
            in_flight: 0,
            stopping: false,
        }
    }

    /// Sends all requests and waits for every answer; reports the first good answer of each kind.
    pub fn run(mut self, mut flowing: impl FnMut(Kind)) -> Report {
        let mut told = Vec::new();
        let mut events = Vec::with_capacity(256);
        let end = self.start + Duration::from_secs_f64(self.load.seconds);
        loop {
            let now = Instant::now();
            self.begin_due(now, end);
            self.stopping |= now >= end;
            self.expire(now);
            self.retry_blocked();
            if self.stopping && self.in_flight == 0 {
                return self.report();
            }
            let timeout = self.timeout(now, end);
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)).unwrap();
            for event in events.drain(..) {
                let token = event.data.u64();
                if token == STOP { self.stop() } else { self.advance(token) }
            }
            for (kind, tally) in &self.tallies {
                if tally.ok > 0 && !told.contains(kind) {
                    told.push(*kind);
                    flowing(*kind);
                }
            }
        }
    }

    /// Begins all requests that are due, also late ones, so that a load has as many requests as its rate and
    /// time say.
    fn begin_due(&mut self, now: Instant, end: Instant) {
        if self.stopping {
            return;
        }
        for index in 0..self.lanes.len() {
            while self.lanes[index].next <= now && self.lanes[index].next < end {
                let lane = &mut self.lanes[index];
                let (kind, due) = (lane.kind, lane.next);
                lane.next += lane.interval;
                self.begin(kind, due);
            }
        }
    }

    fn begin(&mut self, kind: Kind, due: Instant) {
        self.requests += 1;
        self.in_flight += 1;
        let request = Request { number: self.requests, due };
        let bytes = self.request_bytes(kind, request.number);
        self.tally(kind).sent += 1;
        let token = if kind == Kind::KeepAlive { self.reuse(request, &bytes) } else { None };
        let Some(token) = token.or_else(|| self.open(kind, request, bytes)) else {
            return;
        };
        let hang = due + Duration::from_secs_f64(self.load.hang_seconds);
        self.deadlines.push_back((hang, token, request.number));
        self.advance(token);
    }

    fn reuse(&mut self, request: Request, bytes: &[u8]) -> Option<u64> {
        while let Some(token) = self.idle.pop() {
            let connection = self.connections.get_mut(&token)?;
            if connection.reuse(request, bytes.to_vec()) {
                return Some(token);
            }
            self.connections.remove(&token);
        }
        None
    }

    fn open(&mut self, kind: Kind, request: Request, bytes: Vec<u8>) -> Option<u64> {
        self.tally(kind).connections += 1;
        match Connection::open(&self.load.target, kind, request, bytes) {
            Ok(connection) => {
                self.last_token += 1;
                let token = self.last_token;
                if connection.state == State::Blocked {
                    self.blocked.push(token);
                } else {
                    self.register(token, &connection);
                }
                self.connections.insert(token, connection);
                Some(token)
            }
            Err((cause, example)) => {
                self.fail(kind, cause, example);
                None
            }
        }
    }

    /// Edge-triggered: [`Connection::advance`] always goes on until it would block.
    fn register(&self, token: u64, connection: &Connection) {
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &connection.socket, EventData::new_u64(token), interest).unwrap();
    }

    fn retry_blocked(&mut self) {
        for token in std::mem::take(&mut self.blocked) {
            let Some(mut connection) = self.connections.remove(&token) else {
                continue;
            };
            match connection.connect(&self.load.target) {
                Ok(()) if connection.state == State::Blocked => self.blocked.push(token),
                Ok(()) => self.register(token, &connection),
                Err((cause, example)) => {
                    self.fail(connection.kind, cause, example);
                    continue;
                }
            }
            self.connections.insert(token, connection);
        }
    }

    fn advance(&mut self, token: u64) {
        let Some(connection) = self.connections.get_mut(&token) else {
            return;
        };
        let kind = connection.kind;
        if matches!(connection.state, State::Idle { .. }) {
            // The server has closed the idle connection, or sent something without a request.
            self.connections.remove(&token);
            self.idle.retain(|idle| *idle != token);
            return;
        }
        match connection.advance() {
            Progress::Pending => {}
            Progress::Failed(cause, example) => {
                self.connections.remove(&token);
                self.fail(kind, cause, example);
            }
            Progress::Answered(answer) => {
                let request = connection.request.take();
                if kind == Kind::KeepAlive && !answer.close {
                    connection.state = State::Idle { since: Instant::now() };
                    self.idle.push(token);
                } else {
                    self.connections.remove(&token);
                }
                self.judge(kind, request.unwrap(), &answer);
            }
        }
    }

    fn judge(&mut self, kind: Kind, request: Request, answer: &Answer) {
        let body = String::from_utf8_lossy(&answer.body);
        let expected = self.load.expect.as_deref().unwrap_or_default();
        let echo = kind != Kind::Datagram || body.contains(&format!("<{}>", request.number));
        if !(200..300).contains(&answer.status) {
            return self.fail(kind, Cause::Status, format!("{}\n\n{body}", answer.head));
        }
        if !body.contains(expected) || !echo {
            return self.fail(kind, Cause::Body, body.into_owned());
        }
        let instance = self.load.instance_after.as_deref().and_then(|marker| {
            word_after(&answer.head, marker).or_else(|| word_after(&body, marker))
        });
        self.in_flight -= 1;
        self.tally(kind).answered(request.due.elapsed(), instance);
    }

    /// Gives up on requests that hang, and lets go of connections that idle for long.
    fn expire(&mut self, now: Instant) {
        while self.deadlines.front().is_some_and(|(at, ..)| *at <= now) {
            let (_, token, number) = self.deadlines.pop_front().unwrap();
            let holds = |connection: &Connection| {
                connection.request.is_some_and(|request| request.number == number)
            };
            if self.connections.get(&token).is_some_and(holds) {
                let connection = self.connections.remove(&token).unwrap();
                let example = format!("while {:?}", connection.state);
                self.fail(connection.kind, Cause::Hang, example);
            }
        }
        let limit = Duration::from_secs_f64(self.load.idle_seconds);
        let connections = &mut self.connections;
        self.idle.retain(|token| {
            let State::Idle { since } = connections[token].state else {
                return false;
            };
            let fresh = now - since < limit;
            if !fresh {
                connections.remove(token);
            }
            fresh
        });
    }

    fn fail(&mut self, kind: Kind, cause: Cause, example: String) {
        self.in_flight -= 1;
        let start = self.start;
        self.tally(kind).fail(start, cause, example);
    }

    fn stop(&mut self) {
        self.stopping = true;
        // The stop signal is level-triggered: left in the set, it would be reported for ever.
        let stdin = std::io::stdin();
        let _ = epoll::delete(&self.epoll, &stdin);
    }

    fn timeout(&self, now: Instant, end: Instant) -> Timespec {
        let lanes = self.lanes.iter().filter(|_| !self.stopping).map(|lane| lane.next.min(end));
        let hang = self.deadlines.front().map(|(at, ..)| *at);
        let retry = (!self.blocked.is_empty()).then(|| now + RETRY);
        let next = lanes.chain(hang).chain(retry).min().unwrap_or(end);
        next.saturating_duration_since(now).try_into().unwrap()
    }

    fn request_bytes(&self, kind: Kind, number: u64) -> Vec<u8> {
        let (path, connection) = (
            &self.load.path,
            match kind {
                Kind::New => "close",
                Kind::KeepAlive => "keep-alive",
                Kind::Datagram => return format!("<{number}>").into_bytes(),
            },
        );
        let host = match &self.load.target {
            Target::Tcp(address) => address.to_string(),
            _ => "localhost".to_owned(),
        };
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n")
            .into_bytes()
    }

    fn tally(&mut self, kind: Kind) -> &mut Tally {
        self.tallies.entry(kind).or_default()
    }

    fn report(self) -> Report {
        let mut kinds: std::collections::BTreeMap<_, _> = self.tallies.into_iter().collect();
        kinds.values_mut().for_each(Tally::close);
        Report { kinds }
    }
}

fn word_after(text: &str, marker: &str) -> Option<String> {
    let rest = text.split_once(marker)?.1;
    let end = rest.find(|c: char| !(c.is_alphanumeric() || "@._-".contains(c)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}
