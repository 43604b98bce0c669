//! The one decision of the handover: which listener answers this `bind()`.

use super::address::{Address, Kind};

/// What a program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Kind of the program's own socket.
    pub kind: Kind,
    /// Address given to `bind()`.
    pub address: Address,
    /// `IPV6_V6ONLY` of the program's own socket.
    pub only_v6: bool,
}

/// A listener that was inherited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Kind of the listener.
    pub kind: Kind,
    /// Its address, as `getsockname()` gives it.
    pub address: Address,
    /// Its `IPV6_V6ONLY`.
    pub only_v6: bool,
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

/// Chooses the listener for a `bind()`; the closest match wins, the first of equals.
/// What is handed over is what the kernel would refuse, because the listener has it.
#[must_use]
pub fn decide(asked: &Asked, held: &[Option<Held>]) -> Decision {
    // To an IPv4 address on a socket of IPv6 alone the kernel's answer is EINVAL.
    let contradicts_itself = asked.only_v6 && asked.address.unmapped().is_some();
    if contradicts_itself || asked.address.port() == Some(0) {
        return Decision::Leave;
    }
    let (mut best, mut best_rank) = (Decision::Leave, 0);
    for (index, held) in held.iter().enumerate() {
        let Some(held) = held else { continue };
        let found = compare(asked, held, index);
        let exact = asked.address == held.address;
        if rank(&found, exact) > best_rank {
            (best, best_rank) = (found, rank(&found, exact));
        }
    }
    best
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
        return take(index, View::Same);
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
        (Address::Inet6 { .. }, Address::Inet4 { .. }) if wildcards && !asked.only_v6 => {
            Decision::NoFamily
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
    Decision::Take { index, view }
}

fn rank(decision: &Decision, exact: bool) -> u8 {
    match decision {
        Decision::Leave => 0,
        Decision::Conflict { .. } => 1,
        Decision::NoFamily => 2,
        Decision::Take { view: View::Inet4 | View::Inet6, .. } => 3,
        // The other scope of the same address is not quite it.
        Decision::Take { view: View::Same, .. } => 4 + u8::from(exact),
    }
}
