//! From an ecosystem to a running service, with the unmodified app of the first example.

use std::{collections::BTreeSet, path::Path, time::Duration};

use crate::{
    booted,
    support::{Machine, Output, load::Load, wait_until},
};

fn apply_example(m: &Machine) {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/node-http");
    m.copy(&example, "/srv/hello");
    m.ok(["clusterctl", "apply", "/srv/hello/ecosystem.toml"]);
}

fn main_pids(m: &Machine) -> BTreeSet<String> {
    (0..4).map(|number| m.systemctl_show(&format!("hello@{number}"), "MainPID")).collect()
}

booted!(a_second_apply_changes_nothing, |m| {
    apply_example(m);
    let before = main_pids(m);
    assert_eq!(before.len(), 4);
    let again = m.ok(["clusterctl", "apply", "/srv/hello/ecosystem.toml"]);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(main_pids(m), before);
});

booted!(four_instances_share_the_port_and_are_restarted_without_a_failure, |m| {
    apply_example(m);
    let load = Load::http("127.0.0.1:3000").new_connections(40.0).keep_alive(40.0);
    let mut load = m.load(load.expect("hello from instance ").instance_after("instance "));
    load.wait_flowing();
    let before = main_pids(m);
    for number in 0..4 {
        m.ok(["systemctl", "restart", &format!("hello@{number}")]);
    }
    assert!(before.is_disjoint(&main_pids(m)));
    let report = load.stop();
    report.assert_none_failed();
    assert_eq!(report.instances().len(), 4, "{report:#?}");
});

/// Answers with what `SAYS` says; to `/slow` only once `/srv/release` is there.
const SAYS: &str = "\
const fs = require('fs');
require('http').createServer((req, res) => {
  const answer = () => {
    if (req.url === '/slow' && !fs.existsSync('/srv/release')) setTimeout(answer, 20);
    else res.end(process.env.SAYS);
  };
  answer();
}).listen(process.env.PORT || 3000);
";

/// A folder with that server and one app, which has the lines of `app`.
fn project(m: &Machine, folder: &str, app: &str, says: &str) {
    m.write(&format!("{folder}/server.js"), SAYS);
    let text = format!("[[apps]]\nscript = 'server.js'\nenv = {{ SAYS = '{says}' }}\n{app}\n");
    m.write(&format!("{folder}/ecosystem.toml"), text);
}

fn apply(m: &Machine, folder: &str) -> Output {
    m.clusterctl(["apply", &format!("{folder}/ecosystem.toml")])
}

fn applied(m: &Machine, folder: &str) -> String {
    let output = apply(m, folder);
    assert_eq!(output.code, 0, "{output:#?}");
    output.stdout
}

fn answer(m: &Machine, port: u16) -> String {
    m.ok(["curl", "-s", &format!("localhost:{port}/")])
}

booted!(an_app_without_a_name_of_its_own_takes_nothing_from_another_project, |m| {
    project(m, "/srv/e1", "listen = 3001", "one");
    project(m, "/srv/e3", "listen = 3003", "three");
    applied(m, "/srv/e1");
    let output = apply(m, "/srv/e3");
    assert_eq!(output.code, 3, "{output:#?}");
    for text in ["`server`", "/srv/e1/ecosystem.toml", "`name = \"e3-server\"`"] {
        assert!(output.stderr.contains(text), "{text}: {output:#?}");
    }
    let text = m.read("/srv/e3/ecosystem.toml");
    m.write("/tmp/text", &text);
    for command in
        ["apply - --as /srv/e3/ecosystem.toml", "apply -", "reload /srv/e3/ecosystem.toml"]
    {
        let output = m.sh(&format!("cd /srv/e3 && clusterctl {command} </tmp/text"));
        assert!(output.code == 3 && output.stderr.contains("/srv/e1"), "{command}: {output:#?}");
    }
    assert_eq!(answer(m, 3001), "one");
    // `validate` judges the file alone, whatever runs on this machine.
    assert_eq!(m.clusterctl(["validate", "/srv/e3/ecosystem.toml"]).code, 0);
    // The advice of the refusal works.
    project(m, "/srv/e3", "name = 'e3-server'\nlisten = 3003", "three");
    applied(m, "/srv/e3");
    assert_eq!((answer(m, 3001), answer(m, 3003)), ("one".to_owned(), "three".to_owned()));
    // The same file, reached through a link.
    m.ok(["ln", "-s", "/srv/e1", "/srv/current"]);
    assert!(!applied(m, "/srv/e1").contains("until now"));
    let plan = applied(m, "/srv/current");
    let line = "server:\n  comes from /srv/e1/ecosystem.toml until now\n";
    assert!(plan.starts_with(line), "{plan}");
    // A link that is moved to the next release counts as the same file.
    project(m, "/srv/e2", "listen = 3001", "two");
    m.ok(["ln", "-sfn", "/srv/e2", "/srv/current"]);
    assert!(!applied(m, "/srv/current").contains("until now"));
    assert_eq!(answer(m, 3001), "two");
    // The apps of a file that was moved belong to the file in its new place.
    m.ok(["rm", "/srv/current"]);
    m.ok(["mv", "/srv/e2", "/srv/moved"]);
    let plan = applied(m, "/srv/moved");
    assert!(plan.starts_with(&line.replace("e1", "current")), "{plan}");
    assert_eq!(answer(m, 3001), "two");
});

