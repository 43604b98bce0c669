//! What is given to `deploy`: archives that no release can be made of, folders that are not root's alone, hooks and
//! shared files.

use super::{
    SERVER, assert_serves, current, deploy, deployed, ecosystem, pids, releases, user, write,
};
use crate::booted_long;

booted_long!(what_is_no_release_is_refused_and_touches_nothing, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    let make = "\
import io, sys, tarfile
tar = tarfile.open(fileobj=sys.stdout.buffer, mode='w|')
def add(name, kind=tarfile.REGTYPE, to='', text=b'x'):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, to, len(text) if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(text))
add('ecosystem.toml', text=open('/root/app/ecosystem.toml', 'rb').read())
add('/etc/evil'), add('../../evil'), add('out', tarfile.SYMTYPE, '/etc'), add('out/evil')
add('up', tarfile.SYMTYPE, 'a/../..'), add('disk', tarfile.BLKTYPE), add('pipe', tarfile.FIFOTYPE)
add('hard', tarfile.LNKTYPE, '/etc/shadow')
tar.close()
";
    m.write("/root/make.py", make);
    let before = pids(m, 2);
    let output = m.sh("python3 /root/make.py | clusterctl deploy -");
    assert_eq!(output.code, 3, "{output:#?}");
    for part in [
        "`/etc/evil` is an absolute path",
        "`../../evil` leads out of the release by `..`",
        "`out` is a link to `/etc`, which leads out of the release",
        "`out/evil` lies below `out`, which is no folder",
        "`disk` is a device",
        "`pipe` is a pipe",
        "`/etc/shadow` is an absolute path",
    ] {
        assert!(output.stderr.contains(part), "{part}: {output:#?}");
    }
    assert!(!m.exists("/etc/evil") && !m.exists("/srv/evil") && !m.exists("/evil"));
    // A cut link, an archive that is none, and no file at its root.
    for (command, says) in [
        ("tar -c -C /root/app . | head -c 2048 | clusterctl deploy -", "cut short"),
        ("echo hello | clusterctl deploy -", "no archive that can be read"),
        ("tar -c -C /root app | clusterctl deploy -", "has no ecosystem.toml"),
        ("clusterctl deploy nothing", "neither a folder nor a file `nothing`"),
    ] {
        let output = m.sh(command);
        assert!(output.code == 3 && output.stderr.contains(says), "{command}: {output:#?}");
    }
    // Somebody else may change the folder in which root would work.
    m.ok_sh("mkdir /srv/open && chown shop /srv/open");
    write(m, "v2", "");
    m.ok_sh(
        "sed -i 's,/srv/shop,/srv/open,; s/name =.*/name = \"open\"/' /root/app/ecosystem.toml",
    );
    let output = m.clusterctl(["deploy", "/root/app"]);
    assert!(
        output.code == 3 && output.stderr.contains("`shop` may change /srv/open"),
        "{output:#?}"
    );
    assert_eq!((releases(m), pids(m, 2)), (vec![first], before));
    assert_serves(m, "v1");
});

