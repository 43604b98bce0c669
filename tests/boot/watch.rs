//! `watch`, `max_memory_restart`, and the commands around a rollout: units that live with an app and have it reloaded.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, load, pids, write};
use crate::support::{Machine, wait_until};

const MINUTE: Duration = Duration::from_secs(60);

fn replaced(m: &Machine, before: &[String]) {
    wait_until("every instance is replaced", MINUTE, || {
        let now = pids(m, 2);
        now.iter().all(|pid| pid != "0" && !before.contains(pid))
            && m.systemctl_show("shop", "ActiveState") == "active"
    });
}

booted!(files_that_change_reload_the_app, |m| {
    m.ok_sh("mkdir -p /srv/shop/lib /srv/shop/uploads /srv/shop/node_modules/x");
    let text =
        ecosystem(2, "watch = true\nignore_watch = 'uploads'\nrollout = { min_ready = '100ms' }");
    applied(m, &text);
    assert_eq!(m.systemctl_show("shop-watch.service", "ActiveState"), "active");
    let mut run = m.load(load());
    run.wait_flowing();
    let before = pids(m, 2);
    m.ok_sh("cd /srv/shop; echo x >uploads/a; echo x >node_modules/x/a.js; echo x >.git; echo x >out.log");
    // The watcher sees changes in their order, so it has seen the ignored ones before this one.
    m.ok_sh("mkdir /srv/shop/lib/new; echo x >/srv/shop/lib/new/a.js");
    replaced(m, &before);
    m.ok(["journalctl", "--sync"]);
    let journal = m.journal("shop-watch");
    assert!(journal.contains("/srv/shop/lib/new/a.js changed: reloading shop"), "{journal}");
    assert_eq!(journal.matches("changed:").count(), 1, "{journal}");
    // Code that does not start replaces no instance.
    let before = pids(m, 2);
    m.write("/srv/shop/server.js", "throw new Error('broken on purpose')");
    wait_until("the refusal", MINUTE, || {
        m.ok(["journalctl", "--sync"]);
        m.journal("shop-watch").contains("broken on purpose")
    });
    assert_eq!(pids(m, 2), before);
    m.write("/srv/shop/server.js", crate::shop::SERVER);
    replaced(m, &before);
    run.stop().assert_none_failed();
    // A changed list restarts the watcher, and no process of the app.
    let (before, watcher) = (pids(m, 2), m.systemctl_show("shop-watch", "MainPID"));
    write(m, &text.replace("watch = true", "watch = ['lib']"));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_ne!(m.systemctl_show("shop-watch", "MainPID"), watcher);
    m.ok_sh("echo x >/srv/shop/other.js; echo x >/srv/shop/lib/b.js");
    replaced(m, &before);
    m.ok(["journalctl", "--sync"]);
    assert!(!m.journal("shop-watch").contains("other.js"));
    let described = m.ok(["clusterctl", "describe", "shop"]);
    assert!(described.contains("/srv/shop/lib"), "{described}");
    // The watcher stops and starts with the app, and is removed with its key.
    m.ok(["clusterctl", "stop", "shop"]);
    assert_eq!(m.systemctl_show("shop-watch", "ActiveState"), "inactive");
    m.ok(["clusterctl", "start", "shop"]);
    assert_eq!(m.systemctl_show("shop-watch", "ActiveState"), "active");
    applied(m, &ecosystem(2, ""));
    assert_eq!(m.systemctl_show("shop-watch", "LoadState"), "not-found");
});

booted!(a_delay_makes_one_reload_of_many_changes, |m| {
    let text = "watch = ['lib']\nwatch_delay = '10s'\nrollout = { min_ready = '100ms' }";
    m.ok(["mkdir", "-p", "/srv/shop/lib"]);
    applied(m, &ecosystem(2, text));
    let before = pids(m, 2);
    // Further apart than the usual delay of 200 ms, and much closer than this one.
    m.ok_sh("cd /srv/shop/lib; for n in 1 2 3 4; do echo x >$n.js; sleep 1; done");
    replaced(m, &before);
    m.ok(["journalctl", "--sync"]);
    let journal = m.journal("shop-watch");
    assert_eq!(journal.matches("changed").count(), 1, "{journal}");
});

