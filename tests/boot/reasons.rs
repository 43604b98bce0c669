//! What is said of an instance that failed: why, in one line, in the same words everywhere.

use std::time::Duration;

use crate::any_app::{apply, put};
use crate::booted;
use crate::support::{Machine, Output, wait_until};

/// Applies what cannot work, and compares what is said.
fn fails(m: &Machine, expected: &[&str]) -> Output {
    // A new app each time, so that the journal of the one before is not read.
    m.run(["clusterctl", "delete", "kk"]);
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    for text in expected {
        assert!(output.stderr.contains(text), "{text}: {output:#?}");
    }
    output
}

/// What `describe` and `doctor` say as well.
fn said_later(m: &Machine, text: &str) {
    let describe = m.clusterctl(["describe", "kk"]);
    assert!(describe.stdout.contains(text), "{text}: {describe:#?}");
    let doctor = m.clusterctl(["doctor", "kk"]);
    assert!(doctor.stdout.contains(text), "{text}: {doctor:#?}");
}

/// A Node program whose error is far above the last ten lines.
const DEEP: &str = "\
function deep(n) { if (n) deep(n - 1); else require('no-such-module-here'); }
Error.stackTraceLimit = 40;
deep(30);
";

booted!(the_line_that_names_the_error_is_shown_first, |m| {
    put(m, "/srv/kk", "app.js", DEEP, "script = 'app.js'\nlisten = 3000\nmax_restarts = 1");
    let output = fails(m, &["Error: Cannot find module 'no-such-module-here'"]);
    let error = output.stderr.find("Cannot find module").unwrap();
    let frame = output.stderr.find("at deep").unwrap_or(usize::MAX);
    assert!(error < frame, "{output:#?}");
    // The reason is found although the restarts since then have filled hundreds of lines of the journal.
    put(m, "/srv/kk", "app.js", DEEP, "script = 'app.js'\nlisten = 3000\nmax_restarts = 12");
    fails(m, &["kk@0 failed to start", "Error: Cannot find module 'no-such-module-here'"]);
    // Python names the error last, Ruby and Go first.
    let python = "def deep(n):\n    deep(n - 1) if n else undefined_name()\ndeep(30)\n";
    put(m, "/srv/kk", "app.py", python, "script = 'app.py'\nlisten = 3000\nmax_restarts = 1");
    fails(m, &["NameError: name 'undefined_name' is not defined"]);
});

booted!(an_instance_that_listens_elsewhere_is_told_where, |m| {
    let server = "require('http').createServer(() => {}).listen(8123, '127.0.0.1');";
    let more = "listen = 8080\nlisten_timeout = '4s'";
    put(m, "/srv/kk", "app.js", server, &format!("script = 'app.js'\n{more}"));
    fails(m, &["kk@0 was not ready in time: it listens on 127.0.0.1:8123, not on 8080"]);
    // A child that listens counts too, here one that Python starts.
    let parent =
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'http.server', '8124'])\n";
    put(m, "/srv/kk", "app.py", parent, &format!("script = 'app.py'\n{more}"));
    fails(m, &["listens on 0.0.0.0:8124, not on 8080"]);
    // Otherwise the app before would run this program too, and leave its socket behind.
    m.ok(["clusterctl", "delete", "kk"]);
    let socket = "import os, socket, time\nif os.path.exists('/run/kk.sock'):\n    os.unlink('/run/kk.sock')\n\
                  s = socket.socket(socket.AF_UNIX)\ns.bind('/run/kk.sock')\n\
                  s.listen()\ntime.sleep(1000)\n";
    put(m, "/srv/kk", "app.py", socket, &format!("script = 'app.py'\n{more}"));
    fails(m, &["it listens on /run/kk.sock, not on 8080"]);
});

