//! `clusterctl audit`: what it says of an app is what the app does, and the lines that it gives work.

use serde_json::Value;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, write};
use crate::support::{Machine, wait_until};
use std::time::Duration;

/// Writes, maps, holds a device, and has a child in namespaces of its own.
const BUSY: &str = "\
import ctypes, mmap, os, socket, threading, http.server
os.makedirs('data/deep', exist_ok=True)
open_file = open('data/deep/db', 'w'); log = open('data/log', 'a')
mapped = open('map \"1\"/shared', 'w+b'); mapped.truncate(4096); page = mmap.mmap(mapped.fileno(), 4096)
tun = open('/dev/own', 'rb')
other = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM, 0)
mine = socket.socket(socket.AF_UNIX); mine.bind('/tmp/busy.sock'); mine.listen()
if os.fork() == 0:
    ctypes.CDLL(None).unshare(0x10000000)
    threading.Event().wait()
class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b'instance busy')
http.server.ThreadingHTTPServer(('', 3000), Shop).serve_forever()
";

fn audited(m: &Machine) -> Value {
    let text = m.ok(["clusterctl", "audit", "shop", "-o", "json"]);
    let value: Value = serde_json::from_str(&text).unwrap();
    value["apps"][0].clone()
}

fn lines(audit: &Value) -> String {
    let lines = audit["advice"]["lines"].as_array().unwrap();
    lines.iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

booted!(an_audit_of_an_app_that_only_serves, |m| {
    m.user("ada");
    applied(m, &ecosystem(2, "user = 'ada'"));
    let audit = audited(m);
    assert!(audit["exposure"].as_f64().unwrap() <= 5.0, "{audit}");
    assert_eq!(audit["advice"]["needs"].as_array().unwrap().len(), 0, "{audit}");
    assert_eq!(audit["sandbox"], "default");
    assert_eq!(lines(&audit), "sandbox = \"strict\"\n", "V8 compiles: {audit}");
    let text = m.ok(["clusterctl", "audit"]);
    assert!(text.contains("of 10") && text.contains("sandbox = \"strict\""), "{text}");
    applied(m, &ecosystem(2, &format!("user = 'ada'\n{}", lines(&audit))));
    let audit = audited(m);
    assert!(audit["exposure"].as_f64().unwrap() <= 2.0, "{audit}");
    // A user who is not root is told what the audit could not see.
    let ada = m.user("bob");
    let output = ada.run(["clusterctl", "audit", "shop"]);
    assert!(output.stdout.contains("may be looked at by root alone"), "{output:#?}");
    // An app that does not run.
    m.ok(["clusterctl", "stop", "shop"]);
    let text = m.ok(["clusterctl", "audit", "shop"]);
    assert!(text.contains("no instance runs"), "{text}");
});

booted!(the_lines_of_an_audit_give_an_app_what_it_does, |m| {
    m.user("ada");
    m.ok_sh("mkdir -p '/srv/shop/map \"1\"'; chown ada /srv/shop '/srv/shop/map \"1\"'; mknod /dev/own c 1 5; chmod 666 /dev/own");
    m.write("/srv/shop/busy.py", BUSY);
    let text = "[[apps]]\nname = 'shop'\nscript = 'busy.py'\nlisten = 3000\nuser = 'ada'\n";
    write(m, text);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    wait_until("its child", Duration::from_secs(10), || {
        audited(m)["advice"]["needs"].to_string().contains("namespaces")
    });
    let audit = audited(m);
    let wanted = lines(&audit);
    for part in [
        "\"data\"",
        "map \\\"1\\\"",
        "PrivateDevices = \"no\"",
        "AF_VSOCK",
        "PrivateTmp = \"no\"",
        "RestrictNamespaces = \"no\"",
    ] {
        assert!(wanted.contains(part), "{part}: {wanted}");
    }
    eprintln!("{wanted}");
    // Without the app's own keys, `sandbox = "strict"` would forbid all that.
    m.ok(["clusterctl", "delete", "shop"]);
    write(m, &format!("{text}sandbox = 'strict'\nlisten_timeout = '5s'\nmax_restarts = 1\n"));
    assert_eq!(apply(m).code, 1);
    m.ok_sh("clusterctl delete shop; rm -f /tmp/busy.sock");
    write(m, &format!("{text}{wanted}"));
    let output = apply(m);
    assert_eq!(output.code, 0, "{wanted}{output:#?}");
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "instance busy");
});

booted!(an_audit_without_systemd_analyze_lists_what_is_open, |m| {
    applied(m, &ecosystem(1, ""));
    let text = m.ok(["clusterctl", "audit", "shop"]);
    assert!(text.contains("it runs as root"), "{text}");
    m.ok_sh("mv $(command -v systemd-analyze) /root/");
    let text = m.ok(["clusterctl", "audit", "shop"]);
    assert!(text.contains("not set: NoNewPrivileges"), "{text}");
    assert_eq!(audited(m)["exposure"], Value::Null);
});
