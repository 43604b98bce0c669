//! Programs without an ecosystem file: tried once in a network of their own, then applied.

use crate::booted_long;
use crate::support::{Machine, Output, load::Load, wait_until};
use std::time::Duration;

const SERVER: &str = "\
require('http').createServer((q, s) => {
  s.end(`instance ${process.env.NODE_APP_INSTANCE} ${process.argv.slice(2)} .`);
}).listen(process.env.PORT || 3000);
";

/// Listens on a Unix socket by a relative path, on a port that the kernel chooses, and by UDP;
/// leaves a child behind that ignores SIGTERM.
const MIXED: &str = "\
import os, signal, socket, time
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(1000)
u = socket.socket(socket.AF_UNIX)
u.bind('mixed.sock')
u.listen()
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
d.bind(('0.0.0.0', 5353))
e = socket.socket()
e.bind(('127.0.0.1', 0))
e.listen()
time.sleep(1000)
";

fn in_folder(m: &Machine, command: &str) -> Output {
    m.sh(&format!("cd /srv/found && exec clusterctl {command}"))
}

/// What a trial could leave behind: namespaces, mounts, files and processes.
fn surroundings(m: &Machine) -> String {
    m.ok_sh(
        "ls -I ecosystem.toml /srv/found; cat /proc/1/mountinfo; \
         for kind in net pid user; do readlink /proc/[0-9]*/ns/$kind | sort -u; done; \
         cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o '[s]tage init' || true",
    )
}

booted_long!(a_script_is_found_written_and_applied, |m| {
    m.write("/srv/found/app.js", SERVER);
    let before = surroundings(m);
    let output = in_folder(m, "start app.js -i 4 --name api -- one two");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(surroundings(m), before);
    let file = m.read("/srv/found/ecosystem.toml");
    assert!(file.contains("name = \"api\"\nscript = \"app.js\""), "{file}");
    assert!(file.contains("instances = 4\nlisten = 3000\n"), "{file}");
    let load = Load::http("127.0.0.1:3000").new_connections(50.0).keep_alive(50.0);
    let mut load = m.load(load.expect(" one,two .").instance_after("instance "));
    load.wait_flowing();
    assert_eq!(m.clusterctl(["reload", "api"]).code, 0);
    load.stop().assert_none_failed();
    let mut seen = std::collections::BTreeSet::new();
    wait_until("all four answer", Duration::from_secs(20), || {
        seen.insert(m.ok(["curl", "-s", "localhost:3000"]));
        seen.len() == 4
    });

    // The name of an app is still what it was, also when a file has the same name.
    m.write("/srv/found/api", "");
    m.ok(["clusterctl", "stop", "api"]);
    assert_eq!(in_folder(m, "start api").code, 0);
    assert_eq!(m.systemctl_show("api@3", "ActiveState"), "active");
    assert_eq!(in_folder(m, "start nothing").code, 5);

    // An ecosystem file of somebody else is left alone, and what to add to it is printed.
    m.write("/srv/found/ecosystem.toml", format!("# mine\n{file}"));
    m.write(
        "/srv/found/second.js",
        SERVER.replace("process.env.PORT || 3000", "4000, '127.0.0.1'"),
    );
    let output = in_folder(m, "start second.js");
    assert_eq!(output.code, 2, "{output:#?}");
    assert!(output.stdout.contains("name = \"second\""), "{output:#?}");
    assert!(output.stdout.contains("listen = \"127.0.0.1:4000\""), "{output:#?}");
    assert_eq!(m.read("/srv/found/ecosystem.toml"), format!("# mine\n{file}"));
    assert!(!m.exists("/etc/systemd/system/second.service"));

    // To a file that `start` has written, `start` adds the next app.
    m.write("/srv/found/ecosystem.toml", &file);
    let output = in_folder(m, "start second.js");
    assert_eq!(output.code, 0, "{output:#?}");
    let both = m.read("/srv/found/ecosystem.toml");
    assert!(both.starts_with(&file) && both.contains("name = \"second\""), "{both}");
    assert_eq!(m.systemctl_show("second@0", "ActiveState"), "active");
    assert_eq!(m.systemctl_show("api@3", "ActiveState"), "active");
});

