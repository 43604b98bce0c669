//! Programs that handle the signal themselves: when their handlers run, and what their clients are told first.

use std::io::Write;

use super::{NO_MORE_THREADS, ask, draining};
use crate::support::door::listening;
use crate::support::{Systemd, being_served, compile, connect, has, read_all, server};

#[test]
fn a_handler_of_the_program_wins() {
    let (_systemd, _port, mut program) = draining(&[server(), "own-handler", "PORT"]);
    program.reports(&["seen_as_default=1", "signal_says_default=1", "old_is_default=1"]);
    program.terminate();
    assert_eq!(program.end(), 7);
}

#[test]
fn a_program_that_ends_by_raising_the_signal_again_finishes_first() {
    let (_systemd, port, mut program) = draining(&[server(), "raises", "PORT"]);
    let mut client = being_served(&mut program, port);
    program.terminate();
    assert_eq!(read_all(&mut client), program.pid().to_string());
    // The program's handler runs when everything is answered, and the kernel carries out the signal's default action.
    assert_eq!(program.end(), -15, "{}", program.errors());
    assert_eq!(program.rest(), "cleaned_up=1\n");
    // With one thread there is nobody to finish anything, and nothing to wait for.
    let (_systemd, port, mut program) = draining(&[server(), "raises-alone", "PORT"]);
    let _client = connect(port);
    assert_eq!(program.line(), "accepted=1");
    program.terminate();
    assert_eq!(program.end(), -15);
}

/// `raise()` comes back when the handler has run, also in a program with one thread.
#[test]
fn a_program_that_raises_the_signal_for_its_own_handler_gets_it_at_once() {
    if has("python3") {
        let script = "import os, signal, socket\n\
            signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'handled\\n'))\n\
            s = socket.socket()\n\
            s.bind(('127.0.0.1', PORT))\n\
            s.listen()\n\
            signal.raise_signal(signal.SIGTERM)\n\
            os.write(1, b'back\\n')\n";
        let (_systemd, _port, mut program) = draining(&["python3", "-c", script]);
        program.reports(&["handled", "back"]);
        assert_eq!(program.end(), 0);
    }
}

/// Runtimes whose threads run on small stacks of their own ask for it.
#[test]
fn the_signal_arrives_on_the_alternate_stack_if_the_program_wants_it_there() {
    let alternate = compile("cc", "alternate.c", "alternate", &[]);
    let (_systemd, port, mut program) = draining(&[&alternate, "PORT"]);
    let mut client = connect(port);
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(program.line(), "request=1");
    program.terminate();
    assert_eq!(program.line(), "alternate=1");
    assert_eq!(program.end(), 0);
}

#[test]
fn a_handler_of_a_program_that_may_start_no_thread_comes_when_clients_are_told() {
    let script = "import os, select, signal, socket\n\
        s = socket.create_server(('127.0.0.1', PORT))\n\
        NO_MORE_THREADS\
        def end(*_):\n\
        \x20   os.write(1, b'handler\\n')\n\
        \x20   os._exit(7)\n\
        signal.signal(signal.SIGTERM, end)\n\
        print('handles', flush=True)\n\
        c, _ = s.accept()\n\
        answer = b'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone'\n\
        while c.recv(99):\n\
        \x20   c.sendall(answer)\n\
        c.close()\n\
        signal.pause()\n";
    let script = script.replace("NO_MORE_THREADS", NO_MORE_THREADS);
    let (_systemd, port, mut program) = draining(&["python3", "-c", &script]);
    assert_eq!(program.line(), "handles");
    let mut client = connect(port);
    assert!(!ask(&mut client).contains("Connection: close"));
    program.terminate();
    // The client is told to go with one of the next answers.
    let mut answer = ask(&mut client);
    while !answer.contains("Connection: close") {
        assert!(!answer.is_empty(), "{}", program.errors());
        answer = ask(&mut client);
    }
    drop(client);
    assert_eq!(program.line(), "handler");
    assert_eq!(program.end(), 7);
}

/// A server of Python's whose clients keep their connections.
const KEEPS_ALIVE: &str = "import http.server, os, signal, threading\n\
    class Server(http.server.BaseHTTPRequestHandler):\n\
    \x20   protocol_version = 'HTTP/1.1'\n\
    \x20   def do_GET(self):\n\
    \x20       self.send_response(200)\n\
    \x20       self.send_header('Content-Length', '4')\n\
    \x20       self.end_headers()\n\
    \x20       self.wfile.write(b'done')\n";

/// The main thread waits for the signal, and others serve: it goes on when the handler has run.
#[test]
fn a_program_that_waits_for_its_signal_gets_it_when_its_clients_are_told() {
    let script = "SERVER\
        signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'handler\\n'))\n\
        server = http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Server)\n\
        threading.Thread(target=server.serve_forever, daemon=True).start()\n\
        WAIT\n\
        os._exit(7)\n";
    for wait in ["signal.pause()", "import ctypes; ctypes.CDLL(None).sigsuspend(bytes(128))"] {
        let script = script.replace("SERVER", KEEPS_ALIVE).replace("WAIT", wait);
        gets_its_signal_when_clients_are_told(&["python3", "-c", &script]);
    }
}

/// uvicorn and others close idle connections at once: their clients are told before.
#[test]
fn a_python_server_gets_its_signal_when_its_clients_are_told() {
    if !has("python3") {
        return;
    }
    let script = "SERVER\
        def end(*_):\n\
        \x20   os.write(1, b'handler\\n')\n\
        \x20   os._exit(7)\n\
        signal.signal(signal.SIGTERM, end)\n\
        http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Server).serve_forever()\n";
    gets_its_signal_when_clients_are_told(&[
        "python3",
        "-c",
        &script.replace("SERVER", KEEPS_ALIVE),
    ]);
}

