//! "Done" is said only of what serves: versions that get ready and die, on every way that starts them.

mod doctor;
mod verbs;

use std::time::Duration;

use crate::booted;
use crate::shop::{answers, apply, ecosystem, load, pids};
use crate::support::{Child, Machine, Output, wait_until};

/// Serves, and dies as many milliseconds after `listen()` as `/srv/shop/dies` says of its instance: lines of
/// `INSTANCE MILLISECONDS` or `all MILLISECONDS`. `DIES` in its environment says the same of a definition.
const SERVER: &str = "\
const fs = require('fs'), http = require('http');
const own = process.env.NODE_APP_INSTANCE;
const text = (fs.readFileSync('/srv/shop/dies', 'utf8') + '\\n' + (process.env.DIES || '')).split('\\n');
const line = text.map((one) => one.split(' ')).find(([who]) => who === own || who === 'all');
http.createServer((req, res) => {
  res.end(`instance ${own} ${process.env.GREETING || 'plain'} .`);
}).listen(3000, () => {
  if (line) setTimeout(() => { console.log(`instance ${own}: died on purpose`); process.exit(3); }, +line[1]);
});
";

/// A worker that dies as `/srv/shop/dies` says, at once with 0.
const WORKER: &str = "\
const fs = require('fs');
const line = fs.readFileSync('/srv/shop/dies', 'utf8').split('\\n').find((one) => one.startsWith('all '));
if (line === 'all 0') throw new Error('worker broken on purpose');
setInterval(() => {}, 1000);
";

fn write(m: &Machine, dies: &str, text: &str) {
    m.write("/srv/shop/server.js", SERVER);
    m.write("/srv/shop/worker.js", WORKER);
    m.write("/srv/shop/dies", dies);
    m.write("/srv/shop/ecosystem.toml", text);
}

/// `shop` with so many instances, running well.
fn shop(m: &Machine, instances: u32, more: &str) {
    write(m, "", &ecosystem(instances, more));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
}

fn online(m: &Machine) -> usize {
    m.ok(["clusterctl", "list"]).matches(" online ").count()
}

/// Entries of the history: what was in force.
fn remembered(m: &Machine) -> usize {
    let value: serde_json::Value =
        serde_json::from_str(&m.ok(["clusterctl", "history", "-o", "json"])).unwrap();
    value["entries"].as_array().unwrap().len()
}

/// The command must end with code 1, say this in the first lines about its end, and never report success.
fn refused(output: &Output, says: &[&str]) {
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(!output.stderr.contains("✓ shop: "), "{output:#?}");
    for text in says {
        assert!(output.stderr.contains(text), "{text}: {output:#?}");
    }
}

fn instances(m: &Machine) -> String {
    m.ok_sh(
        "systemctl list-units --plain --no-legend --state=active,activating 'shop@*' | \
         cut -d' ' -f1 | sort | xargs",
    )
}

fn enabled(m: &Machine) -> String {
    m.ok_sh("ls /etc/systemd/system/shop.service.wants | sort | xargs")
}

