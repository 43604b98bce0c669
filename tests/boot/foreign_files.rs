//! Files of other tools that belong to an unprivileged user, read by root: they are programs, and so is what they
//! name. None of it runs with root's rights because somebody has looked at it.

use crate::booted;
use crate::support::{Machine, skip};

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

booted!(a_file_of_somebody_else_is_evaluated_and_tried_with_that_users_rights, |m| {
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

booted!(what_calls_itself_a_daemon_of_pm2_is_not_run_as_root, |m| {
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