booted_long!(hooks_and_shared_files_belong_to_the_user_of_the_app, |m| {
    user(m);
    let more = "\
shared = ['secret', 'uploads/']
build = 'id -un >built; tty >>built 2>&1; test ! -e /root/app/fail-build'
before_switch = 'id -un >before; echo $CLUSTERCTL_FORMER >>before; test ! -e fail-before'
after = 'id -un >after; readlink ../../current >>after || true'";
    let output = deploy(m, "v1", more);
    assert_eq!(output.code, 3, "{output:#?}");
    assert!(output.stderr.contains("/srv/shop/shared/secret is not there"), "{output:#?}");
    assert!(
        output.stderr.contains("install -D -o shop -m 600 secret /srv/shop/shared/secret"),
        "{output:#?}"
    );
    m.ok_sh("echo s3cret >/root/secret; cd /root; install -D -o shop -m 600 secret /srv/shop/shared/secret");
    m.ok_sh("chown shop /srv/shop/shared");
    let first = deployed(m, "v1", more);
    let folder = format!("/srv/shop/releases/{first}");
    let read = |path: &str| m.ok(["cat", path]);
    assert_eq!(read(&format!("{folder}/built")), "shop\nnot a tty");
    assert_eq!(read(&format!("{folder}/before")), "shop");
    assert_eq!(read(&format!("{folder}/secret")), "s3cret");
    assert_eq!(m.ok(["stat", "-c", "%U", "/srv/shop/shared/uploads"]), "shop");
    m.ok_sh(&format!("echo kept >{folder}/uploads/file"));
    // A compressed archive on standard input, as another machine sends it.
    write(m, "v2", more);
    let output = m.sh("tar -cz -C /root/app . | clusterctl deploy - -o json");
    assert_eq!(output.code, 0, "{output:#?}");
    let events: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
    assert_eq!(
        (&of("release")["new"], &of("release")["from"]),
        (&true.into(), &"standard input".into())
    );
    assert_eq!(of("current")["release"], current(m));
    assert_serves(m, "v2");
    assert_eq!(read("/srv/shop/current/uploads/file"), "kept");
    assert_eq!(read("/srv/shop/current/before"), format!("shop\n{folder}"));
    assert_eq!(read("/srv/shop/current/after"), format!("shop\nreleases/{first}"));
    // A build that fails leaves nothing; a check that fails touches no instance.
    let before = (pids(m, 2), releases(m));
    m.write("/root/app/fail-build", "");
    m.ok(["chmod", "755", "/root"]);
    let output = deploy(m, "v3", more);
    assert!(output.code == 1 && output.stderr.contains("`build` ended with code 1"), "{output:#?}");
    assert_eq!((pids(m, 2), releases(m)), before);
    m.ok(["rm", "/root/app/fail-build"]);
    m.write("/root/app/fail-before", "");
    let output = deploy(m, "v3", more);
    assert!(
        output.code == 1 && output.stderr.contains("`before_switch` ended with code 1"),
        "{output:#?}"
    );
    assert_eq!(pids(m, 2), before.0);
    assert_serves(m, "v2");
});

