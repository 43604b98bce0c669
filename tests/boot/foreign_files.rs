//! Files of other tools that belong to an unprivileged user, read by root: they are programs, and so is what they
//! name. None of it runs with root's rights because somebody has looked at it.

use crate::booted_long;
use crate::kills::KILLER;
use crate::support::{Machine, Output, skip};

const CONFIG: &str = "\
require('fs').appendFileSync('/home/ada/ran', `config ${process.getuid()}:${process.getgid()}\\n`);
module.exports = { apps: [{ name: 'shop', script: 'server.js' }] };
";

const SERVER: &str = "\
require('fs').appendFileSync('/home/ada/ran', `program ${process.getuid()}:${process.getgid()}\\n`);
require('http').createServer((request, response) => response.end('x')).listen(3000);
";

/// Who ran what, each once.
fn ran(m: &Machine) -> Vec<String> {
    let all = m.ok_sh("touch /home/ada/ran; sort -u /home/ada/ran; rm -f /home/ada/ran");
    all.lines().map(str::to_owned).collect()
}

booted_long!(a_file_of_somebody_else_is_evaluated_and_tried_with_that_users_rights, |m| {
    let ada = m.user("ada");
    ada.ok(["mkdir", "/home/ada/app"]);
    ada.write("/home/ada/app/ecosystem.config.js", CONFIG);
    ada.write("/home/ada/app/server.js", SERVER);
    let numbers = ada.ok(["sh", "-c", "echo $(id -u):$(id -g)"]);
    let hers = [format!("config {numbers}"), format!("program {numbers}")];
    for verb in ["validate", "apply -n", "import --to -"] {
        let file = "/home/ada/app/ecosystem.config.js";
        let output = m.sh(&format!("cd /; clusterctl {verb} {file}"));
        assert_eq!(output.code, 0, "{verb}: {output:#?}");
        assert_eq!(ran(m), hers, "{verb}: {output:#?}");
    }
    // Nor does her file say as whom her program is tried.
    let as_root = CONFIG.replace("script: 'server.js'", "script: 'server.js', uid: 'root'");
    ada.write("/home/ada/app/ecosystem.config.js", &as_root);
    let output = m.sh("cd /; clusterctl validate /home/ada/app/ecosystem.config.js");
    assert_eq!(ran(m), hers, "{output:#?}");
    // A link of hers to a file of root's is hers as well.
    m.write("/root/own.config.js", CONFIG);
    m.ok_sh("chmod 755 /root; chmod 644 /root/own.config.js");
    ada.ok(["ln", "-s", "/root/own.config.js", "/home/ada/app/link.config.js"]);
    m.sh("clusterctl validate /home/ada/app/link.config.js");
    assert!(ran(m).iter().all(|line| line.ends_with(&numbers)));
    // A file of root's is evaluated as before.
    m.sh("clusterctl validate /root/own.config.js");
    assert_eq!(ran(m), ["config 0:0"]);
    // What fails says as whom.
    ada.write("/home/ada/app/ecosystem.config.js", "throw new Error('no')");
    let output = m.sh("clusterctl validate /home/ada/app/ecosystem.config.js");
    assert!(output.stderr.contains("it was evaluated as `ada`"), "{output:#?}");
});

/// Stands in for PM2's daemon, in the name of nobody that the machine knows.
const DAEMON: &str = "\
cp /usr/bin/python3 /home/ada/python
echo 'import os; open(\"/home/ada/ran\", \"a\").write(f\"pm2 {os.getuid()}\\\\n\"); print(\"[]\")' >/home/ada/pm2
mkdir -p /home/ada/.pm2; chown ada: /home/ada /home/ada/.pm2; chmod 777 /home/ada
setpriv --reuid=123456 --regid=123456 --clear-groups \
    /home/ada/python -c 'import time; time.sleep(3600)' 'God Daemon' >/dev/null 2>&1 &
echo $! >/home/ada/.pm2/pm2.pid";

