//! How one instance of an app is reached that shares its listener: which apps have a door, and where it is. What
//! a door is, `crate::door_client` says.

use super::address::{ListenAddress, Protocol};
use super::app::{App, Balance, Handover, Listener, Readiness};
use super::name::AppName;
use super::unit_names::fnv1a;
use crate::handover::contract::DOORS;

impl App {
    /// Listeners that a door leads to: those of TCP.
    pub fn doors(&self) -> impl Iterator<Item = &Listener> {
        let loaded = self.handover == Handover::Preload;
        self.listeners.iter().filter(move |listener| loaded && is_tcp(&listener.address))
    }

    /// The listener as whose client a check of one instance comes.
    pub fn checked_listener(&self) -> Option<&Listener> {
        let traced = self.handover == Handover::Trace;
        let mut tcp = self.listeners.iter().filter(|listener| is_tcp(&listener.address));
        self.doors().next().or_else(|| tcp.find(|_| traced))
    }

    /// Whether each instance has a door: something of the file needs it, the library is in the program, and it
    /// listens on TCP.
    pub fn has_door(&self) -> bool {
        let process = &self.process;
        let needed = self.health.is_some()
            || process.balance != Balance::Queue
            || !self.reloads.check.is_empty()
            || process.watchdog.is_some()
            || self.readiness == Readiness::Notify;
        (process.door || needed) && self.doors().next().is_some()
    }

    /// Whether an instance begins without clients of the shared listener, and gets them when it has passed
    /// its checks, or says that it is ready.
    pub fn begins_cold(&self) -> bool {
        let checked = self.health.is_some() || !self.reloads.check.is_empty();
        let can = self.has_door() || self.is_traced_at_tcp();
        can && (checked || self.readiness == Readiness::Notify)
    }

    /// Whether an instance without a door begins with sockets of its own in the place of its listeners.
    pub fn is_traced_at_tcp(&self) -> bool {
        let mut listeners = self.listeners.iter();
        self.handover == Handover::Trace && listeners.any(|listener| is_tcp(&listener.address))
    }
}

/// Whether it is an address of TCP.
pub fn is_tcp(address: &ListenAddress) -> bool {
    address.protocol() == Protocol::Stream && address.port().is_some()
}

/// Characters of an app's name in the path of a door, which has to fit into the 108 bytes of `sun_path`.
const NAME_IN_PATH: usize = 48;

impl AppName {
    /// The folder of an instance's door, below the runtime folder of clusterctl; `instance` is its number, or
    /// `%i` in the template.
    pub fn door_folder(&self, instance: &str) -> String {
        let name = self.as_str();
        if name.len() <= NAME_IN_PATH {
            return format!("{DOORS}/{name}@{instance}");
        }
        format!("{DOORS}/{:016x}@{instance}", fnv1a(name.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::handover::contract::DOOR_SOCKET;
    use crate::limits;

    #[test]
    fn the_path_of_every_door_fits_into_an_address() {
        for length in [1, NAME_IN_PATH, NAME_IN_PATH + 1, limits::APP_NAME] {
            let app = AppName::parse(&"a".repeat(length)).unwrap();
            let folder = app.door_folder("1024");
            // As long as the runtime folder of any user, and of `clusterctl dev` below it.
            let path = format!("/run/user/4294967294/dev-1/clusterctl/{folder}/{DOOR_SOCKET}");
            assert!(path.len() <= limits::SOCKET_PATH, "{path}");
        }
        let [one, other] = ["a", "b"].map(|c| AppName::parse(&c.repeat(100)).unwrap());
        assert_ne!(one.door_folder("0"), other.door_folder("0"));
    }
}