booted_long!(a_command_line_and_a_worker_just_start, |m| {
    m.write("/srv/found/index.html", "found");
    let output = in_folder(m, "start 'python3 -m http.server 8000' --name files -i 2");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(m.ok(["curl", "-s", "localhost:8000/index.html"]), "found");
    assert_eq!(m.systemctl_show("files@1", "ActiveState"), "active");

    m.ok(["rm", "/srv/found/ecosystem.toml"]);
    m.write("/srv/found/worker.js", "setInterval(() => {}, 1000)");
    let output = in_folder(m, "start worker.js --timeout 3s");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("as a worker"), "{output:#?}");
    // The notice that says what happens, and how to leave the trial out, comes long before the result.
    let told = "write: clusterctl start worker.js --worker";
    let (early, late) = (output.stderr.find(told), output.stderr.find("as a worker"));
    assert!(early.is_some() && early < late, "{output:#?}");
    assert!(!m.read("/srv/found/ecosystem.toml").contains("listen"));
    assert_eq!(m.systemctl_show("worker@0", "ActiveState"), "active");

    m.ok(["rm", "/srv/found/ecosystem.toml"]);
    let output = in_folder(m, "start worker.js --name second --worker");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(!output.stderr.contains("running worker.js once"), "{output:#?}");
    assert_eq!(m.systemctl_show("second@0", "ActiveState"), "active");
    let output = in_folder(m, "start worker.js --worker --listen 3000");
    assert_eq!(output.code, 2, "{output:#?}");
});

booted_long!(a_trial_that_is_given_up_leaves_nothing, |m| {
    m.write("/srv/found/worker.js", "setInterval(() => {}, 1000)");
    let before = surroundings(m);
    for (to, program) in [("the command", "$$"), ("its group, as a terminal does", "-$$")] {
        // The shell writes its process id and becomes the command, in a process group of its own.
        let script = "cd /srv/found && echo $$ >/run/trial && exec clusterctl start worker.js";
        let mut start = m.spawn(["setsid", "--wait", "sh", "-c", script]);
        start.line_with("listens on nothing yet");
        let target = program.replace("$$", &m.read("/run/trial"));
        m.ok(["kill", "-INT", "--", target.trim()]);
        assert_eq!(start.wait().0, 130, "{to}");
        wait_until("nothing is left", Duration::from_secs(20), || surroundings(m) == before);
        assert!(!m.exists("/srv/found/ecosystem.toml"), "{to}");
    }
});

booted_long!(statically_linked_programs_are_found_too, |m| {
    let Some(go) = crate::trace::go_server() else { return };
    m.copy(go, "/srv/found/go-server");
    let output = in_folder(m, "start 'env PORT=4000 ./go-server' -i 2 --name go");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:4000"]).contains("instance "));
    let file = m.read("/srv/found/ecosystem.toml");
    assert!(file.contains("listen = 4000\n") && !file.contains("non_blocking"), "{file}");

    m.ok(["rm", "/srv/found/ecosystem.toml"]);
    m.copy(&crate::trace::rust_server(), "/srv/found/rust-server");
    let output = in_folder(m, "start ./rust-server -i 2 --name rust -- 5000");
    assert_eq!(output.code, 0, "{output:#?}");
    let file = m.read("/srv/found/ecosystem.toml");
    assert!(file.contains("listen = \"0.0.0.0:5000\"\nnon_blocking = false\n"), "{file}");
    for _ in 0..20 {
        assert!(!m.ok(["bash", "-c", "cat </dev/tcp/127.0.0.1/5000"]).is_empty());
    }
});

booted_long!(a_program_that_ends_at_once_is_refused_with_its_words, |m| {
    m.write("/srv/found/crash.js", "console.error('no such database'); process.exit(3)");
    let output = in_folder(m, "start crash.js");
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("| no such database"), "{output:#?}");
    assert!(output.stderr.contains("ended by itself with code 3"), "{output:#?}");
    assert!(output.stderr.contains("--listen"), "{output:#?}");
    assert!(!m.exists("/srv/found/ecosystem.toml"));
    assert!(!m.exists("/etc/systemd/system/crash.service"));

    // For a program that cannot work in a trial, say without its database: `--listen` leaves the trial out.
    m.write("/srv/found/late.js", SERVER);
    let output = in_folder(m, "start late.js --listen 3000");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("instance 0"));
});

booted_long!(detect_prints_and_leaves_nothing, |m| {
    m.write("/srv/found/mixed.py", MIXED);
    m.write("/srv/found/app.js", SERVER);
    let before = surroundings(m);
    let output = in_folder(m, "detect -- mixed.py");
    assert_eq!(output.code, 0, "{output:#?}");
    let listen = "listen = [\"udp:0.0.0.0:5353\", \"/srv/found/mixed.sock\"]\n";
    assert_eq!(output.stdout, listen);
    let output = in_folder(m, "detect -o json -- app.js");
    assert_eq!(output.stdout, "{\"exit\":null,\"listen\":[\"3000\"]}\n", "{output:#?}");
    assert_eq!(surroundings(m), before);

    // A user without rights, and a port that only root may open outside of the trial.
    let ada = m.user("ada");
    ada.write("/home/ada/app.js", &SERVER.replace("3000", "80"));
    let before = surroundings(m);
    assert_eq!(ada.ok(["clusterctl", "detect", "--", "/home/ada/app.js"]), "listen = 80");
    let output = m.sh("systemd-run --quiet --uid=ada --pipe --wait -p RestrictNamespaces=yes \
         clusterctl detect -- /home/ada/app.js");
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("user.max_user_namespaces"), "{output:#?}");
    assert_eq!(surroundings(m), before);
});