booted!(an_instance_that_waits_is_told_what_for, |m| {
    // The queue of the socket is full, so the next connect() waits.
    m.write(
        "/srv/full.py",
        "import socket, time\ns = socket.socket()\ns.bind(('127.0.0.1', 5432))\ns.listen(0)\n\
         c = [socket.socket() for _ in range(3)]\nfor x in c:\n    x.setblocking(False)\n    \
         x.connect_ex(('127.0.0.1', 5432))\nprint('full', flush=True)\ntime.sleep(1000)\n",
    );
    let mut full = m.spawn(["python3", "/srv/full.py"]);
    full.line_with("full");
    let client = "import socket\ns = socket.socket()\ns.connect(('127.0.0.1', 5432))\n";
    let more = "listen = 8080\nlisten_timeout = '3s'";
    put(m, "/srv/kk", "app.py", client, &format!("script = 'app.py'\n{more}"));
    fails(m, &["it listens on nothing", "it waits in connect() to 127.0.0.1:5432"]);
    put(
        m,
        "/srv/kk",
        "app.py",
        "import time\ntime.sleep(1000)\n",
        &format!("script = 'app.py'\n{more}"),
    );
    fails(m, &["it listens on nothing"]);
});

booted!(log_files_tell_why_as_well, |m| {
    let crash = "console.error('Error: no such database'); process.exit(3);";
    let files = "out_file = '/var/log/kk.out'\nerror_file = '/var/log/kk.err'";
    let app = format!("script = 'app.js'\nlisten = 3000\nmax_restarts = 1\n{files}");
    put(m, "/srv/kk", "app.js", crash, &app);
    fails(m, &["Error: no such database", "/var/log/kk.err"]);
    let describe = m.clusterctl(["describe", "kk"]).stdout;
    assert!(describe.contains("/var/log/kk.out"), "{describe}");
    let logs = m.clusterctl(["logs", "kk"]).stdout;
    assert!(logs.contains("Error: no such database"), "{logs}");
    // One file for both streams, opened by the program's own user.
    m.ok_sh("useradd kk; mkdir /srv/logs; chown kk /srv/logs");
    let app = "script = 'app.js'\nlisten = 3000\nmax_restarts = 1\nuser = 'kk'\n\
               out_file = '/srv/logs/all'\nerror_file = '/srv/logs/all'";
    put(m, "/srv/kk", "app.js", &crash.replace("database", "table"), app);
    fails(m, &["Error: no such table", "/srv/logs/all"]);
    let mut follow = m.spawn(["clusterctl", "logs", "kk", "-f"]);
    follow.line_with("no such table");
    m.ok_sh("echo one more line >>/srv/logs/all");
    follow.line_with("one more line");
});

booted!(results_of_systemd_are_said_in_words, |m| {
    let restarts = "listen = 3000\nmax_restarts = 1";
    // A program that goes to the background.
    let daemon = "import os, time\nif os.fork() == 0:\n    time.sleep(1000)\n";
    put(m, "/srv/kk", "app.py", daemon, &format!("script = 'app.py'\n{restarts}"));
    fails(m, &["ended before it was ready, as programs do that go to the background"]);
    // Killed from outside.
    let killed = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n";
    put(m, "/srv/kk", "app.py", killed, &format!("script = 'app.py'\n{restarts}"));
    fails(m, &["was killed by SIGKILL"]);
    let gave_up = || m.clusterctl(["list"]).stdout.contains("errored");
    wait_until("it is given up", Duration::from_secs(20), gave_up);
    said_later(m, "gave up: it was killed by SIGKILL before it was ready");
    // An exit code of the program's own.
    put(m, "/srv/kk", "app.py", "raise SystemExit(7)\n", &format!("script = 'app.py'\n{restarts}"));
    fails(m, &["ended with code 7 before it was ready"]);
    // A worker that goes to the background. It may be given up before anybody calls that a loop.
    put(m, "/srv/kk", "app.py", daemon, "script = 'app.py'");
    fails(
        m,
        &["ended with code 0: a program that goes to the background has to stay in the foreground"],
    );
    // The failure of an earlier app of the same name is not given as the reason.
    let doctor = m.clusterctl(["doctor", "kk"]).stdout;
    assert!(doctor.contains("ended with code 0") && !doctor.contains("code 7"), "{doctor}");
});

