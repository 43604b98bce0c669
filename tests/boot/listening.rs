//! An instance is ready for as long as it holds its listeners: what was given up again, or never taken, is known.

use crate::booted_long;
use crate::shop::{SERVER, applied, apply, load, pids, write};
use crate::support::{Machine, Output};

/// Serves port 3000; with `/srv/shop/moves` it gives the port up as soon as it has it, as libraries do that look for a
/// free one, and serves another; with `/srv/shop/pauses` it takes the port again after a while.
const NODE: &str = "\
const fs = require('fs'), http = require('http'), net = require('net');
const number = +process.env.NODE_APP_INSTANCE;
const serve = (port) => http.createServer((req, res) => res.end(`instance ${number} plain .`)).listen(port);
if (fs.existsSync('/srv/shop/moves')) {
  const probe = net.createServer().listen(3000, () => probe.close(() => serve(3100 + number)));
} else if (fs.existsSync('/srv/shop/pauses')) {
  const first = serve(3000);
  setTimeout(() => first.close(() => setTimeout(() => serve(3000), 1300)), 500);
} else serve(3000);
";

/// The same; it takes its listener from systemd when `NATIVE` is set.
const PYTHON: &str = "\
import os, select, socket
number = int(os.environ['NODE_APP_INSTANCE'])
def bound(port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('0.0.0.0', port))
    s.listen()
    return s
own = socket.socket(fileno=3) if os.environ.get('NATIVE') else bound(3000)
if os.path.exists('/srv/shop/moves'):
    select.select([own], [], [], 0.3)
    own.close()
    own = bound(3100 + number)
while True:
    select.select([own], [], [])
    try:
        c, _ = own.accept()
    except BlockingIOError:
        continue
    c.recv(4096)
    c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\ninstance %d plain .' % number)
    c.close()
";

fn ecosystem(program: &str, more: &str) -> String {
    format!("[[apps]]\nname = 'shop'\nscript = '{program}'\ninstances = 2\nlisten = 3000\n{more}\n")
}

/// The command must end with code 1, say this, and not report success.
fn refused(output: &Output, says: &str) {
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains(says), "{says}: {output:#?}");
    assert!(!output.stderr.contains("✓ shop: "), "{output:#?}");
    assert!(!output.stdout.contains("nothing to do"), "{output:#?}");
}

/// What the doctor finds about `shop`, beginning with this word.
fn found(m: &Machine, severity: &str) -> Vec<(String, String)> {
    let output = m.clusterctl(["doctor", "shop", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let all = value["findings"].as_array().unwrap().iter();
    let ours = all.filter(|one| one["app"] == "shop" && one["severity"] == severity);
    let text = |one: &serde_json::Value, key: &str| one[key].as_str().unwrap_or("").to_owned();
    ours.map(|one| (text(one, "check"), text(one, "text"))).collect()
}

booted_long!(a_version_that_closes_its_listener_again_replaces_nothing, |m| {
    m.write("/srv/shop/node.js", NODE);
    m.write("/srv/shop/python.py", PYTHON);
    for (program, more) in [
        ("node.js", ""),
        ("python.py", ""),
        ("python.py", "handover = 'trace'"),
        ("python.py", "handover = 'native'\nenv = { NATIVE = '1' }"),
    ] {
        m.ok(["rm", "-f", "/srv/shop/moves"]);
        applied(m, &ecosystem(program, more));
        assert_eq!(found(m, "problem"), [], "{program} {more}");
        let before = pids(m, 2);
        let mut run = m.load(load());
        run.wait_flowing();
        m.write("/srv/shop/moves", "");
        refused(&m.clusterctl(["reload", "shop"]), "shop@2 closed 3000 again and listens on ");
        run.stop().assert_none_failed();
        assert_eq!(pids(m, 2), before, "{program} {more}");
        m.ok(["clusterctl", "delete", "shop"]);
    }
});

booted_long!(an_instance_that_does_not_listen_is_shown_and_mended, |m| {
    m.write("/srv/shop/node.js", NODE);
    m.write("/srv/shop/moves", "");
    let text = ecosystem("node.js", "");
    write(m, &text);
    let says = "shop@0 closed 3000 again and listens on 3100";
    refused(&apply(m), says);
    assert_eq!(m.clusterctl(["history"]).stdout.matches("apply").count(), 0);
    // Later looks by `list`, `describe` and `doctor` say the same.
    let list = m.clusterctl(["list"]);
    assert_eq!(list.stdout.matches(" not listening ").count(), 2, "{list:#?}");
    assert!(list.stderr.contains("shop@0 @1 do not listen on 3000"), "{list:#?}");
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("@1 closed 3000 again and listens on 3101"), "{described}");
    let problems = found(m, "problem");
    assert_eq!(problems[0], ("not-listening".to_owned(), says.to_owned()), "{problems:?}");
    for command in [&["restart", "shop"][..], &["restart", "shop@0"]] {
        refused(&m.clusterctl(command), says);
    }
    refused(&apply(m), " closed 3000 again and listens on ");
    m.ok(["rm", "/srv/shop/moves"]);
    // The units are as they should be; instances are replaced that do not serve.
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stdout.contains("ready, but not listening"), "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    assert_eq!(found(m, "problem"), []);
    assert!(apply(m).stdout.contains("nothing to do"));
});

booted_long!(a_listener_that_is_taken_again_after_a_moment_was_not_given_up, |m| {
    m.write("/srv/shop/node.js", NODE);
    m.write("/srv/shop/pauses", "");
    applied(m, &ecosystem("node.js", ""));
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    // The parent binds, and its children serve.
    m.write(
        "/srv/shop/fork.py",
        "import os, signal, socket\n\
         s = socket.socket()\n\
         s.bind(('0.0.0.0', 3000))\n\
         s.listen()\n\
         if os.fork():\n    s.close()\n    signal.pause()\n\
         while True:\n    c, _ = s.accept()\n    c.recv(99)\n\
         \x20   c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\ninstance 0 .')\n    c.close()\n",
    );
    m.ok(["rm", "/srv/shop/pauses"]);
    applied(m, &ecosystem("fork.py", ""));
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
});

booted_long!(one_of_two_listeners_that_is_not_taken_is_named, |m| {
    let text = "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 2\nenv = { PORT = '3000' }\n\
        listen = { web = 3000, admin = '127.0.0.1:3001' }\nreadiness = 'first'\n";
    write(m, text);
    let output = apply(m);
    let says = "warning: shop@0 @1 do not listen on admin (127.0.0.1:3001)";
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains(says), "{output:#?}");
    for command in [&["list"][..], &["reload", "shop"], &["restart", "shop"]] {
        let output = m.clusterctl(command);
        assert_eq!(output.code, 0, "{output:#?}");
        assert!(output.stderr.contains(says), "{command:?}: {output:#?}");
    }
    let again = apply(m);
    assert!(again.stdout.contains("nothing to do"), "{again:#?}");
    assert!(again.stderr.contains(says), "{again:#?}");
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 2);
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("@1 does not listen on admin (127.0.0.1:3001)"), "{described}");
    let warnings = found(m, "warning");
    assert_eq!(warnings[0].0, "listener-unused", "{warnings:?}");
    assert!(warnings[0].1.contains("shop@0 does not listen on admin"), "{warnings:?}");
    // The program opens both declared listeners now.
    m.write("/srv/shop/server.js", format!("{SERVER}http.createServer().listen(3001);\n"));
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!((output.code, output.stderr.contains("warning")), (0, false), "{output:#?}");
    assert_eq!(found(m, "warning"), []);
});
