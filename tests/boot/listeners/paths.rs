//! Unix listeners: their paths, and what happens when somebody deletes one.

use std::time::Duration;

use crate::booted;
use crate::shop::{SERVER, listener_inode, load, pids};
use crate::support::{Machine, wait_until};

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
        ("rm /run/g2/s.sock", "clusterctl restart shop@1"),
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
        let mend = match mend.contains('@') {
            true => {
                // A restart of one instance does not touch the listeners of all, and says so.
                let output = m.sh(mend);
                assert_eq!(output.code, 1, "{output:#?}");
                let next =
                    "is reached by no client: its path is gone or leads to another socket; next: ";
                let said = output.stderr.split(next).nth(1).unwrap_or_default();
                said.lines().next().unwrap_or_default().to_owned()
            }
            false => mend.to_owned(),
        };
        m.ok(["sh", "-c", &mend]);
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
