//! A machine without libsystemd, as a small container may be: all but the lines of the journal works.

use crate::booted;
use crate::shop::{applied, ecosystem, load};

booted!(without_libsystemd_everything_works_but_the_journal, |m| {
    m.ok_sh("rm /usr/lib/*/libsystemd.so.*; ldconfig");
    applied(m, &ecosystem(2, "env = { GREETING = 'hello' }"));
    let mut run = m.load(load());
    run.wait_flowing();
    m.ok(["clusterctl", "reload", "shop"]);
    m.ok(["clusterctl", "scale", "shop", "3"]);
    run.stop().assert_none_failed();
    assert!(m.ok(["clusterctl", "list"]).contains("online"));
    m.ok(["clusterctl", "describe", "shop"]);
    let logs = m.run(["clusterctl", "logs", "shop"]);
    let said = "error: failed to read the journal: libsystemd is not installed (libsystemd.so.0: ";
    assert!(logs.code != 0 && logs.stderr.starts_with(said), "{}", logs.stderr);
    assert!(
        logs.stderr.contains("next: install it: `apt-get install libsystemd0`"),
        "{}",
        logs.stderr
    );
});