booted_long!(what_calls_itself_a_daemon_of_pm2_is_not_run_as_root, |m| {
    if m.run(["python3", "--version"]).code != 0 {
        return skip::record("python3 is missing");
    }
    m.user("ada");
    m.ok_sh(DAEMON);
    let output = m.sh("cd /; PM2_HOME=/home/ada/.pm2 clusterctl import");
    assert_eq!(ran(m), [""; 0], "{output:#?}");
    // Nor where a process of root's has such a word among its arguments.
    m.ok_sh(
        "cp /home/ada/pm2 /usr/local/bin/pm2; chmod 755 /usr/local/bin/pm2; \
         python3 -c 'import time; time.sleep(3600)' 'God Daemon' >/dev/null 2>&1 & \
         echo $! >/home/ada/.pm2/pm2.pid",
    );
    let output = m.sh("cd /; PM2_HOME=/home/ada/.pm2 clusterctl import");
    assert_eq!(ran(m), [""; 0], "{output:#?}");
});

/// What root would not have applied.
const EVIL: &str = "[[apps]]\nname = 'evil'\ncommand = ['sleep', 'infinity']\nuser = 'root'\n";

/// Root's `start` of a program in ada's folder.
fn started(m: &Machine, script: &str) -> Output {
    m.sh(&format!(
        "cd /home/ada/app && python3 /srv/kill.py /run/plan clusterctl start {script} --listen 3000 --uid ada"
    ))
}

booted_long!(start_applies_what_it_has_written_and_no_file_that_somebody_puts_in_its_place, |m| {
    if cfg!(not(target_arch = "x86_64")) {
        return skip::record("system calls are known by their numbers on x86-64");
    }
    m.write("/srv/kill.py", KILLER);
    let ada = m.user("ada");
    ada.ok(["mkdir", "/home/ada/app"]);
    ada.write("/home/ada/evil.toml", EVIL);
    ada.write("/home/ada/app/server.js", SERVER);
    ada.write("/home/ada/app/other.js", SERVER);
    // While the file is written, whether it is new or root's own already, ada puts hers in its place.
    let swap = "cp /home/ada/evil.toml /home/ada/app/x; mv -f /home/ada/app/x /home/ada/app/ecosystem.toml";
    let file = "/home/ada/app/ecosystem.toml";
    for before in [
        "rm -f ecosystem.toml",
        "rm -f ecosystem.toml; clusterctl start -w -n calm --uid ada sleep -- infinity",
    ] {
        m.ok_sh(&format!("cd /home/ada/app; {before}"));
        m.write("/run/plan", format!("meet 1 write {file}\n{swap}\n"));
        let output = started(m, "other.js");
        assert!(!m.exists("/run/plan"), "{before}: it was not met: {output:#?}");
        assert_eq!(m.read(file), EVIL, "{before}: it was met before the file was read");
        assert!(!m.exists("/etc/systemd/system/evil.service"), "{before}: {output:#?}");
        assert_ne!(output.code, 0, "{before}: {output:#?}");
        assert!(output.stderr.contains("was replaced while it was written"), "{output:#?}");
    }
    // A file that looks like one of start's, and is ada's.
    ada.write(file, &format!("# Written by `clusterctl start`\n{EVIL}"));
    m.ok(["chown", "ada", file]);
    let output = started(m, "other.js");
    assert_eq!(output.code, 2, "{output:#?}");
    assert!(output.stderr.contains("somebody else may change"), "{output:#?}");
    assert!(!m.exists("/etc/systemd/system/evil.service"), "{output:#?}");
    // In peace it works, and adds to its own file.
    m.ok(["rm", file]);
    for name in ["first", "second"] {
        let start = format!("clusterctl start -w -n {name} --uid ada sleep -- infinity");
        let output = m.sh(&format!("cd /home/ada/app && {start}"));
        assert_eq!(output.code, 0, "{output:#?}");
    }
    assert!(m.exists("/etc/systemd/system/first.service"));
    assert!(m.exists("/etc/systemd/system/second.service"));
});
