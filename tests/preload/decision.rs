//! The decision and the environment, over everything that can be asked.

use clusterctl::handover::environment::{self, Fate, Ready};
use clusterctl::handover::{Address, Asked, Decision, Held, SocketKind, UnixName, View, decide};
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

fn v4(ip: [u8; 4], port: u16) -> Address {
    Address::Inet4 { ip, port }
}

fn v6(last: u8, port: u16) -> Address {
    let mut ip = [0; 16];
    ip[15] = last;
    Address::Inet6 { ip, port, scope: 0 }
}

fn unix(name: &str) -> Address {
    Address::Unix(UnixName::new(name.as_bytes()).unwrap())
}

fn held(address: Address) -> Option<Held> {
    Some(Held { kind: SocketKind::Stream, address, only_v6: false, stands_for: None })
}

/// A TCP or Unix stream `bind()` against listeners of the same kind.
#[track_caller]
fn check(asked: Address, listeners: &[Address], expected: Decision) {
    let held: Vec<_> = listeners.iter().map(|address| held(*address)).collect();
    let asked = Asked { kind: SocketKind::Stream, address: asked, only_v6: false };
    assert_eq!(decide(&asked, &held, 0), expected);
}

const fn take(index: usize, view: View) -> Decision {
    Decision::Take { index, view, exact: true }
}

/// The listener of the port, whatever host is asked for.
const fn port_of(index: usize, view: View) -> Decision {
    Decision::Take { index, view, exact: false }
}

const ANY4: [u8; 4] = [0; 4];
const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

#[test]
fn exact_addresses_are_handed_over() {
    check(v4(LOOPBACK, 80), &[v4(LOOPBACK, 80)], take(0, View::Same));
    check(v4(ANY4, 80), &[v4(ANY4, 81), v4(ANY4, 80)], take(1, View::Same));
    check(v6(0, 80), &[v6(0, 80)], take(0, View::Same));
    check(unix("/run/a"), &[unix("/run/b"), unix("/run/a")], take(1, View::Same));
    check(unix("\0a"), &[unix("\0a")], take(0, View::Same));
}

#[test]
fn the_dual_stack_wildcard_answers_ipv4_too() {
    check(v4(ANY4, 80), &[v6(0, 80)], take(0, View::Inet4));
    check(v4(ANY4, 80), &[v6(0, 80), v4(ANY4, 80)], take(1, View::Same));
    let mut only = held(v6(0, 80)).unwrap();
    only.only_v6 = true;
    let asked = Asked { kind: SocketKind::Stream, address: v4(ANY4, 80), only_v6: false };
    assert_eq!(decide(&asked, &[Some(only)], 0), port_of(0, View::Inet4));
    let both = [Some(only), held(v4(ANY4, 80))];
    assert_eq!(decide(&asked, &both, 0), take(1, View::Same), "two sockets are two listeners");
    let asked = Asked { address: v6(0, 80), only_v6: true, ..asked };
    assert_eq!(decide(&asked, &both, 0), take(0, View::Same));
}

#[test]
fn a_program_with_a_socket_for_each_family_sees_each_in_its_own() {
    let asked = Asked { kind: SocketKind::Stream, address: v6(0, 80), only_v6: true };
    assert_eq!(decide(&asked, &[held(v6(0, 80))], 0), take(0, View::Apart));
    assert_eq!(decide(&asked, &[held(v4(ANY4, 80))], 0), port_of(0, View::Apart));
}

#[test]
fn dual_stack_of_an_ipv4_listener_is_that_listener() {
    check(v6(0, 80), &[v4(ANY4, 80)], take(0, View::Inet6));
    // Answers to datagrams would have to leave from an address of the other family.
    let asked = Asked { kind: SocketKind::Datagram, address: v6(0, 80), only_v6: false };
    let held = Held {
        kind: SocketKind::Datagram,
        address: v4(ANY4, 80),
        only_v6: false,
        stands_for: None,
    };
    assert_eq!(decide(&asked, &[Some(held)], 0), Decision::NoFamily);
}

#[test]
fn a_mapped_address_is_the_ipv4_listener() {
    let mapped = v4(LOOPBACK, 80).mapped().unwrap();
    check(mapped, &[v4(LOOPBACK, 80)], take(0, View::Inet6));
    check(mapped, &[v4(ANY4, 80)], port_of(0, View::Inet6));
}

