//! `out_file` and `error_file`: written with the rights of the app's user, whatever becomes of the
//! folder, and never at the price of the app.

use std::time::Duration;

use crate::booted_long;
use crate::shop::{applied, apply, ecosystem, write};
use crate::support::{Machine, wait_until};

const TALKER: &str = "\
console.log('out', process.pid); console.error('err', process.pid);
require('http').createServer((q, s) => s.end('instance x')).listen(3000);
";

fn app(m: &Machine, toml: &str) {
    write(m, &ecosystem(1, toml));
    m.write("/srv/shop/server.js", TALKER);
    let output = apply(m);
    assert_eq!(output.code, 0, "{output:#?}");
}

fn said(m: &Machine, path: &str) {
    let pid = m.systemctl_show("shop@0", "MainPID");
    wait_until(path, Duration::from_secs(10), || m.read(path).contains(&format!(" {pid}\n")));
}

fn owner(m: &Machine, path: &str) -> String {
    m.ok(["stat", "-c", "%U", path])
}

booted_long!(a_folder_that_is_given_away_later_leads_root_nowhere, |m| {
    let ada = m.user("ada");
    for user in ["user = 'ada'\n", ""] {
        m.ok_sh("rm -rf /srv/logs /etc/victim; mkdir /srv/logs; printf 'root only\\n' >/etc/victim; chmod 600 /etc/victim");
        app(m, &format!("{user}out_file = '/srv/logs/out'\nerror_file = '/srv/logs/err'"));
        said(m, "/srv/logs/out");
        said(m, "/srv/logs/err");
        m.ok(["chown", "ada", "/srv/logs"]);
        ada.ok([
            "sh",
            "-c",
            "rm -f /srv/logs/*; ln -s /etc/victim /srv/logs/out; ln -s /etc/new /srv/logs/err",
        ]);
        m.ok(["systemctl", "restart", "shop@0"]);
        assert!(
            m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "),
            "it serves all the same"
        );
        assert_eq!(m.read("/etc/victim"), "root only\n");
        assert!(!m.exists("/etc/new"));
        m.ok(["journalctl", "--sync"]);
        let journal = m.journal("shop@0");
        assert!(journal.contains("output goes to the journal, not to /srv/logs/out"), "{journal}");
        let pid = m.systemctl_show("shop@0", "MainPID");
        assert!(journal.contains(&format!("out {pid}")), "nothing is lost: {journal}");
        let doctor = m.clusterctl(["doctor", "shop"]);
        let named = doctor.stdout.contains("not to /srv/logs/out");
        assert!(named || !user.is_empty(), "{doctor:#?}");
        // A folder above the log belongs to ada, who puts a link to /etc in its place.
        m.ok_sh("rm -rf /srv/logs; mkdir -p /srv/logs/deep; chown ada /srv/logs");
        ada.ok(["sh", "-c", "rmdir /srv/logs/deep; ln -s /etc /srv/logs/deep"]);
        m.ok(["clusterctl", "delete", "shop"]);
    }
});

booted_long!(a_file_in_a_folder_of_roots_belongs_to_the_user_of_the_app, |m| {
    m.user("ada");
    let toml = "user = 'ada'\nout_file = '/var/log/shop.out'\nerror_file = '/var/log/shop.err'";
    app(m, toml);
    for path in ["/var/log/shop.out", "/var/log/shop.err"] {
        said(m, path);
        assert_eq!(owner(m, path), "ada", "{path}");
    }
    m.ok(["systemctl", "restart", "shop@0"]);
    said(m, "/var/log/shop.out");
    assert!(!m.journal("shop@0").contains("goes to the journal"), "{}", m.journal("shop@0"));
    m.reboot();
    said(m, "/var/log/shop.out");
});

