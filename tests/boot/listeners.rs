//! Listeners come, go and move while others serve.

use std::time::Duration;

use crate::booted;
use crate::shop::{SERVER, applied, apply, listener_inode, load, pids, write};
use crate::support::load::{Cause, Kind, Load};
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

/// Answers with what it sees of the client: one socket for each family, as redis and nginx have.
const FAMILIES: &str = "\
import os, select, signal, socket, sys
four, six = socket.socket(), socket.socket(socket.AF_INET6)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
for s, host in (four, '0.0.0.0'), (six, '::'):
    s.bind((host, int(sys.argv[1])))
    s.listen()
    s.setblocking(False)
while True:
    for s in select.select([four, six], [], [])[0]:
        try:
            c, peer = s.accept()
        except BlockingIOError:
            continue
        c.recv(9999)
        text = f'instance {os.environ[\"NODE_APP_INSTANCE\"]} sees {peer[0]} .'
        c.sendall(f'HTTP/1.1 200 OK\\r\\nContent-Length: {len(text)}\\r\\nConnection: close\\r\\n\\r\\n{text}'.encode())
        c.close()
";

fn families(m: &Machine, listen: &str) -> String {
    m.write("/srv/shop/families.py", FAMILIES);
    let toml = format!(
        "[[apps]]\nname = 'shop'\ncommand = ['python3', 'families.py', '3000']\ninstances = 2\n\
         listen = {listen}\nreadiness = 'all'\n"
    );
    applied(m, &toml)
}

booted!(a_program_with_a_socket_for_each_family_gets_a_listener_for_each, |m| {
    let pair = "['0.0.0.0:3000', '[::]:3000']";
    families(m, pair);
    let ask = |host: &str| m.ok(["curl", "-s", &format!("http://{host}:3000")]);
    assert!(ask("127.0.0.1").ends_with("sees 127.0.0.1 ."), "{}", ask("127.0.0.1"));
    assert!(ask("[::1]").ends_with("sees ::1 ."), "{}", ask("[::1]"));
    let doctor = m.clusterctl(["doctor"]);
    assert!(doctor.stdout.contains("nothing is wrong"), "{doctor:#?}");
    assert!(families(m, pair).contains("nothing to do"));
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("on [::]:3000, IPv6 alone (shop-ipv6-3000.socket, "), "{described}");
    let list = m.ok(["clusterctl", "list"]);
    assert!(list.contains("0.0.0.0:3000 [::]:3000"), "{list}");
    let (mut four, mut six) = ["127.0.0.1:3000", "[::1]:3000"]
        .map(|at| m.load(Load::http(at).new_connections(40.0).expect("instance ")))
        .into();
    four.wait_flowing();
    six.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    four.stop().assert_none_failed();
    six.stop().assert_none_failed();
});

booted!(redis_has_the_clients_of_each_family, |m| {
    if !m.exists("/usr/bin/redis-server") {
        return;
    }
    for listen in ["6380", "['0.0.0.0:6380', '[::]:6380']"] {
        write(
            m,
            &format!(
                "[[apps]]\nname = 'shop'\nlisten = {listen}\n\
                 command = ['redis-server', '--port', '6380', '--save', '']\n"
            ),
        );
        let output = apply(m);
        assert_eq!(output.code, 0, "{output:#?}");
        for host in ["127.0.0.1", "::1"] {
            let cli = ["redis-cli", "-h", host, "-p", "6380"];
            // It lets in clients of this machine alone, by their addresses.
            assert_eq!(m.ok(cli.into_iter().chain(["ping"])), "PONG", "{listen}");
            let client = m.ok(cli.into_iter().chain(["client", "info"]));
            let shown = if host == "::1" { " addr=[::1]:" } else { " addr=127.0.0.1:" };
            assert!(client.contains(shown), "{listen}: {client}");
        }
    }
});

booted!(a_port_whose_listener_changes_its_families_is_open_before_instances_have_ended, |m| {
    let slow = "require('http').createServer((q, s) => {\n\
        if (q.url === '/') return s.end('instance x');\n\
        require('fs').watch('/srv/go', () => s.end('slow'));\n\
        require('fs').writeFileSync('/srv/begun', '');\n\
        }).listen(3000);\n";
    let text = |listen: &str| {
        format!(
            "[[apps]]\nname = 'shop'\nscript = 'slow.js'\nkill_timeout = '60s'\nlisten = {listen}\n"
        )
    };
    m.write("/srv/shop/slow.js", slow);
    m.ok(["mkdir", "/srv/go"]);
    applied(m, &text("3000"));
    let exchanges = [
        ("'0.0.0.0:3000'", "shop-0.0.0.0-3000.socket"),
        ("3000", "shop-3000.socket"),
        ("'127.0.0.1:3000'", "shop-127.0.0.1-3000.socket"),
    ];
    for (listen, unit) in exchanges {
        write(m, &text(listen));
        let answered = || m.ok(["cat", "/srv/slow"]);
        let background = |line: &str| m.ok_sh(&format!("({line}) </dev/null >/dev/null 2>&1 & :"));
        m.ok_sh("rm -f /srv/code /srv/slow /srv/begun /srv/go/*");
        background("curl -s 127.0.0.1:3000/slow >/srv/slow");
        wait_until("the slow request has begun", Duration::from_secs(30), || {
            m.exists("/srv/begun")
        });
        background("clusterctl apply /srv/shop/ecosystem.toml >/srv/plan 2>&1; echo $? >/srv/code");
        wait_until("the new listener is open", Duration::from_secs(30), || {
            m.systemctl_show(unit, "ActiveState") == "active"
        });
        assert_eq!(m.systemctl_show("shop@0", "ActiveState"), "deactivating");
        assert_eq!(answered(), "", "the old instance still works");
        let waits = "curl -s 127.0.0.1:3000 >/srv/waits & touch /srv/go/now; wait";
        m.ok_sh(waits);
        wait_until("the apply has ended", Duration::from_secs(60), || m.exists("/srv/code"));
        let plan = m.read("/srv/plan");
        assert!(plan.contains("refused for a moment"), "{plan}");
        assert_eq!(m.read("/srv/code").trim(), "0", "{plan}");
        assert_eq!((answered().as_str(), m.read("/srv/waits").as_str()), ("slow", "instance x"));
        assert!(apply(m).stdout.contains("nothing to do"));
        assert!(!m.exists("/run/clusterctl/shop.service.moves"));
    }
});

// An app goes from one listener of both families to one for each, and back, and nobody who has
// connected is dropped.
booted!(a_listener_that_changes_its_families_drops_nobody, |m| {
    families(m, "3000");
    for listen in ["['0.0.0.0:3000', '[::]:3000']", "3000"] {
        let run = Load::http("127.0.0.1:3000").new_connections(100.0).expect("instance ");
        let mut run = m.load(run);
        run.wait_flowing();
        families(m, listen);
        run.wait_flowing();
        let report = run.stop();
        assert_eq!(report.failed(), report.of(Kind::New).failed_by(Cause::Refused), "{report:#?}");
    }
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
                // One instance leaves the listeners of all as they are, and says so.
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
