//! Go and Rust: their servers, compiled here, and what the tracer makes of them.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use crate::support::{Systemd, check_shared, connect, has, http, read_all};
use crate::{TRACER, drain, untraced};

/// Compiles `tests/trace/server.go`, statically or not.
pub fn go_server(cgo: &str) -> Option<String> {
    if !has("go") {
        return None;
    }
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("go-server-{cgo}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/server.go");
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    if output.exists()
        && output.metadata().unwrap().modified().unwrap()
            > source.metadata().unwrap().modified().unwrap()
    {
        // The file of a running program cannot be overwritten.
        return Some(output.to_str().unwrap().to_owned());
    }
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&output).arg(source);
    go.env("CGO_ENABLED", cgo).env("GO111MODULE", "off");
    go.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    assert!(go.status().unwrap().success(), "go build");
    Some(output.to_str().unwrap().to_owned())
}

/// Asks for something that takes a while.
fn slow_request(port: u16) -> std::net::TcpStream {
    let mut stream = connect(port);
    stream.write_all(b"GET /slow HTTP/1.0\r\n\r\n").unwrap();
    stream
}

#[test]
fn a_go_program_that_knows_no_end_is_drained() {
    let Some(server) = go_server("0") else { return };
    let mut systemd = Systemd::new();
    let port = systemd.add_tcp("::");
    systemd.set("PORT", &port.to_string()).set("NAIVE", "1");
    let mut old = systemd.start(&[TRACER, &server]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut idle = connect(port);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut status = [0; 15];
    idle.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    let mut slow: Vec<_> = (0..4).map(|_| slow_request(port)).collect();
    let output = drain(&old);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // The old process ran on until it had answered, and has no connection left.
    assert!(old.is_running());
    assert!(read_all(&mut idle).ends_with(" ."));
    let new = systemd.start(&[TRACER, &server]);
    assert_eq!(systemd.notified(), "READY=1");
    // The other instance serves the connections that were not accepted yet.
    for stream in &mut slow {
        assert!(read_all(stream).starts_with("HTTP/1.0 200 OK"));
    }
    for _ in 0..20 {
        assert!(http(port).contains("200"));
    }
    old.terminate();
    assert_eq!(old.end(), -15);
    drop(new);
}

#[test]
fn static_rust() {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static-rust-server");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/trace/server.rs");
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition", "2024", "-C", "target-feature=+crt-static", "-o"]);
    assert!(rustc.arg(&output).arg(&source).status().unwrap().success());
    let mut systemd = Systemd::new();
    let port = systemd.add_tcp("::");
    systemd.blocking();
    check_shared(&systemd, port, &[TRACER, output.to_str().unwrap(), &port.to_string()]);
}

#[test]
fn go_static_and_dynamic() {
    for cgo in ["0", "1"] {
        let Some(server) = go_server(cgo) else { return };
        for held in ["::", "0.0.0.0"] {
            let mut systemd = Systemd::new();
            let port = systemd.add_tcp(held);
            systemd.set("PORT", &port.to_string());
            let mut program = systemd.start(&[TRACER, &server]);
            assert_eq!(systemd.notified(), "READY=1", "{cgo} {held}");
            assert!(http(port).contains("200"), "{cgo} {held}");
            untraced(&program);
            program.terminate();
            assert_eq!(program.end(), 0, "it shuts down by itself");
        }
    }
}
