//! What users of PM2 and of systemd mean, and what happens then.

mod by_hand;
mod ports;

use std::time::Duration;

use crate::any_app::{apply, put};
use crate::booted;
use crate::support::{Machine, Output, wait_until};

fn applied(m: &Machine) -> Output {
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    output
}

const SERVER: &str = "\
require('http').createServer((q, s) => {
  s.end(`instance ${process.env.NODE_APP_INSTANCE} ${process.env.GREETING || ''}`);
}).listen(process.env.PORT);
";

fn all_answer(m: &Machine, port: u16, instances: usize) {
    let mut seen = std::collections::BTreeSet::new();
    wait_until("all instances answer", Duration::from_secs(20), || {
        seen.insert(m.ok(["curl", "-s", &format!("localhost:{port}")]));
        seen.len() == instances
    });
}

booted!(the_commonest_file_of_pm2_just_works, |m| {
    let app = "script = 'app.js'\nexec_mode = 'cluster'\ninstances = 4\nenv = { PORT = 3700 }";
    put(m, "/srv/kk", "app.js", SERVER, app);
    let output = applied(m);
    assert!(output.stdout.contains("listens on 3700, as `PORT` says"), "{output:#?}");
    all_answer(m, 3700, 4);
    assert!(apply(m).stdout.contains("nothing to do"));
    // The port of a profile, and of a file of variables.
    m.ok(["clusterctl", "delete", "kk"]);
    let app = "script = 'app.js'\nexec_mode = 'cluster_mode'\ninstances = 2\n\
               env_production = { PORT = 3701 }";
    put(m, "/srv/kk", "app.js", SERVER, app);
    assert_eq!(m.clusterctl(["apply", "/srv/kk/ecosystem.toml", "--env", "production"]).code, 0);
    all_answer(m, 3701, 2);
    m.ok(["clusterctl", "delete", "kk"]);
    m.write("/srv/kk/.env", "PORT=3702\n");
    let app = "script = 'app.js'\ninstances = 2\nenv_file = '.env'";
    put(m, "/srv/kk", "app.js", SERVER, app);
    applied(m);
    all_answer(m, 3702, 2);
});

booted!(instances_that_are_not_there_are_refused, |m| {
    put(m, "/srv/kk", "app.js", SERVER, "script = 'app.js'\nlisten = 3700\ninstances = 4");
    applied(m);
    for command in [
        "restart kk@7",
        "start kk@9",
        "stop kk@8",
        "reload kk@4",
        "describe kk@5",
        "restart kk@1 kk@6",
    ] {
        let output = m.sh(&format!("clusterctl {command}"));
        assert_eq!(output.code, 5, "{command}: {output:#?}");
        let number = command.rsplit('@').next().unwrap();
        assert!(output.stderr.contains(&format!("there is no kk@{number}")), "{output:#?}");
        assert!(output.stderr.contains("there is: kk@0 to kk@3"), "{output:#?}");
    }
    let units = m.ok(["systemctl", "list-units", "--all", "--plain", "--no-legend", "kk@*"]);
    assert_eq!(units.lines().count(), 4, "{units}");
    // An instance that was stopped, and one beyond the number that was started by hand, are there.
    assert_eq!(m.sh("clusterctl stop kk@3 && clusterctl start kk@3").code, 0);
    m.ok(["systemctl", "start", "kk@9"]);
    assert_eq!(m.clusterctl(["stop", "kk@9"]).code, 0);
});

booted!(no_restarts_means_none_and_unlimited_means_all, |m| {
    let crash = "require('fs').appendFileSync('/srv/kk/runs', 'x'); process.exit(1);";
    put(m, "/srv/kk", "app.js", crash, "script = 'app.js'\nmax_restarts = 0\nlisten = 3700");
    apply(m);
    let errored = || m.clusterctl(["list"]).stdout.contains("errored");
    wait_until("it is given up", Duration::from_secs(20), errored);
    assert_eq!(m.read("/srv/kk/runs"), "x");
    let more = "max_restarts = 'unlimited'\nexp_backoff_restart_delay = '10ms'";
    put(m, "/srv/kk", "app.js", crash, &format!("script = 'app.js'\n{more}"));
    apply(m);
    wait_until("it goes on", Duration::from_secs(60), || m.read("/srv/kk/runs").len() > 3);
    assert!(!errored());
});

booted!(an_exit_that_stops_is_no_failure, |m| {
    let exit = "process.exit(42);";
    put(m, "/srv/kk", "app.js", exit, "script = 'app.js'\nstop_exit_codes = [42, 7]");
    apply(m);
    let stopped = || m.clusterctl(["list"]).stdout.contains("stopped");
    wait_until("it is stopped", Duration::from_secs(20), stopped);
    assert_eq!(m.ok_sh("systemctl --failed --no-legend | wc -l"), "0");
    assert!(!m.clusterctl(["doctor", "kk"]).stdout.contains("gave up"));
});