#[test]
fn the_only_listener_of_a_port_is_the_one_whatever_host_is_asked_for() {
    check(v4(LOOPBACK, 80), &[v4(ANY4, 80)], port_of(0, View::Same));
    check(v4(ANY4, 80), &[v4(ANY4, 81), v4(LOOPBACK, 80)], port_of(1, View::Same));
    check(v6(1, 80), &[v4(LOOPBACK, 80)], port_of(0, View::Inet6));
    check(v4(LOOPBACK, 80), &[v6(0, 80)], port_of(0, View::Inet4));
    // Of two listeners, the one of the program's family.
    check(v4(LOOPBACK, 80), &[v6(1, 80), v4(ANY4, 80)], port_of(1, View::Same));
    let other = v4([10, 0, 0, 1], 80);
    check(v4(LOOPBACK, 80), &[v4(ANY4, 80), other], Decision::Conflict { index: 0 });
    let asked = Asked { kind: SocketKind::Datagram, address: v4(LOOPBACK, 80), only_v6: false };
    let held =
        Held { kind: SocketKind::Datagram, address: v6(0, 80), only_v6: false, stands_for: None };
    assert_eq!(decide(&asked, &[Some(held)], 0), Decision::Conflict { index: 0 });
}

/// A program with 3000 written into it, served on 80.
#[test]
fn a_listener_stands_for_another_port_of_the_program() {
    let stands = |address: Address| Some(Held { stands_for: Some(3000), ..held(address).unwrap() });
    let asks = |address: Address, only_v6| Asked { kind: SocketKind::Stream, address, only_v6 };
    let any = [stands(v4(ANY4, 80)), held(v4(ANY4, 81))];
    assert_eq!(decide(&asks(v4(ANY4, 3000), false), &any, 0), take(0, View::Same));
    assert_eq!(decide(&asks(v4(LOOPBACK, 3000), false), &any, 0), port_of(0, View::Same));
    assert_eq!(decide(&asks(v6(0, 3000), false), &any, 0), take(0, View::Inet6));
    assert_eq!(decide(&asks(v4(ANY4, 81), false), &any, 0), take(1, View::Same));
    // The listener's own port is not given to a program that asks for it.
    assert_eq!(decide(&asks(v4(ANY4, 80), false), &any, 0), Decision::Conflict { index: 0 });
    assert_eq!(decide(&asks(v4(ANY4, 3001), false), &any, 0), Decision::Leave);
    // The two may swap their ports.
    let swapped = Some(Held { stands_for: Some(80), ..held(v4(ANY4, 3000)).unwrap() });
    let both = [stands(v4(ANY4, 80)), swapped];
    assert_eq!(decide(&asks(v4(ANY4, 80), false), &both, 0), take(1, View::Same));
    // A listener for each family.
    let six = Held { only_v6: true, ..stands(v6(0, 80)).unwrap() };
    let pair = [stands(v4(ANY4, 80)), Some(six)];
    assert_eq!(decide(&asks(v4(ANY4, 3000), false), &pair, 0), take(0, View::Same));
    assert_eq!(decide(&asks(v6(0, 3000), true), &pair, 0), take(1, View::Same));
}

/// A program that binds the port of its listener at a second host means a separate socket, such as one for an
/// administrator.
#[test]
fn a_second_host_of_a_port_that_is_taken_under_its_own_address_is_the_programs_own() {
    let asked = Asked { kind: SocketKind::Stream, address: v4(LOOPBACK, 80), only_v6: false };
    let listeners = [held(v4(ANY4, 81)), held(v4(ANY4, 80))];
    assert_eq!(decide(&asked, &listeners, 0), port_of(1, View::Same));
    assert_eq!(decide(&asked, &listeners, 0b01), port_of(1, View::Same));
    assert_eq!(decide(&asked, &listeners, 0b10), Decision::Conflict { index: 1 });
    // A second bind() of the same address gets the same listener.
    let again = Asked { address: v4(ANY4, 80), ..asked };
    assert_eq!(decide(&again, &listeners, 0b10), take(1, View::Same));
}

#[test]
fn ports_of_the_program_are_read_by_name() {
    for (value, name, port) in [
        (&b"http=3000"[..], &b"http"[..], Some(3000)),
        (b"http=3000:http2=3001", b"http2", Some(3001)),
        (b"http2=3001:http=3000", b"http", Some(3000)),
        (b"http=3000", b"admin", None),
        (b"http=0", b"http", None),
        (b"http=70000", b"http", None),
        (b"http=", b"http", None),
        (b"", b"http", None),
    ] {
        assert_eq!(environment::bound_port(value, name), port, "{}", value.escape_ascii());
    }
}

