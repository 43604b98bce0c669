//! Workers of a master that alone gets the signal, and processes that were forked.

use super::GET;
use crate::support::{PATIENCE, Program, Systemd, connect, has};
use std::io::{Read, Write};

/// A master that alone gets the signal, at which it does `end`, and its worker, which has accepted `c` and
/// does `work`. Over a pipe, `read` and `write`, it says that the worker shall go, as nginx and Apache do.
fn signalled_alone(end: &str, work: &str) -> Option<(Systemd, u16, Program)> {
    if !has("python3") {
        return None;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
    let script = format!(
        "import os, select, signal, socket, time\n\
         s = socket.socket()\n\
         s.bind(('127.0.0.1', {port}))\n\
         s.listen()\n\
         read, write = os.pipe()\n\
         def end(*_): {end}\n\
         signal.signal(signal.SIGTERM, end)\n\
         if os.fork():\n\
         \x20   while True: signal.pause()\n\
         c, _ = s.accept()\n\
         {work}"
    );
    let program = systemd.start(&["python3", "-c", &script]);
    Some((systemd, port, program))
}

/// A worker of gunicorn's whose parent has a handler, which it replaces by one that ends by the
/// signal's default action: nobody waits for a signal that is blocked.
#[test]
fn a_forked_worker_with_a_handler_of_its_own_ends() {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket, sys, time\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'parent\\n'))\n\
        s.listen()\n\
        if os.fork():\n\
        \x20   print(os.wait()[1], flush=True)\n\
        \x20   sys.exit()\n\
        def end(*_):\n\
        \x20   os.write(1, b'worker\\n')\n\
        \x20   signal.signal(signal.SIGTERM, signal.SIG_DFL)\n\
        \x20   signal.raise_signal(signal.SIGTERM)\n\
        signal.signal(signal.SIGTERM, signal.SIG_DFL)\n\
        signal.signal(signal.SIGTERM, end)\n\
        assert signal.getsignal(signal.SIGTERM) is end\n\
        os.write(1, b'pid=%d\\n' % os.getpid())\n\
        while True: time.sleep(1)\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
    let pid: i32 = program.line().strip_prefix("pid=").unwrap().parse().unwrap();
    let worker = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(worker, rustix::process::Signal::TERM).unwrap();
    assert_eq!(program.line(), "worker");
    assert_eq!(program.line(), "15", "by the signal");
}

/// A master that alone gets the signal, and at which its workers close what is idle over a pipe, as
/// nginx and Apache do: its workers tell their clients first.
#[test]
fn the_workers_of_a_master_that_alone_is_signalled_tell_their_clients() {
    let end = "os.write(1, b'signal\\n'); os.write(write, b'x'); os._exit(0)";
    let worker = "while read not in (ready := select.select([c, read], [], [])[0]) and c.recv(100):\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n";
    let Some((_systemd, port, mut program)) = signalled_alone(end, worker) else { return };
    let mut client = connect(port);
    let mut ask = || {
        client.write_all(GET.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("done") {
            let mut byte = [0];
            client.read_exact(&mut byte).expect("the worker has cut the connection");
            answer.push(byte[0].into());
        }
        answer.contains("Connection: close")
    };
    assert!(!ask());
    program.terminate();
    while !ask() {}
    drop(client);
    assert_eq!(program.line(), "signal");
    assert_eq!(program.end(), 0);
}

/// As with nginx, whose worker closes behind the answer that it is at: a client that has sent several
/// requests is answered first.
#[test]
fn a_master_waits_for_the_answers_to_several_requests_of_one_client() {
    let end = "os.write(write, b'x'); os.wait(); os._exit(0)";
    let worker = "for _ in range(c.recv(1000).count(b'GET')):\n\
        \x20   time.sleep(0.4)\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        \x20   if select.select([read], [], [], 0)[0]: break\n";
    let Some((_systemd, port, mut program)) = signalled_alone(end, worker) else { return };
    let mut client = connect(port);
    client.write_all(GET.repeat(5).as_bytes()).unwrap();
    let mut first = [0; 4];
    client.read_exact(&mut first).unwrap();
    program.terminate();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.matches("done").count(), 5, "{rest}");
    assert_eq!(rest.matches("Connection: close").count(), 1, "{rest}");
    assert_eq!(program.end(), 0);
}

/// nginx would leave the websocket to the manager's SIGKILL.
#[test]
fn a_websocket_of_a_worker_whose_master_alone_is_signalled_is_closed() {
    let end = "os.wait(); os._exit(0)";
    let worker = "c.recv(1000)\n\
        c.sendall(b'HTTP/1.1 101 x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n')\n\
        while c.recv(100): c.sendall(b'\\x81\\x02hi')\n";
    let Some((_systemd, port, mut program)) = signalled_alone(end, worker) else { return };
    let mut client = connect(port);
    client.write_all(GET.as_bytes()).unwrap();
    let mut head = [0; 59];
    client.read_exact(&mut head).unwrap();
    assert!(head.ends_with(b"\r\n\r\n"), "{}", head.escape_ascii());
    program.terminate();
    let mut said = [0; 4];
    while said[0] != 0x88 {
        client.write_all(b"\x81\x82\x01\x02\x03\x04ik").unwrap();
        client.read_exact(&mut said).expect("the websocket is cut");
    }
    assert_eq!(said, [0x88, 2, 0x03, 0xf4]);
    client.write_all(b"\x88\x80\x01\x02\x03\x04").unwrap();
    assert_eq!(program.end(), 0);
}

