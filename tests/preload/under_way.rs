//! What is under way when a program is asked to stop: it ends well, however long it takes within
//! `kill_timeout`, and whatever the program does with its signal.

use std::io::{Read, Write};
use std::time::Duration;

use crate::support::{PATIENCE, Program, Systemd, connect, has, read_all};

/// An asyncio server, as the fast servers of Python are built. It says `request` for each request
/// that it begins, answers `/wait` when a line comes on standard input, streams parts of
/// `/stream` for each such line until `end`, and leaves `/upgrade` open. Its first argument says
/// what it does on SIGTERM.
const SERVER: &str = r#"
import asyncio, os, signal, sys
def say(text): os.write(1, (text + "\n").encode())
lines = asyncio.Queue()
async def client(reader, writer):
    async def read(count=None):
        data = await (reader.readuntil(b"\r\n\r\n") if count is None else reader.readexactly(count))
        return data
    try:
        while True:
            head = await read()
            say("request")
            path = head.split(b" ")[1]
            ended = asyncio.ensure_future(gone(reader)) if path != b"/upgrade" else None
            if path == b"/wait":
                await lines.get()
            if path == b"/stream":
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                line = ""
                while line != "end":
                    line = await lines.get()
                    writer.write(b"%x\r\n%s\r\n" % (len(line), line.encode()))
                    say("sent")
                writer.write(b"0\r\n\r\n")
            elif path == b"/upgrade":
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
                say("upgraded")
                await reader.read()
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
            if ended: ended.cancel()
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        say("gone")
    writer.close()
# As servers do that take the end of the input for the end of the client.
async def gone(reader):
    while not reader.at_eof(): await asyncio.sleep(0.01)
    say("cut")
    os._exit(3)
async def main():
    loop = asyncio.get_running_loop()
    def typed():
        line = sys.stdin.readline()
        if line: lines.put_nowait(line.strip())
        else: loop.remove_reader(0)
    loop.add_reader(0, typed)
    if sys.argv[1] == "exits":
        signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
    server = await asyncio.start_server(client, "127.0.0.1", PORT)
    await server.serve_forever()
asyncio.run(main())
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Server {
    _systemd: Systemd,
    program: Program,
    port: u16,
}

/// Starts the server; `None` without Python.
fn server(on_signal: &str) -> Option<Server> {
    server_with(on_signal, &[])
}

