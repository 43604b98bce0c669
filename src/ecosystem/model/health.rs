//! What an instance has to pass before it gets a client.

use std::time::Duration;

use super::address::ListenAddress;

/// What an instance has to pass before it gets a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// What is asked.
    pub check: HealthCheck,
    /// How long one answer may take.
    pub timeout: Duration,
    /// How long an instance that starts may fail.
    pub grace: Duration,
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
