//! Bad input on a real machine: one clear sentence, the next step, and nothing touched.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, load, write};
use crate::support::wait_until;

booted!(names_and_addresses_of_others_are_refused, |m| {
    write(m, &ecosystem(1, "").replace("shop", "dbus"));
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("dbus.service"), "{output:#?}");
    let _server = m.spawn(["python3", "-m", "http.server", "3000"]);
    wait_until("python listens", Duration::from_secs(10), || {
        m.run(["curl", "-s", "localhost:3000"]).code == 0
    });
    write(m, &ecosystem(1, ""));
    let output = apply(m);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("is held by `python3` (pid "), "{output:#?}");
    assert!(!m.exists("/etc/systemd/system/shop.service"));
});

booted!(a_machine_without_a_bus_says_so, |m| {
    write(m, &ecosystem(1, ""));
    m.ok_sh("systemctl stop dbus.socket dbus.service");
    let output = apply(m);
    assert_eq!(output.code, 4, "{output:#?}");
    assert!(output.stderr.contains("the system bus does not answer"), "{output:#?}");
    assert!(output.stderr.contains("next: "), "{output:#?}");
    assert_eq!(m.clusterctl(["frobnicate"]).code, 2);
    assert_eq!(m.clusterctl(["apply", "/nowhere.toml"]).code, 3);
});

booted!(an_apply_that_is_killed_is_completed_by_the_next_one, |m| {
    applied(m, &ecosystem(3, ""));
    let mut run = m.load(load());
    run.wait_flowing();
    for (round, pause) in ["0.005", "0.02", "0.06", "0.15", "0.3", "0.6"].iter().enumerate() {
        m.write(
            "/srv/shop/ecosystem.toml",
            ecosystem(3, &format!("env = {{ GREETING = 'v{round}' }}")),
        );
        m.sh(&format!("timeout -s KILL {pause} clusterctl apply /srv/shop/ecosystem.toml; true"));
    }
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(apply(m).stdout.contains("nothing to do"));
    run.stop().assert_none_failed();
    for _ in 0..6 {
        assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("v5"));
    }
    assert_eq!(m.ok(["clusterctl", "list"]).matches(" online ").count(), 3);
});

booted!(an_app_that_is_not_there_is_named, |m| {
    applied(m, &ecosystem(1, ""));
    let output = m.clusterctl(["restart", "shpo"]);
    assert_eq!(output.code, 5, "{output:#?}");
    assert!(output.stderr.contains("there is: shop"), "{output:#?}");
});
