//! The one decision of the handover: which listener answers this `bind()`.
//!
//! The port decides, the host gives way: the only listener of the port answers a bind of any host,
//! a line in the log says so, and addresses are translated for that program. With several it is the
//! one of exactly this address, else the only one of the family. Who has it under its own address
//! keeps a second host for itself: it would answer the public as an administrator. Datagrams cross
//! from IPv6 to IPv4 alone: a held `udp:0.0.0.0:P` that is asked for as `[::]:P` answers
//! EAFNOSUPPORT, and programs that try IPv6 first fall back to what is held.

use super::address::{Address, SocketKind};

/// What a program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// SocketKind of the program's own socket.
    pub kind: SocketKind,
    /// Address given to `bind()`.
    pub address: Address,
    /// `IPV6_V6ONLY` of the program's own socket.
    pub only_v6: bool,
}

/// A listener that was inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// SocketKind of the listener.
    pub kind: SocketKind,
    /// Its address, as `getsockname()` gives it.
    pub address: Address,
    /// Its `IPV6_V6ONLY`.
    pub only_v6: bool,
    /// The port that programs ask for to get it, where that is another one than its own.
    pub stands_for: Option<u16>,
}

impl Held {
    /// The listener with the port that programs ask for.
    #[must_use]
    pub fn as_asked(mut self) -> Held {
        if let Some(port) = self.stands_for {
            self.address = self.address.with_port(port);
        }
        self
    }
}

/// How addresses must look to a program whose socket family is not the listener's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Family of program and listener agree.
    Same,
    /// The program thinks IPv4, the listener is dual-stack IPv6.
    Inet4,
    /// The program thinks IPv6, the listener is IPv4.
    Inet6,
    /// The program has a socket of IPv6 alone, and most likely another one of IPv4: clients of each
    /// family look as they would on the socket of theirs.
    Apart,
}

/// The answer to a `bind()`. Indexes are places in the given list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// This listener takes the place of the program's socket.
    Take {
        /// Which listener.
        index: usize,
        /// How the program wants to see addresses.
        view: View,
        /// The listener stands for the address that was asked for. Otherwise it is only the one of
        /// this port: `listen` says where an app is reachable, and the program's host gives way.
        exact: bool,
    },
    /// Fail with `EAFNOSUPPORT`: programs that try IPv6 first then ask for IPv4.
    NoFamily,
    /// Let the kernel answer, and say that this listener is near but not it.
    Conflict {
        /// Which listener.
        index: usize,
    },
    /// None of our business.
    Leave,
}

/// Chooses the listener for a `bind()`: the one that stands for the address, else the only one of
/// the port, whatever host is asked for.
///
/// `own` has a bit for each listener that the program has taken under its own address: another host
/// of the same port is the program's own then, since it would answer the public as an administrator.
#[must_use]
pub fn decide(asked: &Asked, held: &[Option<Held>], own: u64) -> Decision {
    // To an IPv4 address on a socket of IPv6 alone the kernel's answer is EINVAL.
    let contradicts_itself = asked.only_v6 && asked.address.unmapped().is_some();
    if contradicts_itself || asked.address.port() == Some(0) {
        return Decision::Leave;
    }
    let (mut best, mut best_rank) = (Decision::Leave, 0);
    for (index, held) in held.iter().enumerate() {
        let Some(held) = held.map(Held::as_asked) else { continue };
        let found = compare(asked, &held, index);
        let same = asked.address == held.address;
        if rank(&found, same) > best_rank {
            (best, best_rank) = (found, rank(&found, same));
        }
    }
    match best {
        Decision::Conflict { .. } => match only_one(asked, held) {
            Some(Decision::Take { index, .. }) if has(own, index) => Decision::Conflict { index },
            Some(other) => other,
            None => best,
        },
        Decision::Leave => in_the_way(asked, held),
        other => other,
    }
}

/// Whether a set has the bit of a listener.
fn has(bits: u64, index: usize) -> bool {
    u32::try_from(index).ok().and_then(|index| bits.checked_shr(index)).unwrap_or(0) & 1 != 0
}

/// The listener that holds the asked port for another one of the program's.
fn in_the_way(asked: &Asked, held: &[Option<Held>]) -> Decision {
    let blocks = |held: &Option<Held>| {
        held.is_some_and(|held| {
            let mapped = held.stands_for.is_some() && held.kind == asked.kind;
            mapped && held.address.port() == asked.address.port()
        })
    };
    let found = held.iter().position(blocks);
    found.map_or(Decision::Leave, |index| Decision::Conflict { index })
}

