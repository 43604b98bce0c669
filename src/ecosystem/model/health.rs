//! What an instance has to pass before it gets a client.

use std::time::Duration;

use super::address::ListenAddress;

/// What an instance has to pass before it gets a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub check: HealthCheck,
    /// How often an instance that serves is checked; zero is never.
    pub interval: Duration,
    /// Checks in a row that it has to fail to be replaced.
    pub failures: u32,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long an instance that starts may fail.
    pub grace: Duration,
}

impl Health {
    /// Whether instances that serve are checked too: not by a command, which has the rights of its instance.
    pub fn goes_on(&self) -> bool {
        !self.interval.is_zero() && !matches!(self.check, HealthCheck::Command(_))
    }
}

/// What is asked of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthCheck {
    /// An answer to `GET` that is one of success.
    Http {
        /// The listener: its address.
        listener: ListenAddress,
        /// Path and query.
        target: String,
        /// What `Host:` says.
        host: String,
    },
    /// That it accepts a connection.
    Tcp(ListenAddress),
    /// That this program ends with code 0.
    Command(Vec<String>),
}
