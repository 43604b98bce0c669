//! A quarter of a million cases for the pure part of the handover, always the same ones: the
//! decision against a second opinion and against the kernel itself, the environment against a
//! simple model, and socket addresses as bytes.

mod variables;

use std::io::Write;
use std::os::fd::OwnedFd;

use clusterctl::handover::{Address, Asked, Decision, Held, SocketKind, UnixName, View, decide};
use rustix::net::{AddressFamily, SocketAddrAny, SocketType, sockopt};

/// Cases of each test that needs no kernel.
const CASES: u64 = 60_000;

/// SplitMix64: a case is its number, so that one that fails can be run alone.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.next() as u8).collect()
    }
}

/// Runs the cases; the number of one that panics is printed.
fn cases(count: u64, run: impl Fn(&mut Random) + std::panic::RefUnwindSafe) {
    for case in 0..count {
        let result = std::panic::catch_unwind(|| run(&mut Random(case << 32)));
        if let Err(panic) = result {
            let _ = writeln!(std::io::stderr(), "case {case} of {count}");
            std::panic::resume_unwind(panic);
        }
    }
}

const KINDS: [SocketKind; 3] = [SocketKind::Stream, SocketKind::Datagram, SocketKind::SeqPacket];

/// Few values, so that hits and near misses are frequent.
fn address(random: &mut Random) -> Address {
    let port = random.one(&[0, 80, 80, 80, 81]);
    match random.below(8) {
        0..3 => Address::Inet4 { ip: random.one(&[[0; 4], [127, 0, 0, 1], [10, 0, 0, 2]]), port },
        3..6 => {
            let mut ip = [0; 16];
            ip[15] = random.one(&[0, 0, 1, 2]);
            Address::Inet6 { ip, port, scope: random.one(&[0, 0, 1, 2]) }
        }
        6 => {
            let ip = random.one(&[[0; 4], [127, 0, 0, 1]]);
            Address::Inet4 { ip, port }.mapped().unwrap()
        }
        _ => {
            let names: [&[u8]; 5] = [b"/a", b"/a/b", b"\0a", b"\0a\0", b"a"];
            Address::Unix(UnixName::new(random.one(&names)).unwrap())
        }
    }
}

fn held(random: &mut Random) -> Option<Held> {
    let held = Held {
        kind: random.one(&KINDS),
        address: address(random),
        only_v6: random.below(4) == 0,
        stands_for: None,
    };
    (random.below(6) > 0).then_some(held)
}

/// What one listener means for one `bind()`, written down as a table of cases.
fn second_opinion(asked: &Asked, held: &Held) -> Decision {
    use Address::{Inet4, Inet6, Unix};
    let index = 0;
    let take = |view| Decision::Take { index, view, exact: true };
    let same_kind = asked.kind == held.kind;
    match (asked.address, held.address) {
        (Unix(a), Unix(h)) if a.as_bytes() != h.as_bytes() => Decision::Leave,
        (Unix(_), Unix(_)) if same_kind => take(View::Same),
        (Unix(_), Unix(_)) => Decision::Conflict { index },
        (Unix(_), _) | (_, Unix(_)) => Decision::Leave,
        // EINVAL, whoever holds the port.
        (a, _) if asked.only_v6 && a.unmapped().is_some() => Decision::Leave,
        (a, h) if !same_kind || a.port() != h.port() || a.port() == Some(0) => Decision::Leave,
        (Inet4 { ip: a, .. }, Inet4 { ip: h, .. }) if a == h => take(View::Same),
        (Inet6 { ip: a, scope: s, .. }, Inet6 { ip: h, scope: t, .. })
            if a == h && (s == t || s == 0 || t == 0) =>
        {
            take(if asked.only_v6 && !held.only_v6 { View::Apart } else { View::Same })
        }
        (Inet4 { ip: [0, 0, 0, 0], .. }, Inet6 { ip, .. }) if ip == [0; 16] && !held.only_v6 => {
            take(View::Inet4)
        }
        (Inet6 { ip: a, .. }, Inet4 { ip: h, .. })
            if a[..12] == *b"\0\0\0\0\0\0\0\0\0\0\xff\xff" && a[12..] == h =>
        {
            take(View::Inet6)
        }
        (Inet6 { ip: a, .. }, Inet4 { ip: h, .. })
            if !asked.only_v6 && a == [0; 16] && h == [0; 4] =>
        {
            if asked.kind == SocketKind::Datagram { Decision::NoFamily } else { take(View::Inet6) }
        }
        _ => Decision::Conflict { index },
    }
}

