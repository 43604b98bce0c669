//! The kinds of connections, and the client that makes them: `fixtures/matrix/client`, in Python.

use std::{collections::BTreeMap, path::Path};

use serde::{Deserialize, Serialize};

use crate::support::{Child, Machine};

/// Over HTTP/1.1; each request takes four seconds at most.
pub const HTTP: &[&str] = &[
    "short",
    "kept",
    "2 s",
    "2 s, same tick",
    "2 s behind an answer",
    "stream",
    "upload",
    "download",
    "half, 0.6 s",
    "half, 1.5 s",
    "silent, 1.5 s",
];
/// Requests that take longer, or that few servers and proxies answer well.
pub const LONG: &[&str] = &["8 s", "long poll", "100-continue"];
pub const PIPELINED: &[&str] = &["pipelined"];
/// What is held for as long as the server lets it.
pub const EVENTS: &[&str] = &["sse"];
pub const WEBSOCKET: &[&str] = &["websocket"];
pub const HTTP2: &[&str] = &["h2", "h2, 2 s"];
pub const HTTP2_STREAM: &[&str] = &["h2 stream"];
pub const TLS: &[&str] = &["tls", "tls, 2 s"];
pub const UNIX: &[&str] = &["unix", "unix, 2 s"];
pub const SOCKETS: &[&str] = &["raw tcp", "udp"];
/// For servers that answer one request after the other.
pub const ONE_BY_ONE: &[&str] = &["short", "2 s", "2 s, same tick", "upload", "stream"];

/// Kinds that hold up an instance for longer than four seconds.
pub const NOT_QUICK: &[&str] =
    &["8 s", "long poll", "100-continue", "sse", "websocket", "h2 stream", "raw tcp"];

/// What became of the requests of one kind.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Cell {
    pub sent: u64,
    /// Failed, other than refused.
    pub lost: u64,
    pub refused: u64,
    /// How many requests had each outcome, by its name.
    pub saw: BTreeMap<String, u64>,
    /// Details of some of these requests.
    pub details: BTreeMap<String, u64>,
    /// When something was seen first, in seconds since the client began.
    pub first: BTreeMap<String, f64>,
}

/// What to send.
#[derive(Clone, Debug, Serialize)]
pub struct Mix {
    pub kinds: Vec<String>,
    /// A factor for the usual number of requests per second.
    pub rate: f64,
    /// How HTTP/2 is reached: `clear` or `tls`.
    pub h2: &'static str,
    /// Seconds of load before the operation begins.
    pub lead: f64,
    /// Seconds of load after it is over.
    pub tail: f64,
}

/// The client at work.
#[derive(Debug)]
pub struct Client(Child);

impl Client {
    /// Puts the client's files in place.
    pub fn install(m: &Machine) {
        m.copy(&fixtures().join("client"), "/srv/client");
    }

    pub fn start(m: &Machine, mix: &Mix) -> Self {
        let options = serde_json::to_string(mix).unwrap();
        Self(m.spawn(["/usr/bin/python3", "/srv/client", &options]))
    }

    /// Waits until every kind is under way.
    pub fn wait_flowing(&mut self) {
        self.0.line_with("flowing");
    }

    /// Ends the load, waits for what is under way, and gives the result of each kind.
    pub fn stop(mut self) -> BTreeMap<String, Cell> {
        let (code, lines) = self.0.wait();
        let result = lines.iter().find_map(|line| line.strip_prefix("result "));
        let result = result.unwrap_or_else(|| panic!("exit code {code}: {}", lines.join("\n")));
        serde_json::from_str(result).unwrap()
    }
}

pub fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/boot/fixtures/matrix"))
}
