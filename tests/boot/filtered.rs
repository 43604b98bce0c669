//! Behind systemd-nspawn's own filter of system calls, as in its users' containers: `pidfd_getfd()` among others is
//! forbidden there. Each way of handing listeners over serves and loses nothing.

use crate::support::load::Load;
use crate::support::{Machine, Root, filtered_machine};
use crate::trace::{all_answer, go_server};

/// `name`, its port, and what its table says.
pub const APPS: [(&str, u16, &str); 4] = [
    ("library", 3001, "script = 'server.py'"),
    ("node", 3002, "script = 'server.js'"),
    ("tracer", 3003, "script = './server'\nkill_timeout = '30s'"),
    ("native", 3004, "script = 'native.py'\nhandover = 'native'\nnon_blocking = false"),
];

const PYTHON: &str = "\
import http.server, os
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f'instance {os.getpid()} .'.encode()
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *_): pass
";
const BINDS: &str = "http.server.ThreadingHTTPServer(('', 3001), Shop).serve_forever()\n";
/// Answers what it has accepted when it is told to end.
const INHERITS: &str = "\
import signal, socket, sys
server = http.server.HTTPServer(('', 3004), Shop, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.timeout = 0.1
going = []
signal.signal(signal.SIGTERM, lambda *_: going.append(1))
while not going: server.handle_request()
";
const NODE: &str =
    "require('http').createServer((q, s) => s.end(`instance ${process.pid} .`)).listen(3002);\n";

/// Runs a command where the machine's own services run, behind the filter.
fn inside(m: &Machine, command: &[&str]) -> String {
    m.ok(["systemd-run", "--quiet", "--pipe", "--wait", "--"].iter().chain(command))
}

fn is_filtered(m: &Machine) {
    let status = inside(m, &["grep", "Seccomp:", "/proc/self/status"]);
    assert_eq!(status, "Seccomp:\t2");
    // `pidfd_open()` of itself and a copy of its standard error.
    let copy = "import ctypes, os\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        print(libc.syscall(438, libc.syscall(434, os.getpid(), 0), 2, 0), ctypes.get_errno())";
    assert_eq!(inside(m, &["python3", "-c", copy]), "-1 1");
}

fn write(m: &Machine, more: &str) -> Option<()> {
    m.copy(go_server()?, "/srv/shop/server");
    m.write("/srv/shop/server.py", format!("{PYTHON}{BINDS}"));
    m.write("/srv/shop/native.py", format!("{PYTHON}{INHERITS}"));
    m.write("/srv/shop/server.js", NODE);
    let table = |(name, port, toml): &(&str, u16, &str)| {
        format!(
            "[[apps]]\nname = '{name}'\ncwd = '/srv/shop'\n{toml}\nlisten = {port}\ninstances = 2\n\
             env = {{ PORT = '{port}' }}\n{more}"
        )
    };
    m.write("/srv/shop/ecosystem.toml", APPS.iter().map(table).collect::<String>());
    Some(())
}

fn processes(m: &Machine) -> Vec<String> {
    let pid = |(name, ..): &(&str, u16, &str)| m.systemctl_show(&format!("{name}@1"), "MainPID");
    APPS.iter().map(pid).collect()
}

fn every_handover(root: Root) {
    let Some(m) = filtered_machine(root) else { return };
    is_filtered(&m);
    every_handover_of(&m, "");
}

/// All of them, with more lines for each app.
pub fn every_handover_of(m: &Machine, more: &str) {
    if write(m, more).is_none() {
        return;
    }
    inside(m, &["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let mut runs = Vec::new();
    for (name, port, _) in APPS {
        all_answer(m, &format!("localhost:{port}"), 2);
        let load = Load::http(&format!("127.0.0.1:{port}")).new_connections(30.0);
        runs.push((name, m.load(load.expect("instance ").instance_after("instance "))));
    }
    runs.iter_mut().for_each(|(_, run)| run.wait_flowing());
    let before = processes(m);
    inside(m, &["clusterctl", "reload", "all"]);
    for (name, run) in runs {
        let report = run.stop();
        assert!(report.failed() == 0, "{name}: {report:#?}\n{}", m.journal(&format!("{name}@*")));
    }
    let after = processes(m);
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    inside(m, &["clusterctl", "doctor"]);
    inside(m, &["clusterctl", "delete", "all"]);
}

#[test]
fn every_handover_host() {
    every_handover(Root::Host);
}

#[test]
fn every_handover_trixie() {
    every_handover(Root::Trixie);
}