booted_long!(a_log_that_root_wrote_before_is_handed_over, |m| {
    m.user("ada");
    app(m, "out_file = '/var/log/shop.out'");
    said(m, "/var/log/shop.out");
    assert_eq!(owner(m, "/var/log/shop.out"), "root");
    app(m, "user = 'ada'\nout_file = '/var/log/shop.out'");
    said(m, "/var/log/shop.out");
    assert_eq!(owner(m, "/var/log/shop.out"), "ada");
    // Files that belong to somebody else, or have several names, keep their owner.
    m.ok_sh("echo theirs >/var/log/shared; ln -s /etc/shadow /var/log/trap; echo x >/var/log/one; ln /var/log/one /var/log/two");
    let shadow = owner(m, "/etc/shadow");
    for file in ["shared", "trap", "one"] {
        let text = ecosystem(1, &format!("user = 'ada'\nout_file = '/var/log/{file}'"));
        write(m, &text);
        let output = apply(m);
        assert_eq!(output.code, 0, "{output:#?}");
        assert!(output.stderr.contains("output goes to the journal"), "{file}: {output:#?}");
        let doctor = m.clusterctl(["doctor", "shop"]);
        assert!(doctor.stdout.contains("output goes to the journal"), "{file}: {doctor:#?}");
    }
    assert_eq!(m.read("/var/log/shared"), "theirs\n");
    assert_eq!((owner(m, "/var/log/shared"), owner(m, "/etc/shadow")), ("root".into(), shadow));
});

booted_long!(logs_that_are_no_files_and_counted_variables, |m| {
    m.user("ada");
    applied(m, &ecosystem(1, "user = 'ada'\nout_file = 'NULL'\nerror_file = '/dev/null'"));
    assert!(!m.journal("shop@0").contains("goes to the journal"), "{}", m.journal("shop@0"));
    m.ok(["mkfifo", "-m", "666", "/srv/pipe"]);
    applied(
        m,
        &ecosystem(
            2,
            "user = 'ada'\nout_file = '/srv/pipe'\nenv = { GREETING = '7' }\nincrement_var = 'GREETING'",
        ),
    );
    assert!(m.ok(["curl", "-s", "localhost:3000"]).starts_with("instance "));
    assert!(m.journal("shop@0").contains("not to /srv/pipe"), "{}", m.journal("shop@0"));
    wait_until("the second instance", Duration::from_secs(20), || {
        m.ok(["curl", "-s", "localhost:3000"]) == "instance 1 8 ."
    });
});

booted_long!(a_program_that_is_missing_behind_its_log_is_named, |m| {
    m.user("ada");
    m.write("/srv/shop/run", "#!/bin/sh\nexec sleep 1h\n");
    m.ok(["chmod", "+x", "/srv/shop/run"]);
    write(
        m,
        "[[apps]]\nname = 'shop'\nscript = './run'\nuser = 'ada'\nout_file = '/var/log/shop.out'\n",
    );
    assert_eq!(apply(m).code, 0);
    m.ok(["rm", "/srv/shop/run"]);
    let output = m.clusterctl(["restart", "shop"]);
    assert_eq!(output.code, 1, "{output:#?}");
    assert!(output.stderr.contains("`/srv/shop/run` does not exist"), "{output:#?}");
});

booted_long!(each_instance_writes_to_a_file_of_its_own, |m| {
    m.user("ada");
    let toml = "user = 'ada'\nout_file = '/var/log/shop.out'\nerror_file = '/home/ada/err'\nmerge_logs = false";
    write(m, &ecosystem(2, toml));
    m.write("/srv/shop/server.js", TALKER);
    assert_eq!(apply(m).code, 0);
    let writes = |number: u32| {
        let pid = m.systemctl_show(&format!("shop@{number}"), "MainPID");
        for (path, line) in [
            (format!("/var/log/shop-{number}.out"), format!("out {pid}")),
            (format!("/home/ada/err-{number}"), format!("err {pid}")),
        ] {
            wait_until(&path, Duration::from_secs(10), || {
                m.read(&path).lines().last() == Some(&line)
            });
            assert_eq!(owner(m, &path), "ada", "{path}");
        }
    };
    [0, 1].into_iter().for_each(writes);
    m.ok(["clusterctl", "reload", "shop"]);
    [0, 1].into_iter().for_each(writes);
    m.ok(["clusterctl", "scale", "shop", "3"]);
    (0..3).for_each(writes);
    assert!(!m.exists("/var/log/shop.out") && !m.exists("/home/ada/err"));
    let logs = m.ok(["clusterctl", "logs", "shop@1", "--lines", "all"]);
    assert!(
        logs.contains("shop shop-1.out | out ") && logs.contains("shop err-1 ! err "),
        "{logs}"
    );
    assert!(!logs.contains("shop-0.out"), "of another instance: {logs}");
    let errors = m.ok(["clusterctl", "logs", "shop", "--err"]);
    assert!(errors.contains("shop err-2 ! err ") && !errors.contains("| out "), "{errors}");
    m.ok(["clusterctl", "flush", "shop"]);
    assert_eq!(m.read("/var/log/shop-2.out") + &m.read("/home/ada/err-2"), "");
});
