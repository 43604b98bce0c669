//! What stands for a listener where programs wait for it: the same program that is reached by its door
//! alone serves everybody later, whatever it waits by.

use std::path::{Path, PathBuf};

use crate::support::door::{listening, takes_its_turns};
use crate::support::{Systemd, ask, has, made, read_all, server, skip};

fn turns(words: &[&str], host: &str, answer: &str) {
    let (mut systemd, port) = Systemd::tcp(host);
    let (mut program, door) = listening(&mut systemd, port, true, words);
    takes_its_turns(&door, port, answer);
    assert!(program.is_running(), "{words:?}: {}", program.errors());
}

#[test]
fn every_way_of_waiting_has_its_turns() {
    for mode in [
        "blocking",
        "poll",
        "select",
        "epoll",
        "thread",
        "relisten",
        "twice",
        "duplicates",
        "reuseport",
        "poll-then-block",
        "native",
        "native-poll",
        "native-epoll",
    ] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        let (program, door) = listening(&mut systemd, port, true, &[server(), mode, "PORT"]);
        eprintln!("{mode}");
        takes_its_turns(&door, port, &program.pid().to_string());
    }
}

#[test]
fn forked_processes_have_their_turns_together() {
    for mode in ["prefork", "fork-first"] {
        let (mut systemd, port) = Systemd::tcp("127.0.0.1");
        let (program, door) = listening(&mut systemd, port, true, &[server(), mode, "PORT"]);
        takes_its_turns(&door, port, "");
        let children = format!("/proc/{0}/task/{0}/children", program.pid());
        let children = std::fs::read_to_string(children).unwrap();
        for _ in 0..20 {
            let answer = ask(port);
            assert!(children.split_whitespace().any(|child| child == answer), "{mode}: {answer}");
        }
    }
}

const NODE: &str = "require('http').createServer((q, r) => r.end('served')).listen(PORT)";

/// Node as it is here, and the versions that came with the others' tests.
fn nodes() -> Vec<PathBuf> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    let folders = std::fs::read_dir(&target).into_iter().flatten().flatten();
    let folders = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("nodes-"));
    let versions = folders.flat_map(|entry| {
        let modules = std::fs::read_dir(entry.path().join("node_modules"));
        modules.into_iter().flatten().flatten().map(|entry| entry.path().join("bin/node"))
    });
    let own = has("node").then(|| PathBuf::from("node"));
    own.into_iter().chain(versions.filter(|path| path.exists())).collect()
}

#[test]
fn every_node_has_its_turns() {
    for node in nodes() {
        turns(&[node.to_str().unwrap(), "--eval", NODE], "::", "served");
    }
}

/// Node's own cluster: the primary accepts, and its workers serve.
#[test]
fn the_workers_of_nodes_own_cluster_have_their_turns() {
    if !has("node") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let file = systemd.directory.path().join("cluster.js");
    let script = "const cluster = require('cluster');\n\
        if (cluster.isPrimary) { cluster.fork(); cluster.fork(); }\n\
        else SERVER";
    std::fs::write(&file, script.replace("SERVER", NODE).replace("PORT", &port.to_string()))
        .unwrap();
    let words = ["node", file.to_str().unwrap()];
    let (_program, door) = listening(&mut systemd, port, true, &words);
    takes_its_turns(&door, port, "served");
}

const ASYNCIO: &str = "import asyncio\n\
    RUN\
    async def serve(reader, writer):\n\
    \x20   await reader.readuntil(b'\\r\\n\\r\\n')\n\
    \x20   writer.write(b'HTTP/1.0 200 OK\\r\\n\\r\\nserved')\n\
    \x20   await writer.drain()\n\
    \x20   writer.close()\n\
    async def main():\n\
    \x20   server = await asyncio.start_server(serve, HOST, PORT)\n\
    \x20   await server.serve_forever()\n\
    asyncio.run(main())\n";

