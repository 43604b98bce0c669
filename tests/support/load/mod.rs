//! An open-loop load client: it sends requests at a fixed rate whether or not answers come, so that a
//! server that stalls is noticed.
//!
//! The client runs as a process of its own, in the network of a machine or of this host, never retries
//! a request, and always stops by itself.

mod connection;
mod engine;
mod http;
mod report;

use std::{
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde::{Deserialize, Serialize};

#[allow(unused_imports, reason = "not every target uses all of it")]
pub use report::{Cause, Kind, Report, Tally};

use super::machine::Machine;

/// The plan of a load: address, rate, time, and which answers are right.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    target: Target,
    path: String,
    rates: Vec<(Kind, f64)>,
    seconds: f64,
    hang_seconds: f64,
    idle_seconds: f64,
    expect: Option<String>,
    instance_after: Option<String>,
}

/// The address of the server under load.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
    Udp(SocketAddr),
}

impl Load {
    /// HTTP/1.1 requests to a TCP address such as `127.0.0.1:3000`.
    pub fn http(address: &str) -> Self {
        Self::to(Target::Tcp(address.parse().unwrap()))
    }

    /// HTTP/1.1 requests to a Unix stream socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::to(Target::Unix(path.into()))
    }

    /// Datagrams that an echo server sends back.
    pub fn udp(address: &str, per_second: f64) -> Self {
        Self::to(Target::Udp(address.parse().unwrap())).rate(Kind::Datagram, per_second)
    }

    fn to(target: Target) -> Self {
        Self {
            target,
            path: "/".to_owned(),
            rates: Vec::new(),
            seconds: 120.0,
            hang_seconds: 15.0,
            // Less than the 5 s after which Node closes an idle connection, as with real clients.
            idle_seconds: 4.0,
            expect: None,
            instance_after: None,
        }
    }

    /// Requests per second that each come on a connection of their own.
    pub fn new_connections(self, per_second: f64) -> Self {
        self.rate(Kind::New, per_second)
    }

    /// Requests per second on kept-alive connections: each on an idle one, else on a new one.
    pub fn keep_alive(self, per_second: f64) -> Self {
        self.rate(Kind::KeepAlive, per_second)
    }

    fn rate(mut self, kind: Kind, per_second: f64) -> Self {
        self.rates.push((kind, per_second));
        self
    }

    /// The path of every request; `/` unless told.
    pub fn path(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Ends by itself after this time (120 s unless told), or earlier at [`Run::stop`].
    pub fn for_seconds(mut self, seconds: f64) -> Self {
        self.seconds = seconds;
        self
    }

    /// When an unanswered request counts as hung: 15 s unless told.
    pub fn hang_after(mut self, seconds: f64) -> Self {
        self.hang_seconds = seconds;
        self
    }

    /// When an idle kept-alive connection is closed: 4 s unless told.
    pub fn idle_for(mut self, seconds: f64) -> Self {
        self.idle_seconds = seconds;
        self
    }

    /// Text that every body must contain.
    pub fn expect(mut self, text: &str) -> Self {
        self.expect = Some(text.to_owned());
        self
    }

    /// The text before the name of the instance, in the header or body of an answer.
    pub fn instance_after(mut self, marker: &str) -> Self {
        self.instance_after = Some(marker.to_owned());
        self
    }

    /// Starts the client on this host.
    pub fn start(self) -> Run {
        let exe = std::env::current_exe().unwrap();
        self.start_with(Command::new(exe))
    }

    /// Starts the client in the network of a process.
    pub fn start_in_network_of(self, pid: u32) -> Run {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={pid}"));
        command.args(["--net", "--", "setpriv", "--pdeathsig=KILL", "--"]);
        command.arg(std::env::current_exe().unwrap());
        self.start_with(command)
    }

    fn start_with(self, mut command: Command) -> Run {
        let module = module_path!().split_once("::").unwrap().1;
        let mut child = command
            .args(["--exact", "--ignored", "--nocapture"])
            .arg(format!("{module}::client"))
            .env(PLAN_VARIABLE, serde_json::to_string(&self).unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let messages = BufReader::new(child.stdout.take().unwrap());
        let kinds = self.rates.iter().map(|(kind, _)| *kind).collect();
        Run { child, messages, waiting_for: kinds, report: None }
    }
}

impl Machine {
    /// Starts the client in the network of the machine. Paths of Unix sockets are the machine's.
    pub fn load(&self, mut load: Load) -> Run {
        if let Target::Unix(path) = &mut load.target {
            *path = self.path(path.to_str().unwrap());
        }
        load.start_in_network_of(self.leader())
    }
}

/// A client at work; dropping it ends it.
#[derive(Debug)]
pub struct Run {
    child: Child,
    messages: BufReader<ChildStdout>,
    waiting_for: Vec<Kind>,
    report: Option<Report>,
}

impl Run {
    /// Waits until one request of each kind has had a good answer.
    ///
    /// # Panics
    /// When the client ends before that.
    pub fn wait_flowing(&mut self) {
        while !self.waiting_for.is_empty() {
            let report = self.next_message();
            assert!(report.is_none(), "no request was ever answered: {report:?}");
        }
    }

    /// Ends sending, waits for the answers to requests under way, and gives the result.
    pub fn stop(mut self) -> Report {
        self.send_no_more();
        self.result()
    }

    /// Ends sending; requests under way go on.
    pub fn send_no_more(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits until the time of the load is over, and gives the result.
    pub fn finish(mut self) -> Report {
        self.result()
    }

    fn result(&mut self) -> Report {
        loop {
            if let Some(report) = self.next_message() {
                return report;
            }
        }
    }

    fn next_message(&mut self) -> Option<Report> {
        let mut line = String::new();
        let length = self.messages.read_line(&mut line).unwrap();
        assert!(length > 0, "the load client ended without a report");
        match serde_json::from_str(line.strip_prefix(MESSAGE_PREFIX)?).unwrap() {
            Message::Flowing(kind) => self.waiting_for.retain(|waiting| *waiting != kind),
            Message::Done(report) => return Some(report),
        }
        None
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the client process tells the test, one JSON line each between libtest's own lines.
#[derive(Debug, Serialize, Deserialize)]
enum Message {
    /// The first good answer to this kind of request.
    Flowing(Kind),
    /// The result of the load, when all requests have ended.
    Done(Report),
}

const MESSAGE_PREFIX: &str = "load: ";
const PLAN_VARIABLE: &str = "CLUSTERCTL_TEST_LOAD";

/// Not a test, but the process that [`Load::start`] starts: the test binary runs itself again, since no
/// other executable is sure to exist.
#[test]
#[ignore = "the load client, which other tests start"]
fn client() {
    run_client();
}

/// Whether this process was started as a client: for programs that are no libtest harness.
pub fn is_client() -> bool {
    std::env::var_os(PLAN_VARIABLE).is_some()
}

/// Runs the client; without a plan in the environment it does nothing.
pub fn run_client() {
    let Ok(plan) = std::env::var(PLAN_VARIABLE) else {
        return;
    };
    let load: Load = serde_json::from_str(&plan).unwrap();
    let say = |message: &Message| {
        let json = serde_json::to_string(message).unwrap();
        // libtest has printed the begin of a line, which has to end first.
        let mut out = io::stdout().lock();
        write!(out, "\n{MESSAGE_PREFIX}{json}\n").unwrap();
    };
    let stdin = io::stdin();
    let report = engine::Engine::new(&load, stdin.as_fd()).run(|kind| say(&Message::Flowing(kind)));
    say(&Message::Done(report));
}
