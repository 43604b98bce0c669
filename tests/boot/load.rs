//! The load client counts what it should: a server that is bad in known ways is the judge.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use crate::support::load::{Cause, Kind, Load};

/// Which request of a connection is treated how, by the running number of the request.
type Counts = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// Answers most requests well and every tenth badly, in turn in six ways.
fn bad_server(sabotage: bool) -> (String, Counts) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let counts = Counts::default();
    let shared = counts.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, counts) = (stream.unwrap(), shared.clone());
            thread::spawn(move || serve(&stream, &counts, sabotage));
        }
    });
    (address, counts)
}

fn serve(stream: &TcpStream, counts: &Counts, sabotage: bool) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut out = stream;
    loop {
        while !lines.next()?.ok()?.is_empty() {}
        let how = {
            let mut counts = counts.lock().unwrap();
            let total: u64 = counts.values().sum();
            let turn = total % 10 == 9 && sabotage;
            let ways = ["reset", "hang", "truncate", "status", "body", "close"];
            let how = if turn { ways[usize::try_from(total / 10).unwrap() % 6] } else { "good" };
            *counts.entry(how).or_default() += 1;
            how
        };
        let answer = |status, length, body| {
            format!(
                "HTTP/1.1 {status}\r\nX-Instance: api@3\r\nContent-Length: {length}\r\n\r\n{body}"
            )
        };
        match how {
            "good" => out.write_all(answer("200 OK", 5, "hello").as_bytes()).ok()?,
            "status" => out.write_all(answer("503 No", 5, "hello").as_bytes()).ok()?,
            "body" => out.write_all(answer("200 OK", 5, "jello").as_bytes()).ok()?,
            "truncate" => return out.write_all(answer("200 OK", 5, "hel").as_bytes()).ok(),
            "hang" => drop(lines.next()?),
            "reset" => {
                return rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).ok();
            }
            _ => return None,
        }
    }
}

#[test]
fn every_way_to_fail_is_counted_and_named() {
    let (address, counts) = bad_server(true);
    let load = Load::http(&address).new_connections(120.0).keep_alive(120.0);
    let load = load.for_seconds(1.5).hang_after(0.7).expect("hello").instance_after("X-Instance: ");
    let report = load.start().finish();
    let counts = counts.lock().unwrap();
    let counted = |cause| report.kinds.values().map(|tally| tally.failed_by(cause)).sum::<u64>();
    let pairs = [
        ("reset", Cause::Reset),
        ("hang", Cause::Hang),
        ("truncate", Cause::Truncated),
        ("status", Cause::Status),
        ("body", Cause::Body),
        ("close", Cause::Closed),
    ];
    for (way, cause) in pairs {
        assert!(counts[way] >= 3, "{counts:?}");
        assert_eq!(counts[way], counted(cause), "{way}: {counts:?}\n{report:#?}");
    }
    assert_eq!(report.ok(), counts["good"], "{report:#?}");
    assert_eq!(report.instances(), BTreeMap::from([("api@3".to_owned(), counts["good"])]));
    for kind in [Kind::New, Kind::KeepAlive] {
        let tally = report.of(kind);
        assert_eq!(tally.sent, tally.ok + tally.failures());
        assert!((180..=181).contains(&tally.sent), "{kind:?} sent {}", tally.sent);
    }
    assert_eq!(report.of(Kind::New).connections, report.of(Kind::New).sent);
    assert!(report.of(Kind::KeepAlive).connections < report.of(Kind::KeepAlive).sent);
}

#[test]
fn a_good_server_has_no_failures_at_500_per_second() {
    let (address, _) = bad_server(false);
    let load = Load::http(&address).new_connections(250.0).keep_alive(250.0).for_seconds(2.0);
    let report = load.start().finish();
    report.assert_none_failed();
    assert!((1000..=1002).contains(&report.ok()), "{}", report.ok());
}

#[test]
fn a_port_that_nobody_holds_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let report = Load::http(&address).new_connections(50.0).for_seconds(0.2).start().finish();
    assert_eq!(report.of(Kind::New).failed_by(Cause::Refused), report.of(Kind::New).sent);
    assert_eq!(report.failed(), 10);
}

#[test]
fn a_listener_that_is_never_accepted_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let load = Load::http(&address).new_connections(20.0).for_seconds(0.2).hang_after(0.3);
    let report = load.start().finish();
    assert_eq!(report.of(Kind::New).failed_by(Cause::Hang), 4, "{report:#?}");
}

#[test]
fn unix_sockets_and_datagrams_are_served_alike() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while !lines.next().unwrap().unwrap().is_empty() {}
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nfrom-a-socket").unwrap();
        }
    });
    let load = Load::unix(path).new_connections(50.0).expect("from-a-socket").for_seconds(0.5);
    load.start().finish().assert_none_failed();

    let echo = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = echo.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        for number in 0.. {
            let (length, from) = echo.recv_from(&mut buffer).unwrap();
            if number % 5 != 4 {
                echo.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    let report = Load::udp(&address, 50.0).for_seconds(1.0).hang_after(0.3).start().finish();
    let tally = report.of(Kind::Datagram);
    assert_eq!((tally.ok, tally.failed_by(Cause::Hang)), (40, 10), "{report:#?}");
}
