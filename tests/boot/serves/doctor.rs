//! What `doctor` finds where nothing serves.

use std::time::Duration;

use super::{online, problems, shop, write};
use crate::booted;
use crate::support::wait_until;

booted!(the_doctor_looks_at_more_than_a_moment, |m| {
    // Longer than the program lives on a busy machine.
    shop(m, 2, "max_restarts = 'unlimited'\nrollout = { min_ready = '4s' }");
    assert_eq!(problems(m), "");
    m.write("/srv/shop/dies", "1 700");
    m.ok(["systemctl", "kill", "-s", "KILL", "shop@1"]);
    wait_until("it was restarted twice", Duration::from_secs(30), || {
        m.systemctl_show("shop@1", "NRestarts").parse::<u32>().unwrap() >= 2
    });
    // The instance that loops is online most of the time.
    for look in 0..15 {
        assert_eq!(problems(m), "looping", "look {look}");
        // Only the other instance has been up for `min_ready`.
        assert_eq!(online(m), 1, "look {look}");
    }
    m.write("/srv/shop/dies", "");
    m.ok(["clusterctl", "restart", "shop@1"]);
    assert_eq!(problems(m), "");
    // The instance runs, and could not be started again, since its script is gone.
    m.ok(["mv", "/srv/shop/server.js", "/srv/shop/kept.js"]);
    let output = m.clusterctl(["doctor", "shop"]);
    assert_eq!((output.code, problems(m).as_str()), (1, "cannot-start"), "{output:#?}");
    assert!(output.stdout.contains("/srv/shop/server.js"), "{output:#?}");
    m.ok(["mv", "/srv/shop/kept.js", "/srv/shop/server.js"]);
    assert_eq!(problems(m), "");
});

booted!(the_doctor_misses_an_interpreter, |m| {
    m.write("/opt/own/interpreter", "#!/bin/sh\nexec node \"$@\"\n");
    m.ok(["chmod", "+x", "/opt/own/interpreter"]);
    let app = "[[apps]]\nname = 'shop'\nscript = './server.js'\ninterpreter = '/opt/own/interpreter'\n\
        listen = 3000\n";
    write(m, "", app);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(problems(m), "");
    m.ok(["mv", "/opt/own/interpreter", "/opt/own/gone"]);
    assert_eq!(problems(m), "cannot-start");
    let script = "[[apps]]\nname = 'shop'\nscript = './run'\n";
    m.write("/srv/shop/run", "#!/opt/own/shell\nexec sleep infinity\n");
    m.ok_sh("chmod +x /srv/shop/run; ln -s /bin/sh /opt/own/shell");
    m.write("/srv/shop/ecosystem.toml", script);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(problems(m), "");
    m.ok(["rm", "/opt/own/shell"]);
    assert_eq!(problems(m), "cannot-start");
    // The interpreter is searched in the app's own PATH, and exists only there.
    m.write("/srv/shop/run", "#!/usr/bin/env -S quicksh -e\nexec sleep infinity\n");
    m.ok_sh("chmod +x /srv/shop/run; ln -s /bin/sh /opt/own/quicksh");
    let script = format!("{script}env = {{ PATH = '/opt/own:/usr/bin:/bin' }}\n");
    m.write("/srv/shop/ecosystem.toml", script);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    assert_eq!(problems(m), "");
    m.ok(["mv", "/opt/own/quicksh", "/usr/local/bin/quicksh"]);
    for stopped in [false, true] {
        if stopped {
            m.ok(["clusterctl", "stop", "shop"]);
        }
        let output = m.clusterctl(["doctor", "shop"]);
        assert_eq!((output.code, problems(m).as_str()), (1, "cannot-start"), "{output:#?}");
        assert!(
            output.stdout.contains("`quicksh`, which the first line of /srv/shop/run"),
            "{output:#?}"
        );
    }
});
