//! What the user of the apps, who owns every release, cannot do to whoever deploys: have something else removed, stop
//! further deployments, or read what root has open.

use super::{assert_serves, current, deploy, deployed, releases, user, write};
use crate::booted_long;
use crate::support::Machine;

/// What root refuses to keep releases in.
fn assert_refused(m: &Machine, says: &str) {
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert!(output.code == 3 && output.stderr.contains(says), "{says}: {output:#?}");
    assert!(m.exists("/srv/victim/dear"), "{says}");
}

booted_long!(no_folder_of_releases_is_one_that_the_user_of_the_apps_may_change, |m| {
    user(m);
    m.ok_sh("mkdir -p /srv/victim/dear");
    let note =
        r#"{"id": "ID", "digest": "", "from": "", "user": "", "time": 1, "complete": false}"#;
    m.write("/root/note", note);
    m.ok_sh("install -d -g shop -m 2775 /srv/pool");
    write(m, "v1", "");
    m.ok_sh("sed -i s,/srv/shop,/srv/pool, /root/app/ecosystem.toml");
    assert_refused(m, "every member of group");
    m.ok_sh(
        "cd /srv/pool; mkdir -p .clusterctl; ln -s . releases; ln -s /srv/victim 20261130-044512-0123456789ab; \
         sed s/ID/20261130-044512-0123456789ab/ /root/note >.clusterctl/20261130-044512-0123456789ab.json; \
         chown -Rh shop: releases .clusterctl 20261130-044512-0123456789ab",
    );
    assert_refused(m, "every member of group");
    // One that was open once and is closed now.
    m.ok_sh("chown root: /srv/pool; chmod 755 /srv/pool");
    assert_refused(m, "/srv/pool/releases is in the way");
    m.ok_sh("cd /srv/pool; rm releases; mkdir releases; mv .clusterctl releases");
    assert_refused(m, "may change /srv/pool/releases/.clusterctl");
    // A note that root would have written itself says no more than the name of a release.
    m.ok_sh("cd /srv/pool/releases; chown -R root: .clusterctl; sed s,ID,../../victim, /root/note >'.clusterctl/x.json'");
    m.ok_sh("ln -s /srv/victim /srv/pool/releases/20261130-044512-0123456789ab");
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(m.exists("/srv/victim/dear"));
    assert_serves(m, "v1");
});

booted_long!(a_release_that_resists_stops_no_deployment, |m| {
    user(m);
    let first = deployed(m, "v1", "keep = 2");
    let deep = "\
import os, sys
os.chdir(sys.argv[1])
for _ in range(3000):
    os.mkdir('d'); os.chdir('d')
";
    m.write("/srv/deep.py", deep);
    m.ok_sh(&format!("runuser -u shop -- python3 /srv/deep.py /srv/shop/releases/{first}"));
    let second = deployed(m, "v2", "keep = 2");
    // A folder from which nothing can be removed, whoever tries.
    m.ok_sh(&format!("cd /srv/shop/releases/{second}; mkdir held; mount -t tmpfs none held"));
    write(m, "v3", "keep = 2");
    let output = m.sh("ulimit -n 256; clusterctl deploy /root/app");
    assert!(output.code == 0 && output.stderr.contains("removed old releases"), "{output:#?}");
    let third = current(m);
    assert_eq!(releases(m), [second.clone(), third.clone()], "{output:#?}");
    let output = deploy(m, "v4", "keep = 2");
    assert!(
        output.code == 0 && output.stderr.contains("warning: an old release is still there"),
        "{output:#?}"
    );
    assert_serves(m, "v4");
    let output = deploy(m, "v5", "keep = 2");
    assert!(output.code == 0 && output.stderr.contains("still there"), "{output:#?}");
    m.ok_sh("umount $(findmnt -rno TARGET | grep /held)");
    let output = deploy(m, "v6", "keep = 2");
    assert_eq!(output.code, 0, "{output:#?}");
    assert_eq!(releases(m).len(), 2, "{output:#?}");
    assert_eq!(m.ok_sh("ls /srv/shop/releases/.clusterctl | wc -l"), "2");
    // Folders that nobody can walk through are refused before anything is touched.
    m.ok_sh("python3 /srv/deep.py /root/app");
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert!(output.code == 3 && output.stderr.contains("folders in one another"), "{output:#?}");
    assert_serves(m, "v6");
});

