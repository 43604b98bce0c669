//! `clusterctl deploy`: code belongs to the definition, so that whatever starts runs the code that is in force, and
//! whatever goes wrong midway is as if nothing had been begun.

mod given;
mod hostile;
mod pinned;

use std::time::Duration;

use crate::booted_long;
use crate::shop::{answers, load, pids};
use crate::support::{Child, Machine, Output, wait_until};

/// Answers with the version that lies beside it.
const SERVER: &str = "\
const fs = require('fs'), http = require('http');
const version = fs.readFileSync('version', 'utf8').trim();
if (version.startsWith('broken')) throw new Error('broken on purpose');
const answer = `instance ${process.env.NODE_APP_INSTANCE} ${version} .`;
const listen = () => {
  const go = ['/srv/go', `/srv/go-${version}`].some(fs.existsSync);
  if (version.startsWith('held') && !go) setTimeout(listen, 20);
  else http.createServer((request, response) => response.end(answer)).listen(3000);
};
listen();
";

/// Two instances of the server, and more lines for the table `[deploy]`.
fn ecosystem(more: &str) -> String {
    format!(
        "[deploy]\npath = '/srv/shop'\n{more}\n\n[[apps]]\nname = 'shop'\nscript = 'server.js'\n\
         user = 'shop'\ninstances = 2\nlisten = 3000\n"
    )
}

/// Writes what is deployed.
fn write(m: &Machine, version: &str, more: &str) {
    m.write("/root/app/ecosystem.toml", ecosystem(more));
    m.write("/root/app/server.js", SERVER);
    m.write("/root/app/version", version);
}

fn deploy(m: &Machine, version: &str, more: &str) -> Output {
    write(m, version, more);
    m.clusterctl(["deploy", "/root/app"])
}

/// Deploys; it must succeed. Gives the name of the release that is in force then.
fn deployed(m: &Machine, version: &str, more: &str) -> String {
    let output = deploy(m, version, more);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_serves(m, version);
    current(m)
}

/// The release that the link leads to.
fn current(m: &Machine) -> String {
    let link = m.ok(["readlink", "/srv/shop/current"]);
    link.strip_prefix("releases/").unwrap().to_owned()
}

fn releases(m: &Machine) -> Vec<String> {
    m.ok(["ls", "/srv/shop/releases"]).lines().map(str::to_owned).collect()
}

fn assert_serves(m: &Machine, version: &str) {
    let seen = answers(m);
    assert!(seen.lines().all(|line| line.contains(&format!(" {version} "))), "{seen}");
}

fn user(m: &Machine) {
    m.ok(["useradd", "--system", "shop"]);
}

/// The folders of the processes of the instances.
fn folders(m: &Machine) -> Vec<String> {
    pids(m, 2).iter().map(|pid| m.ok(["readlink", &format!("/proc/{pid}/cwd")])).collect()
}

