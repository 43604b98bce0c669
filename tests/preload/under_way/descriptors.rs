//! Listeners and connections that change their numbers, their program or their process.

use super::GET;
use crate::support::{Systemd, connect, has, read_all};
use std::io::Write;

/// uvicorn with several workers, hypercorn: the parent binds, and executes those that listen.
#[test]
fn a_child_that_is_executed_serves_what_its_parent_has_bound() {
    if !has("python3") {
        return;
    }
    let child = "import os, socket, time\n\
        s = socket.socket(fileno=int(os.environ['GIVEN']))\n\
        s.listen(5)\n\
        client, _ = s.accept()\n\
        client.recv(100)\n\
        os.write(1, b'request\\n')\n\
        time.sleep(1.3)\n\
        client.send(b'HTTP/1.1 200 OK\\r\\n\\r\\nchild')\n\
        client.close()\n\
        time.sleep(60)\n";
    let parent = format!(
        "import os, socket, subprocess, sys\n\
         s = socket.socket()\n\
         s.bind(('127.0.0.1', PORT))\n\
         p = subprocess.Popen([sys.executable, '-c', r'''{child}'''], pass_fds=[s.fileno()],\n\
         \x20   env=dict(os.environ, GIVEN=str(s.fileno())))\n\
         os.write(1, b'%d\\n' % p.pid)\n\
         sys.exit(p.wait())\n"
    );
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let script = parent.replace("PORT", &port.to_string());
    let program = systemd.start(&["python3", "-c", &script]);
    let pid: i32 = program.line().parse().unwrap();
    assert_eq!(systemd.notified(), "READY=1");
    // The child waits in accept(), since its parent's socket was a blocking one.
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") S ") {
        std::thread::yield_now();
    }
    let mut client = connect(port);
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(program.line(), "request");
    let child = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(child, rustix::process::Signal::TERM).unwrap();
    assert!(read_all(&mut client).ends_with("child"));
}

/// The listener's home keeps the file open to which an epoll set refers.
#[test]
fn a_closed_listener_is_not_reported_any_more() {
    if !has("python3") {
        return;
    }
    let script = "import select, socket, os\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        e = select.epoll()\n\
        e.register(s.fileno(), select.EPOLLIN)\n\
        client = socket.create_connection(('127.0.0.1', PORT))\n\
        os.write(1, b'before=%d\\n' % len(e.poll()))\n\
        s.close()\n\
        os.write(1, b'after=%d\\n' % len(e.poll(0.2)))\n";
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
    program.reports(&["before=1", "after=0"]);
}

/// libuv then waits by `epoll_ctl()`, out of which a draining program's listener can be taken.
#[test]
fn event_loops_of_libuv_do_without_io_uring() {
    if !has("python3") {
        return;
    }
    let script = "import ctypes, errno, os, sys\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        result = libc.syscall(425, 8, ctypes.create_string_buffer(120))\n\
        os.write(1, b'refused=%d\\n' % (result < 0 and ctypes.get_errno() == errno.ENOSYS))\n\
        fd = os.open('/dev/null', 0)\n\
        os.write(1, b'closed=%d\\n' % libc.syscall(int(sys.argv[1]), fd))\n\
        try: os.fstat(fd)\n\
        except OSError: os.write(1, b'gone=1\\n')\n";
    let (systemd, _port) = Systemd::tcp("127.0.0.1");
    let close = if cfg!(target_arch = "x86_64") { "3" } else { "57" };
    let program = systemd.start(&["python3", "-c", script, close]);
    program.reports(&["refused=1", "closed=0", "gone=1"]);
}

/// A duplicate of a connection gets the number of one that was answered and closed, or one that comes
/// from another process: what is known of that one says nothing about it.
#[test]
fn a_duplicate_is_not_the_connection_that_had_its_number() {
    let passed = "passed.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, bytes([a.fileno()]) + bytes(3))])\n\
        _, [(_, _, got)], _, _ = passing.recvmsg(1, 100)\n\
        assert int.from_bytes(got, 'little') == number\n";
    for how in ["assert os.dup(a.fileno()) == number\n", passed] {
        is_not_the_connection_that_had_its_number(how);
    }
}

fn is_not_the_connection_that_had_its_number(how: &str) {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket, sys\n\
        answer = b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone'\n\
        passed, passing = socket.socketpair()\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        a, _ = s.accept()\n\
        b, _ = s.accept()\n\
        b.recv(100)\n\
        b.sendall(answer)\n\
        number = b.fileno()\n\
        b.close()\n\
        HOW\
        a.recv(100)\n\
        os.write(1, b'request\\n')\n\
        a.settimeout(2)\n\
        try: os.write(1, b'cut\\n' if a.recv(100) == b'' else b'?\\n')\n\
        except TimeoutError: os.write(1, b'open\\n')\n\
        a.sendall(answer)\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let program = systemd.start(&[
        "python3",
        "-c",
        &script.replace("PORT", &port.to_string()).replace("HOW", how),
    ]);
    assert_eq!(systemd.notified(), "READY=1");
    let mut client = connect(port);
    let mut other = connect(port);
    other.write_all(GET.as_bytes()).unwrap();
    assert!(read_all(&mut other).ends_with("done"));
    client.write_all(GET.as_bytes()).unwrap();
    assert_eq!(program.line(), "request");
    program.terminate();
    assert_eq!(program.line(), "open");
    assert!(read_all(&mut client).ends_with("done"));
}
