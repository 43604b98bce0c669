//! Listeners come, go and move while others serve.

mod families;
mod paths;

use crate::booted;
use crate::shop::{SERVER, applied, listener_inode, load, pids, write};
use crate::support::load::Load;

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

booted!(a_port_written_into_the_program_is_served_on_another_one, |m| {
    m.write("/srv/shop/fixed.js", SERVER.replace("process.env.PORT || 3000", "3000, '127.0.0.1'"));
    let text = |listen: &str| {
        format!("[[apps]]\nname = 'shop'\nscript = 'fixed.js'\ninstances = 2\nlisten = {listen}\n")
    };
    applied(m, &text("{ at = 80, bind = 3000 }"));
    assert!(m.ok(["curl", "-s", "localhost"]).starts_with("instance "));
    assert_ne!(m.run(["curl", "-s", "localhost:3000"]).code, 0, "nobody has 3000");
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("80 on [::]:80 for port 3000 of the program"), "{described}");
    assert!(described.contains("program: asked for 127.0.0.1:3000, gets [::]:80"), "{described}");
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.contains("[::]:80->3000"), "{list}");
    let environment = m.ok_sh(&format!("tr '\\0' '\\n' < /proc/{}/environ", pids(m, 1)[0]));
    assert!(environment.contains("PORT=3000\n"), "{environment}");
    let mut run = m.load(Load::http("127.0.0.1:80").new_connections(50.0).expect("instance "));
    run.wait_flowing();
    // The other instances of the program's port alone are replaced: the listener stays.
    m.write("/srv/shop/fixed.js", SERVER.replace("process.env.PORT || 3000", "3001"));
    let plan = applied(m, &text("{ at = 80, bind = 3001 }"));
    assert!(plan.contains("without a gap"), "{plan}");
    m.ok(["clusterctl", "reload", "shop"]);
    run.stop().assert_none_failed();
});

booted!(a_program_is_started_on_another_port_than_its_own, |m| {
    m.write("/srv/shop/fixed.js", SERVER.replace("process.env.PORT || 3000", "3000"));
    m.ok_sh("cd /srv/shop && clusterctl start fixed.js -i 2 --listen 127.0.0.1:8080:3000");
    assert!(m.ok(["curl", "-s", "127.0.0.1:8080"]).starts_with("instance "));
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.contains("127.0.0.1:8080->3000"), "{list}");
});

/// Answers datagrams, and listens where `AT` says.
const ECHO: &str = "\
import os, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', int(os.environ['AT'])))
while True:
    data, peer = s.recvfrom(2000)
    s.sendto(data, peer)
";

booted!(a_port_of_datagrams_moves_by_a_rollout, |m| {
    m.write("/srv/shop/echo.py", ECHO);
    let text = |port: u16| {
        format!(
            "[[apps]]\nname = 'shop'\nscript = 'echo.py'\ninstances = 2\nlisten = 'udp:{port}'\n\
             env = {{ AT = '{port}' }}\n"
        )
    };
    applied(m, &text(5300));
    // The former port is served until the last instance is replaced.
    let mut run = m.load(Load::udp("127.0.0.1:5300", 50.0));
    run.wait_flowing();
    let plan = {
        write(m, &text(5301));
        m.ok(["clusterctl", "apply", "--dry-run", "/srv/shop/ecosystem.toml"])
    };
    assert!(plan.contains("replace 2 instances, without a gap"), "{plan}");
    assert!(!plan.contains("stop and start"), "{plan}");
    run.stop().assert_none_failed();
    let (group, before) = (m.systemctl_show("shop", "ActiveEnterTimestamp"), pids(m, 2));
    applied(m, &text(5301));
    assert_eq!(
        m.systemctl_show("shop", "ActiveEnterTimestamp"),
        group,
        "the app was never stopped"
    );
    assert!(pids(m, 2).iter().all(|pid| !before.contains(pid)));
    let mut run = m.load(Load::udp("127.0.0.1:5301", 50.0));
    run.wait_flowing();
    run.stop().assert_none_failed();
});

booted!(the_host_that_the_program_asks_for_is_in_its_description, |m| {
    m.write("/srv/shop/host.js", SERVER.replace("|| 3000)", "|| 3000, '127.0.0.1')"));
    applied(m, "[[apps]]\nname = 'shop'\nscript = 'host.js'\ninstances = 2\nlisten = 3000\n");
    let described = || m.ok(["clusterctl", "describe", "shop"]);
    let line = "program: asked for 127.0.0.1:3000, gets [::]:3000";
    assert_eq!(described().matches(line).count(), 1, "{}", described());
    let data = m.ok(["clusterctl", "describe", "shop", "-o", "json"]);
    assert!(data.contains("\"asks_for\":\"127.0.0.1:3000\""), "{data}");
    // With a log file of its own, where the journal has nothing.
    m.ok(["mkdir", "-p", "/srv/log"]);
    applied(
        m,
        "[[apps]]\nname = 'shop'\nscript = 'host.js'\ninstances = 2\nlisten = 3000\n\
         out_file = '/srv/log/out'\nerror_file = '/srv/log/err'\n",
    );
    assert_eq!(described().matches(line).count(), 1, "{}", described());
    // Asked for as it is held, nothing is to be said.
    m.ok(["rm", "-r", "/srv/log"]);
    applied(
        m,
        "[[apps]]\nname = 'shop'\nscript = 'host.js'\ninstances = 2\nlisten = '127.0.0.1:3000'\n",
    );
    assert!(!described().contains("asked for"), "{}", described());
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