booted_long!(a_release_takes_the_place_of_the_former_without_losing_a_request, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    assert_eq!(folders(m), vec![format!("/srv/shop/releases/{first}"); 2]);
    assert_eq!(m.ok(["stat", "-c", "%U", &format!("/srv/shop/releases/{first}/version")]), "shop");
    let mut run = m.load(load());
    run.wait_flowing();
    let second = deployed(m, "v2", "");
    assert_eq!(folders(m), vec![format!("/srv/shop/releases/{second}"); 2]);
    // The same again is nothing to do, and no new release.
    let before = pids(m, 2);
    let again = m.clusterctl(["deploy", "/root/app"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to do"), "{again:#?}");
    assert_eq!((pids(m, 2), releases(m).len()), (before.clone(), 2));
    // So is to apply the file of the release, from wherever it is seen.
    for file in
        ["/srv/shop/current/ecosystem.toml", &format!("/srv/shop/releases/{second}/ecosystem.toml")]
    {
        let applied = m.clusterctl(["apply", file]);
        assert!(applied.code == 0 && applied.stdout.contains("nothing to do"), "{applied:#?}");
    }
    assert_eq!(pids(m, 2), before);
    // Back to the former code, and forward again.
    let back = m.clusterctl(["rollback"]);
    assert_eq!(back.code, 0, "{back:#?}");
    assert!(!back.stderr.contains("still says otherwise"), "{back:#?}");
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
    m.ok(["clusterctl", "rollback"]);
    assert_serves(m, "v2");
    assert_eq!(current(m), second);
    run.stop().assert_none_failed();
    let history = m.ok(["clusterctl", "history"]);
    assert!(history.contains(&format!("deploy {first}")), "{history}");
});

booted_long!(after_a_release_that_fails_every_start_runs_the_former_code, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    let mut run = m.load(load());
    run.wait_flowing();
    let output = deploy(m, "broken", "");
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("broken on purpose"), "{output:#?}");
    assert!(
        output.stderr.contains("is not in force; to look at it: /srv/shop/releases/"),
        "{output:#?}"
    );
    run.stop().assert_none_failed();
    assert_eq!(current(m), first);
    // An instance dies while the canary of a release is waited for that never gets ready.
    write(m, "held", "");
    m.ok_sh("echo \"listen_timeout = '8s'\" >>/root/app/ecosystem.toml");
    let mut child = begun(m, "start shop@2");
    m.ok(["systemctl", "kill", "--signal=KILL", "shop@0"]);
    assert_eq!(child.wait().0, 1, "{}", m.ok_sh("cat /tmp/out"));
    assert_serves(m, "v1");
    assert_eq!(folders(m), vec![format!("/srv/shop/releases/{first}"); 2]);
    // Every instance dies, and comes back with the former code: the broken one lies in another folder.
    let before = pids(m, 2);
    m.ok_sh(&format!("kill -KILL {}", before.join(" ")));
    wait_until("both are there again", Duration::from_secs(30), || {
        let now = pids(m, 2);
        now.iter().all(|pid| pid != "0" && !before.contains(pid))
            && m.sh("curl -s localhost:3000").stdout.contains("v1")
    });
    assert_serves(m, "v1");
    m.reboot();
    wait_until("it serves after a boot", Duration::from_secs(60), || {
        m.sh("curl -s localhost:3000").stdout.contains("v1")
    });
    // What failed is no definition to go back to; what comes next is as if it had not been.
    assert_eq!(m.clusterctl(["rollback"]).code, 5);
    deployed(m, "v3", "");
    m.ok(["clusterctl", "rollback"]);
    assert_serves(m, "v1");
});

/// Starts a deployment, and returns when this has been said.
fn begun(m: &Machine, says: &str) -> Child {
    m.ok_sh("rm -f /tmp/out");
    let child = m.spawn(["sh", "-c", "exec clusterctl deploy /root/app >/tmp/out 2>&1"]);
    wait_until(says, Duration::from_secs(30), || m.sh("cat /tmp/out").stdout.contains(says));
    child
}

booted_long!(a_deployment_that_is_killed_is_completed_by_the_same_command, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    // While it is built: the first time it never ends.
    let build = "build = 'echo built by $(id -un) >built; test -e /srv/flag || { echo holding; sleep 7654321; }'";
    write(m, "v2", build);
    let mut child = begun(m, "build | holding");
    m.ok_sh("pkill -KILL -f '^clusterctl deploy'");
    child.wait();
    assert_eq!(m.sh("pgrep -f 'sleep 765432[1]'").code, 0, "it goes on, for nobody");
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
    assert_eq!(releases(m).len(), 2, "half a release, which nobody uses");
    m.write("/srv/flag", "");
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stderr.contains("removed what an interrupted deployment has left"),
        "{output:#?}"
    );
    assert_serves(m, "v2");
    assert_eq!(m.read("/srv/shop/current/built"), "built by shop\n");
    assert_eq!(m.sh("pgrep -f 'sleep 765432[1]'").code, 1, "it was ended before anything else");
    assert_eq!(releases(m).len(), 2);
    // While instances are replaced: systemd finishes the rollout, and the same command the rest.
    write(m, "held3", "");
    let mut child = begun(m, "start shop@2");
    m.ok_sh("pkill -KILL -f '^clusterctl deploy'; touch /srv/go");
    child.wait();
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(output.stderr.contains("has the same content, and is there already"), "{output:#?}");
    assert_serves(m, "held3");
    assert_eq!(releases(m).len(), 3);
    assert_eq!(current(m), releases(m)[2]);
    // Ctrl-C while it is built leaves nothing.
    m.ok(["rm", "/srv/flag"]);
    write(m, "v4", build);
    let mut child = begun(m, "build | holding");
    m.ok_sh("pkill -INT -f '^clusterctl deploy'");
    assert_eq!(child.wait().0, 130);
    assert_eq!(m.sh("pgrep -f 'sleep 765432[1]'").code, 1, "{}", m.ok_sh("cat /tmp/out"));
    assert_eq!(releases(m).len(), 3);
    assert_serves(m, "held3");
});