/// The only listener of the port, or else the only one of the port and the asked family.
fn only_one(asked: &Asked, held: &[Option<Held>]) -> Option<Decision> {
    let port = |held: &Held| held.kind == asked.kind && held.address.port() == asked.address.port();
    let family = |held: &Held| is_inet4(&held.address) == is_inet4(&asked.address);
    let one = |wanted: &dyn Fn(&Held) -> bool| {
        let held = held.iter().map(|held| held.map(Held::as_asked)).enumerate();
        let mut all = held.filter_map(|(index, held)| Some((index, held?)));
        let first = all.find(|(_, held)| wanted(held))?;
        all.all(|(_, held)| !wanted(&held)).then_some(first)
    };
    asked.address.port()?;
    let (index, held) =
        one(&|held| port(held)).or_else(|| one(&|held| port(held) && family(held)))?;
    let across = is_inet4(&asked.address) != is_inet4(&held.address);
    if across && asked.kind == SocketKind::Datagram {
        // An answer would have to leave under an address of the other family.
        return None;
    }
    Some(Decision::Take { index, view: view(asked, &held), exact: false })
}

fn is_inet4(address: &Address) -> bool {
    matches!(address, Address::Inet4 { .. })
}

/// How a program that asks for this sees the clients of that listener.
fn view(asked: &Asked, held: &Held) -> View {
    match (&asked.address, &held.address) {
        (Address::Inet4 { .. }, Address::Inet6 { .. }) => View::Inet4,
        (Address::Inet6 { .. }, _) if asked.only_v6 && !held.only_v6 => View::Apart,
        (Address::Inet6 { .. }, Address::Inet4 { .. }) => View::Inet6,
        _ => View::Same,
    }
}

fn compare(asked: &Asked, held: &Held, index: usize) -> Decision {
    if let (Address::Unix(a), Address::Unix(h)) = (&asked.address, &held.address) {
        return match (a == h, asked.kind == held.kind) {
            (true, true) => take(index, View::Same),
            (true, false) => Decision::Conflict { index },
            (false, _) => Decision::Leave,
        };
    }
    if asked.kind != held.kind || asked.address.port() != held.address.port() {
        return Decision::Leave;
    }
    if same_place(&asked.address, &held.address) {
        return take(index, view(asked, held));
    }
    across_families(asked, held, index)
}

/// Same port and kind; the addresses differ in family or value.
fn across_families(asked: &Asked, held: &Held, index: usize) -> Decision {
    let wildcards = asked.address.is_wildcard() && held.address.is_wildcard();
    match (&asked.address, &held.address) {
        (Address::Inet4 { .. }, Address::Inet6 { .. }) if wildcards && !held.only_v6 => {
            take(index, View::Inet4)
        }
        (Address::Inet6 { .. }, Address::Inet4 { .. })
            if wildcards && !asked.only_v6 && asked.kind == SocketKind::Datagram =>
        {
            Decision::NoFamily
        }
        (Address::Inet6 { .. }, Address::Inet4 { .. }) if wildcards && !asked.only_v6 => {
            take(index, View::Inet6)
        }
        (Address::Inet6 { .. }, Address::Inet4 { .. })
            if asked.address.unmapped() == Some(held.address) =>
        {
            take(index, View::Inet6)
        }
        _ => Decision::Conflict { index },
    }
}

/// A scope only counts where both name one: wildcard binds leave it out.
fn same_place(asked: &Address, held: &Address) -> bool {
    match (asked, held) {
        (Address::Inet6 { ip: a, scope: s, .. }, Address::Inet6 { ip: h, scope: t, .. }) => {
            a == h && (s == t || *s == 0 || *t == 0)
        }
        _ => asked == held,
    }
}

fn take(index: usize, view: View) -> Decision {
    Decision::Take { index, view, exact: true }
}

fn rank(decision: &Decision, same: bool) -> u8 {
    match decision {
        Decision::Leave => 0,
        Decision::Conflict { .. } => 1,
        Decision::NoFamily => 2,
        Decision::Take { view: View::Inet4 | View::Inet6, .. } => 3,
        // The other scope of the same address is not quite it.
        Decision::Take { view: View::Same | View::Apart, .. } => 4 + u8::from(same),
    }
}
