//! How programs get ready, and which instance they are.

use crate::booted_long;
use crate::shop::{apply, write};
use crate::support::{Machine, wait_until};
use std::time::Duration;

fn app(m: &Machine, file: &str, program: &str, toml: &str) {
    write(m, &format!("[[apps]]\nname = 'shop'\nscript = '{file}'\n{toml}\n"));
    m.write(&format!("/srv/shop/{file}"), program);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
}

booted_long!(es_modules_and_variables_of_the_instance, |m| {
    let server = "import http from 'node:http';\n\
        http.createServer((q, s) => s.end(`instance ${process.env.SLOT} ${process.env.BASE}`)).listen(3000);\n";
    app(
        m,
        "server.mjs",
        server,
        "instances = 3\nlisten = 3000\ninstance_var = 'SLOT'\nincrement_var = 'BASE'\nenv = { BASE = 7000 }",
    );
    let mut seen = std::collections::BTreeSet::new();
    wait_until("all three answer", Duration::from_secs(20), || {
        seen.insert(m.ok(["curl", "-s", "localhost:3000"]));
        seen.len() == 3
    });
    let expected = ["instance 0 7000", "instance 1 7001", "instance 2 7002"];
    assert!(seen.iter().eq(expected), "{seen:?}");
});

booted_long!(an_instance_is_ready_when_it_says_so, |m| {
    let server = "require('http').createServer((q, s) => s.end('instance x')).listen(3000);\n\
        setTimeout(() => process.send('ready'), 1500);\n";
    app(m, "server.js", server, "listen = 3000\nwait_ready = true");
    // The job of a Type=notify unit ends with READY=1, which came 1.5 s after the start.
    let ready: u64 = m.systemctl_show("shop@0", "ActiveEnterTimestampMonotonic").parse().unwrap();
    let start: u64 = m.systemctl_show("shop@0", "ExecMainStartTimestampMonotonic").parse().unwrap();
    assert!(ready - start >= 1_500_000, "{start} {ready}");
});

booted_long!(a_worker_without_a_listener_gets_its_shutdown_message, |m| {
    let worker = "process.on('message', (text) => { console.log(`got ${text}`); process.exit(0); });\n\
        process.send('ready'); setInterval(() => {}, 1000);\n";
    app(m, "worker.js", worker, "wait_ready = true\nshutdown_with_message = true");
    assert_eq!(m.systemctl_show("shop@0", "ActiveState"), "active");
    m.ok(["clusterctl", "stop", "shop"]);
    assert!(m.journal("shop@0").contains("got shutdown"), "{}", m.journal("shop@0"));
});

booted_long!(a_program_that_speaks_listen_fds_gets_its_listeners_natively, |m| {
    let server = "import os, socket, time\n\
        assert os.environ['LISTEN_PID'] == str(os.getpid()), 'LISTEN_PID'\n\
        assert os.environ['LISTEN_FDNAMES'] == 'http', 'LISTEN_FDNAMES'\n\
        assert 'LD_PRELOAD' not in os.environ, 'nothing is injected'\n\
        s = socket.socket(fileno=3)\n\
        s.setblocking(True)\n\
        while True:\n    c, _ = s.accept()\n    c.recv(9999)\n    \
        c.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\ninstance native')\n    c.close()\n";
    app(
        m,
        "server.py",
        server,
        "handover = 'native'\nlisten = { http = 3000 }\ninstances = 2\nnon_blocking = false",
    );
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "instance native");
});

booted_long!(a_port_below_1024_for_a_user_without_rights, |m| {
    m.ok(["useradd", "--system", "web"]);
    let server = "require('http').createServer((q, s) => s.end(`instance ${process.getuid()}`)).listen(80);\n";
    app(m, "server.js", server, "listen = 80\nuser = 'web'\ninstances = 2");
    assert_eq!(
        m.ok(["curl", "-s", "localhost"]),
        format!("instance {}", m.ok(["id", "-u", "web"]))
    );
});

booted_long!(redis_knows_its_local_clients_and_loses_none, |m| {
    write(
        m,
        "[[apps]]\nname = 'shop'\ncommand = ['redis-server', '--port', '6380', '--save', '']\n\
         instances = 2\nlisten = 6380\n",
    );
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    // redis in its protected mode serves clients of this host only, which it tells by their addresses.
    for (host, address) in [("127.0.0.1", "addr=127.0.0.1:"), ("::1", "addr=[::1]:")] {
        let clients = m.ok(["redis-cli", "-h", host, "-p", "6380", "client", "list"]);
        assert!(clients.contains(address), "{clients}");
    }
    let mut asking = m.spawn([
        "sh",
        "-c",
        "echo asks; until [ -e /run/enough ]; do redis-cli -p 6380 ping; done; echo end",
    ]);
    asking.line_with("PONG");
    m.ok(["clusterctl", "reload", "shop"]);
    m.write("/run/enough", "");
    let (_, lines) = asking.wait();
    let answers = lines.iter().filter(|line| *line != "asks" && *line != "end");
    let bad: Vec<_> = answers.clone().filter(|line| *line != "PONG").collect();
    assert!(bad.is_empty() && answers.count() > 2, "{bad:?}");
});