booted_long!(releases_are_the_same_however_their_folder_is_written, |m| {
    user(m);
    m.ok_sh("mkdir /srv/real && ln -s real /srv/way && ln -s /srv/real/shop /srv/shop");
    let first = deployed(m, "v1", "");
    write(m, "v2", "");
    m.ok_sh("sed -i s,/srv/shop,/srv/way/shop, /root/app/ecosystem.toml");
    m.ok(["clusterctl", "deploy", "/root/app"]);
    assert_serves(m, "v2");
    let both = releases(m);
    assert!(both.len() == 2 && both.contains(&first), "{both:?}");
    m.ok(["clusterctl", "rollback", "shop"]);
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
});

booted_long!(as_many_releases_stay_as_are_kept_whatever_else_is_applied, |m| {
    user(m);
    let all: Vec<String> = (1..=3).map(|n| deployed(m, &format!("v{n}"), "keep = 3")).collect();
    m.write("/root/other.js", "setInterval(() => {}, 1000);\n");
    for round in 1..=22 {
        let file = format!(
            "[[apps]]\nname = 'other'\nscript = 'other.js'\nautostart = false\nenv = {{ R = '{round}' }}\n"
        );
        m.write("/root/other.toml", file);
        m.ok(["clusterctl", "apply", "/root/other.toml"]);
    }
    let history = m.ok(["clusterctl", "history"]);
    assert!(!history.contains(&all[0]), "{history}");
    let fourth = deployed(m, "v4", "keep = 3");
    assert_eq!(releases(m), [all[1].clone(), all[2].clone(), fourth]);
});

booted_long!(hooks_have_nothing_of_who_deploys, |m| {
    user(m);
    let more = "shared = ['uploads/']\nbuild = 'ls /proc/self/fd >fds; echo $HOME >home; touch $HOME/cache'";
    write(m, "v1", more);
    m.ok_sh("echo s3cret >/root/secret; chmod 600 /root/secret");
    for (script, version) in [("exec 9</root/secret", "v1"), ("exec 31</root/secret 9<&31", "v2")] {
        write(m, version, more);
        m.ok(["bash", "-c", &format!("{script}; clusterctl deploy /root/app")]);
        assert_serves(m, version);
        let open = m.read("/srv/shop/current/fds");
        // The three, and the folder that is read.
        assert_eq!(open.lines().collect::<Vec<_>>(), ["0", "1", "2", "3"], "{script}");
        assert_eq!(m.read("/srv/shop/current/home"), "/srv/shop/releases/.home\n");
    }
    assert_eq!(m.ok(["stat", "-c", "%U %a", "/srv/shop/releases/.home"]), "shop 755");
    // Another user of the apps finds what is shared as the former one has left it, and is told so.
    m.ok(["useradd", "--system", "other"]);
    write(m, "v3", more);
    m.ok_sh("sed -i \"s/user = 'shop'/user = 'other'/\" /root/app/ecosystem.toml");
    let output = m.clusterctl(["deploy", "/root/app"]);
    let says = "warning: /srv/shop/shared/uploads belongs to `shop`, and the releases to `other`: \
                chown -Rh other: /srv/shop/shared/uploads";
    assert!(output.code == 0 && output.stderr.contains(says), "{output:#?}");
    // What root would run of somebody else's is refused; all that is wrong is told in lines.
    write(m, "v4", "user = 'shop'");
    m.ok_sh("sed -i \"/^user = 'shop'$/{x;s/^/x/;/^xx$/{x;d};x}\" /root/app/ecosystem.toml");
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert!(output.code == 3 && output.stderr.contains("root would run `shop`"), "{output:#?}");
    let output =
        m.sh("printf x >/root/x; cd /root && tar -cP /root/x app/server.js | clusterctl deploy -");
    assert!(
        output.code == 3 && output.stderr.contains("cannot be made of this:\n  `/root/x` is"),
        "{output:#?}"
    );
});

booted_long!(root_applies_no_file_of_a_release_that_its_user_has_changed, |m| {
    user(m);
    deployed(m, "v1", "");
    let file = "/srv/shop/current/ecosystem.toml";
    let output = m.clusterctl(["apply", file]);
    assert!(output.code == 0 && output.stdout.contains("nothing to do"), "{output:#?}");
    let units = || m.ok_sh("cat /etc/systemd/system/shop*.service");
    let before = units();
    m.ok_sh(&format!(
        "runuser -u shop -- cp {file} /tmp/own; sed -i 's/user = \"shop\"/user = \"root\"/' /tmp/own; \
         echo '# changed' >>/tmp/own; runuser -u shop -- cp /tmp/own {file}"
    ));
    let output = m.clusterctl(["apply", file]);
    assert!(output.code != 0 && output.stderr.contains("is not what was deployed"), "{output:#?}");
    assert_eq!(units(), before);
    assert_serves(m, "v1");
});