booted_long!(a_file_beside_the_releases_means_the_release_in_force, |m| {
    user(m);
    write(m, "v1", "");
    m.ok_sh("mkdir /etc/shop; mv /root/app/ecosystem.toml /etc/shop/ecosystem.toml");
    let output = m.clusterctl(["deploy", "/root/app", "--file", "/etc/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    let first = current(m);
    // A change of the file alone is applied to the same code, by whichever verb.
    m.ok_sh("sed -i 's/instances = 2/instances = 3/' /etc/shop/ecosystem.toml");
    let output = m.clusterctl(["apply", "/etc/shop/ecosystem.toml"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stderr.contains(&format!("the release in force, /srv/shop/releases/{first}")),
        "{output:#?}"
    );
    let folder = |number: u32| {
        let pid = m.systemctl_show(&format!("shop@{number}"), "MainPID");
        m.ok(["readlink", &format!("/proc/{pid}/cwd")])
    };
    assert_eq!(folder(2), format!("/srv/shop/releases/{first}"));
    m.write("/root/app/version", "v2");
    m.ok(["clusterctl", "deploy", "/root/app", "--file", "/etc/shop/ecosystem.toml"]);
    assert_serves(m, "v2");
    assert_eq!(folder(2), format!("/srv/shop/releases/{}", current(m)));
    // An older release is put in force by a rollback; the file is then still the same.
    m.ok(["clusterctl", "rollback", "shop"]);
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
    let again = m.clusterctl(["apply", "/etc/shop/ecosystem.toml"]);
    assert!(again.code == 0 && again.stdout.contains("nothing to do"), "{again:#?}");
});

booted_long!(a_user_deploys_to_a_folder_of_their_own, |m| {
    let ada = m.user("ada");
    ada.ok(["mkdir", "-p", "/home/ada/app/lib"]);
    let file = ecosystem("build = 'id -un >built'").replace("/srv/shop", "/home/ada/shop");
    ada.write("/home/ada/app/ecosystem.toml", &file.replace("user = 'shop'\n", ""));
    ada.write("/home/ada/app/server.js", SERVER);
    ada.write("/home/ada/app/version", "v1");
    let output = ada.run(["clusterctl", "--user", "deploy", "/home/ada/app"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_serves(m, "v1");
    assert_eq!(ada.ok(["cat", "/home/ada/shop/current/built"]), "ada");
    ada.write("/home/ada/app/version", "v2");
    let output = ada.run(["sh", "-c", "cd /home/ada/app && tar -c . | clusterctl --user deploy -"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert_serves(m, "v2");
    ada.ok(["clusterctl", "--user", "rollback", "shop"]);
    assert_serves(m, "v1");
    // For the system's apps she may not.
    let output = ada.run(["clusterctl", "deploy", "/home/ada/app"]);
    assert_eq!(output.code, 4, "{output:#?}");
});

booted_long!(another_project_with_an_app_of_the_same_name_takes_nothing_over, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    m.ok_sh(
        "cp -r /root/app /root/other; echo v2 >/root/other/version; cp -r /root/other /root/plain",
    );
    m.ok_sh("sed -i s,/srv/shop,/srv/other, /root/other/ecosystem.toml");
    m.ok_sh("sed -i '/deploy/d; /path/d' /root/plain/ecosystem.toml; chown -R shop: /root/plain");
    let before = pids(m, 2);
    for command in
        ["deploy /root/other", "deploy -n /root/other", "apply /root/plain/ecosystem.toml"]
    {
        let output = m.sh(&format!("clusterctl {command}"));
        assert_eq!(output.code, 3, "{command}: {output:#?}");
        for part in
            ["`shop` is the app of another file, /srv/shop/current/ecosystem.toml", "--takeover"]
        {
            assert!(output.stderr.contains(part), "{command}: {part}: {output:#?}");
        }
    }
    assert!(!m.exists("/srv/other"), "no release was made");
    assert_eq!(pids(m, 2), before);
    let output = m.clusterctl(["deploy", "/root/other", "--takeover"]);
    assert_eq!(output.code, 0, "{output:#?}");
    assert!(
        output.stdout.contains("comes from /srv/shop/current/ecosystem.toml until now"),
        "{output:#?}"
    );
    assert_serves(m, "v2");
    // Whoever goes back to the definition of the other file has said so.
    let back = m.clusterctl(["rollback", "1"]);
    assert_eq!(back.code, 0, "{back:#?}");
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
});

booted_long!(a_release_that_somebody_has_removed_is_the_reason_that_is_told, |m| {
    user(m);
    let first = deployed(m, "v1", "");
    let second = deployed(m, "v2", "");
    m.ok(["rm", "-r", &format!("/srv/shop/releases/{second}")]);
    let why = format!(
        "could not be started: its release {second} is gone: `/srv/shop/releases/{second}` does not exist"
    );
    for command in ["restart shop", "start shop", "reload shop"] {
        let output = m.sh(&format!("clusterctl {command}"));
        assert_eq!(output.code, 1, "{command}: {output:#?}");
        assert!(output.stderr.contains(&why), "{command}: {output:#?}");
        assert!(!output.stderr.contains("assertion"), "{command}: {output:#?}");
        let next = "next: clusterctl rollback shop, or make the release again: clusterctl deploy …";
        assert!(output.stderr.contains(next), "{command}: {output:#?}");
    }
    for verb in ["doctor", "describe"] {
        let told = m.sh(&format!("clusterctl {verb} shop")).stdout;
        assert!(told.contains(&format!("its release {second} is gone")), "{verb}: {told}");
    }
    // What is said to do does it, one as well as the other.
    m.ok(["clusterctl", "rollback", "shop"]);
    assert_serves(m, "v1");
    assert_eq!(current(m), first);
    let third = deployed(m, "v2", "");
    assert_ne!(third, second);
    // The same content with a file of its own, whose release is gone: not looked for beside the file.
    m.ok_sh("mkdir /etc/shop; cp /root/app/ecosystem.toml /etc/shop/");
    m.ok(["clusterctl", "deploy", "/root/app", "--file", "/etc/shop/ecosystem.toml"]);
    m.ok(["rm", "-r", &format!("/srv/shop/releases/{}", current(m))]);
    let output = m.clusterctl(["apply", "/etc/shop/ecosystem.toml"]);
    assert!(output.code == 3 && output.stderr.contains("is gone"), "{output:#?}");
});
