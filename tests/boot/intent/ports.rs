//! Ports that others hold: who it is, said by name.

use std::time::Duration;

use super::{SERVER, all_answer, applied, apply, put};
use crate::booted;
use crate::support::wait_until;

booted!(a_port_that_an_instance_holds_is_named, |m| {
    let server = SERVER.replace("process.env.PORT", "3700");
    let app = "script = 'app.js'\ninstances = 2\nmax_restarts = 2";
    put(m, "/srv/kk", "app.js", &server, app);
    let output = apply(m);
    let why = "its port 3700 is held by kk@";
    let doctor = || m.clusterctl(["doctor", "kk"]).stdout;
    wait_until("one gives up", Duration::from_secs(30), || doctor().contains("gave up"));
    assert!(doctor().contains(why), "{} {output:#?}", doctor());
    assert!(doctor().contains("write `listen = 3700`"), "{}", doctor());
    assert!(m.clusterctl(["describe", "kk"]).stdout.contains(why));
    // The advice of the refusal works while an instance still holds the port.
    put(m, "/srv/kk", "app.js", &server, &format!("{app}\nlisten = 3700"));
    let output = applied(m);
    assert!(output.stdout.contains("an instance holds the address itself"), "{output:#?}");
    all_answer(m, 3700, 2);
});

booted!(whoever_holds_a_port_is_named, |m| {
    let app = "script = 'app.js'\nlisten = 3700";
    put(m, "/srv/kk", "app.js", SERVER, app);
    applied(m);
    // Another app of ours.
    m.write("/srv/b/app.js", SERVER);
    m.write(
        "/srv/b/ecosystem.toml",
        "[[apps]]\nname = 'b'\nscript = 'app.js'\nlisten = '0.0.0.0:3700'\n",
    );
    let output = m.clusterctl(["apply", "/srv/b/ecosystem.toml"]);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("held by kk-3700.socket (app kk)"), "{output:#?}");
    assert!(!output.stderr.contains("stop that program"), "{output:#?}");
    // The file itself is sound.
    let output = m.clusterctl(["validate", "/srv/b/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    // A socket unit of somebody else's, a service of somebody else's, a program.
    m.write("/etc/systemd/system/other.socket", "[Socket]\nListenStream=3701\nAccept=yes\n");
    m.write("/etc/systemd/system/other@.service", "[Service]\nExecStart=/bin/cat\n");
    m.write(
        "/etc/systemd/system/web.service",
        "[Service]\nExecStart=/usr/bin/python3 -m http.server 3702\n",
    );
    m.ok(["systemctl", "daemon-reload"]);
    m.ok(["systemctl", "start", "other.socket", "web.service"]);
    wait_until("web listens", Duration::from_secs(10), || {
        m.run(["curl", "-s", "localhost:3702"]).code == 0
    });
    for (port, holder) in [(3701, "other.socket"), (3702, "web.service")] {
        m.write(
            "/srv/b/ecosystem.toml",
            format!("[[apps]]\nname = 'b'\nscript = 'app.js'\nlisten = {port}\n"),
        );
        let output = m.clusterctl(["apply", "/srv/b/ecosystem.toml"]);
        assert_eq!(output.code, 3, "{output:#?}");
        assert!(output.stderr.contains(&format!("held by {holder}")), "{output:#?}");
        assert!(output.stderr.contains(&format!("systemctl stop {holder}")), "{output:#?}");
    }
});

/// PM2's daemon starts a program with these variables, or listens for its cluster itself.
const PM2: &str = "\
import os, socket, subprocess, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', 3702))
s.listen()
env = dict(os.environ, name='web', pm_id='3')
subprocess.Popen(['/usr/bin/python3', '-m', 'http.server', '3701'], env=env)
time.sleep(1000)
";

booted!(pm2_is_named_with_its_app, |m| {
    m.write("/srv/god.py", PM2);
    let god = "exec -a 'PM2 v5.4.2: God Daemon (/root/.pm2)' python3 /srv/god.py";
    let _god = m.spawn(["bash", "-c", god]);
    wait_until("both listen", Duration::from_secs(20), || {
        m.run(["curl", "-s", "-m", "1", "localhost:3701"]).code == 0
    });
    for (port, holder) in [(3701, "held by PM2 (app web, id 3)"), (3702, "held by PM2 (its daemon")]
    {
        put(m, "/srv/kk", "app.js", SERVER, &format!("script = 'app.js'\nlisten = {port}"));
        let output = apply(m);
        assert_eq!(output.code, 3, "{output:#?}");
        assert!(output.stderr.contains(holder), "{output:#?}");
        assert!(output.stderr.contains("pm2 delete"), "{output:#?}");
    }
});