booted!(a_job_runs_once, |m| {
    let app = "command = ['sh', '-c', 'echo run >> /srv/kk/log']\nautorestart = false";
    put(m, "/srv/kk", "unused", "", app);
    let runs = || m.read("/srv/kk/log").lines().count();
    applied(m);
    let completed = || m.clusterctl(["list"]).stdout.contains("completed");
    wait_until("it has ended", Duration::from_secs(10), completed);
    assert_eq!(runs(), 1);
    assert!(apply(m).stdout.contains("nothing to do"));
    assert_eq!(m.clusterctl(["reload", "/srv/kk/ecosystem.toml"]).code, 0);
    assert_eq!(runs(), 1, "nothing changed");
    let doctor = m.clusterctl(["doctor", "kk"]);
    assert!(
        doctor.code == 0 && doctor.stdout.contains("instances, nothing is wrong"),
        "{doctor:#?}"
    );
    assert_eq!(m.clusterctl(["start", "kk"]).code, 0);
    assert_eq!(runs(), 2);
    assert_eq!(m.clusterctl(["restart", "kk"]).code, 0);
    assert_eq!(runs(), 3);
    put(m, "/srv/kk", "unused", "", &format!("{app}\nenv = {{ A = 1 }}"));
    applied(m);
    assert_eq!(runs(), 4, "once for the change");
    m.reboot();
    wait_until("it has ended", Duration::from_secs(10), completed);
    assert_eq!(runs(), 5);
    // With `autorestart = false`, a program that fails runs only once too.
    let app = "command = ['sh', '-c', 'echo run >> /srv/kk/failed; exit 3']\nautorestart = false";
    put(m, "/srv/kk", "unused", "", &app.replace("kk'", "k2'"));
    m.ok(["clusterctl", "delete", "kk"]);
    apply(m);
    assert_eq!(m.read("/srv/kk/failed").lines().count(), 1);
    // `list` shows its failure.
    assert!(m.clusterctl(["list"]).stdout.contains("errored"));
});

booted!(a_profile_is_remembered, |m| {
    let app = "script = 'app.js'\nlisten = 3700\nenv = { GREETING = 'dev' }\n\
               env_production = { GREETING = 'prod' }\nenv_staging = { GREETING = 'stage' }";
    put(m, "/srv/kk", "app.js", SERVER, app);
    assert_eq!(m.clusterctl(["apply", "/srv/kk/ecosystem.toml", "--env", "production"]).code, 0);
    let greeting = || m.ok(["curl", "-s", "localhost:3700"]);
    assert!(greeting().contains("prod"));
    let output = applied(m);
    assert!(output.stdout.contains("nothing to do"), "{output:#?}");
    assert!(output.stderr.contains("production"), "{output:#?}");
    assert_eq!(m.clusterctl(["reload", "/srv/kk/ecosystem.toml"]).code, 0);
    assert!(greeting().contains("prod"));
    let output = m.clusterctl(["apply", "/srv/kk/ecosystem.toml", "--env", "staging"]);
    assert!(output.stdout.contains("profile: production → staging"), "{output:#?}");
    assert!(greeting().contains("stage"));
    let output = m.clusterctl(["apply", "/srv/kk/ecosystem.toml", "--env", "none"]);
    assert!(output.stdout.contains("profile: staging → none"), "{output:#?}");
    assert!(greeting().contains("dev"));
});

booted!(rollback_means_the_file_of_this_folder, |m| {
    for folder in ["a", "b"] {
        let app =
            |n: u32| format!("[[apps]]\nname = '{folder}'\nscript = 'app.js'\ninstances = {n}\n");
        m.write(&format!("/srv/{folder}/app.js"), "setInterval(() => {}, 1000)");
        for number in [1, 2] {
            m.write(&format!("/srv/{folder}/ecosystem.toml"), app(number));
            m.ok(["clusterctl", "apply", &format!("/srv/{folder}/ecosystem.toml")]);
        }
    }
    let count = |app: &str| m.ok_sh(&format!("clusterctl list {app} | grep -c online"));
    let output = m.sh("cd /srv/a && clusterctl rollback");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!((count("a"), count("b")), ("1".into(), "2".into()));
    let output = m.sh("cd / && clusterctl rollback");
    assert_eq!(output.code, 2, "{output:#?}");
    for choice in ["--file /srv/a/ecosystem.toml", "--file /srv/b/ecosystem.toml"] {
        assert!(output.stderr.contains(choice), "{output:#?}");
    }
    let output = m.sh("cd / && clusterctl rollback b");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!((count("a"), count("b")), ("1".into(), "1".into()));
    assert_eq!(m.sh("clusterctl rollback nothing").code, 5);
});