booted!(an_instance_that_listens_elsewhere_is_told_so_while_it_is_waited_for, |m| {
    let server = "require('http').createServer(() => {}).listen(8123, '127.0.0.1');";
    put(m, "/srv/kk", "app.js", server, "script = 'app.js'\nlisten = 8080\nlisten_timeout = '40s'");
    let mut apply = m.spawn(["sh", "-c", "exec clusterctl apply /srv/kk/ecosystem.toml 2>&1"]);
    apply.line_with("kk@0 is not ready yet: it listens on 127.0.0.1:8123, not on 8080");
    assert_eq!(m.systemctl_show("kk@0", "ActiveState"), "activating");
    // An instance that listens elsewhere has not failed: the declared listener may still come.
    m.ok(["clusterctl", "delete", "kk"]);
    assert_ne!(apply.wait().0, 0);
});

booted!(what_systemd_could_not_do_is_said_with_its_code, |m| {
    m.ok_sh("mkdir /srv/w /srv/v");
    let server = "require('http').createServer((q, s) => s.end('x')).listen(3000);";
    for (key, gone, why) in [
        (
            "cwd = '/srv/w'",
            "/srv/w",
            "a folder that it needs is not there: `/srv/w` does not exist",
        ),
        (
            "service = { ReadWritePaths = '/srv/v' }",
            "/srv/v",
            "cannot be set up (226/NAMESPACE): `/srv/v` does not exist",
        ),
    ] {
        put(
            m,
            "/srv/kk",
            "app.js",
            server,
            &format!("script = '/srv/kk/app.js'\nlisten = 3000\n{key}"),
        );
        assert_eq!(apply(m).code, 0);
        m.ok(["rm", "-r", gone]);
        m.clusterctl(["restart", "kk"]);
        said_later(m, why);
    }
});