booted!(a_job_is_run_again_when_its_files_change, |m| {
    m.write("/srv/job/in/a", "1");
    let text = "[[apps]]\nname = 'job'\ncommand = ['sh', '-c', 'cat in/a >>/srv/job/ran']\n\
                autorestart = false\nwatch = 'in'\n";
    m.write("/srv/job/ecosystem.toml", text);
    m.ok(["clusterctl", "apply", "/srv/job/ecosystem.toml"]);
    wait_until("the first run", MINUTE, || m.exists("/srv/job/ran"));
    m.write("/srv/job/in/a", "2");
    wait_until("the second run", MINUTE, || m.read("/srv/job/ran") == "12");
});

/// Grows when it is asked to, and answers as the shop does.
const GREEDY: &str = "\
const held = [];
require('http').createServer((q, s) => {
  if (q.url === '/grow') held.push(Buffer.alloc(80 << 20, 1));
  s.end(`instance ${process.env.NODE_APP_INSTANCE} .`);
}).listen(3000);
";

booted!(an_instance_that_needs_too_much_is_replaced, |m| {
    write(m, &ecosystem(2, "max_memory_restart = '110M'\nrollout = { min_ready = '100ms' }"));
    m.write("/srv/shop/server.js", GREEDY);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(m.systemctl_show("shop-memory.timer", "ActiveState"), "active");
    assert_eq!(m.systemctl_show("shop@0", "MemoryMax"), (165u32 << 20).to_string());
    let before = pids(m, 2);
    m.ok(["systemctl", "start", "shop-memory.service"]);
    assert_eq!(pids(m, 2), before, "all need less");
    let mut run = m.load(load());
    run.wait_flowing();
    let grown = m.ok(["curl", "-s", "localhost:3000/grow"]);
    let number: usize = if grown.starts_with("instance 0") { 0 } else { 1 };
    m.ok(["systemctl", "start", "shop-memory.service"]);
    let after = pids(m, 2);
    assert_ne!(after[number], before[number]);
    assert_eq!(after[1 - number], before[1 - number], "the other one needs less");
    run.stop().assert_none_failed();
    m.ok(["journalctl", "--sync"]);
    let journal = m.journal("shop-memory");
    assert!(journal.contains(&format!("shop@{number} needs ")), "{journal}");
    m.ok(["clusterctl", "stop", "shop"]);
    assert_eq!(m.systemctl_show("shop-memory.timer", "ActiveState"), "inactive");
    m.ok(["systemctl", "start", "shop-memory.service"]);
    assert_eq!(m.systemctl_show("shop@0", "ActiveState"), "inactive", "what is stopped stays so");
});

booted!(commands_run_around_a_rollout, |m| {
    m.user("ada");
    let hooks = "user = 'ada'\nrollout = { min_ready = '100ms' }\nenv = { GREETING = 'hi' }\n\
                 before_reload = ['test ! -e /srv/refuse', 'echo before $GREETING $(id -un) $PWD >>/tmp/ran']\n\
                 after_reload = 'echo after >>/tmp/ran; test ! -e /srv/late'\n";
    applied(m, &ecosystem(2, hooks));
    assert!(!m.exists("/tmp/ran"), "a start is none");
    m.ok(["clusterctl", "reload", "shop"]);
    let once = "before hi ada /srv/shop\nafter\n";
    assert_eq!(m.read("/tmp/ran"), once);
    m.ok(["systemctl", "reload", "shop"]);
    m.ok(["clusterctl", "scale", "shop", "3"]);
    m.ok(["clusterctl", "reload", "shop@0"]);
    assert_eq!(m.read("/tmp/ran"), once.repeat(2));
    // A `before_reload` command that fails: nothing is replaced.
    m.ok(["touch", "/srv/refuse"]);
    let before = pids(m, 3);
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("`before_reload` failed"), "{output:#?}");
    assert!(output.stderr.contains("journalctl -u shop-before-reload.service"), "{output:#?}");
    // A changed definition is taken back.
    write(m, &ecosystem(3, &hooks.replace("'hi'", "'changed'")));
    let output = apply(m);
    assert_eq!(output.code, 1, "{output:#?}");
    assert_eq!(pids(m, 3), before);
    m.ok(["systemctl", "restart", "shop@0"]);
    assert!(m.ok_sh("for n in 1 2 3 4 5 6 7 8; do curl -s localhost:3000; done").contains("hi"));
    m.ok(["rm", "/srv/refuse"]);
    assert_eq!(apply(m).code, 0);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).contains("changed"));
    // An `after_reload` command that fails: the instances are new by then.
    m.ok(["touch", "/srv/late"]);
    let before = pids(m, 3);
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(
        output.stderr.contains("every instance was replaced, then `after_reload` failed"),
        "{output:#?}"
    );
    assert!(pids(m, 3).iter().all(|pid| !before.contains(pid)));
});