#[test]
fn everything_else_is_left_alone() {
    check(v4(ANY4, 0), &[v4(ANY4, 0)], Decision::Leave);
    check(v4(ANY4, 8080), &[v4(ANY4, 80), v6(0, 80)], Decision::Leave);
    check(unix("/run/a"), &[v4(ANY4, 80)], Decision::Leave);
    check(v4(ANY4, 80), &[], Decision::Leave);
    let asked = Asked { kind: SocketKind::Datagram, address: v4(ANY4, 80), only_v6: false };
    assert_eq!(decide(&asked, &[held(v4(ANY4, 80))], 0), Decision::Leave, "UDP is not TCP");
}

#[test]
fn addresses_read_as_a_listener_is_written() {
    for (address, text) in [
        (v4(LOOPBACK, 80), "127.0.0.1:80"),
        (v6(0, 80), "[::]:80"),
        (v6(1, 80), "[::1]:80"),
        (v6(2, 80), "[0:0:0:0:0:0:0:2]:80"),
        (unix("/run/a b\n"), "/run/a b?"),
        (unix("\0a"), "@a"),
    ] {
        assert_eq!(address.to_string(), text);
    }
}

fn addresses() -> impl Strategy<Value = Address> {
    // Few values, so that hits and near misses are frequent.
    let port = prop_oneof![Just(0_u16), Just(80), Just(81)];
    let ip4 = prop_oneof![Just(ANY4), Just(LOOPBACK), any::<[u8; 4]>()];
    prop_oneof![
        (ip4, port.clone()).prop_map(|(ip, port)| v4(ip, port)),
        (0_u8..3, port.clone(), 0_u32..2).prop_map(|(last, port, scope)| match v6(last, port) {
            Address::Inet6 { ip, port, .. } => Address::Inet6 { ip, port, scope },
            other => other,
        }),
        port.prop_map(|port| v4(LOOPBACK, port).mapped().unwrap()),
        "[/a\0][ab]{0,3}".prop_map(|name| unix(&name)),
    ]
}

fn kinds() -> impl Strategy<Value = SocketKind> {
    prop_oneof![Just(SocketKind::Stream), Just(SocketKind::Datagram), Just(SocketKind::SeqPacket)]
}

fn listeners() -> impl Strategy<Value = Vec<Option<Held>>> {
    let one = (kinds(), addresses(), any::<bool>()).prop_map(|(kind, address, only_v6)| Held {
        kind,
        address,
        only_v6,
        stands_for: None,
    });
    proptest::collection::vec(proptest::option::of(one), 0..8)
}

proptest! {
    /// Whatever is handed over is of the kind and port that was asked for;
    /// an exact match is never passed over.
    #[test]
    fn decisions_are_sound(
        kind in kinds(), address in addresses(), only_v6: bool, held in listeners(),
    ) {
        let asked = Asked { kind, address, only_v6 };
        let exact = held.iter().flatten().any(|held| held.kind == kind && held.address == address);
        let decision = decide(&asked, &held, 0);
        match decision {
            Decision::Take { index, view, exact: found } => {
                let held = held[index].unwrap();
                assert_eq!(held.kind, kind);
                assert_eq!(held.address.port(), address.port());
                assert!(found || !exact, "the exact address comes first");
                let family = |address: &Address| std::mem::discriminant(address);
                match view {
                    View::Same => assert_eq!(family(&held.address), family(&address)),
                    View::Inet4 => assert_eq!(family(&address), family(&v4(ANY4, 1))),
                    View::Inet6 => assert_eq!(family(&held.address), family(&v4(ANY4, 1))),
                    View::Apart => assert!(only_v6 && !held.only_v6),
                }
            }
            Decision::Conflict { index } => assert!(held[index].is_some()),
            Decision::NoFamily => assert!(!only_v6 && address.is_wildcard()),
            Decision::Leave => {}
        }
        if exact && address.port() != Some(0) && !(only_v6 && address.unmapped().is_some()) {
            let same = matches!(decision, Decision::Take { view: View::Same | View::Apart, exact: true, .. });
            assert!(same, "{decision:?}");
        }
    }

    #[test]
    fn any_bytes_are_an_address_or_none(raw in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Address::from_sockaddr(&raw);
        for family in [1_u16, 2, 10] {
            let raw = [&family.to_ne_bytes()[..], &raw].concat();
            let Some(address) = Address::from_sockaddr(&raw) else { continue };
            let _ = address.to_string();
            let mut written = [0; 28];
            if let Some(length) = address.to_sockaddr(&mut written) {
                assert_eq!(Address::from_sockaddr(&written[..length]), Some(address));
            }
        }
    }

    #[test]
    fn any_environment_is_read_without_harm(value in proptest::collection::vec(any::<u8>(), 0..300)) {
        assert!(environment::listen_fds(&value) <= environment::MAX_LISTENERS);
        let _ = environment::ready(&value);
        let _ = environment::kill_timeout_ms(&value);
        let _ = environment::notify_socket(&value);
        let _ = environment::listener_name(&value, 1);
        let _ = environment::notify_payload(&value);
        let _ = environment::fate(&value, &mut [0; 8]);
    }

    /// Taking our library out of a list leaves the others as they were.
    #[test]
    fn others_keep_their_place(words in proptest::collection::vec("[a-z/]{1,6}(\\.so)?", 0..5), at in 0_usize..6) {
        let others = words.join(":");
        let mut all = words.clone();
        all.insert(at.min(words.len()), "/x/libclusterctl_preload.so".to_owned());
        let mut buffer = [0; 256];
        let entry = format!("LD_PRELOAD={}", all.join(":"));
        match environment::fate(entry.as_bytes(), &mut buffer) {
            Fate::Drop => assert!(words.is_empty()),
            Fate::Rewritten(length) => {
                assert_eq!(&buffer[..length], format!("LD_PRELOAD={others}").as_bytes());
            }
            Fate::Keep => panic!("ours is in {entry}"),
        }
        let entry = format!("LD_PRELOAD={others}");
        assert_eq!(environment::fate(entry.as_bytes(), &mut buffer), Fate::Keep);
    }
}