booted_long!(a_user_starts_a_program_of_her_own, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/app.js", SERVER);
    let start = "cd && clusterctl --user start ./app.js -i 2";
    ada.ok(["sh", "-c", start]);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("instance "));
    assert!(ada.ok(["clusterctl", "--user", "list"]).contains("app"));
    let output = ada.run(["sh", "-c", "cd && clusterctl start ./app.js"]);
    assert!(output.stderr.contains("--user"), "{output:#?}");
});

booted_long!(lines_and_programs_of_pm2_users_start, |m| {
    m.write("/srv/found/app.py", "import http.server as h\nh.HTTPServer(('', 3000), h.SimpleHTTPRequestHandler).serve_forever()\n");
    m.write(
        "/srv/found/package.json",
        "{\"name\": \"@me/the-shop\", \"scripts\": {\"start\": \"node server.js\"}}",
    );
    m.write("/srv/found/server.js", SERVER);
    m.write("/srv/found/conf.toml", "");
    m.write("/srv/found/db.json", "{}");
    m.write(
        "/usr/local/bin/json-server",
        "#!/bin/sh\ncd /srv/found && exec node server.js \"$@\"\n",
    );
    m.ok(["chmod", "+x", "/usr/local/bin/json-server"]);
    for (command, name) in [
        ("'json-server db.json'", "json-server"),
        ("'node server.js conf.toml'", "server"),
        ("npm --name web -- start", "web"),
        ("'npm start'", "the-shop"),
        ("python3 -- app.py", "app"),
        ("'node server.js'", "server"),
        ("node -- server.js", "server"),
    ] {
        if command.contains("npm") && m.run(["which", "npm"]).code != 0 {
            continue;
        }
        let output = in_folder(m, &format!("start {command}"));
        assert_eq!(output.code, 0, "{command}: {output:#?}");
        assert_eq!(m.systemctl_show(&format!("{name}@0"), "ActiveState"), "active", "{command}");
        assert!(m.ok(["curl", "-s", "localhost:3000"]).len() > 10, "{command}");
        m.ok(["clusterctl", "delete", name]);
        m.ok(["rm", "/srv/found/ecosystem.toml"]);
    }
    // `-l` is PM2's: a file for both streams, and never a socket.
    m.write("/srv/found/server.js", format!("console.log('out'); console.error('err');\n{SERVER}"));
    assert_eq!(in_folder(m, "start server.js -l all.log").code, 0);
    let log = m.read("/srv/found/all.log");
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    assert!(m.ok(["clusterctl", "logs", "server"]).contains("all.log | out"));
    m.ok(["rm", "/srv/found/ecosystem.toml"]);
    for address in ["3000", "127.0.0.1:3000", "/run/x.sock"] {
        let output = in_folder(m, &format!("start server.js --name x -l {address}"));
        assert_eq!(output.code, 2, "{output:#?}");
        assert!(output.stderr.contains(&format!("--listen {address}")), "{output:#?}");
    }
    assert!(!m.exists("/srv/found/ecosystem.toml"));
});

/// A manager of Python's listens on a socket of its own, as sanic's does.
const MANAGED: &str = "\
import multiprocessing, http.server as h
if __name__ == '__main__':
    manager = multiprocessing.Manager()
    h.HTTPServer(('', 3000), h.SimpleHTTPRequestHandler).serve_forever()
";

booted_long!(sockets_for_a_programs_own_processes_are_left_out, |m| {
    m.write("/srv/found/app.py", MANAGED);
    let output = in_folder(m, "start app.py --timeout 30s");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("is left out: a socket of the program's own"), "{output:#?}");
    let file = m.read("/srv/found/ecosystem.toml");
    assert!(file.contains("listen = \"0.0.0.0:3000\"\n"), "{file}");
});

booted_long!(python_prints_at_once, |m| {
    m.write("/srv/found/app.py", "import time\nprint('printed')\ntime.sleep(1000)\n");
    m.write(
        "/srv/found/ecosystem.toml",
        "[[apps]]\nname = 'py'\nscript = 'app.py'\n\
        [[apps]]\nname = 'sh'\nscript = 'source ./vars && python3 app.py'\n\
        [[apps]]\nname = 'own'\nscript = 'app.py'\nenv = { PYTHONUNBUFFERED = '' }\n",
    );
    m.write("/srv/found/vars", "A=1\n");
    assert_eq!(in_folder(m, "apply").code, 0);
    for app in ["py@0", "sh@0"] {
        wait_until("the line is there", Duration::from_secs(10), || {
            m.journal(app).contains("printed")
        });
    }
    assert!(!m.journal("own@0").contains("printed"));
});