/// nginx tells the clients of HTTP/2 that it knows of when its workers shall go, and answers one whose first
/// bytes come later until it is killed, with all streams that are open by then.
#[test]
fn a_client_whose_first_bytes_come_behind_the_masters_signal_is_told_to_go() {
    let end = "os.write(1, b'signal\\n'); os.wait(); os._exit(0)";
    let worker = "os.write(1, b'accepted\\n')\n\
        c.recv(1000)\n\
        c.sendall(b'\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n\
        stream = 1\n\
        while True:\n\
        \x20   c.sendall(b'\\0\\0\\1\\1\\5' + stream.to_bytes(4, 'big') + b'\\x88')\n\
        \x20   if not c.recv(1000): break\n\
        \x20   stream += 2\n";
    let Some((_systemd, port, mut program)) = signalled_alone(end, worker) else { return };
    let mut client = connect(port);
    assert_eq!(program.line(), "accepted");
    program.terminate();
    assert_eq!(program.line(), "signal");
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let began = std::time::Instant::now();
    let (mut kind, mut stream) = (0, 1_u32);
    while kind != 7 {
        assert!(began.elapsed() < PATIENCE, "{stream} requests were answered without a word");
        let mut head = [0; 9];
        client.read_exact(&mut head).unwrap();
        kind = head[3];
        client.read_exact(&mut vec![0; head[2].into()]).unwrap();
        if kind == 1 {
            stream += 2;
            let request = [&b"\0\0\x03\x01\x05"[..], &stream.to_be_bytes(), b"\x82\x86\x84"];
            client.write_all(&request.concat()).unwrap();
        }
    }
    drop(client);
    assert_eq!(program.end(), 0);
}

/// The same while the master waits: a worker goes on accepting, and says by itself which stream was the last
/// when it is told to go. Its client knows before it has opened another one.
#[test]
fn a_client_that_comes_while_the_master_waits_is_told_with_the_first_frames() {
    let end = "os.wait(); os._exit(0)";
    let worker = "while c.recv(100):\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        c, _ = s.accept()\n\
        c.recv(1000)\n\
        c.sendall(b'\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n\
        c.sendall(b'\\0\\0\\1\\1\\5\\0\\0\\0\\1\\x88')\n\
        c.recv(1000)\n";
    let Some((_systemd, port, mut program)) = signalled_alone(end, worker) else { return };
    let mut first = connect(port);
    let mut answer = String::new();
    first.write_all(GET.as_bytes()).unwrap();
    first.read_exact(&mut [0; 42]).unwrap();
    program.terminate();
    while !answer.contains("Connection: close") {
        first.write_all(GET.as_bytes()).unwrap();
        answer.clear();
        while !answer.ends_with("done") {
            let mut byte = [0];
            first.read_exact(&mut byte).unwrap();
            answer.push(byte[0].into());
        }
    }
    drop(first);
    let mut client = connect(port);
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84")
        .unwrap();
    let kinds: Vec<u8> = (0..3)
        .map(|_| {
            let mut head = [0; 9];
            client.read_exact(&mut head).unwrap();
            client.read_exact(&mut vec![0; head[2].into()]).unwrap();
            head[3]
        })
        .collect();
    assert_eq!(kinds, [4, 7, 1]);
    drop(client);
    assert_eq!(program.end(), 0);
}

/// A process that the program forks, as `multiprocessing` of Python does, has the connections of
/// its parent open as well: its own end is nothing to their clients.
#[test]
fn the_end_of_a_forked_process_leaves_its_parents_connections_alone() {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket, sys\n\
        if sys.argv[1] == 'handler':\n\
        \x20   signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        c, _ = s.accept()\n\
        c.recv(100)\n\
        c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        child = os.fork()\n\
        if child == 0:\n\
        \x20   while True: signal.pause()\n\
        os.kill(child, signal.SIGTERM)\n\
        os.waitpid(child, 0)\n\
        c.setblocking(False)\n\
        try: os.write(1, b'cut\\n' if c.recv(100) == b'' else b'?\\n')\n\
        except BlockingIOError: os.write(1, b'open\\n')\n";
    for how in ["handler", "default"] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        // Longer than any wait in this test: the parent's connections do not hold up the child either.
        systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
        let script = script.replace("PORT", &port.to_string());
        let program = systemd.start(&["python3", "-c", &script, how]);
        let mut client = connect(port);
        client.write_all(GET.as_bytes()).unwrap();
        assert_eq!(program.line(), "open", "{how}");
    }
}