/// Every release that units name is there and complete, and nothing else that was begun is left.
fn assert_whole(m: &Machine) {
    let notes =
        m.ok_sh("cd /srv/shop/releases/.clusterctl && grep -L '\"complete\": true' *.json || true");
    assert_eq!(notes, "", "a release is not complete");
    let names = m.ok_sh("cd /srv/shop/releases/.clusterctl && ls | sed 's/.json$//'");
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        releases(m),
        "a folder without a note, or a note without a folder"
    );
    assert_eq!(folders(m), vec![format!("/srv/shop/releases/{}", current(m)); 2]);
}

booted_long!(a_deployment_that_is_killed_at_any_moment_is_completed_by_the_same_command, |m| {
    user(m);
    let more = "shared = ['uploads/']\nbuild = 'touch built'\nbefore_switch = 'test -e built'";
    deployed(m, "v0", more);
    let mut run = m.load(load());
    run.wait_flowing();
    for round in 1..=12 {
        let version = format!("v{round}");
        write(m, &version, more);
        let mut child = m.spawn(["clusterctl", "deploy", "/root/app"]);
        // Another moment in each round, from before anything is made to the middle of the rollout.
        std::thread::sleep(Duration::from_millis(40 * round));
        m.ok_sh("pkill -KILL -f '^clusterctl deploy' || true");
        child.wait();
        // What was killed has left nothing that an instance could start with, if all die now.
        let unit = m.ok_sh("sed -n 's/^WorkingDirectory=//p' /etc/systemd/system/shop@.service");
        assert!(m.exists(&format!("{unit}/built")), "round {round}: {unit}");
        let output = m.clusterctl(["deploy", "/root/app"]);
        assert_eq!(output.code, 0, "round {round}: {output:#?}");
        assert_serves(m, &version);
        assert_whole(m);
    }
    run.stop().assert_none_failed();
});

booted_long!(two_deployments_take_turns, |m| {
    user(m);
    write(m, "v1", "build = 'echo building; while ! test -e /srv/flag; do sleep 0.1; done'");
    let mut first = begun(m, "build | building");
    m.ok_sh("cp -r /root/app /root/other; echo v2 >/root/other/version");
    let script = "exec clusterctl deploy /root/other >/tmp/other 2>&1";
    let mut second = m.spawn(["sh", "-c", script]);
    wait_until("it says for whom it waits", Duration::from_secs(20), || {
        m.sh("cat /tmp/other").stdout.contains("waiting for clusterctl deploy /root/app (process ")
    });
    m.write("/srv/flag", "");
    assert_eq!(first.wait().0, 0, "{}", m.ok_sh("cat /tmp/out"));
    assert_eq!(second.wait().0, 0, "{}", m.ok_sh("cat /tmp/other"));
    assert_serves(m, "v2");
    assert_eq!(current(m), releases(m)[1]);
    m.ok(["clusterctl", "rollback"]);
    assert_serves(m, "v1");
});

booted_long!(old_releases_go_and_those_that_are_needed_stay, |m| {
    user(m);
    let first = deployed(m, "v1", "keep = 2");
    // A process of the first release goes on, as one that drains for long does.
    let held = format!("cd /srv/shop/releases/{first} && exec sleep 7654321");
    let held = m.spawn(["sh", "-c", &held]);
    let second = deployed(m, "v2", "keep = 2");
    assert_eq!(deploy(m, "broken", "keep = 2").code, 1);
    assert_eq!(releases(m).len(), 3, "the last one is kept, to look at it");
    let third = deployed(m, "v3", "keep = 2");
    let fourth = deployed(m, "v4", "keep = 2");
    assert_eq!(releases(m), [first.clone(), third.clone(), fourth.clone()]);
    let history = m.ok(["clusterctl", "history"]);
    assert!(!history.contains(&second) && history.contains(&third), "{history}");
    m.ok(["clusterctl", "rollback"]);
    assert_serves(m, "v3");
    m.ok(["clusterctl", "rollback"]);
    assert_serves(m, "v4");
    drop(held);
    m.ok_sh("pkill -f 'sleep 765432[1]' || true");
    // Nothing that is no release of ours is touched.
    m.ok_sh("mkdir /srv/shop/releases/20200101-000000-0123456789ab /srv/shop/releases/mine");
    let fifth = deployed(m, "v5", "keep = 2");
    let left = ["20200101-000000-0123456789ab", &fourth, &fifth, "mine"];
    assert_eq!(releases(m), left);
    // One that somebody has removed by hand is told as such.
    m.ok(["rm", "-r", &format!("/srv/shop/releases/{fourth}")]);
    let gone = m.clusterctl(["rollback"]);
    assert_eq!(gone.code, 3, "{gone:#?}");
    assert!(gone.stderr.contains(&format!("release {fourth} is gone")), "{gone:#?}");
    assert_serves(m, "v5");
});
