//! The guides of docs/, and the README: every command in them is run, in the order of the page.

use crate::booted_long;
use crate::pages::{Page, people};
use crate::support::load::Load;
use crate::takeover::shop;

booted_long!(from_pm2, |m| {
    if shop(m) {
        people(m, &[]);
        Page::open(m, "from-pm2.md").end();
    }
});

booted_long!(readme_from_pm2, |m| {
    if !shop(m) {
        return;
    }
    people(m, &[]);
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("## From PM2 in five minutes").unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let commands: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert_eq!(commands.len(), 5, "{commands:?}");
    for command in commands.into_iter().chain(["sudo clusterctl import --give-back"]) {
        let script = format!("cd /srv/shop && {command}");
        m.ok(["runuser", "-u", "ada", "--", "env", "HOME=/home/ada", "sh", "-c", &script]);
        assert!(m.ok(["curl", "-sS", "http://127.0.0.1:3000/"]).contains("api of shop"));
    }
});

booted_long!(readme, |m| {
    people(m, &[]);
    Page::open(m, "../README.md").end();
});

booted_long!(from_supervisord, |m| {
    people(m, &[]);
    // Nothing of it runs here.
    m.write("/usr/local/bin/supervisorctl", "#!/bin/sh\necho web: stopped\n");
    m.ok_sh("chmod 755 /usr/local/bin/supervisorctl");
    Page::open(m, "from-supervisord.md").end();
});

booted_long!(from_units, |m| {
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

booted_long!(deploy, |m| {
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

booted_long!(troubleshooting, |m| {
    people(m, &[]);
    m.write("/usr/local/bin/given", GIVEN);
    m.ok_sh("chmod 755 /usr/local/bin/given; install -d -o ada /srv/shop");
    Page::open(m, "troubleshooting.md").end();
});
