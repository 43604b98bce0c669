//! The names of the units that an app owns. One place, so that resolving, translating and planning
//! cannot disagree.

use std::fmt::Write as _;

use super::address::{ListenAddress, Protocol};
use super::app::{App, Listener};
use super::name::AppName;
use super::role::Role;
use crate::limits::ADDRESS_IN_NAME;
use crate::unit::{UnitName, escape};

impl AppName {
    /// The unit of a role that an app has one of; listeners have names of their own, see
    /// [`AppName::socket_unit`].
    pub fn unit_of(&self, role: Role) -> UnitName {
        debug_assert!(role != Role::Listener, "every listener has its name");
        match role {
            // Dashes of the name are escaped, since a dash means nesting there.
            Role::Slice => AppName::valid(&format!("clusterctl-{}", escape(self.as_str())), role),
            _ => self.unit("", role),
        }
    }

    /// `api.service`: what an admin starts, stops, reloads and enables.
    pub fn group_unit(&self) -> UnitName {
        self.unit_of(Role::Group)
    }

    /// `api@.service`.
    pub fn template_unit(&self) -> UnitName {
        self.unit_of(Role::Instance)
    }

    /// `api@N.service`.
    pub fn instance_unit(&self, number: u32) -> UnitName {
        self.unit(&number.to_string(), Role::Instance)
    }

    /// `api-wake.service`: started by the first connection when no instance is up.
    pub fn wake_unit(&self) -> UnitName {
        self.unit_of(Role::Wake)
    }

    /// `api-close.service`: closes the listeners before the instances are asked to stop.
    pub fn close_unit(&self) -> UnitName {
        self.unit_of(Role::Close)
    }

    /// `clusterctl-api.slice`.
    pub fn slice_unit(&self) -> UnitName {
        self.unit_of(Role::Slice)
    }

    /// `api-3000.socket`: the address is the name, because a listener's address must never be
    /// edited in place. The listener's own name is not part of it, so that renaming a listener
    /// does not close its port.
    pub fn socket_unit(&self, listener: &Listener) -> UnitName {
        self.address_unit(&listener.address)
    }

    /// The unit of the listener on an address.
    pub fn address_unit(&self, address: &ListenAddress) -> UnitName {
        self.unit(&address_slug(address), Role::Listener)
    }

    /// The name of the lock that a command on this app holds: no name of an app ends so, and none has a slash.
    pub fn lock_name(&self) -> String {
        format!("{self}.lock")
    }