/// What the doctor finds about `shop`, with its severity.
fn problems(m: &Machine) -> String {
    let output = m.clusterctl(["doctor", "shop", "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let found = value["findings"].as_array().unwrap().iter();
    let found = found.filter(|one| one["severity"] == "problem" && one["app"] == "shop");
    found.map(|one| one["check"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
}

booted!(a_version_that_listens_and_dies_replaces_nothing, |m| {
    shop(m, 4, "");
    let before = pids(m, 4);
    m.write("/srv/shop/dies", "all 300");
    let output = m.clusterctl(["reload", "shop"]);
    refused(&output, &["shop@4 died soon after it was ready", "died on purpose"]);
    assert_eq!((pids(m, 4), online(m)), (before.clone(), 4));
    // The same with a new definition: it is put back.
    m.write("/srv/shop/ecosystem.toml", ecosystem(4, "env = { GREETING = 'new' }"));
    refused(
        &apply(m),
        &["shop@4 died soon after it was ready", "former definition runs everywhere"],
    );
    assert_eq!((pids(m, 4), online(m), remembered(m)), (before.clone(), 4, 1));
    // And through systemctl alone.
    assert_eq!(m.run(["systemctl", "reload", "shop"]).code, 1);
    assert_eq!(pids(m, 4), before);
    let mut run = m.load(load());
    run.wait_flowing();
    m.write("/srv/shop/dies", "");
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    run.stop().assert_none_failed();
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains("new")), "{seen}");
});

booted!(a_death_of_any_new_instance_ends_the_rollout_and_goes_back, |m| {
    shop(m, 4, "");
    for (round, dies) in ["1 600", "3 600", "0 100"].into_iter().enumerate() {
        let env = format!("env = {{ GREETING = 'new', DIES = '{dies}' }}");
        m.write("/srv/shop/ecosystem.toml", ecosystem(4, &env));
        let instance = &dies[..1];
        let output = apply(m);
        let died = format!("shop@{instance} died soon after it was ready");
        refused(&output, &[&died, "the former definition runs everywhere again"]);
        assert!(!output.stderr.contains("on the way back"), "round {round}: {output:#?}");
        let all = "shop@0.service shop@1.service shop@2.service shop@3.service";
        assert_eq!(instances(m), all, "round {round}");
        assert_eq!((online(m), remembered(m)), (4, 1));
        let seen = answers(m);
        assert!(seen.lines().all(|line| line.contains("plain")), "{seen}");
    }
    // After a deploy of code there is nothing to put back: what serves goes on, and the next deploy mends it.
    m.write("/srv/shop/dies", "0 600");
    m.write("/srv/shop/ecosystem.toml", ecosystem(4, ""));
    let output = m.clusterctl(["reload", "shop"]);
    refused(&output, &["shop@0 died soon after it was ready: it ended with code 3; now "]);
    m.write("/srv/shop/dies", "");
    let output = m.clusterctl(["reload", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!((instances(m).split(' ').count(), online(m)), (4, 4), "{output:#?}");
});

/// Stops a unit while an apply waits for its canary `shop@2`, and gives what the apply says, which fails.
fn stopped_meanwhile(m: &Machine, unit: &str) -> String {
    shop(m, 2, "");
    let more = "env = { GREETING = 'new' }\nrollout = { min_ready = '20s' }";
    m.write("/srv/shop/ecosystem.toml", ecosystem(2, more));
    let mut child = m.spawn(["sh", "-c", "clusterctl apply /srv/shop/ecosystem.toml 2>&1"]);
    wait_until("the first new instance is ready", Duration::from_secs(20), || {
        m.systemctl_show("shop@2", "ActiveState") == "active"
    });
    m.ok(["systemctl", "stop", unit]);
    let (code, lines) = child.wait();
    let said = lines.join("\n");
    assert_eq!(code, 1, "{said}");
    said
}

booted!(what_somebody_stops_meanwhile_is_not_said_to_run, |m| {
    let said = stopped_meanwhile(m, "shop-3000.socket");
    assert!(said.contains("@0 @1 do not run: clusterctl start shop"), "{said}");
    assert!(!said.contains("everywhere"), "{said}");
    m.ok(["clusterctl", "start", "shop"]);
    assert_eq!(online(m), 2);
});

booted!(what_somebody_stops_meanwhile_is_not_said_to_have_died, |m| {
    let said = stopped_meanwhile(m, "shop@2");
    assert!(said.contains("shop@2 was stopped meanwhile by somebody else; the former"), "{said}");
    assert!(!said.contains("died"), "{said}");
    // An exit with code 0 is a death too.
    m.write("/srv/shop/server.js", SERVER.replace("process.exit(3)", "process.exit(0)"));
    m.write("/srv/shop/dies", "2 600");
    let output = m.clusterctl(["reload", "shop", "--min-ready", "5s"]);
    refused(&output, &["shop@2 died soon after it was ready: it ended with code 0"]);
});

booted!(a_loop_that_is_slower_than_min_ready_is_told_by_all, |m| {
    write(m, "all 2500", &ecosystem(1, "rollout = { min_ready = '500ms' }"));
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
    wait_until("it was restarted twice", Duration::from_secs(60), || {
        m.systemctl_show("shop@0", "NRestarts").parse::<u32>().unwrap() >= 2
    });
    assert_eq!(problems(m), "looping");
    let output = apply(m);
    refused(&output, &["shop@0 ends again and again", "it ended with code 3"]);
    assert!(!output.stdout.contains("nothing to do"), "{output:#?}");
});

/// Makes an instance crash, and waits until systemd has stopped to start it.
fn given_up(m: &Machine) {
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@1"]);
    wait_until("the restarts end", Duration::from_secs(60), || {
        m.systemctl_show("shop@1", "ActiveState") == "inactive"
    });
    assert!(m.clusterctl(["list"]).stdout.contains("errored"), "{:#?}", m.clusterctl(["list"]));
    assert_eq!(online(m), 1);
}

booted!(restarts_end_whatever_keeps_the_manager_from_starting_an_instance, |m| {
    m.ok_sh("echo secret >/srv/secret");
    let more = "max_restarts = 4\nenv_file = '/srv/variables'\nenv = { GREETING = 'plain' }\n\
                service = { LoadCredential = 'secret:/srv/secret' }";
    for (spoil, mend, why) in [
        ("rm /srv/variables", "echo A=1 >/srv/variables", "`/srv/variables` does not exist"),
        (
            "rm /srv/variables; mkdir /srv/variables",
            "rmdir /srv/variables; echo A=1 >/srv/variables",
            "failed to read the environment file /srv/variables",
        ),
        (
            "printf 'A=\\377\\n' >/srv/variables",
            "echo A=1 >/srv/variables",
            "failed to read the environment file /srv/variables: it is no text in UTF-8",
        ),
        (
            "mv /etc/clusterctl/environment /srv/kept",
            "mv /srv/kept /etc/clusterctl/environment",
            "/etc/clusterctl/environment/shop@",
        ),
        (
            "mv /srv/secret /srv/kept",
            "mv /srv/kept /srv/secret",
            "its credentials cannot be set up (243/CREDENTIALS)",
        ),
    ] {
        m.ok_sh("echo A=1 >/srv/variables");
        shop(m, 2, more);
        m.ok_sh(spoil);
        given_up(m);
        let output = m.run(["systemctl", "start", "shop@1"]);
        assert_eq!(output.code, 1, "{spoil}: {output:#?}");
        refused(&m.clusterctl(["start", "shop@1"]), &["shop@1 could not be started", why]);
        wait_until("the restarts end", Duration::from_secs(60), || {
            m.systemctl_show("shop@1", "ActiveState") == "inactive"
        });
        let found = m.clusterctl(["doctor", "shop"]).stdout;
        assert!(found.contains("could not be started") && found.contains(why), "{spoil}: {found}");
        m.ok_sh(mend);
        m.ok(["clusterctl", "start", "shop@1"]);
        assert_eq!((online(m), problems(m).as_str()), (2, ""), "{spoil}");
        m.ok(["clusterctl", "delete", "shop"]);
    }
});

booted!(a_server_that_has_ended_is_no_job, |m| {
    let server = "require('http').createServer(() => {}).listen(3000, () => setTimeout(() => process.exit(0), 300));";
    write(m, "", &ecosystem(1, "autorestart = false"));
    m.write("/srv/shop/server.js", server);
    refused(&apply(m), &["shop@0"]);
    assert_eq!(online(m), 0);
});

fn again_and_again(m: &Machine, app: &str) -> Child {
    let script = format!(
        "end=$(($(date +%s) + 50)); n=0; while [ $(date +%s) -lt $end ]; do \
         clusterctl reload {app} --min-ready 0 >/tmp/out-{app} 2>&1 || {{ cat /tmp/out-{app}; exit 1; }}; \
         n=$((n + 1)); done; echo reloads $n"
    );
    m.spawn(["sh", "-c", &script])
}

booted!(two_apps_that_reload_at_once_see_no_death_that_was_none, |m| {
    let worker = |name: &str| {
        format!("[[apps]]\nname = '{name}'\ncommand = ['sleep', 'infinity']\ninstances = 2\n")
    };
    write(m, "", &format!("{}{}", worker("shop"), worker("other")));
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let runs = ["shop", "other"].map(|app| again_and_again(m, app));
    let mut total = 0;
    for mut run in runs {
        let (code, lines) = run.wait();
        assert_eq!(code, 0, "{lines:#?}");
        let said = lines.iter().find_map(|line| line.strip_prefix("reloads ")).unwrap();
        total += said.parse::<u32>().unwrap();
    }
    eprintln!("{total} reloads");
    assert!(total > 50, "only {total} reloads");
    assert_eq!(online(m), 4);
});

booted!(what_goes_may_drain_as_long_as_its_own_limit_says, |m| {
    // Longer than an app would get that has no limit of its own.
    let app = "[[apps]]\nname = 'shop'\nkill_timeout = '5m'\n\
        command = ['sh', '-c', \"trap 'sleep 72; exit 0' TERM; while :; do sleep 0.1; done\"]\n";
    write(m, "", app);
    m.ok(["clusterctl", "apply", "/srv/shop/ecosystem.toml"]);
    let output = m.clusterctl(["delete", "shop"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(m.ok(["systemctl", "list-units", "--all", "--no-legend", "shop*"]), "");
});
