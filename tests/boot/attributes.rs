//! Attributes of PM2 as systemd carries them out.

use std::time::Duration;

use crate::booted;
use crate::shop::{applied, apply, ecosystem, write};
use crate::support::{Machine, wait_until};

booted!(pid_file_holds_the_main_process_of_each_instance, |m| {
    m.user("ada");
    for (folder, more) in [("/run", ""), ("/home/ada", "user = 'ada'\n")] {
        applied(m, &ecosystem(2, &format!("{more}pid_file = '{folder}/shop.pid'")));
        let file = |number: u32| format!("{folder}/shop-{number}.pid");
        let main = |number: u32| m.systemctl_show(&format!("shop@{number}"), "MainPID");
        for number in [0, 1] {
            assert_eq!(m.read(&file(number)).trim(), main(number), "{folder}");
        }
        let before = main(1);
        m.ok(["clusterctl", "reload", "shop"]);
        assert_ne!(main(1), before);
        assert_eq!(m.read(&file(1)).trim(), main(1));
        assert!(!m.exists(&file(2)), "of the extra instance");
        m.ok(["clusterctl", "stop", "shop"]);
        assert!(!m.exists(&file(0)) && !m.exists(&file(1)));
    }
    // A pid file that cannot be written is reported, and the app starts all the same.
    m.ok_sh("mkdir /srv/pids; chown ada /srv/pids");
    let text = ecosystem(1, "user = 'ada'\npid_file = '/srv/pids/shop.pid'");
    applied(m, &text);
    m.ok_sh("chown root /srv/pids; rm -f /srv/pids/*");
    m.ok(["clusterctl", "restart", "shop"]);
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance 0"));
    assert!(m.journal("shop@0").contains("Permission denied"), "{}", m.journal("shop@0"));
});

booted!(filter_env_keeps_variables_of_the_manager_out, |m| {
    m.ok(["systemctl", "set-environment", "GREETING=of-the-manager", "OTHER=1"]);
    applied(m, &ecosystem(1, ""));
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "instance 0 of-the-manager .");
    applied(m, &ecosystem(1, "filter_env = ['GREETING']"));
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "instance 0 plain .");
    applied(m, &ecosystem(1, "filter_env = 'GREETING'\nenv = { GREETING = 'own' }"));
    assert_eq!(m.ok(["curl", "-s", "localhost:3000"]), "instance 0 own .");
});

booted!(log_file_takes_both_streams, |m| {
    write(m, &ecosystem(1, "log_file = '/var/log/shop.log'"));
    let talker = "console.log('to out'); console.error('to err'); \
                  require('http').createServer((q, s) => s.end('x')).listen(3000);";
    m.write("/srv/shop/server.js", talker);
    assert_eq!(apply(m).code, 0);
    wait_until("both lines", Duration::from_secs(10), || {
        m.read("/var/log/shop.log") == "to out\nto err\n"
    });
    let logs = m.ok(["clusterctl", "logs", "shop"]);
    assert_eq!(logs.matches("to out").count(), 1, "{logs}");
});

/// A program that leaves a child behind which does not listen to its signal alone.
const PARENT: &str = "\
import subprocess, signal, time
child = subprocess.Popen(['sleep', '7531'])
open('/run/child', 'w').write(str(child.pid))
signal.pause()
";

fn child_runs(m: &Machine) -> bool {
    let pid = m.read("/run/child");
    m.sh(&format!("test -d /proc/{pid}")).code == 0
}

booted!(treekill_false_leaves_other_processes_alone, |m| {
    let app = |more: &str| {
        m.ok_sh("rm -f /run/child");
        m.write("/srv/kid/main.py", PARENT);
        let text =
            format!("[[apps]]\nname = 'kid'\nscript = 'main.py'\nkill_timeout = '2s'\n{more}");
        m.write("/srv/kid/ecosystem.toml", text);
        let output = m.clusterctl(["apply", "/srv/kid/ecosystem.toml"]);
        assert_eq!(output.code, 0, "{output:#?}");
        wait_until("the child", Duration::from_secs(10), || m.exists("/run/child"));
    };
    app("");
    m.ok(["clusterctl", "stop", "kid"]);
    assert!(!child_runs(m));
    app("treekill = false\n");
    m.ok(["clusterctl", "stop", "kid"]);
    assert!(child_runs(m), "as in PM2");
    assert_eq!(m.systemctl_show("kid@0", "ActiveState"), "inactive");
});

booted!(profiles_of_a_file_run_side_by_side, |m| {
    let text =
        ecosystem(1, "append_env_to_name = true\nname_prefix = 'x'").replace("listen = 3000", "");
    let ports = "env_qa = { PORT = 3001 }\nenv_live = { PORT = 3002 }\nexec_mode = 'cluster'\n";
    write(m, &format!("{text}{ports}"));
    for profile in ["qa", "live"] {
        let apply = ["apply", "/srv/shop/ecosystem.toml", "--prune", "--env", profile];
        let output = m.clusterctl(apply);
        assert_eq!(output.code, 0, "{output:#?}");
    }
    for (port, app) in [(3001, "x-shop-qa"), (3002, "x-shop-live")] {
        let answer = m.ok(["curl", "-s", &format!("localhost:{port}")]);
        assert!(answer.starts_with("instance 0"), "{app}: {answer}");
        assert_eq!(m.systemctl_show(&format!("{app}.service"), "ActiveState"), "active");
    }
});
