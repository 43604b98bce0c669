//! A command about one app costs the same however many others there are: it opens no file of theirs.

use crate::booted;
use crate::support::skip;

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