/// The better of two answers wins: a listener, the hint to ask again, an explanation, nothing.
fn worth(asked: &Asked, held: &[Option<Held>], decision: &Decision) -> u8 {
    match *decision {
        Decision::Take { exact: false, .. } => 1,
        Decision::Take { index, view: View::Same | View::Apart, .. } => {
            4 + u8::from(held[index].is_some_and(|held| held.address == asked.address))
        }
        Decision::Take { .. } => 3,
        Decision::NoFamily => 2,
        Decision::Conflict { .. } => 1,
        Decision::Leave => 0,
    }
}

#[test]
fn every_decision_is_the_best_that_one_listener_gives() {
    cases(CASES * 2, |random| {
        let asked = Asked {
            kind: random.one(&KINDS),
            address: address(random),
            only_v6: random.below(3) == 0,
        };
        let listeners: Vec<_> = (0..random.below(8)).map(|_| held(random)).collect();
        let decision = decide(&asked, &listeners, 0);
        let opinions: Vec<_> =
            listeners.iter().flatten().map(|held| second_opinion(&asked, held)).collect();
        let alone = |held: &Held, opinion: &Decision| worth(&asked, &[Some(*held)], opinion);
        let best = listeners.iter().flatten().zip(&opinions).map(|(h, o)| alone(h, o)).max();
        let got = worth(&asked, &listeners, &decision);
        assert_eq!(got, best.unwrap_or(0), "{asked:?} of {listeners:?}: {decision:?}");
        if let Decision::Take { index, .. } | Decision::Conflict { index } = decision {
            let held = listeners[index].expect("only a listener that is held");
            let opinion = second_opinion(&asked, &held);
            if let Decision::Take { exact: false, .. } = decision {
                assert_eq!(opinion, Decision::Conflict { index: 0 }, "{asked:?} of {held:?}");
                let others = opinions.iter().filter(|opinion| !matches!(opinion, Decision::Leave));
                let alike = listeners.iter().flatten().filter(|other| {
                    other.address.port() == held.address.port()
                        && std::mem::discriminant(&other.address)
                            == std::mem::discriminant(&held.address)
                        && other.kind == held.kind
                });
                assert!(others.count() == 1 || alike.count() == 1, "{asked:?} of {listeners:?}");
                return;
            }
            let same = std::mem::discriminant(&opinion) == std::mem::discriminant(&decision);
            assert!(same, "{asked:?} of {held:?}: {decision:?}");
            if let (Decision::Take { view: a, .. }, Decision::Take { view: b, .. }) =
                (decision, opinion)
            {
                assert_eq!(a, b, "{asked:?} of {held:?}");
            }
            let earlier = listeners[..index].iter().flatten();
            let as_good = earlier.map(|held| alone(held, &second_opinion(&asked, held)));
            assert!(as_good.max() < Some(got), "the first of equals: {asked:?} of {listeners:?}");
        }
    });
}

