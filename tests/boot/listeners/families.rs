//! IPv4 and IPv6: a listener for each, and ports that change from one to both.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, write};
use crate::support::load::{Cause, Kind, Load};
use crate::support::{Machine, wait_until};

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
            // redis lets in clients of this machine only, which it tells by their addresses.
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
