//! What became of the requests.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime},
};

use serde::{Deserialize, Serialize};

/// How requests reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// HTTP, one connection per request.
    New,
    /// HTTP, connections reused.
    KeepAlive,
    /// One datagram, echoed.
    Datagram,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Nobody listens.
    Refused,
    /// The connection was reset, also a reused one.
    Reset,
    /// The connection was closed before the first byte of an answer.
    Closed,
    /// The answer ended too early.
    Truncated,
    /// Not 2xx.
    Status,
    /// Not the expected body.
    Body,
    /// Not HTTP.
    Malformed,
    /// No full answer in time.
    Hang,
    /// The client itself failed, not the server.
    Local,
}

/// Failures of one cause.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Failures {
    /// How many.
    pub count: u64,
    /// When the first one was found: seconds since the load began.
    pub first_after: f64,
    /// The same moment in seconds since 1970, by which to find it in the journal.
    pub first_at: f64,
    /// The details of the first one.
    pub example: String,
}

/// All requests of one kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were begun: the sum of good answers and failed requests.
    pub sent: u64,
    /// Good answers.
    pub ok: u64,
    /// Failed requests, by cause.
    pub failed: BTreeMap<Cause, Failures>,
    /// Good answers by the instance that gave them.
    pub instances: BTreeMap<String, u64>,
    /// Connections opened.
    pub connections: u64,
    /// Milliseconds from when a request was due to its good answer: median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
    /// The slowest.
    pub max: f64,
    #[serde(skip)]
    latencies: Vec<Duration>,
}

/// The result of a load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// By kind of request.
    pub kinds: BTreeMap<Kind, Tally>,
}

impl Report {
    /// The requests of one kind.
    pub fn of(&self, kind: Kind) -> &Tally {
        &self.kinds[&kind]
    }

    /// Failed requests of all kinds.
    pub fn failed(&self) -> u64 {
        self.kinds.values().map(Tally::failures).sum()
    }

    /// Good answers of all kinds.
    pub fn ok(&self) -> u64 {
        self.kinds.values().map(|tally| tally.ok).sum()
    }

    /// Good answers of all kinds by instance.
    pub fn instances(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (instance, count) in self.kinds.values().flat_map(|tally| &tally.instances) {
            *sum.entry(instance.clone()).or_default() += count;
        }
        sum
    }

    /// Panics unless every request of every kind had a good answer, and there were some.
    #[track_caller]
    pub fn assert_none_failed(&self) {
        assert!(self.failed() == 0, "{} requests failed: {self:#?}", self.failed());
        for (kind, tally) in &self.kinds {
            assert!(tally.ok > 0 && tally.ok == tally.sent, "{kind:?} was not served: {self:#?}");
        }
    }
}

impl Tally {
    /// Failed requests of all causes.
    pub fn failures(&self) -> u64 {
        self.failed.values().map(|failures| failures.count).sum()
    }

    /// Failed requests of one cause.
    pub fn failed_by(&self, cause: Cause) -> u64 {
        self.failed.get(&cause).map_or(0, |failures| failures.count)
    }

    pub(super) fn answered(&mut self, latency: Duration, instance: Option<String>) {
        self.ok += 1;
        self.latencies.push(latency);
        if let Some(instance) = instance {
            *self.instances.entry(instance).or_default() += 1;
        }
    }

    pub(super) fn fail(&mut self, start: Instant, cause: Cause, example: String) {
        let failures = self.failed.entry(cause).or_insert_with(|| Failures {
            count: 0,
            first_after: start.elapsed().as_secs_f64(),
            first_at: SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64(),
            example,
        });
        failures.count += 1;
    }

    pub(super) fn close(&mut self) {
        self.latencies.sort_unstable();
        let at = |part: f64| {
            let last = self.latencies.len().saturating_sub(1);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a position in a list of some thousands"
            )]
            let position = (last as f64 * part).round() as usize;
            self.latencies.get(position).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
        };
        (self.p50, self.p99, self.max) = (at(0.5), at(0.99), at(1.0));
    }
}
