//! What commands cost, by what they open and how often they ask the manager: one about one app opens no file of others,
//! and one that changes nothing reads each unit once.

use std::collections::BTreeMap;

use crate::booted;
use crate::support::{Machine, skip};

const APPS: [&str; 4] = ["one", "other0", "other1", "other2"];

booted!(a_command_about_one_app_opens_no_file_of_others, |m| {
    if m.run(["strace", "--version"]).code != 0 {
        return skip::record("strace is missing");
    }
    let apps = APPS.map(|name| {
        format!("[[apps]]\nname = '{name}'\ncommand = ['sleep', 'infinity']\nrollout = {{ min_ready = 0 }}\n")
    });
    m.write("/srv/ecosystem.toml", apps.concat());
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let opened = |verb: &str| {
        let trace = "strace -f -qq -e trace=openat -o /run/opened";
        let output = m.sh(&format!("{trace} clusterctl {verb}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
        m.read("/run/opened").lines().filter(|line| line.contains("/other")).count()
    };
    let verbs = [
        "describe one",
        "describe one@0",
        "env one",
        "reload one",
        "reload one@0",
        "restart one",
        "stop one@0",
        "start one",
        "stop one",
        "start one",
        "scale one 2",
        "pid one",
        "sendSignal SIGCONT one",
        "reset one",
        "audit one",
        "flush one",
        "history one",
        "doctor one",
        "logs one --nostream",
    ];
    let found: Vec<(&str, usize)> = verbs.iter().map(|verb| (*verb, opened(verb))).collect();
    let wasteful: Vec<_> = found.iter().filter(|(_, files)| *files > 0).collect();
    assert!(wasteful.is_empty(), "{wasteful:?}");
    // What is counted is there: all of them are read where all are meant.
    assert!(opened("describe all") >= 9);
});

booted!(a_reload_asks_its_questions_over_few_connections, |m| {
    if m.run(["strace", "--version"]).code != 0 {
        return skip::record("strace is missing");
    }
    let app = "[[apps]]\nname = 'few'\ninstances = 4\nlisten = 3000\ncommand = ['python3', '-m', 'http.server', '3000']\n\
               rollout = { min_ready = 0 }\n";
    m.write("/srv/ecosystem.toml", app);
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let trace = "/usr/bin/strace -f -qq -e trace=connect,write -o";
    let unit = m.read("/etc/systemd/system/few.service");
    let rollout = unit.lines().find_map(|line| line.strip_prefix("ExecReload=")).unwrap();
    let drop_in = format!("[Service]\nExecReload=\nExecReload={trace} /run/rollout {rollout}\n");
    m.write("/run/systemd/system/few.service.d/trace.conf", drop_in);
    m.ok(["systemctl", "daemon-reload"]);
    let output = m.sh(&format!("{trace} /run/command clusterctl reload few"));
    assert_eq!(output.code, 0, "{output:#?}");
    let made = |file: &str, until: &str| {
        let text = m.read(file);
        let until = text.lines().take_while(|line| !line.contains(until));
        until.filter(|line| line.contains("/run/systemd/private")).count()
    };
    let (command, rollout) =
        (made("/run/command", "exit_group"), made("/run/rollout", "start few@4"));
    assert!(command <= 6 && rollout <= 5, "command {command}, rollout {rollout}");
    assert!(command > 0 && rollout > 0, "nothing was counted");
});

/// How often the program of a group asked the manager, which is traced into this file.
const TRACED_GROUP: &str = "/run/group";

/// Has the start of a group traced.
fn trace_group(m: &Machine, app: &str) {
    let unit = m.read(&format!("/etc/systemd/system/{app}.service"));
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let trace = format!("/usr/bin/strace -f -qq -e trace=connect -o {TRACED_GROUP}");
    let drop_in = format!("[Service]\nExecStart=\nExecStart={trace} {start}\n");
    m.write(&format!("/run/systemd/system/{app}.service.d/trace.conf"), drop_in);
    m.ok(["systemctl", "daemon-reload"]);
}

booted!(a_group_asks_nobody_where_a_command_follows_its_starts, |m| {
    if m.run(["strace", "--version"]).code != 0 {
        return skip::record("strace is missing");
    }
    let app = "[[apps]]\nname = 'few'\ninstances = 3\ncommand = ['sleep', 'infinity']\n\
               rollout = { min_ready = 0 }\n";
    m.write("/srv/ecosystem.toml", app);
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    trace_group(m, "few");
    let asked = |start: &str| {
        m.ok(["clusterctl", "stop", "few"]);
        m.ok_sh(&format!(
            "rm -f {TRACED_GROUP}; {start} && systemctl is-active few few@0 few@1 few@2"
        ));
        m.read(TRACED_GROUP).matches("/run/systemd/private").count()
    };
    assert_eq!(asked("clusterctl start few"), 0);
    assert!(asked("systemctl start few") > 0, "nothing was counted");
    assert_eq!(m.ok_sh("ls /run/clusterctl | grep followed || true"), "");
});

booted!(a_group_comes_up_where_the_command_that_follows_it_says_nothing, |m| {
    let app = "[[apps]]\nname = 'slow'\ninstances = 2\nservice = { ExecStartPre = '/bin/sleep 1' }\n\
               command = ['sleep', 'infinity']\nrollout = { min_ready = 0 }\n";
    m.write("/srv/ecosystem.toml", app);
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    // What a killed command has left says nothing of a later start.
    let said = "/run/clusterctl/slow.service.followed";
    for signal in ["KILL", "STOP"] {
        m.ok(["clusterctl", "stop", "slow"]);
        m.ok_sh(&format!(
            "clusterctl start slow >/dev/null 2>&1 & pid=$!; until test -e {said}; do :; done; \
             until systemctl is-active slow | grep activating; do :; done; kill -{signal} $pid; \
             until systemctl is-active slow slow@0 slow@1; do sleep 0.1; done; kill -KILL $pid || :"
        ));
    }
    m.ok(["systemctl", "stop", "slow"]);
    m.write(said, "up\n");
    m.ok(["systemctl", "start", "slow"]);
    m.ok(["systemctl", "is-active", "slow@0", "slow@1"]);
    m.ok(["clusterctl", "restart", "slow"]);
    assert!(!m.exists(said));
});

booted!(a_command_that_changes_nothing_reads_each_unit_once_and_asks_little, |m| {
    if m.run(["strace", "--version"]).code != 0 {
        return skip::record("strace is missing");
    }
    let apps = (0..20).map(|number| {
        let app = format!("[[apps]]\nname = 'app{number}'\ncommand = ['sleep', 'infinity']\n");
        app + "rollout = { min_ready = 0 }\n"
    });
    m.write("/srv/ecosystem.toml", apps.collect::<String>());
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    // What the manager reads within a step of the clock by which files are dated may be older than they are: then it is asked
    // of each.
    m.ok(["systemctl", "daemon-reload"]);
    // The first look at instances is noted.
    m.ok(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    let traced = |verb: &str| {
        let trace = "strace -f -qq -e trace=openat,connect -o /run/calls";
        let output = m.sh(&format!("{trace} clusterctl {verb}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
        let calls = m.read("/run/calls");
        let of_units = calls.lines().filter_map(|line| {
            let path = line.split_once("openat(AT_FDCWD, \"")?.1.split_once('"')?.0;
            let kind = path.rsplit_once('.')?.1;
            (path.starts_with("/etc/systemd/system/") && ["service", "slice"].contains(&kind))
                .then(|| path.to_owned())
        });
        let mut opened: BTreeMap<String, usize> = BTreeMap::new();
        of_units.for_each(|path| *opened.entry(path).or_default() += 1);
        let count = |what: &str| calls.lines().filter(|line| line.contains(what)).count();
        (opened, count("/run/systemd/private"), count("bus_socket"))
    };
    let (opened, asked, bus) = traced("apply /srv/ecosystem.toml");
    let again: Vec<_> = opened.iter().filter(|(_, times)| **times > 1).collect();
    assert!(again.is_empty(), "{again:?}");
    // What is counted is there: a group, a template and a slice of each.
    assert!(opened.len() >= 60, "{opened:?}");
    assert!(asked <= 2 && bus == 0, "{asked} questions, {bus} connections to the bus");
    let (opened, asked, bus) = traced("list");
    assert!(opened.values().all(|times| *times == 1) && opened.len() == 40, "{opened:?}");
    assert!(asked == 1 && bus == 0, "{asked} questions, {bus} connections to the bus");
});