booted!(a_switched_link_is_followed, |m| {
    for (release, word) in [("1", "one"), ("2", "two")] {
        let server = SERVER.replace("process.env.GREETING || ''", &format!("'{word}'"));
        put(
            m,
            &format!("/srv/app/releases/{release}"),
            "app.js",
            &server,
            "script = 'app.js'\nlisten = 3700",
        );
    }
    m.ok_sh("ln -s releases/1 /srv/app/current");
    let output = m.sh("cd /srv/app/current && clusterctl apply");
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stdout.contains("/srv/app/current leads to /srv/app/releases/1 now"),
        "{output:#?}"
    );
    assert!(m.ok(["curl", "-s", "localhost:3700"]).contains("one"));
    m.ok_sh("ln -sfn releases/2 /srv/app/current");
    assert_eq!(m.clusterctl(["reload", "kk"]).code, 0);
    assert!(m.ok(["curl", "-s", "localhost:3700"]).contains("two"));
});

booted!(a_deleted_app_leaves_no_failed_unit, |m| {
    put(
        m,
        "/srv/kk",
        "app.js",
        "process.exit(1)",
        "script = 'app.js'\nlisten = 3700\nmax_restarts = 1",
    );
    apply(m);
    wait_until("it is given up", Duration::from_secs(20), || {
        m.clusterctl(["list"]).stdout.contains("errored")
    });
    wait_until("the app has failed", Duration::from_secs(20), || {
        m.systemctl_show("kk", "ActiveState") == "failed"
    });
    assert_eq!(m.clusterctl(["delete", "kk"]).code, 0);
    assert_eq!(m.ok_sh("systemctl list-units --all --no-legend --plain 'kk*'"), "");
});

booted!(standard_input_has_a_name, |m| {
    m.write("/srv/kk/app.js", "setInterval(() => {}, 1000)");
    let app = |name: &str| format!("[[apps]]\nname = '{name}'\nscript = 'app.js'\n");
    m.write("/both", app("aa") + &app("bb"));
    m.write("/one", app("aa"));
    let name = "--as /srv/kk/generated.toml";
    let output = m.sh(&format!("clusterctl apply - {name} </both"));
    assert_eq!(output.code, 0, "{output:#?}");
    let output = m.sh(&format!("cd / && clusterctl apply --prune - {name} </one"));
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(!m.ok(["clusterctl", "list"]).contains("bb"), "{output:#?}");
    let output = m.sh("clusterctl history /srv/kk/generated.toml");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(m.sh("clusterctl apply /one --as /x.toml").code, 2);
});

booted!(a_user_is_told_of_lingering_and_of_her_apps, |m| {
    let ada = m.user("ada");
    ada.write("/home/ada/app.js", "setInterval(() => {}, 1000)");
    ada.write("/home/ada/ecosystem.toml", "[[apps]]\nname = 'hers'\nscript = 'app.js'\n");
    // Lingering is off from here on, while ada's manager still runs.
    m.ok(["rm", "/var/lib/systemd/linger/ada"]);
    let output = ada.run(["sh", "-c", "cd && clusterctl --user apply"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("loginctl enable-linger"), "{output:#?}");
    for verb in ["list", "reload hers", "logs hers", "describe hers"] {
        let output = ada.run(["sh", "-c", &format!("clusterctl {verb}")]);
        assert!(
            output.stderr.contains(&format!("clusterctl --user {verb}")),
            "{verb}: {output:#?}"
        );
    }
    ada.write("/home/ada/broken.js", "process.exit(1)");
    ada.write("/home/ada/b.toml", "[[apps]]\nname = 'b'\nscript = 'broken.js'\nlisten = 3000\n");
    let output = ada.run(["clusterctl", "--user", "apply", "/home/ada/b.toml"]);
    assert!(output.stderr.contains("next: clusterctl --user logs b@0"), "{output:#?}");
    let output = ada.run(["clusterctl", "--user", "reload", "nothing"]);
    assert!(!output.stderr.contains(": clusterctl apply"), "{output:#?}");
});

booted!(json_is_one_protocol, |m| {
    let crash = "console.error('Error: no such database'); process.exit(3);";
    put(m, "/srv/kk", "app.js", crash, "script = 'app.js'\nlisten = 3700\nmax_restarts = 1");
    let lines = |args: &[&str]| -> Vec<serde_json::Value> {
        let output = m.clusterctl(args.to_vec());
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let file = "/srv/kk/ecosystem.toml";
    let all = lines(&["apply", "-o", "json", file]);
    assert_eq!(all[0]["program"], "clusterctl");
    assert_eq!(all[0]["format"], 1);
    assert!(all.iter().all(serde_json::Value::is_object));
    let log = all.iter().find(|one| one["event"] == "log").unwrap();
    assert_eq!(log["line"], "Error: no such database");
    let done = all.iter().find(|one| one["event"] == "done").unwrap();
    assert!(done["text"].as_str().unwrap().contains("ended with code 3"), "{done}");
    m.write(file, "[[apps]]\nnme = 'x'\n");
    let all = lines(&["apply", "-o", "json", file]);
    assert_eq!(all[0]["program"], "clusterctl");
    assert!(all[1]["problems"].is_array(), "{all:?}");
    let all = lines(&["restart", "-o", "json", "nothing"]);
    assert!(all.iter().any(|one| one["event"] == "error"), "{all:?}");
});