/// Without a host, asyncio has a socket for each family: two in one set, and both are the one listener.
#[test]
fn asyncio_and_uvloop_have_their_turns() {
    if !has("python3") {
        return;
    }
    let own = ASYNCIO.replace("RUN", "");
    turns(&["python3", "-c", &own.replace("HOST", "'127.0.0.1'")], "127.0.0.1", "served");
    turns(&["python3", "-c", &own.replace("HOST", "None")], "::", "served");
    let list = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(list.path(), "uvloop==0.23.0\n").unwrap();
    match made::from_pip(list.path()) {
        Err(why) => skip::record(&why),
        Ok(folder) => {
            let begin = format!("import sys\nsys.path.insert(0, {folder:?})\n");
            let run = [&begin, "import uvloop\nuvloop.install()\n"].concat();
            let script = ASYNCIO.replace("RUN", &run).replace("HOST", "'127.0.0.1'");
            turns(&["/usr/bin/python3", "-c", &script], "127.0.0.1", "served");
        }
    }
}

/// How a program begins and answers, for those that only differ in how they wait.
const BEGINS: &str = "import http.server, os, select, socket, threading, time\n\
    def listening():\n\
    \x20   s = socket.socket()\n\
    \x20   s.bind(('127.0.0.1', PORT))\n\
    \x20   s.listen()\n\
    \x20   s.setblocking(False)\n\
    \x20   return s\n\
    def answer(s, text=b'served'):\n\
    \x20   try: c, _ = s.accept()\n\
    \x20   except BlockingIOError: return False\n\
    \x20   c.setblocking(True)\n\
    \x20   c.recv(99)\n\
    \x20   c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\n' + text)\n\
    \x20   c.close()\n\
    \x20   return True\n";

fn python(script: &str) {
    if has("python3") {
        turns(&["python3", "-c", &[BEGINS, script].concat()], "127.0.0.1", "served");
    }
}

/// As mio and tokio do: until nothing is left.
#[test]
fn one_who_waits_for_edges_misses_none() {
    python(
        "s = listening()\n\
        e = select.epoll()\n\
        e.register(s.fileno(), select.EPOLLIN | select.EPOLLET)\n\
        while True:\n\
        \x20   e.poll()\n\
        \x20   while answer(s): pass\n",
    );
}

/// nginx and others want to be woken alone.
#[test]
fn one_who_wants_to_be_woken_alone_is_woken() {
    python(
        "s = listening()\n\
        e = select.epoll()\n\
        e.register(s.fileno(), select.EPOLLIN | 1 << 28)\n\
        while True:\n\
        \x20   e.poll()\n\
        \x20   answer(s)\n",
    );
}

/// What is taken out and put back (asyncio without free descriptors), closed without a word, listened on
/// again, duplicated into the same set, and added twice.
#[test]
fn a_listener_may_come_and_go_in_a_set() {
    python(
        "e = select.epoll()\n\
        for _ in range(50):\n\
        \x20   s = listening()\n\
        \x20   e.register(s.fileno(), select.EPOLLIN)\n\
        \x20   e.unregister(s.fileno())\n\
        \x20   e.register(s.fileno(), select.EPOLLIN | select.EPOLLET)\n\
        \x20   e.modify(s.fileno(), select.EPOLLIN)\n\
        \x20   s.close()\n\
        first = listening()\n\
        all = {x.fileno(): x for x in (first, first.dup(), listening())}\n\
        for fd in all: e.register(fd, select.EPOLLIN)\n\
        try: e.register(first.fileno(), select.EPOLLIN)\n\
        except FileExistsError: added = True\n\
        seen = set()\n\
        while added:\n\
        \x20   for fd, _ in e.poll():\n\
        \x20       seen.add(fd)\n\
        \x20       answer(all[fd], b'served' if seen == set(all) else b'not yet served')\n",
    );
}

/// The kernel lets so many sets watch one listener through others: more watch the listener itself.
#[test]
fn more_sets_than_the_kernel_allows_serve_all_the_same() {
    if !has("python3") {
        return;
    }
    let script = "s = listening()\n\
        sets = [select.epoll() for _ in range(600)]\n\
        for e in sets: e.register(s.fileno(), select.EPOLLIN)\n\
        for e in sets: e.modify(s.fileno(), select.EPOLLIN)\n\
        for e in sets[:599]: e.unregister(s.fileno())\n\
        while sets[599].poll(): answer(s)\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let script = [BEGINS, script].concat();
    let words = ["python3", "-c", &script];
    let (_program, door) = listening(&mut systemd, port, false, &words);
    for _ in 0..20 {
        assert!(read_all(&mut door.waiting(port)).ends_with("served"));
    }
}

