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

/// Writes what it sees of itself to the file that `SEEN` names, and says a word on both streams.
const WITNESS: &str = "\
const seen = { cwd: process.cwd(), args: process.argv.slice(2), node: process.execArgv, uid: process.getuid(),
  gid: process.getgid(), port: process.env.PORT };
require('fs').writeFileSync(process.env.SEEN, JSON.stringify(seen));
console.log('said to out'); console.error('said to err');
if (process.env.PORT) require('http').createServer((q, s) => s.end('served')).listen(process.env.PORT);
else setInterval(() => {}, 1e9);
";

/// One app that writes to `/tmp/seen-NAME`.
fn witness(name: &str, more: &str) -> String {
    format!(
        "[[apps]]\nname = '{name}'\nscript = 'witness.js'\nuid = 'ada'\nenv = {{ SEEN = '/tmp/seen-{name}' }}\n{more}\n"
    )
}

booted!(folder_arguments_rights_and_port_reach_the_program, |m| {
    m.user("ada");
    m.ok(["groupadd", "--system", "shelf"]);
    for folder in ["/srv/kid", "/srv/else where"] {
        m.write(&format!("{folder}/witness.js"), WITNESS);
    }
    let told = "cwd = '/srv/else where'\nargs = \"--name 'a b' $HOME 100%\"\n\
                node_args = '--max-old-space-size=64'\ngid = 'shelf'";
    let text = [
        witness("told", told),
        witness("ported", "port = 3050\ninstances = 2"),
        witness("quiet", "disable_logs = true"),
    ];
    m.write("/srv/kid/ecosystem.toml", text.concat());
    let output = m.clusterctl(["apply", "/srv/kid/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let seen = |name: &str| -> serde_json::Value {
        serde_json::from_str(&m.read(&format!("/tmp/seen-{name}"))).unwrap()
    };
    let told = seen("told");
    assert_eq!(told["cwd"], "/srv/else where");
    assert_eq!(told["args"], serde_json::json!(["--name", "a b", "$HOME", "100%"]));
    assert!(told["node"].to_string().contains("--max-old-space-size=64"), "{told}");
    let ids = |command: &str| m.ok_sh(command).trim().to_owned();
    assert_eq!(told["uid"].to_string(), ids("id -u ada"));
    assert_eq!(told["gid"].to_string(), ids("getent group shelf | cut -d: -f3"));
    // The port is a variable and a listener, which both instances share.
    assert_eq!(seen("ported")["port"], "3050");
    assert_eq!(m.ok(["curl", "-s", "localhost:3050"]), "served");
    assert_eq!(m.systemctl_show("ported-3050.socket", "ActiveState"), "active");
    m.ok(["journalctl", "--sync"]);
    assert!(m.journal("ported@1").contains("said to err"));
    assert!(seen("quiet")["uid"].is_number(), "it runs");
    assert!(!m.journal("quiet@0").contains("said to"), "{}", m.journal("quiet@0"));
});

/// Attributes that do nothing here, each with a value that somebody would write.
const IDLE: &str = "\
log_date_format = 'YYYY-MM-DD'\ntime = true\nlog_type = 'json'\nvizion = true\npmx = true\nautomation = true\n\
trace = true\ndisable_trace = true\nv8 = true\nevent_loop_inspector = true\ndeep_monitoring = true\n\
io = { apm = true }\nforce = true\nwrite = true\nexecute_command = true\nwindowsHide = true\n\
kill_retry_time = 100\nusername = 'bob'\ndisable_source_map_support = true\n\
watch_options = { usePolling = true }\n";

booted!(attributes_that_do_nothing_are_warned_of_and_the_app_serves, |m| {
    let file = "out_file = '/var/log/shop.out'\n";
    write(m, &ecosystem(1, &format!("{IDLE}{file}")));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    for line in IDLE.lines() {
        let name = line.split(' ').next().unwrap();
        assert!(output.stderr.contains(&format!("warning: `{name}` ")), "{name}: {output:#?}");
    }
    // Where a file is written, the journal's time stamps do not help, and that is said.
    assert!(output.stderr.contains("a file gets each line as it was written"), "{output:#?}");
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance 0"));
    // What the app would miss is refused, and what serves is left as it is.
    for refused in ["post_update = ['npm install']", "install_url = 'https://example.org'"] {
        write(m, &ecosystem(1, refused));
        let output = apply(m);
        assert_eq!(output.code, 3, "{output:#?}");
        assert!(output.stderr.contains("belongs to PM2's own deployment"), "{output:#?}");
    }
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance 0"));
});

/// Notes the moment of its start in milliseconds, and fails.
const SHORT: &str = "command = ['sh', '-c', 'date +%s%3N >>\"$STARTS\"; exit 1']";

booted!(restarts_wait_as_long_as_they_are_told_to, |m| {
    let app = |name: &str, more: &str| {
        let env = format!("env = {{ STARTS = '/srv/kid/{name}' }}\nmax_restarts = 3");
        // On a busy machine even this may take a second.
        let short = "min_uptime = '30s'\nrollout = { min_ready = '5s' }";
        format!("[[apps]]\nname = '{name}'\n{SHORT}\n{env}\n{short}\n{more}\n")
    };
    let text = app("fixed", "restart_delay = '700ms'")
        + &app("growing", "exp_backoff_restart_delay = '400ms'");
    m.write("/srv/kid/ecosystem.toml", text);
    // Neither stays up, which `apply` says.
    assert_eq!(m.clusterctl(["apply", "/srv/kid/ecosystem.toml"]).code, 1);
    for (name, least) in [("fixed", 700), ("growing", 400)] {
        wait_until("it gives up", Duration::from_secs(60), || {
            m.ok(["clusterctl", "list", name]).contains("errored")
        });
        let starts = m.read(&format!("/srv/kid/{name}"));
        let starts: Vec<u64> = starts.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(starts.len(), 3, "{name}: {starts:?}");
        for pair in starts.windows(2) {
            assert!(pair[1] - pair[0] >= least, "{name}: {starts:?}");
        }
    }
});
