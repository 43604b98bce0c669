//! Listeners come, go and move while others serve.

use std::time::Duration;

use crate::booted;
use crate::shop::{SERVER, applied, listener_inode, load, pids};
use crate::support::load::Load;
use crate::support::{Machine, wait_until};

fn with_listeners(listen: &str) -> String {
    format!(
        "[[apps]]\nname = 'shop'\nscript = 'many.js'\ninstances = 2\nlisten = {listen}\n\
         env = {{ PORT = '3000' }}\n"
    )
}

/// Listens on every listener that systemd named, by its name as a port or a path.
const MANY: &str = "\
const http = require('http');
const answer = (req, res) => res.end(`instance ${process.env.NODE_APP_INSTANCE} ${process.env.LISTEN_FDNAMES} .`);
for (const name of (process.env.LISTEN_FDNAMES || '').split(':')) {
  http.createServer(answer).listen(/^[0-9]+$/.test(name) ? Number(name) : `/run/shop/${name}.sock`);
}
";

booted!(listeners_are_added_changed_and_removed_while_one_serves, |m| {
    m.write("/srv/shop/many.js", MANY);
    applied(m, &with_listeners("[3000]"));
    let inode = listener_inode(m);
    let mut run = m.load(load());
    run.wait_flowing();
    applied(m, &with_listeners("[3000, 3001]"));
    assert!(m.ok(["curl", "-s", "localhost:3001"]).starts_with("instance "));
    applied(m, &with_listeners("[3000, 3002, '/run/shop/admin.sock']"));
    assert!(m.ok(["curl", "-s", "localhost:3002"]).starts_with("instance "));
    let unix = ["curl", "-s", "--unix-socket", "/run/shop/admin.sock", "http://x/"];
    assert!(m.ok(unix).starts_with("instance "));
    assert_ne!(m.run(["curl", "-s", "localhost:3001"]).code, 0, "3001 is closed");
    assert!(!m.exists("/etc/systemd/system/shop-3001.socket"));
    applied(m, &with_listeners("[3000]"));
    run.stop().assert_none_failed();
    assert_eq!(listener_inode(m), inode);
    assert!(!m.exists("/run/shop/admin.sock"));
    assert!(applied(m, &with_listeners("[3000]")).contains("nothing to do"));
});

booted!(a_renamed_listener_keeps_its_port_open, |m| {
    let text = |listen: &str| {
        format!("[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 2\nlisten = {listen}\n")
    };
    applied(m, &text("{ web = 3000 }"));
    let inode = listener_inode(m);
    let mut run = m.load(load());
    run.wait_flowing();
    applied(m, &text("{ http = 3000 }"));
    run.stop().assert_none_failed();
    assert_eq!(listener_inode(m), inode);
    let pid = &pids(m, 1)[0];
    assert!(
        m.ok_sh(&format!("tr '\\0' '\\n' < /proc/{pid}/environ")).contains("LISTEN_FDNAMES=http")
    );
});

booted!(an_address_that_widens_is_moved_with_a_gap_and_says_so, |m| {
    let text = |listen: &str| {
        format!(
            "[[apps]]\nname = 'shop'\nscript = 'host.js'\ninstances = 2\nlisten = '{listen}:3000'\n"
        )
    };
    m.write("/srv/shop/host.js", SERVER.replace("|| 3000)", "|| 3000, '127.0.0.1')"));
    applied(m, &text("127.0.0.1"));
    m.write("/srv/shop/host.js", SERVER.replace("|| 3000)", "|| 3000, '0.0.0.0')"));
    let plan = applied(m, &text("0.0.0.0"));
    assert!(plan.contains("connections are refused"), "{plan}");
    assert!(m.ok(["curl", "-s", "127.0.0.1:3000"]).starts_with("instance "));
    assert!(applied(m, &text("0.0.0.0")).contains("nothing to do"));
});

booted!(unmodified_python_shares_a_port, |m| {
    m.write("/srv/shop/index.html", "instance of python\n");
    applied(
        m,
        "[[apps]]\nname = 'files'\ncommand = ['python3', '-m', 'http.server', '8000', '--bind', '0.0.0.0']\n\
         instances = 4\nlisten = '0.0.0.0:8000'\n",
    );
    let mut run = m.load(Load::http("127.0.0.1:8000").new_connections(40.0).expect("instance of"));
    run.wait_flowing();
    m.ok(["systemctl", "reload", "files"]);
    run.stop().assert_none_failed();
    assert_eq!(m.ok(["clusterctl", "list", "files"]).matches(" online ").count(), 4);
});