/// The numbers that stand for listeners are above those of which the program thinks.
#[test]
fn a_select_with_small_sets_writes_nothing_beyond_them() {
    python(
        "import ctypes\n\
        s = listening()\n\
        memory = (ctypes.c_uint64 * 4)(0, *[2**64 - 1] * 3)\n\
        libc = ctypes.CDLL(None)\n\
        while True:\n\
        \x20   memory[0] = 1 << s.fileno()\n\
        \x20   assert libc.select(s.fileno() + 1, memory, None, None, None) == 1\n\
        \x20   assert list(memory) == [1 << s.fileno()] + [2**64 - 1] * 3\n\
        \x20   answer(s)\n",
    );
}

/// `SO_RCVTIMEO` ends a wait for a listener out of rotation too.
#[test]
fn a_wait_for_so_long_ends_then() {
    if !has("python3") {
        return;
    }
    let script = "import struct\n\
        s = listening()\n\
        s.setblocking(True)\n\
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', 0, 1000))\n\
        while answer(s): pass\n\
        print('ended', flush=True)\n\
        while True: answer(s)\n";
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let script = [BEGINS, script].concat();
    let words = ["python3", "-c", &script];
    let (program, door) = listening(&mut systemd, port, true, &words);
    assert_eq!(program.line(), "ended");
    takes_its_turns(&door, port, "served");
}

#[test]
fn other_languages_have_their_turns() {
    let ruby = "require 'socket'\n\
        server = TCPServer.new('127.0.0.1', PORT)\n\
        loop do\n\
        \x20 client = server.accept\n\
        \x20 client.readpartial(99)\n\
        \x20 client.write(\"HTTP/1.0 200 OK\\r\\n\\r\\nserved\")\n\
        \x20 client.close\n\
        end\n";
    if has("ruby") {
        turns(&["ruby", "-e", ruby], "127.0.0.1", "served");
    }
    python(
        "class Served(http.server.BaseHTTPRequestHandler):\n\
        \x20   def do_GET(self):\n\
        \x20       self.send_response(200)\n\
        \x20       self.end_headers()\n\
        \x20       self.wfile.write(b'served')\n\
        http.server.ThreadingHTTPServer(('127.0.0.1', PORT), Served).serve_forever()\n",
    );
    python(
        "s = listening()\n\
        s.setblocking(True)\n\
        def serve():\n\
        \x20   while True: answer(s)\n\
        for _ in range(4): threading.Thread(target=serve).start()\n",
    );
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    if has("php") {
        let router = file("router.php", "<?php echo 'served';");
        turns(&["php", "-S", "127.0.0.1:PORT", &router], "127.0.0.1", "served");
    }
    if has("java") && has("javac") {
        let source = file("Serves.java", JAVA);
        turns(&["java", &source, "PORT"], "::", "served");
    }
}

const JAVA: &str = "import com.sun.net.httpserver.HttpServer;\n\
    import java.net.InetSocketAddress;\n\
    public class Serves { public static void main(String[] args) throws Exception {\n\
    HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(args[0])), 0);\n\
    server.createContext(\"/\", exchange -> {\n\
    byte[] text = \"served\".getBytes();\n\
    exchange.sendResponseHeaders(200, text.length);\n\
    exchange.getResponseBody().write(text); exchange.close(); });\n\
    server.start(); } }";

/// nginx empties its environment, and its workers are another user.
#[test]
fn nginx_with_two_workers_has_its_turns() {
    if !has("nginx") {
        return;
    }
    let (mut systemd, port) = Systemd::tcp("127.0.0.1");
    let folder = systemd.directory.path().to_owned();
    let pid = folder.join("pid");
    let text = format!(
        "daemon off; worker_processes 2; user nobody nogroup; pid {}; error_log stderr;\n\
        events {{ worker_connections 100; }}\n\
        http {{ access_log off;\n\
        server {{ listen {port}; location / {{ return 200 served; }} }} }}",
        pid.display()
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    let words = ["nginx", "-c", file.to_str().unwrap()];
    let (mut program, door) = listening(&mut systemd, port, true, &words);
    takes_its_turns(&door, port, "served");
    program.terminate();
    assert_eq!(program.end(), 0);
}