/// A socket of this kind, bound; or the kernel's refusal.
fn bound(
    kind: SocketKind,
    address: Address,
    only_v6: bool,
) -> Result<OwnedFd, (OwnedFd, rustix::io::Errno)> {
    let family = match address {
        Address::Inet4 { .. } => AddressFamily::INET,
        _ => AddressFamily::INET6,
    };
    let kind = if kind == SocketKind::Stream { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = rustix::net::socket(family, kind, None).unwrap();
    if family == AddressFamily::INET6 {
        sockopt::set_ipv6_v6only(&socket, only_v6).unwrap();
    }
    let name: SocketAddrAny = match address {
        Address::Inet4 { ip, port } => std::net::SocketAddr::from((ip, port)).into(),
        Address::Inet6 { ip, port, .. } => std::net::SocketAddr::from((ip, port)).into(),
        Address::Unix(_) => unreachable!("internet addresses only"),
    };
    match rustix::net::bind(&socket, &name) {
        Ok(()) => Ok(socket),
        Err(error) => Err((socket, error)),
    }
}

/// What is handed over is what the kernel refuses because the listener has it: nobody is given a
/// listener in the place of a socket that would have worked.
#[test]
fn the_kernel_agrees() {
    let places = |port| {
        let v4 = |ip| Address::Inet4 { ip, port };
        let v6 = |last| {
            let mut ip = [0; 16];
            ip[15] = last;
            Address::Inet6 { ip, port, scope: 0 }
        };
        let mapped = [[0; 4], [127, 0, 0, 1]].map(|ip| v4(ip).mapped().unwrap());
        [v4([0; 4]), v4([127, 0, 0, 1]), v4([127, 0, 0, 2]), v6(0), v6(1), mapped[0], mapped[1]]
    };
    let mut taken = 0;
    for kind in [SocketKind::Stream, SocketKind::Datagram] {
        for (at, only_v6) in (0..7).flat_map(|at| [(at, false), (at, true)]) {
            // The kernel chooses a port, which it would not for a mapped address that is refused.
            let Ok(listener) = bound(kind, places(0)[at], only_v6) else { continue };
            if kind == SocketKind::Stream {
                rustix::net::listen(&listener, 1).unwrap();
            }
            let name = rustix::net::getsockname(&listener).unwrap();
            let name = std::net::SocketAddr::try_from(name).unwrap();
            let address = places(name.port())[at];
            let held = Held { kind, address, only_v6, stands_for: None };
            for (address, only_v6) in
                places(name.port()).into_iter().flat_map(|a| [(a, false), (a, true)])
            {
                let asked = Asked { kind, address, only_v6 };
                let refused = bound(kind, address, only_v6).err().map(|(_, error)| error);
                match decide(&asked, &[Some(held)], 0) {
                    // The listener's own address counts, whether or not the kernel minds.
                    Decision::Take { exact: false, .. }
                    | Decision::Take { view: View::Apart, .. } => {}
                    Decision::Take { .. } | Decision::NoFamily => {
                        let in_use = Some(rustix::io::Errno::ADDRINUSE);
                        assert_eq!(refused, in_use, "{asked:?} of {held:?}");
                        taken += 1;
                    }
                    Decision::Conflict { index: 0 } => {}
                    Decision::Leave => {
                        assert_eq!(refused, Some(rustix::io::Errno::INVAL), "{asked:?}");
                    }
                    other => panic!("{asked:?} of {held:?}: {other:?}"),
                }
            }
        }
    }
    assert!(taken > 30, "{taken}");
}

#[test]
fn any_bytes_are_an_address_or_none() {
    cases(CASES, |random| {
        let mut raw = random.bytes(200);
        if raw.len() >= 2 && random.below(4) > 0 {
            let family = random.one(&[1_u16, 2, 10]);
            raw[..2].copy_from_slice(&family.to_ne_bytes());
        }
        let Some(address) = Address::from_sockaddr(&raw) else {
            return;
        };
        let family = u16::from_ne_bytes([raw[0], raw[1]]);
        // bind(2) refuses these lengths as too short.
        let least = match address {
            Address::Inet4 { .. } => 16,
            Address::Inet6 { .. } => 24,
            Address::Unix(_) => 3,
        };
        assert!(raw.len() >= least, "{address} of {} bytes", raw.len());
        let _ = address.is_wildcard();
        assert!(address.to_string().chars().all(|c| (' '..='~').contains(&c)), "{address}");
        let mut written = [0; 28];
        if let Some(length) = address.to_sockaddr(&mut written) {
            assert!(family == 2 && length == 16 || family == 10 && length == 28);
            assert_eq!(Address::from_sockaddr(&written[..length]), Some(address));
        }
        if let Some(mapped) = address.mapped() {
            assert_eq!(mapped.unmapped(), Some(address));
        }
        if let Address::Unix(name) = address {
            assert!((1..=108).contains(&name.as_bytes().len()));
            assert_eq!(UnixName::new(name.as_bytes()), Some(name));
        }
    });
}