booted!(a_missing_interpreter_at_a_reload_is_named, |m| {
    m.ok_sh("cp $(command -v python3) /usr/local/bin/pyx");
    let server = "import http.server\nhttp.server.HTTPServer(('', 3000), \
                  http.server.SimpleHTTPRequestHandler).serve_forever()\n";
    put(m, "/srv/kk", "app.py", server, "script = 'app.py'\ninterpreter = 'pyx'\nlisten = 3000");
    assert_eq!(apply(m).code, 0);
    m.ok(["rm", "/usr/local/bin/pyx"]);
    let output = m.clusterctl(["reload", "kk"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("`/usr/local/bin/pyx` does not exist"), "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("Directory"), "the old one serves");
});

booted!(what_the_machine_forbids_says_what_it_is, |m| {
    let server = "require('http').createServer((q, s) => s.end('x')).listen(3000);";
    put(m, "/srv/kk", "app.js", server, "script = 'app.js'\nlisten = 3000\ninstances = 2");
    assert_eq!(apply(m).code, 0);
    m.ok(["systemctl", "stop", "kk@1"]);
    m.ok(["systemctl", "mask", "kk@1"]);
    for command in [vec!["apply", "/srv/kk/ecosystem.toml"], vec!["start", "kk@1"]] {
        let output = m.clusterctl(command);
        assert_eq!(output.code, 1, "{output:#?}");
        assert!(output.stderr.contains("masked"), "{output:#?}");
        assert!(output.stderr.contains("next: systemctl unmask kk@1.service"), "{output:#?}");
    }
    m.ok(["systemctl", "unmask", "kk@1"]);
    m.ok_sh("mount --bind /etc/systemd/system /etc/systemd/system && mount -o remount,bind,ro /etc/systemd/system");
    put(m, "/srv/kk", "app.js", server, "script = 'app.js'\nlisten = 3000\ninstances = 3");
    let output = apply(m);
    assert_eq!(output.code, 4, "{output:#?}");
    assert!(output.stderr.contains("Read-only file system"), "{output:#?}");
    assert!(!output.stderr.contains("sudo"), "{output:#?}");
    m.ok_sh("mount -t tmpfs -o size=4k tmpfs /run/clusterctl");
    m.sh("dd if=/dev/zero of=/run/clusterctl/full bs=4k count=4");
    let output = m.clusterctl(["scale", "kk", "3"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("No space left on device"), "{output:#?}");
    assert!(output.stderr.contains("next: make room there (df -h /run/clusterctl"), "{output:#?}");
});

booted!(what_is_missing_here_is_said, |m| {
    for verb in ["detect -- sleep 1", "validate -", "apply -", "start 'sleep 1'"] {
        let script = format!("d=$(mktemp -d); cd $d; rmdir $d; clusterctl {verb} </dev/null");
        let output = m.sh(&script);
        assert_ne!(output.code, 0, "{verb}");
        assert!(output.stderr.contains("the current folder"), "{verb}: {output:#?}");
    }
    m.write("/srv/here/ecosystem.toml", "[[apps]]\nname = 'kk'\ncommand = ['sleep', 'inf']\n");
    for (verb, next) in [
        ("apply kk", "one app of it: ecosystem.toml --only kk"),
        ("apply ecosystem", "there is: ecosystem.toml"),
        ("apply other.toml", "there is: ecosystem.toml"),
        ("validate /srv/here", "the file in it: /srv/here/ecosystem.toml"),
    ] {
        let output = m.sh(&format!("cd /srv/here; clusterctl {verb}"));
        assert!(output.code == 3 && output.stderr.contains(next), "{verb}: {output:#?}");
    }
    let closed = m.sh("clusterctl list >/dev/full");
    let schema = m.sh("clusterctl schema >/dev/full");
    assert!(schema.code == 1 && schema.stderr.contains("cannot write"), "{schema:#?} {closed:#?}");
    m.write("/srv/found/server.js", "");
    for verb in ["start servr.js -i 4", "start servr.js", "start lib/main.py -i 2"] {
        let output = m.sh(&format!("cd /srv/found; clusterctl {verb}"));
        let file = verb.split(' ').nth(1).unwrap();
        assert!(
            output.stderr.contains(&format!("/srv/found/{file}` does not exist")),
            "{output:#?}"
        );
    }
    let output = m.sh("cd /srv/found; clusterctl start servr.js -i 4");
    assert!(output.stderr.contains("did you mean `server.js`"), "{output:#?}");
});

booted!(what_an_app_needs_and_lost_is_named, |m| {
    let server = "require('http').createServer(() => {}).listen(3000);";
    m.write("/srv/kk/.env", "A=1\n");
    let app = "script = 'app.js'\nlisten = 3000\nenv_file = '.env'\nlisten_timeout = '3s'";
    put(m, "/srv/kk", "app.js", server, app);
    m.ok(["clusterctl", "apply", "/srv/kk/ecosystem.toml"]);
    m.ok(["rm", "/srv/kk/.env"]);
    let doctor = m.clusterctl(["doctor", "kk"]);
    assert_eq!(doctor.code, 1, "{doctor:#?}");
    assert!(doctor.stdout.contains("/srv/kk/.env is gone"), "{doctor:#?}");
    let restart = m.clusterctl(["restart", "kk"]);
    assert_eq!(restart.code, 1, "{restart:#?}");
    assert!(restart.stderr.contains("`/srv/kk/.env` does not exist"), "{restart:#?}");
    m.write("/srv/kk/run", "#!/usr/bin/node\r\nsetInterval(() => {}, 1000);\n");
    m.ok(["chmod", "+x", "/srv/kk/run"]);
    put(m, "/srv/kk", "app.js", server, "script = './run'\ninterpreter = 'none'\nmax_restarts = 1");
    fails(m, &["its first line ends in CR LF"]);
});

booted!(suppressed_lines_are_counted, |m| {
    m.write(
        "/etc/systemd/journald.conf.d/rate.conf",
        "[Journal]\nRateLimitIntervalSec=1s\nRateLimitBurst=100\n",
    );
    m.ok(["systemctl", "restart", "systemd-journald"]);
    let burst = "for (let i = 0; i < 150000; i++) console.log('line', i);\n\
                 setInterval(() => console.log('tick'), 500);";
    put(m, "/srv/kk", "app.js", burst, "script = 'app.js'");
    assert_eq!(apply(m).code, 0);
    wait_until("journald tells", Duration::from_secs(60), || {
        m.journal("systemd-journald").contains("Suppressed")
            || m.ok_sh("journalctl -b -o cat | grep -c Suppressed || true") != "0"
    });
    let logs = m.clusterctl(["logs", "kk"]);
    assert!(logs.stderr.contains("lines were suppressed"), "{logs:#?}");
    assert!(logs.stderr.contains("log_rate_limit"), "{logs:#?}");
    let doctor = m.clusterctl(["doctor", "kk"]).stdout;
    assert!(doctor.contains("lines were suppressed"), "{doctor}");
    put(m, "/srv/kk", "app.js", burst, "script = 'app.js'\nlog_rate_limit = 'unlimited'");
    assert_eq!(apply(m).code, 0);
    wait_until("all lines are there", Duration::from_secs(60), || {
        m.ok_sh("journalctl -b -o cat -u kk@0 | grep -c '^line ' || true").parse::<u32>().unwrap()
            >= 150_000
    });
});

booted!(a_bus_that_is_lost_meanwhile_is_named, |m| {
    put(m, "/srv/kk", "app.js", "setInterval(() => {}, 1000)", "script = 'app.js'\nlisten = 3000");
    let mut apply = m.spawn(["sh", "-c", "exec clusterctl apply /srv/kk/ecosystem.toml 2>&1"]);
    wait_until("it starts", Duration::from_secs(20), || {
        m.systemctl_show("kk@0", "ActiveState") == "activating"
    });
    m.ok(["systemctl", "stop", "dbus.socket", "dbus.service"]);
    let (code, lines) = apply.wait();
    let text = lines.join("\n");
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("the connection broke"), "{text}");
    assert!(text.contains("next: run it again: it continues where it stopped"), "{text}");
});

booted!(a_program_that_asks_for_a_terminal_is_told_so, |m| {
    let more = "listen = 8080\nlisten_timeout = '6s'";
    let ask = "import sys, time\ntry:\n    open('/dev/tty')\nexcept OSError as e:\n    print(e, flush=True)\n    time.sleep(1000)\n";
    put(m, "/srv/kk", "app.py", ask, &format!("script = 'app.py'\n{more}"));
    fails(m, &["it listens on nothing; it asked for a terminal"]);
    // Programs that wait for a pipe that nobody writes to, and for a lock.
    m.ok_sh("mkfifo /srv/kk/fifo");
    let read = "import os\nfd = os.open('/srv/kk/fifo', os.O_RDWR)\nos.read(fd, 1)\n";
    put(m, "/srv/kk", "app.py", read, &format!("script = 'app.py'\n{more}"));
    fails(m, &["it waits in read() of /srv/kk/fifo"]);
    let lock = "import fcntl, os\nf = open('/srv/kk/lock', 'w')\nif os.fork() == 0:\n    \
                g = open('/srv/kk/lock')\n    fcntl.flock(g, fcntl.LOCK_EX)\n    \
                import time\n    time.sleep(1000)\nimport time\ntime.sleep(0.5)\n\
                h = open('/srv/kk/lock')\nfcntl.flock(h, fcntl.LOCK_EX)\n";
    put(m, "/srv/kk", "app.py", lock, &format!("script = 'app.py'\n{more}"));
    fails(m, &["it waits for a lock on /srv/kk/lock"]);
});