booted!(a_written_name_moves_an_app_to_another_file_and_the_plan_says_so, |m| {
    project(m, "/srv/releases/1", "name = 'shop'\nlisten = 3001", "one");
    project(m, "/srv/releases/2", "name = 'shop'\nlisten = 3001", "two");
    applied(m, "/srv/releases/1");
    let plan = applied(m, "/srv/releases/2");
    let line = "shop:\n  comes from /srv/releases/1/ecosystem.toml until now\n";
    assert!(plan.starts_with(line), "{plan}");
    assert_eq!(answer(m, 3001), "two");
});

booted!(a_started_program_takes_nothing_from_another_folder, |m| {
    for (folder, says) in [("/srv/e1", "one"), ("/srv/e3", "three")] {
        m.write(
            &format!("{folder}/server.js"),
            SAYS.replace("process.env.SAYS", &format!("'{says}'")),
        );
    }
    m.ok_sh("cd /srv/e1 && clusterctl start server.js --listen 3001");
    let output = m.sh("cd /srv/e3 && clusterctl start server.js --listen 3003");
    assert_eq!(output.code, 2, "{output:#?}");
    for text in ["/srv/e1/ecosystem.toml", "--name e3-server"] {
        assert!(output.stderr.contains(text), "{text}: {output:#?}");
    }
    assert!(!m.exists("/srv/e3/ecosystem.toml"));
    assert_eq!(answer(m, 3001), "one");
    m.ok_sh("cd /srv/e3 && clusterctl start server.js --listen 3003 --name e3-server");
    assert_eq!((answer(m, 3001), answer(m, 3003)), ("one".to_owned(), "three".to_owned()));
});

booted!(an_app_is_renamed_in_one_step, |m| {
    project(m, "/srv/e", "name = 'n'\nlisten = 3000\nkill_timeout = '60s'", "n");
    applied(m, "/srv/e");
    project(m, "/srv/e", "name = 'api'\nlisten = 3000", "api");
    let output = apply(m, "/srv/e");
    assert_eq!(output.code, 3, "{output:#?}");
    let why = "`[::]:3000` is held by n-3000.socket (app n), which is no longer in this file";
    assert!(output.stderr.contains(why), "{output:#?}");
    assert!(output.stderr.contains("add --prune to remove it in the same step"), "{output:#?}");
    let plan = m.ok(["clusterctl", "apply", "/srv/e/ecosystem.toml", "--prune", "--dry-run"]);
    let why = "new listener; connections are refused from when n closes n-3000.socket until then";
    assert!(plan.contains(why), "{plan}");
    // The old process is still answering one request: other clients are served meanwhile.
    let mut slow = m.spawn(["curl", "-s", "-w", "|%{http_code}", "localhost:3000/slow"]);
    wait_until("the request is under way", Duration::from_secs(20), || {
        m.ok_sh("ss -Htn state established 'sport = :3000' | wc -l") != "0"
    });
    let mut pruning = m.spawn(["clusterctl", "apply", "/srv/e/ecosystem.toml", "--prune"]);
    let answers = || m.run(["curl", "-s", "localhost:3000/"]).stdout.contains("api");
    wait_until("the new app answers", Duration::from_secs(40), answers);
    assert_eq!(m.systemctl_show("n@0", "ActiveState"), "deactivating");
    m.write("/srv/release", "");
    let (code, lines) = slow.wait();
    assert!(code == 0 && lines.concat().contains("n|200"), "{lines:?}");
    let (code, lines) = pruning.wait();
    assert_eq!(code, 0, "{lines:?}");
    assert_eq!(m.ok_sh("ls /etc/systemd/system | grep -c '^n[@.-]' || true"), "0");
    assert!(applied(m, "/srv/e").contains("nothing to do"));
});

booted!(what_was_well_is_looked_at_again_when_it_runs_anew, |m| {
    m.write("/srv/fine", "");
    let program = "[ -e /srv/fine ] && exec sleep infinity; exit 3";
    let rollout = "rollout = { min_ready = 0 }\nmax_restarts = 4\nmin_uptime = '1s'\n";
    let app = format!("[[apps]]\nname = 'well'\ncommand = ['sh', '-c', '{program}']\n{rollout}");
    m.write("/srv/ecosystem.toml", app);
    let apply = || m.run(["clusterctl", "apply", "/srv/ecosystem.toml"]);
    for _ in 0..3 {
        let output = apply();
        assert_eq!(output.code, 0, "{output:#?}");
    }
    assert!(m.read("/run/clusterctl/runs").contains("well@0.service"));
    m.ok(["rm", "/srv/fine"]);
    m.ok(["systemctl", "kill", "--signal=KILL", "well@0"]);
    let output = apply();
    assert_eq!(output.code, 1, "{output:#?}");
    m.write("/srv/fine", "");
    m.ok(["clusterctl", "restart", "well"]);
    for _ in 0..2 {
        let output = apply();
        assert!(output.code == 0 && output.stdout.contains("nothing to do"), "{output:#?}");
    }
});