booted!(the_path_of_a_unix_listener_outlives_instances_and_comes_back, |m| {
    let path = "/run/g2/s.sock";
    m.write("/srv/shop/server.js", SERVER.replace("process.env.PORT || 3000", "process.env.AT"));
    let toml = format!(
        "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 2\nlisten = '{path}'\n\
         env = {{ AT = '{path}' }}\nservice = {{ RuntimeDirectory = 'g2' }}\n"
    );
    m.write("/srv/shop/ecosystem.toml", toml);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let ask = || m.ok(["curl", "-s", "--unix-socket", path, "http://shop/"]);
    let before = pids(m, 2);
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@1"]);
    wait_until("the killed instance is back", Duration::from_secs(20), || {
        m.systemctl_show("shop@1", "SubState") == "running" && pids(m, 2)[1] != before[1]
    });
    assert!(ask().starts_with("instance "));
    m.ok(["clusterctl", "reload", "shop"]);
    assert!(ask().starts_with("instance "));
    for restart in ["systemctl", "clusterctl"] {
        m.ok(["rm", path]);
        m.ok([restart, "restart", "shop"]);
        assert!(ask().starts_with("instance "), "{restart}");
    }
});

/// Serves port 3000 and the path; the answer to `/slow` takes a while.
const BOTH: &str = "\
const http = require('http');
const answer = (req, res) => setTimeout(
  () => res.end(`instance ${process.env.NODE_APP_INSTANCE} plain .`), req.url === '/slow' ? 3000 : 0);
http.createServer(answer).listen(3000);
http.createServer(answer).listen('/run/g2/s.sock');
";

const PATH: &str = "/run/g2/s.sock";

fn ask(m: &Machine) -> String {
    m.ok(["curl", "-s", "--max-time", "20", "--unix-socket", PATH, "http://shop/"])
}

/// The doctor's word for a path that leads to no listener of ours.
fn is_lost(m: &Machine) -> bool {
    m.clusterctl(["doctor", "shop", "-o", "json"]).stdout.contains("\"path-lost\"")
}

booted!(a_path_that_is_lost_is_seen_and_reopened_without_a_loss_elsewhere, |m| {
    m.write("/srv/shop/server.js", BOTH);
    m.write(
        "/srv/shop/ecosystem.toml",
        format!(
            "[[apps]]\nname = 'shop'\nscript = 'server.js'\ninstances = 2\n\
             listen = {{ web = 3000, admin = '{PATH}' }}\nreadiness = 'all'\n\
             service = {{ RuntimeDirectory = 'g2' }}\n"
        ),
    );
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let inode = listener_inode(m);
    assert!(!is_lost(m));
    let other = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('/run/g2/s.sock'); \
        s.listen(); print('bound', flush=True); time.sleep(600)";
    for (spoil, mend) in [
        ("rm /run/g2/s.sock", "clusterctl apply /srv/shop/ecosystem.toml"),
        ("rm -r /run/g2; mkdir /run/g2", "clusterctl apply /srv/shop/ecosystem.toml"),
        ("rm /run/g2/s.sock", "clusterctl reload shop"),
        ("rm /run/g2/s.sock", "clusterctl restart shop"),
        ("rm /run/g2/s.sock", "stranger"),
    ] {
        let slow = format!("curl -sv --unix-socket {PATH} http://shop/slow 2>&1");
        let mut slow = m.spawn(["sh", "-c", &slow]);
        slow.line_with("> GET /slow");
        let mut run = m.load(load());
        run.wait_flowing();
        m.ok(["sh", "-c", spoil]);
        let stranger = (mend == "stranger").then(|| {
            let mut child = m.spawn(["python3", "-c", other]);
            child.line_with("bound");
            child
        });
        assert!(is_lost(m), "{spoil}");
        let list = m.clusterctl(["list"]);
        assert!(list.stderr.contains("no client reaches /run/g2/s.sock"), "{list:#?}");
        assert!(m.ok(["clusterctl", "describe", "shop"]).contains("path is lost"), "{spoil}");
        let mend =
            if stranger.is_some() { "clusterctl apply /srv/shop/ecosystem.toml" } else { mend };
        m.ok(["sh", "-c", mend]);
        assert!(ask(m).starts_with("instance "), "{spoil}, {mend}");
        assert!(!is_lost(m), "{spoil}, {mend}");
        let (code, lines) = slow.wait();
        assert_eq!(code, 0, "{spoil}, {mend}: {lines:#?}");
        let report = run.stop();
        if !mend.contains("restart") {
            report.assert_none_failed();
        }
        assert_eq!(listener_inode(m), inode, "{mend}");
    }
});
