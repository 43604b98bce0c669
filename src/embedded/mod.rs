//! A private `systemd --user` with a bus of its own, on a machine where systemd is not running.
//!
//! ```text
//! enter()  outer: unshares the process ids, starts itself again, forwards signals
//!   └─ inner, process 1 of its own namespace: Manager::start()
//!        └─ systemd --user ─ dbus-daemon, instances
//! ```
//!
//! Everything lives in the namespaces of the inner process: when it ends, for whatever reason, the
//! kernel ends the rest, and mounts and files go with them. The network stays the machine's.
//! It never reads or writes the user's own units, and never touches a running manager.
//!
//! `trial` uses the same namespaces, with a network on top, to run one program once without a
//! manager and see what it listens on.

mod bus;
mod cgroup;
mod error;
mod journal;
mod lifeline;
mod manager;
mod mounts;
mod namespace;
mod outer;
mod process;
mod trial;
mod units;

pub use error::Error;
pub use journal::OutputLine;
pub use lifeline::{Lifeline, LifelineRequest};
pub use manager::{Manager, ManagerOptions};
pub use mounts::RUNTIME;
pub use outer::enter;
pub use trial::{TrialEnd, TrialSight, init, watch};
