//! Programs that look before they listen: what they find is what they would find if nobody held
//! their address.

use crate::support::{Systemd, ask, has};

fn python(
    script: &str,
    variables: &[(&str, &str)],
) -> Option<(Systemd, u16, crate::support::Program)> {
    if !has("python3") {
        return None;
    }
    let (mut systemd, port) = Systemd::tcp("::");
    for (name, value) in variables {
        systemd.set(name, value);
    }
    let program = systemd.start(&["python3", "-c", &script.replace("PORT", &port.to_string())]);
    Some((systemd, port, program))
}

/// `serve`, php-fpm and others ask whether somebody answers on their port.
#[test]
fn a_port_is_free_until_the_program_has_it() {
    let script = "import errno, os, socket\n\
        def tries(host, family):\n\
        \x20   s = socket.socket(family)\n\
        \x20   return s.connect_ex((host, PORT)) == errno.ECONNREFUSED\n\
        def all():\n\
        \x20   return (tries('127.0.0.1', socket.AF_INET), tries('::1', socket.AF_INET6),\n\
        \x20       tries('127.0.0.9', socket.AF_INET), tries('::', socket.AF_INET6))\n\
        print(*all(), flush=True)\n\
        s = socket.socket(socket.AF_INET6)\n\
        s.bind(('::', PORT))\n\
        s.listen()\n\
        print(*all(), flush=True)\n";
    let Some((_systemd, _port, program)) = python(script, &[]) else { return };
    program.reports(&["True True True True", "False False False False"]);
}

/// A program that starts the server and waits for it, and a client that such a script executes.
#[test]
fn who_starts_the_server_can_wait_for_its_port() {
    let script = "import socket, subprocess, sys\n\
        tries = 'import socket; print(socket.socket().connect_ex((\"127.0.0.1\", PORT)), flush=True)'\n\
        child = 'import socket\\ns = socket.socket(socket.AF_INET6)\\ns.bind((\"::\", PORT))\\n' \\\n\
        \x20   's.listen()\\nprint(\"listens\", flush=True)\\ninput()\\n'\n\
        exec(tries)\n\
        p = subprocess.Popen([sys.executable, '-c', child], stdin=subprocess.PIPE,\n\
        \x20   stdout=subprocess.PIPE)\n\
        assert p.stdout.readline() == b'listens\\n'\n\
        exec(tries)\n\
        subprocess.run([sys.executable, '-c', tries])\n\
        p.kill()\n\
        p.wait()\n\
        exec(tries)\n";
    let Some((_systemd, _port, program)) = python(script, &[]) else { return };
    program.reports(&["111", "0", "0", "111"]);
}

/// Another service of this machine is not what the program probes for.
#[test]
fn connections_elsewhere_are_the_kernels() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let script = format!(
        "import socket\nprint(socket.socket().connect_ex(('127.0.0.1', {})), flush=True)\n",
        other.local_addr().unwrap().port()
    );
    let Some((_systemd, _port, program)) = python(&script, &[]) else { return };
    program.reports(&["0"]);
}

/// haproxy does not call `listen()` on a socket that listens already.
#[test]
fn a_socket_does_not_listen_before_the_program_says_so() {
    let script = "import socket\n\
        def listens(s): return s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)\n\
        s = socket.socket(socket.AF_INET6)\n\
        s.bind(('::', PORT))\n\
        print(listens(s), flush=True)\n\
        s.listen()\n\
        print(listens(s), flush=True)\n\
        c, _ = s.accept()\n\
        c.sendall(b'served')\n";
    let Some((systemd, port, program)) = python(script, &[]) else { return };
    program.reports(&["0", "1"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), "served");
}

/// uWSGI takes inherited listeners for sockets of its own protocol.
#[test]
fn a_program_that_misreads_the_variables_does_not_see_them() {
    let uwsgi = crate::support::compile("cc", "misreader.c", "uwsgi-misreader", &[]);
    let (systemd, port) = Systemd::tcp("127.0.0.1");
    let program = systemd.start(&[&uwsgi, &port.to_string()]);
    program.reports(&["sees=0"]);
    assert_eq!(systemd.notified(), "READY=1");
    assert_eq!(ask(port), "served");
}