#[track_caller]
fn check_fate(entry: &str, expected: Option<&str>) {
    let mut buffer = [0; 256];
    let result = match environment::fate(entry.as_bytes(), &mut buffer) {
        Fate::Keep => Some(entry.to_owned()),
        Fate::Drop => None,
        Fate::Rewritten(length) => Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
    };
    assert_eq!(result.as_deref(), expected);
}

#[test]
fn only_our_part_of_a_variable_goes() {
    check_fate("LISTEN_FDS=3", None);
    check_fate("CLUSTERCTL_READY=all", None);
    check_fate("LISTEN_FDS_OTHER=1", Some("LISTEN_FDS_OTHER=1"));
    check_fate("NODE_OPTIONS=--require /d/clusterctl.cjs", None);
    check_fate("NODE_OPTIONS=--require /d/clusterctl.cjs --x", Some("NODE_OPTIONS=--x"));
    check_fate("NODE_OPTIONS=--x --require /d/clusterctl.cjs", Some("NODE_OPTIONS=--x"));
    check_fate(r#"NODE_OPTIONS=--require "/a b/clusterctl.cjs" --x"#, Some("NODE_OPTIONS=--x"));
    check_fate("NODE_OPTIONS=--require /d/other.cjs", Some("NODE_OPTIONS=--require /d/other.cjs"));
    check_fate("LD_PRELOAD=/d/libclusterctl_preload.so a.so", Some("LD_PRELOAD=a.so"));
}

#[test]
fn settings_are_read_strictly() {
    assert_eq!(environment::listen_fds(b"3"), 3);
    assert_eq!(environment::listen_fds(b" 3"), 0);
    assert_eq!(environment::listen_fds(b"-3"), 0);
    assert_eq!(environment::listen_fds(b"99999999999"), 0);
    assert_eq!(environment::listen_fds(b"1000"), environment::MAX_LISTENERS);
    assert_eq!(environment::ready(b"all"), Ready::All);
    assert_eq!(environment::ready(b"whatever"), Ready::First);
    assert_eq!(environment::listener_name(b"http:admin", 1), Some(&b"admin"[..]));
    assert_eq!(environment::notify_socket(b"@a").unwrap().as_bytes(), b"\0a");
    assert_eq!(environment::notify_socket(b"vsock:2:1"), None);
    assert_eq!(environment::notify_payload(b"/proc/self/clusterctl/notify/"), None);
    let connection = |path: &str| environment::connection(path.as_bytes());
    assert_eq!(connection("/proc/self/clusterctl/unread/7"), Some((7, false)));
    assert_eq!(connection("/proc/self/clusterctl/end/20"), Some((20, true)));
    for other in ["end/", "end/-1", "end/7x", "end/4294967295", "unread/99999999999", "7"] {
        assert_eq!(connection(&format!("/proc/self/clusterctl/{other}")), None, "{other}");
    }
}