/// puma closes connections without a request at once.
/// uWSGI ignores SIGTERM until it has started, and ends at once then.
#[test]
fn a_handler_after_the_signal_was_ignored_is_put_off() {
    let script = "import os, signal, socket, time\n\
        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n\
        s = socket.create_server(('127.0.0.1', PORT))\n\
        signal.signal(signal.SIGTERM, lambda *_: os._exit(30))\n\
        while True:\n\
        \x20   c, _ = s.accept()\n\
        \x20   c.recv(99)\n\
        \x20   print('serves', flush=True)\n\
        \x20   time.sleep(0.5)\n\
        \x20   c.sendall(b'answered')\n\
        \x20   c.close()\n";
    let (_systemd, port, mut program) = draining(&["python3", "-c", script]);
    let mut client = connect(port);
    client.write_all(b"?").unwrap();
    assert_eq!(program.line(), "serves");
    program.terminate();
    assert_eq!(read_all(&mut client), "answered");
    assert_eq!(program.end(), 30);
}

#[test]
fn a_ruby_server_gets_its_signal_when_its_clients_are_told() {
    if !has("ruby") {
        return;
    }
    let script = "require 'socket'\n\
        trap('TERM') { $stdout.syswrite(\"handler\\n\"); exit!(7) }\n\
        server = TCPServer.new('127.0.0.1', PORT)\n\
        loop do\n\
        \x20 Thread.new(server.accept) do |client|\n\
        \x20   while client.gets(\"\\r\\n\\r\\n\")\n\
        \x20     client.write(\"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\ndone\")\n\
        \x20   end\n\
        \x20   client.close\n\
        \x20 end\n\
        end\n";
    gets_its_signal_when_clients_are_told(&["ruby", "-e", script]);
}

/// A server whose handler of SIGTERM says `handler` and ends with 7.
fn gets_its_signal_when_clients_are_told(server: &[&str]) {
    let (_systemd, port, mut program) = draining(server);
    let mut client = connect(port);
    assert!(!ask(&mut client).contains("Connection: close"));
    // The thread that watches the drain comes on top.
    let threads = format!("/proc/{}/task", program.pid());
    let count = || std::fs::read_dir(&threads).unwrap().count();
    let before = count();
    program.terminate();
    while count() <= before {
        std::thread::yield_now();
    }
    assert!(ask(&mut client).contains("Connection: close"));
    drop(client);
    assert_eq!(program.line(), "handler");
    assert_eq!(program.end(), 7);
    // No client is connected: the server gets its signal at once, whatever the timeout.
    let (_systemd, _port, mut program) = draining(server);
    program.terminate();
    assert_eq!(program.line(), "handler");
    assert_eq!(program.end(), 7);
}

/// In Ruby 3.3, a thread never ends its closing of a pipe to which the main thread still writes:
/// puma's hung so.
#[test]
fn a_ruby_server_goes_on_when_its_signal_handler_is_done() {
    let bell = compile("cc", "bell.c", "bell", &["-pthread", "-rdynamic"]);
    for how in ["select", "poll", "ppoll"] {
        let (_systemd, _port, mut program) = draining(&[&bell, how, "PORT"]);
        program.terminate();
        assert_eq!(program.line(), "woken=1 back=1", "{how}");
        assert_eq!(program.end(), 0);
    }
}

/// uvicorn and puma end by raising the signal, while threads of theirs still wait for work.
#[test]
fn a_signal_that_was_put_off_may_be_raised_again() {
    let python = "import http.server, signal, threading\n\
        def end(*_):\n\
        \x20   signal.signal(signal.SIGTERM, signal.SIG_DFL)\n\
        \x20   signal.raise_signal(signal.SIGTERM)\n\
        signal.signal(signal.SIGTERM, end)\n\
        threading.Thread(target=threading.Event().wait).start()\n\
        http.server.HTTPServer(('127.0.0.1', PORT), None).serve_forever()\n";
    // Ruby's own handler does the same.
    let ruby = "require 'socket'\n\
        Thread.new { sleep }\n\
        TCPServer.new('127.0.0.1', PORT).accept\n";
    for (program, option, script) in [("python3", "-c", python), ("ruby", "-e", ruby)] {
        if has(program) {
            let (_systemd, _port, mut program) = draining(&[program, option, script]);
            program.terminate();
            assert_eq!(program.end(), -15, "{}", program.errors());
        }
    }
}

/// Python looks at `errno` whatever `select()` returns: what was interrupted for the drain, and goes on, must
/// not look interrupted, nor may clients that others get wake who drains.
#[test]
fn a_wait_that_goes_on_during_a_drain_hears_the_programs_own_signal() {
    if !has("python3") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    systemd.set("CLUSTERCTL_DRAIN", "1");
    let script = "import os, select, signal, socket, sys\n\
        s = socket.socket()\n\
        s.bind(('127.0.0.1', PORT))\n\
        s.listen()\n\
        s.setblocking(False)\n\
        own, other = os.pipe()\n\
        signal.signal(signal.SIGTERM, lambda *_: os.write(other, b'.'))\n\
        signal.siginterrupt(signal.SIGTERM, False)\n\
        while True:\n\
        \x20   ready = select.select([s, own], [], [], 60)[0]\n\
        \x20   if own in ready: sys.exit(0)\n\
        \x20   try: s.accept()[0].close()\n\
        \x20   except BlockingIOError: pass\n";
    let words = ["python3", "-c", script];
    let (mut program, door) = listening(&mut systemd, port, false, &words);
    program.terminate();
    while !door.is_left() {
        std::thread::yield_now();
    }
    let _client = connect(port);
    assert_eq!(program.end(), 0);
}
