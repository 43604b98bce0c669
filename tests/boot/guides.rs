//! The guides of docs/, and the README: every command in them is run, in the order of the page.

use crate::booted;
use crate::pages::{Page, people};
use crate::support::Machine;
use crate::support::load::Load;
use crate::takeover::{AS_ADA, as_sudo, shop};

/// The commands of a page: its indented lines.
fn commands(page: &str) -> Vec<String> {
    let indented = page.lines().filter_map(|line| line.strip_prefix("    "));
    indented.filter(|line| !line.starts_with(' ')).map(str::to_owned).collect()
}

/// Runs a command of a guide as it is typed.
fn typed(m: &Machine, command: &str) {
    let output = match command.strip_prefix("sudo clusterctl ") {
        Some(words) => as_sudo(m, words),
        None if command.starts_with("pm2 ") => {
            m.sh(&format!("cd /srv/shop && runuser -u ada -- env {AS_ADA} sh -c '{command}'"))
        }
        None => as_sudo(m, command.strip_prefix("clusterctl ").unwrap_or(command)),
    };
    assert_eq!(output.code, 0, "{command}: {output:#?}");
}

booted!(from_pm2, |m| {
    if !shop(m) {
        return;
    }
    let page = include_str!("../../docs/from-pm2.md");
    let commands = commands(page);
    assert!(commands.len() >= 9, "{commands:?}");
    for command in &commands {
        let direct = command.starts_with("sudo clusterctl apply ecosystem.config.js");
        if direct {
            m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 stop all"));
        }
        typed(m, command);
        if direct {
            assert!(m.clusterctl(["delete", "all"]).code != 1);
            m.ok_sh(&format!("runuser -u ada -- env {AS_ADA} pm2 restart all"));
        }
    }
});

booted!(readme_from_pm2, |m| {
    if !shop(m) {
        return;
    }
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("## From PM2 in five minutes").unwrap();
    let commands = commands(rest.split("\n## ").next().unwrap());
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in &commands {
        typed(m, command.split("  #").next().unwrap());
    }
    assert!(m.ok(["curl", "-sS", "http://127.0.0.1:3000/"]).contains("api of shop"));
    typed(m, "sudo clusterctl import --give-back");
});

booted!(readme, |m| {
    people(m, &[]);
    Page::open(m, "../README.md").end();
});

const SUPERVISORD: &str = "\
[include]
files = conf.d/*.conf
";

const PROGRAM: &str = "\
[program:web]
command=python3 -m http.server --bind 127.0.0.1 8000
directory=/srv/shop
user=ada
autorestart=true
";

booted!(from_supervisord, |m| {
    m.ok_sh("useradd --create-home ada; mkdir -p /srv/shop");
    m.write("/etc/supervisor/supervisord.conf", SUPERVISORD);
    m.write("/etc/supervisor/conf.d/web.conf", PROGRAM);
    let commands = commands(include_str!("../../docs/from-supervisord.md"));
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands.iter().filter(|command| !command.starts_with("supervisorctl ")) {
        typed(m, command);
    }
    assert!(m.ok(["curl", "-sS", "http://127.0.0.1:8000/"]).contains("Directory listing"));
});

booted!(from_units, |m| {
    people(m, &[]);
    let mut page = Page::open(m, "from-units.md");
    page.until("curl -s localhost:3001");
    // Clients of the site, while nginx changes over.
    let load = Load::http("127.0.0.1:8080").new_connections(50.0).expect("welcome from ");
    let mut load = m.load(load);
    load.wait_flowing();
    page.until("cd /srv/wiki");
    load.stop().assert_none_failed();
    page.end();
});

/// Stands for the keys that CI has: a command runs as the user of the other machine, which is this one.
const SSH: &str = "\
#!/bin/sh
while :; do
    case $1 in
    -l) user=$2; shift 2 ;;
    -o) shift 2 ;;
    *) break ;;
    esac
done
case $1 in *@*) user=${1%@*} ;; esac
shift
exec sudo -n -H -u \"$user\" sh -c \"cd; $*\"
";

booted!(deploy, |m| {
    people(m, &["ci"]);
    m.write("/usr/local/bin/ssh", SSH);
    m.ok(["chmod", "755", "/usr/local/bin/ssh"]);
    let server = crate::shop::SERVER
        .replace("`instance ${process.env.NODE_APP_INSTANCE}", "`release 1")
        .replace("} .`", "} .\\n`");
    m.write("/home/ci/shop/server.js", server);
    m.ok_sh("chown -R ci: /home/ci; mkdir /srv/shop");
    let mut page = Page::open(m, "deploy.md");
    page.until("curl -s localhost:3000");
    let load = Load::http("127.0.0.1:3000").new_connections(30.0).keep_alive(30.0);
    let mut load = m.load(load.expect("release "));
    load.wait_flowing();
    page.until("sudo loginctl enable-linger deploy");
    load.stop().assert_none_failed();
    page.end();
});

/// What a symptom begins with: an app `shop` of this program, with these lines in its file. Not applied yet.
const GIVEN: &str = "\
#!/bin/sh
clusterctl delete all >/dev/null 2>&1
rm -rf /srv/shop/*
printf '%s\\n' \"$1\" >/srv/shop/server.js
shift
printf '%s\\n' '[[apps]]' 'name = \"shop\"' 'script = \"server.js\"' \"$@\" >/srv/shop/ecosystem.toml
chown -R ada: /srv/shop
";

booted!(troubleshooting, |m| {
    people(m, &[]);
    m.write("/usr/local/bin/given", GIVEN);
    m.ok_sh("chmod 755 /usr/local/bin/given; install -d -o ada /srv/shop");
    Page::open(m, "troubleshooting.md").end();
});