/// The same, with these variables of its unit.
fn server_with(on_signal: &str, variables: &[(&str, &str)]) -> Option<Server> {
    if !has("python3") {
        return None;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    for (name, value) in variables {
        systemd.set(name, value);
    }
    let script = SERVER.replace("PORT", &port.to_string());
    let program = systemd.start(&["python3", "-c", &script, on_signal]);
    assert_eq!(systemd.notified(), "READY=1");
    Some(Server { _systemd: systemd, program, port })
}

impl Server {
    /// A client that has sent this in the moment in which it connected.
    fn ask(&self, path: &str) -> std::net::TcpStream {
        let mut client = connect(self.port);
        client.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(self.program.line(), "request");
        client
    }

    fn type_in(&mut self, line: &str) {
        self.program.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// The exit status of a server with this handler that was asked to stop and has drained.
fn status(on_signal: &str) -> i32 {
    if on_signal == "exits" { 7 } else { 0 }
}

/// More than twice as long as a silence that was ever taken for the end of an answer. No event tells
/// that a connection is left alone, so time has to pass.
fn a_while() {
    std::thread::sleep(Duration::from_millis(1300));
}

#[test]
fn an_answer_may_take_its_time_whatever_the_handler_does() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/wait");
        server.program.terminate();
        a_while();
        server.type_in("go");
        assert!(read_all(&mut client).ends_with("done"), "{handler}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

/// nginx and php-fpm drain at SIGQUIT, and programs in Python at SIGINT.
#[test]
fn the_signal_that_the_unit_sends_is_the_one_that_drains() {
    use rustix::process::Signal;
    for (name, signal) in [("SIGQUIT", Signal::QUIT), ("SIGINT", Signal::INT)] {
        let Some(mut server) = server_with("default", &[("CLUSTERCTL_KILL_SIGNAL", name)]) else {
            return;
        };
        let mut client = server.ask("/wait");
        server.program.signal(signal);
        a_while();
        server.type_in("go");
        let answer = read_all(&mut client);
        assert!(answer.contains("Connection: close") && answer.ends_with("done"), "{answer:?}");
        let interrupted = if name == "SIGINT" { -2 } else { 0 };
        assert_eq!(server.program.end(), interrupted, "{}", server.program.errors());
    }
}

#[test]
fn a_stream_is_under_way_until_its_last_chunk() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/stream");
        server.type_in("one");
        assert_eq!(server.program.line(), "sent");
        server.program.terminate();
        a_while();
        server.type_in("two");
        assert_eq!(server.program.line(), "sent");
        a_while();
        server.type_in("end");
        let answer = read_all(&mut client);
        assert!(answer.ends_with("two\r\n3\r\nend\r\n0"), "{handler}: {answer:?}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn half_a_request_is_waited_for() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/");
        let mut answer = [0; 42];
        client.read_exact(&mut answer).unwrap();
        let (half, rest) = GET.split_at(9);
        client.write_all(half.as_bytes()).unwrap();
        server.program.terminate();
        a_while();
        client.write_all(rest.as_bytes()).unwrap();
        let answer = read_all(&mut client);
        assert!(answer.contains("Connection: close") && answer.ends_with("done"), "{answer:?}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn a_client_that_connects_may_wait_before_it_asks() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        // Accepted in the order in which they came.
        let mut client = connect(server.port);
        drop(server.ask("/"));
        assert_eq!(server.program.line(), "gone");
        server.program.terminate();
        a_while();
        client.write_all(GET.as_bytes()).unwrap();
        assert!(read_all(&mut client).ends_with("done"), "{handler}");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

#[test]
fn an_upgraded_connection_is_the_handlers_affair() {
    let Some(mut server) = server("exits") else { return };
    let _client = server.ask("/upgrade");
    assert_eq!(server.program.line(), "upgraded");
    server.program.terminate();
    assert_eq!(server.program.end(), 7);
}

#[test]
fn an_idle_connection_is_told_to_go() {
    for handler in ["default", "exits"] {
        let Some(mut server) = server(handler) else { return };
        let mut client = server.ask("/");
        let mut answer = [0; 42];
        client.read_exact(&mut answer).unwrap();
        server.program.terminate();
        assert_eq!(read_all(&mut client), "");
        assert_eq!(server.program.line(), "gone");
        assert_eq!(server.program.end(), status(handler), "{}", server.program.errors());
    }
}

/// A program may take its time from the end of the input to its `close()`: threads take turns, others have
/// closed before. What its client would send meanwhile nobody reads any more.
#[test]
fn a_client_hears_of_the_end_before_its_program_closes() {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket, sys\n\
        if sys.argv[1] == 'exits': signal.signal(signal.SIGTERM, lambda *_: os._exit(7))\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        client, _ = s.accept()\n\
        while client.recv(1000):\n\
        \x20   client.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        os.write(1, b'gone\\n')\n\
        sys.stdin.readline()\n\
        client.close()\n\
        signal.pause()\n";
    for handler in ["default", "exits"] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        systemd.set("CLUSTERCTL_DRAIN", "1");
        let script = script.replace("PORT", &port.to_string());
        let mut program = systemd.start(&["python3", "-c", &script, handler]);
        assert_eq!(systemd.notified(), "READY=1");
        let mut client = connect(port);
        client.write_all(GET.as_bytes()).unwrap();
        client.read_exact(&mut [0; 42]).unwrap();
        program.terminate();
        assert_eq!(program.line(), "gone");
        // It has not closed yet, and does not before it hears from here.
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "{handler}");
        assert!(program.is_running(), "{handler}: the end has come with the program's own");
        program.input.write_all(b"close\n").unwrap();
        assert_eq!(program.end(), status(handler), "{}", program.errors());
    }
}

#[test]
fn only_the_last_of_several_answers_says_that_it_is() {
    let Some(mut server) = server("default") else { return };
    let mut client = server.ask("/wait");
    client.write_all(GET.repeat(2).as_bytes()).unwrap();
    server.program.terminate();
    a_while();
    server.type_in("go");
    let answers = read_all(&mut client);
    assert_eq!(answers.matches("done").count(), 3, "{answers}");
    assert_eq!(answers.matches("Connection: close").count(), 1, "{answers}");
    assert!(answers.rfind("HTTP/1.1") < answers.find("Connection: close"), "{answers}");
    assert_eq!(server.program.end(), 0);
}

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
    // It waits in accept(), since its parent's socket was a blocking one.
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
    if !has("python3") {
        return;
    }
    let script = "import os, select, signal, socket, sys\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        read, write = os.pipe()\n\
        def end(*_):\n\
        \x20   os.write(1, b'signal\\n')\n\
        \x20   os.write(write, b'x')\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, end)\n\
        if os.fork():\n\
        \x20   while True: signal.pause()\n\
        c, _ = s.accept()\n\
        while read not in (ready := select.select([c, read], [], [])[0]) and c.recv(100):\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let mut program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
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
    if !has("python3") {
        return;
    }
    let script = "import os, select, signal, socket, time\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        read, write = os.pipe()\n\
        def end(*_):\n\
        \x20   os.write(write, b'x')\n\
        \x20   os.wait()\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, end)\n\
        if os.fork():\n\
        \x20   while True: signal.pause()\n\
        c, _ = s.accept()\n\
        for _ in range(c.recv(1000).count(b'GET')):\n\
        \x20   time.sleep(0.4)\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        \x20   if select.select([read], [], [], 0)[0]: break\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "40000");
    let mut program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
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

/// Nobody else would end it: nginx leaves it to the manager's SIGKILL.
#[test]
fn a_websocket_of_a_worker_whose_master_alone_is_signalled_is_closed() {
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        def end(*_):\n\
        \x20   os.wait()\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, end)\n\
        if os.fork():\n\
        \x20   while True: signal.pause()\n\
        c, _ = s.accept()\n\
        c.recv(1000)\n\
        c.sendall(b'HTTP/1.1 101 x\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n')\n\
        while c.recv(100): c.sendall(b'\\x81\\x02hi')\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
    let mut program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
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
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        def end(*_):\n\
        \x20   os.write(1, b'signal\\n')\n\
        \x20   os.wait()\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, end)\n\
        if os.fork():\n\
        \x20   while True: signal.pause()\n\
        c, _ = s.accept()\n\
        os.write(1, b'accepted\\n')\n\
        c.recv(1000)\n\
        c.sendall(b'\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n\
        stream = 1\n\
        while True:\n\
        \x20   c.sendall(b'\\0\\0\\1\\1\\5' + stream.to_bytes(4, 'big') + b'\\x88')\n\
        \x20   if not c.recv(1000): break\n\
        \x20   stream += 2\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
    let mut program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
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
    if !has("python3") {
        return;
    }
    let script = "import os, signal, socket\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        def end(*_):\n\
        \x20   os.wait()\n\
        \x20   os._exit(0)\n\
        signal.signal(signal.SIGTERM, end)\n\
        if os.fork():\n\
        \x20   while True: signal.pause()\n\
        c, _ = s.accept()\n\
        while c.recv(100):\n\
        \x20   c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone')\n\
        c, _ = s.accept()\n\
        c.recv(1000)\n\
        c.sendall(b'\\0\\0\\0\\4\\0\\0\\0\\0\\0')\n\
        c.sendall(b'\\0\\0\\1\\1\\5\\0\\0\\0\\1\\x88')\n\
        c.recv(1000)\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
    let mut program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
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
        // Longer than anybody waits here: nor do the parent's connections hold up the child.
        systemd.set("CLUSTERCTL_DRAIN", "1").set("CLUSTERCTL_KILL_TIMEOUT_MS", "60000");
        let script = script.replace("PORT", &port.to_string());
        let program = systemd.start(&["python3", "-c", &script, how]);
        let mut client = connect(port);
        client.write_all(GET.as_bytes()).unwrap();
        assert_eq!(program.line(), "open", "{how}");
    }
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
