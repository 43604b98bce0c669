//! What administrators do with `systemctl`, and what then holds after a reboot.

use std::time::Duration;

use super::{SERVER, all_answer, applied, put};
use crate::booted;
use crate::support::wait_until;

booted!(what_was_started_by_hand, |m| {
    put(m, "/srv/kk", "app.js", SERVER, "script = 'app.js'\nlisten = 3700\ninstances = 2");
    applied(m);
    m.ok(["systemctl", "start", "kk@9"]);
    let output = applied(m);
    assert!(output.stdout.contains("instances: 3 → 2"), "{output:#?}");
    // Instances that run while the group is down.
    m.ok(["systemctl", "stop", "kk.service"]);
    m.ok(["systemctl", "start", "kk@1", "kk@5"]);
    applied(m);
    assert_eq!(m.systemctl_show("kk.service", "ActiveState"), "active");
    assert_eq!(m.systemctl_show("kk@5", "ActiveState"), "inactive");
    all_answer(m, 3700, 2);
});

booted!(stopped_for_good_outlasts_a_reboot, |m| {
    put(m, "/srv/kk", "app.js", SERVER, "script = 'app.js'\nlisten = 3700");
    applied(m);
    let output = m.clusterctl(["stop", "kk"]);
    assert!(output.stderr.contains("starts again at boot"), "{output:#?}");
    assert!(output.stderr.contains("clusterctl stop --disable kk"), "{output:#?}");
    m.reboot();
    assert_eq!(m.systemctl_show("kk@0", "ActiveState"), "active");
    assert_eq!(m.clusterctl(["stop", "--disable", "kk"]).code, 0);
    m.reboot();
    assert_eq!(m.systemctl_show("kk@0", "ActiveState"), "inactive");
    assert_eq!(m.clusterctl(["doctor", "kk"]).code, 0);
});

booted!(autostart_off_disables, |m| {
    put(m, "/srv/kk", "app.js", SERVER, "script = 'app.js'\nlisten = 3700");
    applied(m);
    put(m, "/srv/kk", "app.js", SERVER, "script = 'app.js'\nlisten = 3700\nautostart = false");
    applied(m);
    assert_eq!(m.run(["systemctl", "is-enabled", "kk"]).stdout.trim(), "disabled");
    let doctor = m.clusterctl(["doctor", "kk"]).stdout;
    assert!(!doctor.contains("systemctl enable"), "{doctor}");
    // A group that an administrator has enabled by hand stays enabled.
    m.ok(["systemctl", "enable", "kk"]);
    applied(m);
    assert_eq!(m.run(["systemctl", "is-enabled", "kk"]).stdout.trim(), "enabled");
});

booted!(an_instance_that_is_masked_meanwhile_is_told_as_it_is, |m| {
    let server = "\
        const listen = () => require('http').createServer((q, s) => s.end(process.env.GREETING))\
          .listen(3700);\
        const held = () => require('fs').existsSync('/srv/kk/go') ? listen() : setTimeout(held, 20);\
        held();";
    let app = |greeting: &str, more: &str| {
        format!(
            "script = 'app.js'\nlisten = 3700\ninstances = 3\nlisten_timeout = '60s'\n\
             env = {{ GREETING = '{greeting}' }}\n{more}"
        )
    };
    m.write("/srv/kk/go", "");
    put(m, "/srv/kk", "app.js", server, &app("one", ""));
    applied(m);
    for (more, says) in [
        ("rollout = { on_failure = 'pause' }", "now old: @1 @2, new: @0"),
        ("", "the former definition runs everywhere again"),
    ] {
        let before = m.systemctl_show("kk@1", "MainPID");
        m.ok(["rm", "-f", "/srv/kk/go", "/tmp/out"]);
        put(m, "/srv/kk", "app.js", server, &app("two", more));
        let mut child =
            m.spawn(["sh", "-c", "exec clusterctl apply /srv/kk/ecosystem.toml >/tmp/out 2>&1"]);
        wait_until("the first new instance starts", Duration::from_secs(20), || {
            m.sh("cat /tmp/out").stdout.contains("start kk@3")
        });
        m.ok(["systemctl", "mask", "kk@1"]);
        m.write("/srv/kk/go", "");
        assert_eq!(child.wait().0, 1);
        let said = m.ok_sh("cat /tmp/out");
        assert!(said.contains(says) && said.contains("masked"), "{said}");
        assert!(!said.contains("not ready"), "{said}");
        assert_eq!(m.systemctl_show("kk@1", "MainPID"), before);
        m.ok(["systemctl", "unmask", "kk@1"]);
        put(m, "/srv/kk", "app.js", server, &app("one", ""));
        applied(m);
    }
});