    /// Every unit name that the app's definition occupies, instances aside; `app` is `None` where only its
    /// name and its listeners could be read.
    pub fn unit_names<'a>(
        &self,
        listeners: impl Iterator<Item = &'a Listener>,
        app: Option<&App>,
    ) -> Vec<UnitName> {
        let mut single = Role::ALL.to_vec();
        single.retain(|role| *role != Role::Listener);
        single.retain(|role| role.is_reserved() || app.is_some_and(|app| role.is_of(app)));
        let sockets = listeners.map(|listener| self.socket_unit(listener));
        single.into_iter().map(|role| self.unit_of(role)).chain(sockets).collect()
    }

    /// The app's instance number that a unit name of this app stands for.
    pub fn instance_of(&self, unit: &UnitName) -> Option<u32> {
        let digits = unit.instance().filter(|_| unit.prefix() == self.as_str())?;
        let number = digits.parse().ok()?;
        (self.instance_unit(number) == *unit).then_some(number)
    }

    fn unit(&self, rest: &str, role: Role) -> UnitName {
        AppName::valid(&format!("{}{}{rest}", self.as_str(), role.name_parts().0), role)
    }

    fn valid(stem: &str, role: Role) -> UnitName {
        // AppName and ListenerName are narrower than unit names and short enough together.
        UnitName::new(stem, role.name_parts().1).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

fn address_slug(address: &ListenAddress) -> String {
    let mut slug = match address {
        ListenAddress::Inet { socket, only_v6: false, .. }
            if socket.to_string().starts_with("[::]:") =>
        {
            socket.port().to_string()
        }
        // A colon in a name would separate an alias from it: systemd-analyze(1), `verify`.
        ListenAddress::Inet { socket, only_v6: true, .. } if socket.ip().is_unspecified() => {
            format!("ipv6-{}", socket.port())
        }
        ListenAddress::Inet { socket, .. } => format!("{}-{}", socket.ip(), socket.port()),
        ListenAddress::Unix { path, .. } => {
            path.display().to_string().trim_matches('/').replace('/', "-")
        }
        ListenAddress::Abstract { name, .. } => format!("abstract-{name}"),
    };
    if address.protocol() == Protocol::Datagram {
        slug.insert_str(0, if address.port().is_some() { "udp-" } else { "dgram-" });
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || ":_.-".contains(c);
    if slug.len() > ADDRESS_IN_NAME || !slug.chars().all(plain) {
        // The readable part stays as far as it goes; the hash makes it unique.
        let hash = fnv1a(slug.as_bytes());
        slug.retain(plain);
        slug.truncate(ADDRESS_IN_NAME - 17);
        let _ = write!(slug, "-{hash:016x}");
    }
    slug
}

/// FNV-1a, 64 bits: stable across versions and machines, which the standard hasher does not
/// promise. Names and revisions need no protection against collisions made on purpose.
pub fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::ecosystem::model::name::ListenerName;

    fn socket(name: &str, address: ListenAddress) -> String {
        let listener = Listener { name: ListenerName::parse(name).unwrap(), address, bind: None };
        AppName::parse("api").unwrap().socket_unit(&listener).to_string()
    }

    fn inet(protocol: Protocol, socket: &str) -> ListenAddress {
        ListenAddress::inet(protocol, socket.parse().unwrap())
    }

    #[test]
    fn the_address_is_part_of_the_name() {
        let stream = Protocol::Stream;
        assert_eq!(socket("3000", inet(stream, "[::]:3000")), "api-3000.socket");
        assert_eq!(socket("http", inet(stream, "[::]:3000")), "api-3000.socket");
        assert_eq!(socket("http", inet(stream, "127.0.0.1:80")), "api-127.0.0.1-80.socket");
        assert_eq!(socket("http", inet(stream, "[::1]:80")), "api-::1-80.socket");
        let only_v6 = inet(stream, "[::]:80").beside_inet4();
        assert_eq!(socket("http", only_v6), "api-ipv6-80.socket");
        let stats = inet(Protocol::Datagram, "127.0.0.1:8125");
        assert_eq!(socket("stats", stats), "api-udp-127.0.0.1-8125.socket");
        let unix = ListenAddress::Unix { protocol: stream, path: "/run/api/admin.sock".into() };
        assert_eq!(socket("admin", unix), "api-run-api-admin.sock.socket");
    }

    #[test]
    fn an_address_is_the_name_as_far_as_that_has_room() {
        let named = |length: usize| {
            let path = format!("/run/{}", "x".repeat(length - "run-".len()));
            socket("x", ListenAddress::Unix { protocol: Protocol::Stream, path: path.into() })
        };
        let whole = format!("api-run-{}.socket", "x".repeat(ADDRESS_IN_NAME - 4));
        assert_eq!(named(ADDRESS_IN_NAME), whole);
        let cut = named(ADDRESS_IN_NAME + 1);
        assert!(cut.starts_with("api-run-xxx") && cut.len() == whole.len(), "{cut}");
        assert_ne!(cut, named(ADDRESS_IN_NAME + 2), "the hash tells them apart");
    }

    #[test]
    fn odd_paths_keep_a_readable_part_and_a_hash() {
        let unix =
            |path: &str| ListenAddress::Unix { protocol: Protocol::Stream, path: path.into() };
        let name = socket("s", unix("/srv/a b/ü.sock"));
        assert!(name.starts_with("api-srv-ab-.sock-"), "{name}");
        assert_ne!(name, socket("s", unix("/srv/ab/ü.sock")));
        assert!(socket("s", unix(&format!("/{}", "x".repeat(300)))).len() < 255);
    }

    #[test]
    fn instances_are_matched_by_the_whole_name() {
        let api = AppName::parse("api").unwrap();
        let number = |name: &str| api.instance_of(&UnitName::parse(name).unwrap());
        assert_eq!(number("api@12.service"), Some(12));
        assert_eq!(number("api@012.service"), None);
        assert_eq!(number("api2@1.service"), None);
        assert_eq!(number("api@.service"), None);
        assert_eq!(number("api.service"), None);
    }

    #[test]
    fn dashes_do_not_nest_slices() {
        let slice = AppName::parse("my-api").unwrap().slice_unit();
        assert_eq!(slice.as_str(), "clusterctl-my\\x2dapi.slice");
    }
}
