//! Lines of the kernel's tables of sockets, as Linux 6 writes them.

#[path = "../../src/shims/trace/socket_line.rs"]
mod lines;

use crate::handover::{Address, UnixName};
use lines::{Socket, tcp, unix};

fn port(port: u16) -> Address {
    Address::Inet4 { ip: [0; 4], port }
}

fn path(name: &[u8]) -> Address {
    Address::Unix(UnixName::new(name).unwrap())
}

#[test]
fn listeners_and_connections_of_both_families() {
    let listens =
        b"   0: 0100007F:0BB8 00000000:0000 0A 00000000:00000003 00:00000000 00000000     \
        0        0 1039771 2 0000000078d0b876 100 0 0 10 0";
    let listener = Socket { inode: 1_039_771, address: port(3000), listens: true, busy: false };
    assert_eq!(tcp(listens), Some(listener));
    let open =
        b" 137: 0000000000000000FFFF00000100007F:0BB8 0000000000000000FFFF00000100007F:D431 01 \
        00000000:00000005 02:000A1B2C 00000000  1000        0 77 2 0000000000000000 20 4 30 10 -1";
    let connection = Socket { inode: 77, address: port(3000), listens: false, busy: true };
    assert_eq!(tcp(open), Some(connection));
    assert!(connection.came_over(&listener.address));
    assert!(connection.came_over(&Address::Inet6 { ip: [0; 16], port: 3000, scope: 0 }));
    assert!(!connection.came_over(&port(3001)) && !listener.came_over(&listener.address));
}

#[test]
fn what_is_on_its_way_out_or_no_socket_is_left_out() {
    let states = ["02", "04", "06", "07"];
    for state in states {
        let line = format!(
            "   1: 0100007F:0BB8 0100007F:D431 {state} 00000000:00000000 00:00000000 00000000 0 0 9 1 0"
        );
        assert_eq!(tcp(line.as_bytes()), None, "{state}");
    }
    let heading =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid";
    for text in [heading, "", "   1: 0100007F:0BB8", "   1: 0100007F:FFFFF 0 0A 0:0 0 0 0 0 9"] {
        assert_eq!(tcp(text.as_bytes()), None, "{text:?}");
        assert_eq!(unix(text.as_bytes()), None, "{text:?}");
    }
}

#[test]
fn unix_sockets_with_their_whole_names() {
    let line = |flags: &str, kind: &str, state: &str, name: &str| {
        let text = format!("00000000a9c4: 00000002 00000000 {flags} {kind} {state} 1025525 {name}");
        unix(text.as_bytes())
    };
    let socket = |name: &[u8], listens| {
        Some(Socket { inode: 1_025_525, address: path(name), listens, busy: false })
    };
    assert_eq!(line("00010000", "0001", "01", "/run/a b.sock"), socket(b"/run/a b.sock", true));
    assert_eq!(line("00000000", "0001", "03", "@shop"), socket(b"\0shop", false));
    assert_eq!(line("00000000", "0001", "01", "/run/bound"), None);
    assert_eq!(line("00000000", "0002", "01", "/run/datagrams"), None);
    assert_eq!(line("00000000", "0001", "03", ""), None);
    assert_eq!(line("00010000", "0001", "01", &format!("/{}", "x".repeat(200))), None);
}
