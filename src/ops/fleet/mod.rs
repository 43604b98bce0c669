//! Commands on several hosts: each host's own clusterctl does the work, by ssh, and what it says comes back line by
//! line. It prints nothing, and knows no verb.

mod call;
mod hook;
mod roll;

pub use call::{HostCall, HostEnd, HostInput, Told, ask, follow};
pub use hook::Hooks;
pub use roll::{FleetEvent, HostFate, Roll, roll};
